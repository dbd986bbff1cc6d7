/**
 * The common part of all followers. One process at a time works, under a lease in Postgres, in bounded steps and with a
 * rest when nothing is left. Each follower says how far behind it is.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import { Rounds } from '../background/rounds.js';
import { releaseLease, takeLease } from '../stores/leases.js';
import type { Database } from '../stores/postgres.js';
import { Lag } from './lag.js';

/** After a failure, and while another process works: the databases' own watchers look every second. */
const retryMs = 1_000;
const leaseMs = 10_000;
/** A stop waits for the operation that runs, which a store that stands still never ends. */
const stopWaitMs = 1_000;

/** What a follower's helpers need to know of it. */
export interface Turn {
  /** A stop was requested: work ends at its next step. */
  readonly isStopping: boolean;
  /**
   * Renews the lease when half of it is over.
   * @throws when another process has the lease: it may have written a newer state by now
   */
  keepLease(): Promise<void>;
}

export abstract class LeasedFollower implements Turn {
  readonly #database: Database;
  readonly #log: Log;
  readonly #name: string;
  readonly #holder = randomUUID();
  readonly #rounds: Rounds;
  readonly #everyMs: number;
  #leasedUntilMs = 0;
  /** What is not copied yet. */
  lag = 0;
  /** For how long some of these have waited. */
  readonly age = new Lag();

  /**
   * @param name of the lease
   * @param everyMs rest between two looks for something new
   */
  constructor(database: Database, log: Log, name: string, everyMs: number) {
    this.#database = database;
    this.#log = log;
    this.#name = name;
    this.#everyMs = everyMs;
    this.#rounds = new Rounds(() => this.#round());
  }

  /** Does one step under the lease. @returns whether nothing is left to do now */
  protected abstract step(): Promise<boolean>;

  /** Another process has the lease: what this one remembers of its work is out of date. */
  protected abstract forget(): void;

  get isStopping(): boolean {
    return this.#rounds.isStopped;
  }

  start(): void {
    this.#rounds.start(0);
  }

  async stop(): Promise<void> {
    await Promise.race([this.#rounds.stop(), delay(stopWaitMs, undefined, { ref: false })]);
    await releaseLease(this.#database, this.#name, this.#holder).catch(() => undefined);
  }

  /** Works until nothing is left. @returns false when another process has the lease */
  async catchUp(): Promise<boolean> {
    while (!this.isStopping) {
      if (!(await this.#takeLease())) {
        this.age.reset();
        this.forget();
        return false;
      }
      if (await this.step()) return true;
    }
    return true;
  }

  async keepLease(): Promise<void> {
    if (performance.now() < this.#leasedUntilMs - leaseMs / 2) return;
    if (!(await this.#takeLease())) throw new Error(`another process has the lease of ${this.#name} now`);
  }

  async #takeLease(): Promise<boolean> {
    const startedMs = performance.now();
    if ((await takeLease(this.#database, this.#name, this.#holder, leaseMs)) !== null) return false;
    this.#leasedUntilMs = startedMs + leaseMs;
    return true;
  }

  async #round(): Promise<number> {
    try {
      return (await this.catchUp()) ? this.#everyMs : retryMs;
    } catch (error) {
      // The databases' own watchers report one that is away.
      this.#log.debug({ error: (error as Error).message, follower: this.#name }, 'a follower could not go on');
      return retryMs;
    }
  }
}
