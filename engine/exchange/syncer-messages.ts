/** What the front (engine/ledger/syncer.ts) and a syncer's thread (workers/journal/sync.worker.ts) exchange. */

/** What the thread is started with; the front passes what it passes to the partition's thread. */
export interface SyncerWorkerData {
  readonly partition: number;
  readonly journalDirectory: string;
  readonly progress: SharedArrayBuffer;
  /** Frames shared with the partition's thread, see FrameExchange. */
  readonly exchange: SharedArrayBuffer;
  /** Module whose default export wraps the storage: fault tests only. */
  readonly storageModule: string | null;
  readonly storageControl: SharedArrayBuffer | null;
}

export type SyncerEvent =
  /** More is durable: progress.durableSequence says up to where. */
  | { readonly kind: 'durable' }
  /** The thread cannot open the journal's segment yet, for the `attempt`-th time; it goes on trying. */
  | { readonly kind: 'trouble'; readonly message: string; readonly attempt: number }
  /** A frame could not be made durable, and nothing will be any more. Final. */
  | { readonly kind: 'failed'; readonly message: string };
