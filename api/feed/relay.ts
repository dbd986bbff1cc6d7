/**
 * The relay: one of all API processes, under a Postgres advisory lock. It numbers committed changes, publishes them and
 * heartbeats, and removes old entries. Nothing is lost when it dies: the next one goes on from the newest number, and
 * the engines see the gap.
 */
import type { FeedEntry } from '../../engine/core/feed.js';
import type { Log } from '../../platform/log.js';
import type { Leadership, RelayOutbox } from './outbox.js';
import type { Publisher } from './publisher.js';

/** Engines take a relay for dead after four of them (engine/feed/messenger.ts has the same). */
const heartbeatMs = 250;
/** Changes that were made past the API, as by psql, are found this often. */
const lookMs = 50;
/** Another process leads: perhaps not for long. */
const leadRetryMs = 500;
const pruneMs = 10_000;
/** Entries per look. */
const entriesMax = 500;
/** So far behind it publishes nothing: the engines read the outbox faster. */
const behindMax = 10_000;

export class Relay {
  readonly #outbox: RelayOutbox;
  readonly #publisher: Publisher;
  readonly #log: Pick<Log, 'info' | 'warn'>;
  #isStopped = false;
  #isLeader = false;
  #loop: Promise<void> | null = null;
  #wake: () => void = () => undefined;
  #isWoken = false;
  #published = 0;
  /** Newest number that any process has announced. */
  #announced = 0;
  failures = 0;

  constructor(outbox: RelayOutbox, publisher: Publisher, log: Pick<Log, 'info' | 'warn'>) {
    this.#outbox = outbox;
    this.#publisher = publisher;
    this.#log = log;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /**
   * A caller in this process has given numbers up to `newest`, these entries among them. What comes next after the ones
   * that are published is published at once, without asking for it again.
   */
  numbered(newest: number, entries: readonly FeedEntry[]): void {
    if (this.#isLeader && this.#publisher.carriesEntries && entries[0]?.sequence === this.#published + 1) {
      this.#published = entries.at(-1)!.sequence;
      void this.#publisher.publish(entries, newest);
    }
    if (Math.max(newest, this.#announced) > this.#published) this.kick();
  }

  /**
   * A process, this one or another, has given numbers up to `newest`.
   * @param isLooking a look of this process is on its way, which may bring them: numbered() will say
   */
  announced(newest: number, isLooking: boolean): void {
    this.#announced = Math.max(this.#announced, newest);
    if (newest > this.#published && !isLooking) this.kick();
  }

  /** There is something new: look now. */
  kick(): void {
    // Without entries to carry there is nothing to hurry for: the numbering has notified the engines.
    if (!this.#publisher.carriesEntries && !this.#isStopped) return;
    this.#isWoken = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.kick();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      let leadership: Leadership | null = null;
      try {
        leadership = await this.#outbox.lead();
        if (leadership !== null) await this.#lead(leadership);
      } catch (error) {
        this.failures++;
        if (!this.#isStopped) this.#log.warn({ error: (error as Error).message }, 'the relay stopped; trying again');
      } finally {
        this.#isLeader = false;
        await leadership?.resign();
      }
      if (!this.#isStopped) await this.#pause(leadRetryMs, false);
    }
  }

  async #lead(leadership: Leadership): Promise<void> {
    await leadership.number();
    const { newest } = await leadership.next(Number.MAX_SAFE_INTEGER, 1);
    this.#isLeader = true;
    this.#published = newest;
    // A number that was announced before may be of a database that was set back since.
    this.#announced = newest;
    this.#log.info({ newest, by: this.#publisher.name }, 'this process relays changes to the engines');
    let beatAtMs = 0;
    let lookedAtMs = Number.NEGATIVE_INFINITY;
    let prunedAtMs = performance.now();
    while (!this.#isStopped) {
      // The caller that woke the relay has numbered what it is about.
      this.#isWoken = false;
      if (performance.now() - lookedAtMs >= lookMs) {
        await leadership.number();
        lookedAtMs = performance.now();
      }
      await this.#publishNew(leadership);
      const nowMs = performance.now();
      if (nowMs - beatAtMs >= heartbeatMs) {
        beatAtMs = nowMs;
        await this.#publisher.publish([], this.#published);
      }
      if (nowMs - prunedAtMs >= pruneMs) {
        prunedAtMs = nowMs;
        await leadership.prune();
      }
      await this.#pause(lookMs, true);
    }
  }

  async #publishNew(leadership: Leadership): Promise<void> {
    for (;;) {
      const limit = this.#publisher.carriesEntries ? entriesMax : 1;
      const read = await leadership.next(this.#published, limit);
      const { newest } = read;
      // Some may have been published meanwhile.
      const entries = read.entries.filter(({ sequence }) => sequence > this.#published);
      if (!this.#publisher.carriesEntries || newest - this.#published > behindMax) {
        this.#published = Math.max(this.#published, newest);
        return;
      }
      if (entries.length > 0) {
        this.#published = entries.at(-1)!.sequence;
        await this.#publisher.publish(entries, newest);
      }
      if (this.#published >= newest || read.entries.length === 0) return;
    }
  }

  /** @param canBeWoken a kick ends it */
  async #pause(delayMs: number, canBeWoken: boolean): Promise<void> {
    if (this.#isStopped || (canBeWoken && this.#isWoken)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        if (!canBeWoken && !this.#isStopped) return;
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }
}
