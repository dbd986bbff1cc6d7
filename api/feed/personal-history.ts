/**
 * Follows the settled ledger into the history of personal customers in MongoDB: window by window in the order of each
 * partition's journal, each chain as it stands now. First the chains, then the position: a crash between the two repeats
 * the window, which changes nothing. One process at a time works, under a lease. Steps are as large as the stores do in a
 * few milliseconds, so that a slow one has time for people's requests; then the history follows more slowly.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../log.js';
import { nextWindow, readChains, settledPositions } from '../stores/personal/history-source.js';
import type { HistoryDocument, MongoHistory } from '../stores/personal/mongo-history.js';
import type { Database } from '../stores/postgres.js';
import { Pace } from './pace.js';

/** A person who has just paid looks at the list: well below a second, and one tiny query each. */
const lookEveryMs = 200;
/** After a failure: the databases' own watchers look every second. */
const retryMs = 1_000;
const leaseMs = 10_000;
/** What is done between two renewals of the lease, and repeated after a crash. */
const windowPace = { first: 200, max: 2_000, targetMs: 2_000 };
/** One operation: a request that comes meanwhile waits for it at most. */
const operationPace = { first: 10, max: 200, targetMs: 10 };
/** A stop waits for the operation that runs, which a store that stands still never ends. */
const stopWaitMs = 1_000;

export class PersonalHistory {
  readonly #history: MongoHistory;
  readonly #database: Database;
  readonly #log: Log;
  readonly #holder = randomUUID();
  readonly #windows = new Pace(windowPace);
  readonly #additions = new Pace(operationPace);
  readonly #updates = new Pace({ ...operationPace, first: 1 });
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #isStopped = true;
  /** A stop was asked for: the work that runs ends at the next step. */
  #isStopping = false;
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
    this.#isStopping = false;
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await Promise.race([this.#running, delay(stopWaitMs, undefined, { ref: false })]);
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
        const after = await this.#copyWindow(partition, before, newest);
        moved[partition] = after;
        if (after < newest) isBehind = true;
      }
      await this.#history.savePositions(this.#holder, moved);
      this.lag = lagOf(settled, moved);
      if (!isBehind || this.#isStopping) return true;
    }
  }

  /** A position beyond the journal's is another database's: this one was restored or replaced. */
  #positionIn(positions: Readonly<Record<string, number>>, partition: string, newest: number): number {
    const position = positions[partition] ?? 0;
    if (position <= newest) return position;
    this.#log.warn({ partition, position, newest }, 'personal history is ahead of the ledger: copying it anew');
    return 0;
  }

  /** @returns the position after the window; where it was before when a stop came in between */
  async #copyWindow(partition: string, before: number, newest: number): Promise<number> {
    const startedMs = performance.now();
    const { last, chains } = await nextWindow(this.#database, partition, before, this.#windows.size);
    for (let start = 0; start < chains.length && !this.#isStopping; ) {
      const slice = chains.slice(start, start + this.#additions.size);
      start += slice.length;
      await this.#copy(await readChains(this.#database, partition, slice));
    }
    // A window counts when all of it is copied.
    if (this.#isStopping) return before;
    // What is quarantined has no message: then there is none up to where the ledger stood.
    if (last === null) return newest;
    this.#windows.took(last - before, performance.now() - startedMs);
    return last;
  }

  async #copy(documents: readonly HistoryDocument[]): Promise<void> {
    if (documents.length === 0) return;
    const { value: existing, tookMs } = await this.#history.add(documents);
    this.#additions.took(documents.length, tookMs);
    this.copied += documents.length - existing.length;
    for (let start = 0; start < existing.length && !this.#isStopping; ) {
      const slice = existing.slice(start, start + this.#updates.size);
      start += slice.length;
      const updated = await this.#history.update(slice);
      this.#updates.took(slice.length, updated.tookMs);
      this.copied += slice.length;
    }
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
