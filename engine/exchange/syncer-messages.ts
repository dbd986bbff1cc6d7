/**
 * What the front (engine/ledger/syncer.ts, shared-syncer.ts) and the syncers' threads (workers/journal/sync.worker.ts,
 * postgres-sync.worker.ts) exchange.
 */
import type { JournalSizes } from './journal-sizes.js';

/** Where frames go with JOURNAL=postgres; the folder then holds a copy for this process alone. */
export interface PostgresJournal {
  readonly databaseUrl: string;
}

/** What every thread that touches a journal is started with. */
export interface JournalThreadData {
  readonly partitionCount: number;
  /** Folder that holds the folders of all partitions. */
  readonly journalDirectory: string;
  readonly journalSizes: JournalSizes;
  readonly progress: SharedArrayBuffer;
  /** Module whose default export wraps the storage: fault tests only. */
  readonly storageModule: string | null;
  readonly storageControl: SharedArrayBuffer | null;
}

/** With a local journal there is a syncer's thread for each partition. */
export interface SyncerWorkerData extends JournalThreadData {
  readonly partition: number;
  /** Frames shared with the partition's thread, see FrameExchange. */
  readonly exchange: SharedArrayBuffer;
}

/** With JOURNAL=postgres one thread serves all partitions of the engine. */
export interface SharedSyncerWorkerData extends JournalThreadData {
  readonly postgresJournal: PostgresJournal;
  /** See Doorbell: rung behind every order, and by partitions. */
  readonly bell: SharedArrayBuffer;
  /** Of `durable`. A thread that follows another one has new ones: the last message of that one may be lost. */
  readonly notices: SharedArrayBuffer;
}

/** `place` numbers what the orders and events are about: a partition that comes a second time has another one. */
export type SyncerOrder =
  /** A takeover follows: opens a connection for it, which reads what a takeover reads. */
  | { readonly kind: 'prepare'; readonly partition: number }
  /** Makes this process the partition's owner, and its copy of the journal. Then takes the partition's frames. */
  | {
      readonly kind: 'takeOver';
      readonly place: number;
      readonly partition: number;
      readonly exchange: SharedArrayBuffer;
      readonly epoch: number;
      /** UUID of the writer's lease. */
      readonly holder: string;
      readonly settledSequence: number;
    }
  /** Takes no more frames of the partition: its exchange fails. Answered by `left`. */
  | { readonly kind: 'leave'; readonly place: number };

/** Of a local journal's syncer. */
export type SyncerEvent =
  /** More is durable: progress.durableSequence says up to where. */
  | { readonly kind: 'durable' }
  /** The thread cannot write yet (no file descriptor), for the `attempt`-th time; it goes on trying. */
  | { readonly kind: 'trouble'; readonly message: string; readonly attempt: number }
  /** A frame could not be made durable, and nothing will be any more. Final. */
  | { readonly kind: 'failed'; readonly message: string };

export type SharedSyncerEvent =
  /** More is durable, of some partitions. */
  | { readonly kind: 'durable' }
  /** Postgres did not do it, for the `attempt`-th time in a row; it is tried again. */
  | { readonly kind: 'trouble'; readonly message: string; readonly attempt: number }
  /** The partition is ours, and the copy holds what is not settled, in so many frames. */
  | { readonly kind: 'tookOver'; readonly place: number; readonly frames: number }
  /** No frame of the partition is made durable any more. `fenced`: another engine is the owner. */
  | { readonly kind: 'failed'; readonly place: number; readonly message: string; readonly fenced: boolean }
  | { readonly kind: 'left'; readonly place: number };
