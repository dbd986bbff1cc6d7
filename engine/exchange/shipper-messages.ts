/** What the front (engine/ledger/shipper-client.ts) and the shipper (workers/settle/shipper.worker.ts) exchange. */
import type { WriterFence } from '../core/writer-fence.js';
import type { JournalSizes } from './journal-sizes.js';

/** What the thread is started with. */
export interface ShipperWorkerData {
  /** Folder that holds the folders of all partitions. */
  readonly journalDirectory: string;
  /** The folder holds a copy that need not outlive the process. */
  readonly isScratch: boolean;
  readonly journalSizes: JournalSizes;
  readonly progress: SharedArrayBuffer;
  readonly databaseUrl: string;
  /** How many ids a partition remembers. */
  readonly seenIds: number;
}

export type ShipperOrder =
  /** The fence is shown with every settle statement of the partition from here on. */
  | { readonly kind: 'resume'; readonly partition: number; readonly fence: WriterFence }
  | { readonly kind: 'pause'; readonly partition: number }
  /** Settles what is durable now, of one partition or of all. */
  | { readonly kind: 'drain'; readonly timeoutMs: number; readonly partition?: number }
  /** Settles a quarantined record after all; answered by a `retried` before its `done`. */
  | { readonly kind: 'retry'; readonly partition: number; readonly sequence: number }
  /** Closes the connections too; the thread then ends by itself. */
  | { readonly kind: 'stop' };

/** Every command is answered by one `done` with its `id`. */
export type ShipperCommand = ShipperOrder & { readonly id: number };

export interface Quarantined {
  readonly partition: number;
  readonly sequence: number;
  /** Id of the request; '' of an internal message. */
  readonly id: string;
  readonly error: string;
}

/** What came of trying to settle a quarantined record again. */
export interface RetryOutcome {
  /** `absent`: it is not quarantined. `unavailable`: PostgreSQL did not answer, so it may be settled or not. */
  readonly status: 'settled' | 'refused' | 'absent' | 'unavailable';
  /** Why PostgreSQL refused the record again, or what is away; else ''. */
  readonly error: string;
}

export type ShipperEvent =
  | ({ readonly kind: 'retried'; readonly id: number } & RetryOutcome)
  | { readonly kind: 'done'; readonly id: number; readonly complete: boolean }
  /** A record was refused for what it says, and set apart. */
  | ({ readonly kind: 'quarantined' } & Quarantined)
  /** Postgres failed and is tried again. `attempt` counts failures in a row: log the first and powers of two. */
  | { readonly kind: 'trouble'; readonly partition: number; readonly message: string; readonly attempt: number }
  /** The partition settles nothing more until it is resumed. */
  | { readonly kind: 'failed'; readonly partition: number; readonly message: string; readonly code: string };

/** The code of a failure because another engine is the writer now, of the ledger or of the partition. */
export const fencedCode = 'WRITER_FENCED';
