/**
 * What the front (engine/ledger/partition-host.ts) and a partition (workers/partition/partition.worker.ts) exchange.
 */

import type { Level } from '../core/limit-names.js';
import type { PartitionRows } from '../core/partition-rows.js';
import type { Policy } from '../core/question.js';
import type { WindowUse } from '../core/spend.js';
import type { SlabSize } from './slab.js';
import type { JournalThreadData } from './syncer-messages.js';

/** What a thread is started with that hosts partitions. */
export interface PartitionThreadData extends JournalThreadData {
  /** From 0: with a local journal its partition. */
  readonly threadNumber: number;
  readonly slabSize: SlabSize;
  /** The front needs the ids of the journal's tail, and all settled ones. */
  readonly frontKnowsIds: boolean;
  /** Rung for a syncer that serves several partitions; null: each has its own. */
  readonly bell: SharedArrayBuffer | null;
  readonly size: PartitionSize;
  readonly policy: Policy;
  /** How messages are read, see engine/protocols/registry.ts. */
  readonly wire: { readonly panKeys: readonly string[]; readonly strictFields: boolean };
}

/** Rows of each store. */
export interface PartitionSize {
  readonly accounts: number;
  readonly users: number;
  readonly cards: number;
  readonly spendRows: number;
  readonly transactions: number;
  /** A power of two. */
  readonly seenIds: number;
}

/** A slab's number and its partition's in one: a task for each batch shall be no object. */
export function slabTask(partition: number, slab: number): number {
  return partition * slabsMax + slab;
}
export const partitionOfTask = (task: number): number => Math.floor(task / slabsMax);
export const slabOfTask = (task: number): number => task % slabsMax;

/** More than a lane has. */
const slabsMax = 32;

/** Numbers run slabs in their order, see slabTask. The others name their partition when they are sent. */
export type PartitionTask =
  | readonly number[]
  | ServeTask
  | MakeTask
  | DropTask
  | WarmUpTask
  | (HostedTask & { readonly partition: number });
/** Runs the slabs that come by the queue, until the front ends it there. */
export interface ServeTask {
  readonly kind: 'serve';
  /** See SlabQueue. */
  readonly queue: SharedArrayBuffer;
}
/** What a partition on a thread is asked for. */
export type HostedTask = OpenTask | RestoreTask | IdsTask | StatsTask | AccountsTask | WindowsTask | DecisionTask;
/** Takes the memory of a partition, in place of one with that number. */
export interface MakeTask {
  readonly kind: 'make';
  readonly partition: number;
  readonly slabs: readonly SharedArrayBuffer[];
  /** Frames shared with the syncer's thread, see FrameExchange. */
  readonly exchange: SharedArrayBuffer;
}
/** Gives a partition's memory and files back. */
export interface DropTask {
  readonly kind: 'drop';
  readonly partition: number;
}
/** Runs for a few milliseconds what a partition will run (workers/partition/warm-up.ts). True: the thread is warm. */
export interface WarmUpTask {
  readonly kind: 'warmUp';
}
export interface OpenTask {
  readonly kind: 'open';
  /** Last sequence that Postgres has settled. */
  readonly settledSequence: number;
  /** The record that Postgres has under that sequence; null: none. */
  readonly settledRecord: Uint8Array | null;
  /** Of the writer's lease. */
  readonly epoch: number;
}
export interface RestoreTask {
  readonly kind: 'restore';
  readonly message: PartitionRows;
}
/** Takes up to `count` ids that were found beside the journal into the table of seen ids; true when none is left. */
export interface IdsTask {
  readonly kind: 'ids';
  readonly count: number;
}
export interface StatsTask {
  readonly kind: 'stats';
}
/** The books of accounts as the partition has them, in the order asked; null for one that is not in memory. */
export interface AccountsTask {
  readonly kind: 'accounts';
  readonly numbers: readonly number[];
}
export interface AccountBooks {
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

/** What entities have spent as of a local day, in the order asked; null for one that is not in memory. */
export interface WindowsTask {
  readonly kind: 'windows';
  readonly entities: readonly WindowEntity[];
}
export interface WindowEntity {
  readonly level: Level;
  readonly number: number;
  /** Local day of now in the account's zone. */
  readonly day: number;
}

/** The newest record of a message with that id, where the journal has it. */
export interface DecisionTask {
  readonly kind: 'decision';
  readonly id: string;
}
export interface StoredDecision {
  readonly sequence: number;
  readonly arrivalMs: number;
  /** Base64: it may come from another engine. */
  readonly record: string;
}

/** True: decided. False: the journal has failed. An error is what the slab's partition threw. */
export type SlabResult = boolean | Error;

/** What the thread says between tasks. Null: slabs of the queue are done. */
export type PartitionEvent =
  | null
  /** What a slab of the queue threw: said before it counts as done. */
  | { readonly kind: 'threw'; readonly message: string }
  /** The thread wrote a frame itself and could not make it durable. Final, as a syncer's `failed` is. */
  | { readonly kind: 'journalFailed'; readonly partition: number; readonly message: string };

/**
 * What a task answers: how each slab went, true or false for a make, a drop or a warm-up, and what the others are named
 * after.
 */
export type PartitionResult =
  | boolean
  | readonly SlabResult[]
  | TailKeys
  | PartitionStats
  | readonly (AccountBooks | null)[]
  | readonly (WindowUse | null)[]
  | StoredDecision
  | null;

/** What the journal's unsettled tail touches, to be read as of the settled position. Ids and numbers are distinct. */
export interface TailKeys {
  readonly records: number;
  readonly accounts: readonly number[];
  readonly cards: readonly number[];
  readonly users: readonly number[];
  /** Numbers of the users' spend rows. */
  readonly userSpend: readonly number[];
  readonly transactions: readonly string[];
  /** Of each record in the tail its id's hash, lower and upper half, or zeros; empty with one partition. */
  readonly idHashes: Uint32Array;
  /** Where a half-written last frame was cut, for the log; '' when the journal ended cleanly. */
  readonly cut: string;
  readonly notes: readonly string[];
  /** The ids of settled messages are known from files beside the journal and need not be read from Postgres. */
  readonly idsKnown: boolean;
  /** How long the tail took to read, after the journal was opened. */
  readonly keysMs: number;
}

/** One store of a partition's memory. */
export interface MemoryStats {
  readonly rows: number;
  /** Rows that have left since the partition's worker started. */
  readonly evictions: number;
  /** How often something found no room, because everything looked at was needed. */
  readonly full: number;
}

/** Sizes for metrics and `/health`. */
export interface PartitionStats {
  readonly memory: Readonly<Record<'accounts' | 'users' | 'spend' | 'cards' | 'transactions', MemoryStats>>;
  /** Loaded rows that were refused because memory had had newer ones. */
  readonly outdated: number;
  readonly accounts: number;
  readonly cards: number;
  readonly cardHits: number;
  readonly cardMisses: number;
  readonly transactions: number;
  readonly seenIds: number;
  readonly spendRows: number;
  /** Messages of the native form that had a field which it does not know, by the field's name. */
  readonly unknownFields: readonly (readonly [name: string, count: number])[];
}
