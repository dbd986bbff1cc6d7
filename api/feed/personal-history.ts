/**
 * Follows the settled ledger into the history of personal customers in MongoDB: window by window in the order of each
 * partition's journal, each transaction as it stands now. First the transactions, then the position: a crash between the two repeats
 * the window, which changes nothing. One process at a time works, under a lease in Postgres.
 *
 * Beside the position the follower keeps what some of the messages were that it copied. When the ledger has another message
 * there, or none, it was restored from an older copy: everything copied since the last message that both have is compared
 * with the ledger, what the ledger does not have is removed, and the window is read again.
 * Steps are as large as the stores do in a
 * few milliseconds, so that a slow one has time for people's requests; then the history follows more slowly.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../platform/log.js';
import { releaseLease, takeLease } from '../stores/leases.js';
import { readTransactions } from '../stores/personal/history-source.js';
import type { HistoryDocument, MongoHistory, PartitionPosition, Positions } from '../stores/personal/mongo-history.js';
import type { Database } from '../stores/postgres.js';
import {
  type Checkpoint,
  knownCheckpoints,
  type LedgerIdentity,
  nextWindow,
  settledPositions,
} from '../stores/settled-ledger.js';
import { Lag } from './lag.js';
import { Pace } from './pace.js';

/** A person who has just paid looks at the list: well below a second, and one tiny query each. */
const lookEveryMs = 200;
/** After a failure: the databases' own watchers look every second. */
const retryMs = 1_000;
const leaseScope = 'personal history';
const leaseMs = 10_000;
/** What is done between two renewals of the lease, and repeated after a crash. */
const windowPace = { first: 200, max: 2_000, targetMs: 2_000 };
/** One operation: a request that comes meanwhile waits for it at most. */
const operationPace = { first: 10, max: 200, targetMs: 10 };
/** Transactions compared with a restored ledger at a time. */
const comparedAtOnce = 100;
const beginning: PartitionPosition = { sequence: 0, checkpoints: [] };
/** A stop waits for the operation that runs, which a store that stands still never ends. */
const stopWaitMs = 1_000;

export class PersonalHistory {
  readonly #history: MongoHistory;
  readonly #database: Database;
  readonly #identity: LedgerIdentity;
  readonly #log: Log;
  readonly #holder = randomUUID();
  readonly #windows = new Pace(windowPace);
  readonly #additions = new Pace(operationPace);
  readonly #updates = new Pace({ ...operationPace, first: 1 });
  #timer: NodeJS.Timeout | undefined;
  #leasedUntilMs = 0;
  #running: Promise<void> | null = null;
  #isStopped = true;
  /** Partitions whose copies behind the position were compared with the ledger since this process has the lease. */
  readonly #compared = new Set<string>();
  /** A stop was asked for: the work that runs ends at the next step. */
  #isStopping = false;
  /** Counters and gauges, read by the metrics. */
  copied = 0;
  /** Transactions removed because a restored ledger does not have them. */
  removed = 0;
  lag = 0;
  /** For how long some of these have waited. */
  readonly age = new Lag();

  constructor(history: MongoHistory, database: Database, identity: LedgerIdentity, log: Log) {
    this.#history = history;
    this.#identity = identity;
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
    await releaseLease(this.#database, leaseScope, this.#holder).catch(() => undefined);
  }

  /** Copies what is settled by now. @returns false when another process does it */
  async catchUp(): Promise<boolean> {
    for (;;) {
      if (!(await this.#takeLease())) {
        this.age.reset();
        this.#compared.clear();
        return false;
      }
      const ledger = await this.#identity.read();
      const { positions: saved, rebuild } = await this.#history.positions(ledger);
      if (saved === null) await this.#history.removeOlderForms();
      // A rebuild compares all of it with the ledger, and copies all of it again.
      const positions = rebuild === null ? (saved ?? {}) : {};
      const settled = await settledPositions(this.#database);
      this.#noteLag(settled, positions);
      const moved: Record<string, PartitionPosition> = { ...positions };
      let isBehind = false;
      for (const [partition, newest] of settled) {
        let before: PartitionPosition | null = positions[partition] ?? beginning;
        if (positions[partition] === undefined || !this.#compared.has(partition)) {
          // The process before may have copied a window and ended before it saved so, and the ledger was restored since.
          before = await this.#goBack(ledger, partition, before);
          if (before !== null) this.#compared.add(partition);
        }
        const after = before === null ? null : await this.#follow(ledger, partition, before, newest);
        if (after === null) continue;
        moved[partition] = after;
        if (after.sequence < newest) isBehind = true;
      }
      await this.#history.savePositions(ledger, moved, rebuild);
      this.#noteLag(settled, moved);
      if (!isBehind || this.#isStopping) return true;
    }
  }

  #noteLag(settled: ReadonlyMap<string, number>, positions: Positions): void {
    const newest = [...settled.values()].reduce((sum, sequence) => sum + sequence, 0);
    this.lag = lagOf(settled, positions);
    this.age.noted(newest, newest - this.lag);
  }

  async #takeLease(): Promise<boolean> {
    const askedAtMs = performance.now();
    if ((await takeLease(this.#database, leaseScope, this.#holder, leaseMs)) !== null) return false;
    this.#leasedUntilMs = askedAtMs + leaseMs;
    return true;
  }

  /**
   * Before each write: a process that stood still for longer than its lease must not write an older state over what its
   * successor wrote. MongoDB compares and writes in one step, FerretDB does not.
   */
  async #keepLease(): Promise<void> {
    if (performance.now() < this.#leasedUntilMs - leaseMs / 2) return;
    if (!(await this.#takeLease())) throw new Error('another process copies the personal history now');
  }

  /** @returns the position after the next window; null when a stop came in between */
  async #follow(
    ledger: string,
    partition: string,
    before: PartitionPosition,
    newest: number,
  ): Promise<PartitionPosition | null> {
    const [checkpoint] = before.checkpoints;
    if (before.sequence < newest) return this.#copyWindow(ledger, partition, before, newest);
    const isKnown =
      checkpoint === undefined || (await knownCheckpoints(this.#database, partition, [checkpoint])).size > 0;
    // What is quarantined has no message, so the position may be beyond the newest one that is there.
    if (isKnown) return before.sequence === newest ? before : { ...before, sequence: newest };
    return this.#goBack(ledger, partition, before);
  }

  /**
   * The ledger does not have what was copied: it was restored from an older copy, and may have gone on since.
   * @returns the newest position that both have, once the history has nothing beyond it that the ledger has not
   */
  async #goBack(ledger: string, partition: string, before: PartitionPosition): Promise<PartitionPosition | null> {
    const known = await knownCheckpoints(this.#database, partition, before.checkpoints);
    const checkpoints = before.checkpoints.filter(({ sequence }) => known.has(sequence));
    const sequence = checkpoints[0]?.sequence ?? 0;
    const [newest] = before.checkpoints;
    if (newest !== undefined && !known.has(newest.sequence)) {
      this.#log.warn(
        { partition, copiedTo: before.sequence, knownTo: sequence },
        'the ledger was restored from an older copy: comparing the personal history with it',
      );
    }
    const removedBefore = this.removed;
    for (let last = ''; ; ) {
      if (this.#isStopping) return null;
      await this.#keepLease();
      const suspects = await this.#history.suspects(ledger, Number(partition), sequence, last, comparedAtOnce);
      const ids = [...new Set(suspects.map(({ transactionId }) => transactionId))];
      const transactions = await readTransactions(this.#database, ledger, partition, { ids });
      const real = new Set(transactions.map(({ _id }) => _id));
      const asked = new Set(suspects.map(({ _id }) => _id));
      const phantoms = suspects.filter(({ _id }) => !real.has(_id)).map(({ _id }) => _id);
      await this.#history.correct(
        transactions.filter(({ _id }) => asked.has(_id)),
        phantoms,
      );
      this.removed += phantoms.length;
      const end = suspects.at(-1);
      if (end === undefined || suspects.length < comparedAtOnce) break;
      last = end._id;
    }
    const removed = this.removed - removedBefore;
    if (removed > 0) this.#log.warn({ partition, removed }, 'transactions that the ledger does not have were removed');
    return { sequence, checkpoints };
  }

  /** @returns the position after the window; null when a stop came in between */
  async #copyWindow(
    ledger: string,
    partition: string,
    before: PartitionPosition,
    newest: number,
  ): Promise<PartitionPosition | null> {
    const startedMs = performance.now();
    const { sequence, checkpoints } = before;
    const window = await nextWindow(this.#database, partition, sequence, checkpoints[0] ?? null, this.#windows.size);
    if (window === null) return this.#goBack(ledger, partition, before);
    const { last, transactions } = window;
    for (let start = 0; start < transactions.length && !this.#isStopping; ) {
      const names = transactions.slice(start, start + this.#additions.size);
      start += names.length;
      await this.#copy(await readTransactions(this.#database, ledger, partition, { names }));
    }
    // A window counts when all of it is copied.
    if (this.#isStopping) return null;
    // What is quarantined has no message: then there is none up to where the ledger stood.
    if (last === null) return { sequence: newest, checkpoints };
    this.#windows.took(last.sequence - sequence, performance.now() - startedMs);
    return { sequence: last.sequence, checkpoints: thinned([last, ...checkpoints]) };
  }

  async #copy(documents: readonly HistoryDocument[]): Promise<void> {
    if (documents.length === 0) return;
    await this.#keepLease();
    const { value: existing, tookMs } = await this.#history.add(documents);
    this.#additions.took(documents.length, tookMs);
    this.copied += documents.length - existing.length;
    for (let start = 0; start < existing.length && !this.#isStopping; ) {
      const slice = existing.slice(start, start + this.#updates.size);
      start += slice.length;
      await this.#keepLease();
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

/** Settled messages that are not copied yet. */
export function lagOf(settled: ReadonlyMap<string, number>, positions: Positions): number {
  let lag = 0;
  for (const [partition, newest] of settled) lag += Math.max(0, newest - (positions[partition]?.sequence ?? 0));
  return lag;
}

/**
 * Of checkpoints, newest first, those to keep: one for each doubling of the distance, so that a journal of any length has a
 * few dozen, and going back reads a few times of what has changed at most.
 */
export function thinned(checkpoints: readonly Checkpoint[]): Checkpoint[] {
  const newest = checkpoints[0]?.sequence ?? 0;
  const distances = new Map<number, Checkpoint>();
  // Of those at about one distance the oldest stays: it is the one that grows into the next distance.
  for (const checkpoint of checkpoints) {
    distances.set(Math.ceil(Math.log2(newest - checkpoint.sequence + 1)), checkpoint);
  }
  return [...distances.values()];
}
