/**
 * The threads of an engine's partitions. With a local journal each partition has two of its own, one that decides and
 * one that makes durable. With JOURNAL=postgres partitions share WORKERS threads that decide, and one that makes
 * durable. A thread is there while it hosts a partition.
 */
import type { EngineConfig } from '../config.js';
import { slabEntriesMax, slabRequestBytes } from '../core/limits.js';
import type { WriterFence } from '../core/writer-fence.js';
import {
  type HostedTask,
  type PartitionResult,
  type PartitionTask,
  type PartitionThreadData,
  slabTask,
} from '../exchange/partition-task.js';
import type { Progress } from '../exchange/progress.js';
import type { PostgresJournal } from '../exchange/syncer-messages.js';
import { rowsMax } from '../ops/memory-room.js';
import { WorkerPool } from './pool.js';
import { SharedSyncer } from './shared-syncer.js';
import { type PartitionSyncer, Syncer, type SyncerEvents } from './syncer.js';

export const slabSize = { entries: slabEntriesMax, requestBytes: slabRequestBytes };

/** Where the journals stand. */
export interface JournalPlaces {
  /** Folder of all partitions' folders. */
  readonly directory: string;
  /** Null with a local journal. */
  readonly postgres: PostgresJournal | null;
}

/** Fault tests wrap the worker's storage; a deployment leaves both null. */
export interface StorageFaults {
  readonly module: string;
  readonly control: SharedArrayBuffer;
}

/** Of each partition: its slabs in flight, plus the odd control task. */
const queuePerPartition = 16;

export class PartitionThreads {
  readonly #threads: readonly PartitionThread[];
  readonly #openSyncer: (partition: number, events: SyncerEvents) => PartitionSyncer;

  constructor(config: EngineConfig, progress: Progress, journal: JournalPlaces, faults: StorageFaults | null) {
    const { partitionCount, journalSizes, policy, panKeys, strictFields } = config;
    const data = {
      partitionCount,
      journalDirectory: journal.directory,
      journalSizes,
      progress: progress.buffer,
      storageModule: faults?.module ?? null,
      storageControl: faults?.control ?? null,
    };
    const shared = journal.postgres === null ? null : new SharedSyncer({ ...data, postgresJournal: journal.postgres });
    this.#openSyncer = (partition, events) =>
      shared === null ? new Syncer({ ...data, partition }, events) : shared.open(partition, events);
    const threadData: PartitionThreadData = {
      ...data,
      slabSize,
      bell: shared === null ? null : shared.bell.buffer,
      size: {
        accounts: rowsMax('accounts', config),
        users: rowsMax('users', config),
        cards: rowsMax('cards', config),
        spendRows: rowsMax('spend', config),
        transactions: rowsMax('transactions', config),
        seenIds: config.seenIdsMax,
      },
      policy,
      wire: { panKeys, strictFields },
    };
    const threadCount = shared === null ? partitionCount : config.threads;
    const queueMax = queuePerPartition * Math.ceil(partitionCount / threadCount);
    this.#threads = Array.from({ length: threadCount }, () => new PartitionThread(threadData, queueMax));
  }

  /**
   * Starts what a partition runs on.
   * @param slabs memory of its lane
   */
  open(partition: number, slabs: readonly SharedArrayBuffer[], events: SyncerEvents): PartitionPlace {
    const syncer = this.#openSyncer(partition, events);
    const thread = this.#threads[partition % this.#threads.length]!;
    return new PartitionPlace(partition, thread, syncer, slabs, (error) => events.died(error));
  }
}

/** What one partition runs on, until end(). */
export class PartitionPlace {
  readonly partition: number;
  /** Settles when the partition's memory is there. */
  readonly made: Promise<unknown>;
  readonly #thread: PartitionThread;
  readonly #syncer: PartitionSyncer;
  readonly died: (error: Error) => void;
  #hasEnded = false;

  constructor(
    partition: number,
    thread: PartitionThread,
    syncer: PartitionSyncer,
    slabs: readonly SharedArrayBuffer[],
    died: (error: Error) => void,
  ) {
    this.partition = partition;
    this.#thread = thread;
    this.#syncer = syncer;
    this.died = died;
    thread.join(this);
    // At once: a thread that cannot start rejects only the task that it was made with. Later tasks stay in the queue.
    this.made = thread.run({ kind: 'make', partition, slabs, exchange: syncer.exchange });
    this.made.catch(() => undefined);
  }

  run(task: HostedTask): Promise<PartitionResult> {
    return this.#thread.run({ ...task, partition: this.partition });
  }

  runSlab(slab: number): Promise<boolean> {
    return this.#thread.run(slabTask(this.partition, slab)) as Promise<boolean>;
  }

  prepare(): void {
    this.#syncer.prepare();
  }

  /** See PartitionSyncer. */
  takeOver(fence: WriterFence, settledSequence: number): Promise<number> {
    return this.#syncer.takeOver(fence, settledSequence);
  }

  get isSyncing(): boolean {
    return !this.#syncer.hasEnded;
  }

  /** Nothing writes to the partition's journal any more when this resolves. */
  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    // The thread may wait for the syncer, which ends that.
    await Promise.all([this.#syncer.stop(), this.#thread.leave(this)]);
  }
}

/** A thread that decides, while it hosts a partition. */
class PartitionThread {
  readonly #data: PartitionThreadData;
  readonly #queueMax: number;
  readonly #places = new Set<PartitionPlace>();
  #pool: WorkerPool<PartitionTask, PartitionResult> | null = null;

  constructor(data: PartitionThreadData, queueMax: number) {
    this.#data = data;
    this.#queueMax = queueMax;
  }

  run(task: PartitionTask): Promise<PartitionResult> {
    return this.#pool?.run(task) ?? Promise.reject(new Error('there is no thread'));
  }

  join(place: PartitionPlace): void {
    this.#places.add(place);
    if (this.#pool !== null) return;
    const url = new URL('../../workers/partition/partition.worker.js', import.meta.url);
    const pool = new WorkerPool<PartitionTask, PartitionResult>(url, this.#data, this.#queueMax, () => {
      // Behind the rejection of its task, which has the cause.
      setImmediate(() => void this.#lost(pool));
    });
    this.#pool = pool;
  }

  /** The thread ended: what was on it must be made again, on another one. */
  async #lost(pool: WorkerPool<PartitionTask, PartitionResult>): Promise<void> {
    if (pool !== this.#pool) return;
    this.#pool = null;
    const places = [...this.#places];
    this.#places.clear();
    for (const place of places) place.died(new Error("the partition's thread ended"));
    await pool.destroy().catch(() => undefined);
  }

  async leave(place: PartitionPlace): Promise<void> {
    if (!this.#places.delete(place)) return;
    const pool = this.#pool;
    if (this.#places.size > 0) {
      await pool?.run({ kind: 'drop', partition: place.partition }).catch(() => undefined);
      return;
    }
    this.#pool = null;
    await pool?.destroy().catch(() => undefined);
  }
}
