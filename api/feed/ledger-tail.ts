/**
 * Hands the settled ledger to a sink, record by record, and remembers how far it has come. It promises:
 *
 * - Order: the sink gets the records of a partition in the order of its journal. Partitions do not wait for each other.
 * - At least once: the position is stored after the sink has the records. A crash between the two repeats a window,
 *   so a sink must accept the same record again.
 * - One process at a time: a lease in Postgres names it. A sink calls `keepLease()` before each write, so that a
 *   process that stood still writes nothing over what its successor wrote.
 * - A restored ledger is noticed: beside the position the tail stores checkpoints, marks of records that the sink has.
 *   The ledger may have another record there, or none. Then the sink compares its records after the newest common
 *   checkpoint with the ledger, and the tail continues from that checkpoint.
 *
 * The tail knows no store but Postgres: positions and sink are the caller's.
 */
import type { Log } from '../../platform/log.js';
import type { Database } from '../stores/postgres.js';
import {
  type Checkpoint,
  type Customers,
  knownCheckpoints,
  type LedgerIdentity,
  nextWindow,
  type PartitionPosition,
  type Positions,
  type SettledRecord,
  settledPositions,
} from '../stores/settled-ledger.js';
import { LeasedFollower, type Turn } from './leased-follower.js';
import { Pace } from './pace.js';

/** Records that the tail reads between two stored positions, and that a crash repeats. */
const windowPace = { first: 200, max: 2_000, targetMs: 2_000 };
const beginning: PartitionPosition = { sequence: 0, checkpoints: [] };

/** Where a partition's records come from. */
export interface TailPlace {
  /** Id of the ledger: the same in every backup of it. */
  readonly ledger: string;
  readonly partition: string;
}

/**
 * Must accept the same records again. May end early while `turn.isStopping`: the tail repeats the call after a start.
 */
export interface LedgerSink {
  /** Called while no position of that ledger is stored. */
  begin(): Promise<void>;
  take(place: TailPlace, records: readonly SettledRecord[], turn: Turn): Promise<void>;
  /** Makes what it has of records after `sequence` what the ledger says, and removes what the ledger does not have. */
  compare(place: TailPlace, sequence: number, turn: Turn): Promise<void>;
}

/** Keeps positions beside what the sink has, so that both are lost and restored together. */
export interface PositionStore {
  /** Null: nothing of that ledger was taken. `rebuild` names a rebuild that was requested and has not begun. */
  find(ledger: string): Promise<{ readonly position: Positions | null; readonly rebuild: string | null }>;
  /** @param rebuilt names a rebuild that begins with these positions */
  save(ledger: string, positions: Positions, rebuilt: string | null): Promise<void>;
}

export interface LedgerTailOptions {
  readonly database: Database;
  readonly identity: LedgerIdentity;
  readonly log: Log;
  /** Of the lease and in the log. */
  readonly name: string;
  readonly everyMs: number;
  readonly customers: Customers;
  readonly positions: PositionStore;
  readonly sink: LedgerSink;
}

export class LedgerTail extends LeasedFollower {
  readonly #options: LedgerTailOptions;
  readonly #windows = new Pace(windowPace);
  /** Partitions whose records after the position were compared since this process has the lease. */
  readonly #compared = new Set<string>();

  constructor(options: LedgerTailOptions) {
    super(options.database, options.log, options.name, options.everyMs);
    this.#options = options;
  }

  /** One window of each partition, and then the position. */
  protected override async step(): Promise<boolean> {
    const { database, identity, positions: store, sink } = this.#options;
    const ledger = await identity.read();
    const { position: saved, rebuild } = await store.find(ledger);
    if (saved === null) await sink.begin();
    // A rebuild compares everything with the ledger, and takes everything again.
    const positions = rebuild === null ? (saved ?? {}) : {};
    const settled = await settledPositions(database);
    this.#noteLag(settled, positions);
    const moved: Record<string, PartitionPosition> = { ...positions };
    let isBehind = false;
    for (const [partition, newest] of settled) {
      const after = await this.#follow({ ledger, partition }, positions[partition], newest);
      if (after === null) continue;
      moved[partition] = after;
      if (after.sequence < newest) isBehind = true;
    }
    await store.save(ledger, moved, rebuild);
    this.#noteLag(settled, moved);
    return !isBehind;
  }

  protected override forget(): void {
    this.#compared.clear();
  }

  #noteLag(settled: ReadonlyMap<string, number>, positions: Positions): void {
    const newest = [...settled.values()].reduce((sum, sequence) => sum + sequence, 0);
    this.lag = lagOf(settled, positions);
    this.age.noted(newest, newest - this.lag);
  }

  /** @returns the position after the next window; null when a stop came in between */
  async #follow(
    place: TailPlace,
    saved: PartitionPosition | undefined,
    newest: number,
  ): Promise<PartitionPosition | null> {
    let before: PartitionPosition | null = saved ?? beginning;
    if (saved === undefined || !this.#compared.has(place.partition)) {
      // An earlier process may have ended between the sink and the position, and the ledger was restored since.
      before = await this.#goBack(place, before);
      if (before === null) return null;
      this.#compared.add(place.partition);
    }
    if (before.sequence < newest) return this.#takeWindow(place, before, newest);
    const [checkpoint] = before.checkpoints;
    const isKnown =
      checkpoint === undefined ||
      (await knownCheckpoints(this.#options.database, place.partition, [checkpoint])).size > 0;
    // A quarantined message leaves no record, so the position may be beyond the newest record that is there.
    if (isKnown) return before.sequence === newest ? before : { ...before, sequence: newest };
    return this.#goBack(place, before);
  }

  /**
   * The ledger may lack records that the sink has: it was restored from an older copy, and may have gone on since.
   * @returns the newest position that both have; null when a stop came in between
   */
  async #goBack(place: TailPlace, before: PartitionPosition): Promise<PartitionPosition | null> {
    const { database, log, name, sink } = this.#options;
    const { partition } = place;
    const known = await knownCheckpoints(database, partition, before.checkpoints);
    const checkpoints = before.checkpoints.filter(({ sequence }) => known.has(sequence));
    const sequence = checkpoints[0]?.sequence ?? 0;
    const [newest] = before.checkpoints;
    if (newest !== undefined && !known.has(newest.sequence)) {
      log.warn(
        { partition, copiedTo: before.sequence, knownTo: sequence },
        `the ledger was restored from an older copy: comparing the ${name} with it`,
      );
    }
    await sink.compare(place, sequence, this);
    return this.isStopping ? null : { sequence, checkpoints };
  }

  /** @returns the position after the window; null when a stop came in between */
  async #takeWindow(
    place: TailPlace,
    { sequence, checkpoints }: PartitionPosition,
    newest: number,
  ): Promise<PartitionPosition | null> {
    const { database, customers, sink } = this.#options;
    const startedMs = performance.now();
    const checkpoint = checkpoints[0] ?? null;
    const window = await nextWindow(database, customers, place.partition, sequence, checkpoint, this.#windows.size);
    if (window === null) return this.#goBack(place, { sequence, checkpoints });
    const { last, records } = window;
    if (records.length > 0) await sink.take(place, records, this);
    // A window counts when the sink has all of it.
    if (this.isStopping) return null;
    // Quarantined messages leave no record: then there is none up to where the ledger stood.
    if (last === null) return { sequence: newest, checkpoints };
    this.#windows.took(last.sequence - sequence, performance.now() - startedMs);
    return { sequence: last.sequence, checkpoints: thinned([last, ...checkpoints]) };
  }
}

/** Settled records that are not taken yet. */
export function lagOf(settled: ReadonlyMap<string, number>, positions: Positions): number {
  let lag = 0;
  for (const [partition, newest] of settled) lag += Math.max(0, newest - (positions[partition]?.sequence ?? 0));
  return lag;
}

/**
 * Of checkpoints, newest first, those to keep: one for each doubling of the distance. So a journal of any length has a
 * few dozen, and going back reads at most a few times the changed records.
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
