/**
 * Follows the settled ledger into the history of personal customers in MongoDB: window by window in the order of each
 * partition's journal, each chain as it stands now. First the chains, then the position: a crash between the two repeats
 * the window, which changes nothing. One process at a time works, under a lease.
 */
import { randomUUID } from 'node:crypto';
import type { Log } from '../log.js';
import { nextWindow, readChains, settledPositions } from '../stores/personal/history-source.js';
import type { MongoHistory } from '../stores/personal/mongo-history.js';
import type { Database } from '../stores/postgres.js';

/** A person who has just paid looks at the list: well below a second, and one tiny query each. */
const lookEveryMs = 200;
/** After a failure: the databases' own watchers look every second. */
const retryMs = 1_000;
const leaseMs = 10_000;
/** Messages looked at and chains copied in one step: milliseconds of work, a few hundred kilobytes. */
const windowMax = 2_000;
const chainsMax = 200;

export class PersonalHistory {
  readonly #history: MongoHistory;
  readonly #database: Database;
  readonly #log: Log;
  readonly #holder = randomUUID();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #isStopped = true;
  /** Counters and gauges, read by the metrics. */
  copied = 0;
  lag = 0;

  constructor(history: MongoHistory, database: Database, log: Log) {
    this.#history = history;
    this.#database = database;
    this.#log = log;
  }

  start(): void {
    this.#isStopped = false;
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#running;
    await this.#history.release(this.#holder).catch(() => undefined);
  }

  /** Copies what is settled by now. @returns false when another process does it */
  async catchUp(): Promise<boolean> {
    for (;;) {
      const positions = await this.#history.lease(this.#holder, leaseMs);
      if (positions === null) return false;
      const settled = await settledPositions(this.#database);
      this.lag = lagOf(settled, positions);
      const moved: Record<string, number> = { ...positions };
      let isBehind = false;
      for (const [partition, newest] of settled) {
        const before = this.#positionIn(positions, partition, newest);
        if (before >= newest) continue;
        const after = await this.#copyWindow(partition, before);
        moved[partition] = after;
        if (after < newest) isBehind = true;
      }
      await this.#history.savePositions(this.#holder, moved);
      this.lag = lagOf(settled, moved);
      if (!isBehind || this.#isStopped) return true;
    }
  }

  /** A position beyond the journal's is another database's: this one was restored or replaced. */
  #positionIn(positions: Readonly<Record<string, number>>, partition: string, newest: number): number {
    const position = positions[partition] ?? 0;
    if (position <= newest) return position;
    this.#log.warn({ partition, position, newest }, 'personal history is ahead of the ledger: copying it anew');
    return 0;
  }

  /** @returns the position after the window */
  async #copyWindow(partition: string, before: number): Promise<number> {
    const { last, chains } = await nextWindow(this.#database, partition, before, windowMax);
    for (let start = 0; start < chains.length; start += chainsMax) {
      const documents = await readChains(this.#database, partition, chains.slice(start, start + chainsMax));
      if (documents.length > 0) await this.#history.write(documents);
      this.copied += documents.length;
    }
    return last ?? before;
  }

  #schedule(waitMs: number): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#look().then((nextMs) => {
        this.#running = null;
        this.#schedule(nextMs);
      });
    }, waitMs);
    this.#timer.unref();
  }

  async #look(): Promise<number> {
    try {
      return (await this.catchUp()) ? lookEveryMs : retryMs;
    } catch (error) {
      // Their own watchers say loudly when a database is away.
      this.#log.debug({ error: (error as Error).message }, 'personal history could not be copied');
      return retryMs;
    }
  }
}

function lagOf(settled: ReadonlyMap<string, number>, positions: Readonly<Record<string, number>>): number {
  let lag = 0;
  for (const [partition, newest] of settled) lag += Math.max(0, newest - (positions[partition] ?? 0));
  return lag;
}
