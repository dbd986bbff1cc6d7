/** What the front (engine/ledger/syncer.ts) and a syncer's thread (workers/journal/sync.worker.ts) exchange. */
import type { JournalSizes } from './journal-sizes.js';

/** Where frames go with JOURNAL=postgres; the folder then holds a copy for this process alone. */
export interface PostgresJournal {
  readonly databaseUrl: string;
  /** UUID of the writer's lease. */
  readonly holder: string;
}

/** What the thread is started with; the front passes what it passes to the partition's thread. */
export interface SyncerWorkerData {
  readonly partition: number;
  readonly partitionCount: number;
  readonly journalDirectory: string;
  readonly journalSizes: JournalSizes;
  /** Null with a local journal. */
  readonly postgresJournal: PostgresJournal | null;
  readonly progress: SharedArrayBuffer;
  /** Frames shared with the partition's thread, see FrameExchange. */
  readonly exchange: SharedArrayBuffer;
  /** Module whose default export wraps the storage: fault tests only. */
  readonly storageModule: string | null;
  readonly storageControl: SharedArrayBuffer | null;
}

/** With JOURNAL=postgres only: makes this process the owner of the partition, and makes its copy of the journal. */
export interface TakeOver {
  readonly kind: 'takeOver';
  readonly epoch: number;
  readonly settledSequence: number;
}

export type SyncerEvent =
  /** The partition is ours from that position on, and the copy holds what is not settled. */
  | { readonly kind: 'tookOver'; readonly position: number; readonly frames: number }
  /** More is durable: progress.durableSequence says up to where. */
  | { readonly kind: 'durable' }
  /** The thread cannot write yet (no file descriptor, or no Postgres), for the `attempt`-th time; it goes on trying. */
  | { readonly kind: 'trouble'; readonly message: string; readonly attempt: number }
  /** A frame could not be made durable, and nothing will be any more. Final. `fenced`: another engine is the owner. */
  | { readonly kind: 'failed'; readonly message: string; readonly fenced: boolean };
