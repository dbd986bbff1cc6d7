/**
 * Changes of cards, users and accounts on their way from the API to the engines. It has the relay, and the answer to
 * "is it in force yet?". Every API process has one; they share the work by a lock in Postgres.
 */

import type { Log } from '../../platform/log.js';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import type { Seals } from '../../platform/redis/seal.js';
import { type Effect, EngineWatch, type ObserveHop } from './engines.js';
import { ListenPublisher } from './listen-publisher.js';
import { type Change, RelayOutbox } from './outbox.js';
import type { Publisher } from './publisher.js';
import { RedisPublisher } from './redis-publisher.js';
import { Relay } from './relay.js';

export type { Effect } from './engines.js';
export type { Change } from './outbox.js';

/** How long a request waits for the engines. */
export const effectiveMsDefault = 1000;
const startRetryMs = 500;

export interface ChangeFeedHealth {
  readonly isUp: boolean;
  readonly detail: string;
  readonly transport: 'redis' | 'postgres';
  readonly isLeader: boolean;
  readonly engines: readonly { readonly id: string; readonly applied: number }[];
}

/** How long the ways of all changes that were waited for took together, and how many they were. */
export interface ChangeFeed {
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * True once every live engine has that version of the card, user or account in force: from then on none approves
   * against it. False when that is not known in time; the change may be in force all the same, and another call is
   * cheap. False too when an engine cannot apply it and declines instead; a freeze is in force then.
   */
  effective(change: Change, timeoutMs?: number): Promise<boolean>;
  /** As `effective`, with what is known of each engine. */
  effect(change: Change, timeoutMs?: number): Promise<Effect>;
  health(): ChangeFeedHealth;
  /** For the metrics. */
  readonly hops: OperationTimes;
}

export interface ChangeFeedOptions {
  readonly databaseUrl: string;
  /** '': hints travel by Postgres LISTEN/NOTIFY. */
  readonly redisUrl: string;
  /** Of what goes through Redis. */
  readonly seals: Seals;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** Hears how long each way of each change took. */
  readonly observe?: ObserveHop;
}

export class OutboxChangeFeed implements ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly hops = new OperationTimes();
  readonly #outbox: RelayOutbox;
  readonly #watch: EngineWatch;
  #publisher: Publisher | null = null;
  #relay: Relay | null = null;
  #starting: Promise<void> | null = null;
  #isStopped = false;
  #wake: () => void = () => undefined;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#outbox = new RelayOutbox(options.databaseUrl);
    this.#watch = new EngineWatch(
      this.#outbox,
      (newest, entries) => this.#relay?.numbered(newest, entries),
      (hop, ms) => {
        this.hops.add(hop, ms);
        options.observe?.(hop, ms);
      },
    );
  }

  /** Returns at once. While Postgres is away it keeps trying; nothing can be confirmed until then. */
  async start(): Promise<void> {
    this.#starting ??= this.#startWhenItCan();
  }

  async #startWhenItCan(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#begin();
        return;
      } catch (error) {
        this.#options.log.warn({ error: (error as Error).message }, 'the feed could not start yet');
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, startRetryMs);
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    }
  }

  async #begin(): Promise<void> {
    const { redisUrl, seals, log } = this.#options;
    const outbox = this.#outbox;
    if (this.#publisher === null) {
      // Asked in either case: it shows that Postgres is there.
      const feedId = await outbox.feedId();
      const publisher = redisUrl === '' ? new ListenPublisher(outbox) : new RedisPublisher(redisUrl, feedId, seals);
      await publisher.start((engineId, sequence, setApart) => this.#watch.reported(engineId, sequence, setApart));
      this.#publisher = publisher;
    }
    const publisher = this.#publisher;
    const relay = new Relay(outbox, publisher, log);
    // Numbers given by other processes; with Redis the leader publishes them.
    if (publisher.carriesEntries) {
      await outbox.listen(
        'feed',
        (newest) => relay.announced(Number(newest), this.#watch.isLooking),
        () => relay.kick(),
      );
    }
    this.#relay = relay;
    if (!this.#isStopped) relay.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#watch.stop();
    this.#wake();
    const closing = this.#relay?.stop();
    await closing;
    await this.#outbox.close();
    await this.#starting;
    // Behind the start, which may just have made it: its reconnecting would keep the process for ever.
    await this.#publisher?.stop();
  }

  async effective(change: Change, timeoutMs?: number): Promise<boolean> {
    return (await this.effect(change, timeoutMs)).isInForce;
  }

  effect(change: Change, timeoutMs = effectiveMsDefault): Promise<Effect> {
    return this.#watch.effect(change, timeoutMs);
  }

  health(): ChangeFeedHealth {
    const failure = this.#relay === null ? 'Postgres has not answered yet' : (this.#publisher?.failure ?? '');
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
