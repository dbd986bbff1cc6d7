/**
 * The threads of an engine's partitions. With a local journal each partition has two of its own, one that decides and
 * one that makes durable. With JOURNAL=postgres partitions share WORKERS threads that decide, and one that makes
 * durable. A thread is there while it hosts a partition.
 */
import { type EngineConfig, frontKnowsIds } from '../config.js';
import { slabEntriesMax, slabRequestBytes } from '../core/limits.js';
import type { WriterFence } from '../core/writer-fence.js';
import {
  type HostedTask,
  type PartitionResult,
  type PartitionThreadData,
  slabTask,
} from '../exchange/partition-task.js';
import type { Progress } from '../exchange/progress.js';
import type { PostgresJournal } from '../exchange/syncer-messages.js';
import { rowsMax } from '../ops/memory-room.js';
import { LaneGroup, type Pace } from './lane-group.js';
import { PartitionThread } from './partition-thread.js';
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

/** A wave costs an engine and its Postgres what fifty messages cost. Behind few messages none waits. */
const pace: Pace = { everyMs: 5, behindMin: 8, nowMs: () => performance.now(), schedule: setTimeout };
export class PartitionThreads {
  readonly #threads: readonly PartitionThread[];
  /** Of all partitions, where they share a syncer. */
  readonly #group: LaneGroup | null;
  readonly #openSyncer: (partition: number, events: SyncerEvents) => PartitionSyncer;

  /** @param beforeAnswers called before answers leave */
  constructor(
    config: EngineConfig,
    progress: Progress,
    journal: JournalPlaces,
    faults: StorageFaults | null,
    beforeAnswers: () => void = () => undefined,
  ) {
    const { partitionCount, journalSizes, policy, panKeys, strictFields } = config;
    const data = {
      partitionCount,
      journalDirectory: journal.directory,
      journalSizes,
      progress: progress.buffer,
      storageModule: faults?.module ?? null,
      storageControl: faults?.control ?? null,
    };
    const { postgres: postgresJournal } = journal;
    const flush = () => {
      for (const thread of this.#threads) thread.flush();
    };
    const group = new LaneGroup(setImmediate, flush, pace, beforeAnswers);
    const shared =
      postgresJournal &&
      new SharedSyncer({ ...data, postgresJournal }, () => {
        for (const thread of this.#threads) thread.collect();
        group.synced();
      });
    this.#group = shared && group;
    this.#openSyncer = (partition, events) =>
      shared === null ? new Syncer({ ...data, partition }, events) : shared.open(partition, events);
    const threadData: Omit<PartitionThreadData, 'threadNumber'> = {
      ...data,
      slabSize,
      frontKnowsIds: frontKnowsIds(config),
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
    const hostedMax = Math.ceil(partitionCount / threadCount);
    this.#threads = Array.from(
      { length: threadCount },
      (_, threadNumber) => new PartitionThread({ ...threadData, threadNumber }, hostedMax),
    );
  }

  /** What the lane of a partition belongs to. */
  laneGroup(): LaneGroup {
    return (
      this.#group ??
      new LaneGroup(setImmediate, () => {
        for (const thread of this.#threads) thread.flush();
      })
    );
  }

  /**
   * Starts what a partition runs on.
   * @param slabs memory of its lane
   */
  open(partition: number, slabs: readonly SharedArrayBuffer[], events: SyncerEvents): PartitionPlace {
    const thread = this.#threads[partition % this.#threads.length]!;
    const syncer = this.#openSyncer(partition, {
      ...events,
      durable: () => {
        thread.collect();
        events.durable();
      },
    });
    return new PartitionPlace(partition, thread, syncer, slabs, events);
  }
}

/** What one partition runs on, until end(). */
export class PartitionPlace {
  readonly partition: number;
  /** Settles when the partition's memory is there. */
  readonly made: Promise<unknown>;
  readonly #thread: PartitionThread;
  readonly #syncer: PartitionSyncer;
  readonly #events: Pick<SyncerEvents, 'died' | 'failed'>;
  #hasEnded = false;

  constructor(
    partition: number,
    thread: PartitionThread,
    syncer: PartitionSyncer,
    slabs: readonly SharedArrayBuffer[],
    events: Pick<SyncerEvents, 'died' | 'failed'>,
  ) {
    this.partition = partition;
    this.#thread = thread;
    this.#syncer = syncer;
    this.#events = events;
    thread.join(this);
    // At once: a thread that cannot start rejects only the task that it was made with. Later tasks stay in the queue.
    this.made = thread.run({ kind: 'make', partition, slabs, exchange: syncer.exchange });
    this.made.catch(() => undefined);
  }

  died(error: Error): void {
    this.#events.died(error);
  }

  journalFailed(message: string): void {
    if (!this.#hasEnded) this.#events.failed(message, false);
  }

  run(task: HostedTask): Promise<PartitionResult> {
    return this.#thread.run({ ...task, partition: this.partition });
  }

  runSlab(slab: number): Promise<boolean> {
    return this.#thread.runSlab(slabTask(this.partition, slab));
  }

  /** A planned takeover follows: what its first messages would wait for is done. Never rejects. */
  prepare(): Promise<void> {
    this.#syncer.prepare();
    return this.#thread.warmUp();
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
