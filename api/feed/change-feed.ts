/**
 * Changes of cards, users and accounts on their way from the API to the engines, as one object: the relay, and the answer
 * to "is it in force yet?". Every API process has one; they share the work by a lock in Postgres.
 */
import type { Log } from '../log.js';
import { EngineWatch } from './engines.js';
import { ListenPublisher } from './listen-publisher.js';
import { type Change, RelayOutbox } from './outbox.js';
import type { Publisher } from './publisher.js';
import { RedisPublisher } from './redis-publisher.js';
import { Relay } from './relay.js';

export type { Change } from './outbox.js';

/** How long a request waits for the engines. */
export const effectiveMsDefault = 1000;

export interface ChangeFeedHealth {
  readonly isUp: boolean;
  readonly detail: string;
  readonly transport: 'redis' | 'postgres';
  readonly isLeader: boolean;
  readonly engines: readonly { readonly id: string; readonly applied: number }[];
}

export interface ChangeFeed {
  /** Rejects when Postgres does not answer. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * True once every live engine has that version of the card, user or account in force: from then on none approves against
   * it. False when that is not known in time; the change may be in force all the same, and asking again is cheap.
   */
  effective(change: Change, timeoutMs?: number): Promise<boolean>;
  health(): ChangeFeedHealth;
}

export interface ChangeFeedOptions {
  readonly databaseUrl: string;
  /** '': hints travel by Postgres LISTEN/NOTIFY. */
  readonly redisUrl: string;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

export class OutboxChangeFeed implements ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #outbox: RelayOutbox;
  readonly #watch: EngineWatch;
  #publisher: Publisher | null = null;
  #relay: Relay | null = null;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#outbox = new RelayOutbox(options.databaseUrl);
    this.#watch = new EngineWatch(this.#outbox, () => this.#relay?.kick());
  }

  async start(): Promise<void> {
    const { redisUrl, log } = this.#options;
    const outbox = this.#outbox;
    const publisher =
      redisUrl === '' ? new ListenPublisher(outbox) : new RedisPublisher(redisUrl, await outbox.feedId());
    this.#publisher = publisher;
    await publisher.start((engineId, sequence) => this.#watch.heard(engineId, sequence));
    const relay = new Relay(outbox, publisher, log);
    this.#relay = relay;
    // Numbers given by other processes; with Redis the leader publishes them.
    if (publisher.carriesEntries) {
      await outbox.listen(
        'feed',
        (newest) => {
          if (Number(newest) > relay.published) relay.kick();
        },
        () => relay.kick(),
      );
    }
    relay.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    await this.#relay?.stop();
    await this.#publisher?.stop();
    await this.#outbox.close();
  }

  effective(change: Change, timeoutMs = effectiveMsDefault): Promise<boolean> {
    return this.#watch.effective(change, timeoutMs);
  }

  health(): ChangeFeedHealth {
    const failure = this.#publisher?.failure ?? 'not started';
    const isLeader = this.#relay?.isLeader ?? false;
    const { engines } = this.#watch;
    return {
      isUp: failure === '',
      detail:
        failure === ''
          ? `${isLeader ? 'relays changes' : 'another process relays'}, ${engines.length} engines`
          : failure,
      transport: this.#publisher?.name ?? 'postgres',
      isLeader,
      engines,
    };
  }
}
