/**
 * What the front asks of a partition's thread, besides running slabs.
 */
import type { LoadMessage } from './load-message.js';

/** A number runs that slab. */
export type PartitionTask = number | OpenTask | RestoreTask | StatsTask | AccountTask;
export interface OpenTask {
  readonly kind: 'open';
  /** Last sequence that Postgres has settled. */
  readonly shippedSequence: number;
}
export interface RestoreTask {
  readonly kind: 'restore';
  readonly message: LoadMessage;
}
export interface StatsTask {
  readonly kind: 'stats';
}
/** The books of one account as the partition has them; null when the account is not in memory. */
export interface AccountTask {
  readonly kind: 'account';
  readonly number: number;
}
export interface AccountBooks {
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

/** What a task answers: true or false for a slab, and what the other tasks are named after. */
export type PartitionResult = boolean | TailKeys | PartitionStats | AccountBooks | null;

/** What the journal's unsettled tail touches, to be loaded as of the settled position. Ids and numbers are distinct. */
export interface TailKeys {
  readonly records: number;
  readonly accounts: readonly number[];
  readonly cards: readonly number[];
  readonly users: readonly number[];
  readonly chains: readonly string[];
  /** Hashes of the ids in the tail, lower and upper half in turn; empty with one partition, where nobody asks. */
  readonly idHashes: Uint32Array;
  /** Where a half-written last frame was cut, for the log; '' when the journal ended cleanly. */
  readonly cut: string;
  readonly notes: readonly string[];
}

/** Sizes for metrics and `/health`. */
export interface PartitionStats {
  readonly accounts: number;
  readonly cards: number;
  readonly cardHits: number;
  readonly cardMisses: number;
  readonly chains: number;
  readonly seenIds: number;
  readonly spendRows: number;
}
