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
  type PartitionTask,
  type PartitionThreadData,
  type SlabResult,
  slabTask,
} from '../exchange/partition-task.js';
import type { Progress } from '../exchange/progress.js';
import type { PostgresJournal } from '../exchange/syncer-messages.js';
import { rowsMax } from '../ops/memory-room.js';
import { LaneGroup, type Pace } from './lane-group.js';
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

/** A wave costs an engine and its Postgres what fifty messages cost. Behind few messages none waits. */
const pace: Pace = { everyMs: 5, behindMin: 8, nowMs: () => performance.now(), schedule: setTimeout };
/** A thread that gets no processor for so long is used as it is. */
const warmUpMsMax = 5000;
/** Of each partition: its slabs in flight, plus the odd control task. */
const queuePerPartition = 16;

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
      beforeAnswers();
    };
    const group = new LaneGroup(setImmediate, flush, pace);
    const shared = postgresJournal && new SharedSyncer({ ...data, postgresJournal }, () => group.synced());
    this.#group = shared && group;
    this.#openSyncer = (partition, events) =>
      shared === null ? new Syncer({ ...data, partition }, events) : shared.open(partition, events);
    const threadData: PartitionThreadData = {
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
    const queueMax = queuePerPartition * Math.ceil(partitionCount / threadCount);
    this.#threads = Array.from({ length: threadCount }, () => new PartitionThread(threadData, queueMax));
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

interface SlabWaiter {
  resolve(isAlive: boolean): void;
  reject(error: unknown): void;
}

/** A thread that decides, while it hosts a partition. */
class PartitionThread {
  readonly #data: PartitionThreadData;
  readonly #queueMax: number;
  readonly #places = new Set<PartitionPlace>();
  #pool: WorkerPool<PartitionTask, PartitionResult> | null = null;
  /** It has run slabs, or what prepares it for them. */
  #isWarm = false;
  #warmUp: Promise<void> | null = null;
  /** Slabs until flush(), and what waits for them. */
  #slabs: number[] = [];
  #waiting: SlabWaiter[] = [];

  constructor(data: PartitionThreadData, queueMax: number) {
    this.#data = data;
    this.#queueMax = queueMax;
  }

  run(task: PartitionTask): Promise<PartitionResult> {
    // Behind the slabs that were given before it.
    this.flush();
    return this.#send(task);
  }

  #send(task: PartitionTask): Promise<PartitionResult> {
    return this.#pool?.run(task) ?? Promise.reject(new Error('there is no thread'));
  }

  /** Settles once the thread has run the slab, which it gets at the next flush(). */
  runSlab(slab: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#slabs.push(slab);
      this.#waiting.push({ resolve, reject });
    });
  }

  /** Hands the slabs over in one task: waking the thread costs as much as deciding a few messages. */
  flush(): void {
    const [slabs, waiting] = [this.#slabs, this.#waiting];
    if (slabs.length === 0) return;
    this.#slabs = [];
    this.#waiting = [];
    this.#isWarm = true;
    this.#send(slabs).then(
      (results) => {
        for (const [index, { resolve, reject }] of waiting.entries()) {
          const result = (results as readonly SlabResult[])[index]!;
          if (typeof result === 'boolean') resolve(result);
          else reject(result);
        }
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
  }

  /** Has the thread run its code, unless it does so for messages already. Never rejects: a cold thread is slower. */
  warmUp(): Promise<void> {
    this.#warmUp ??= this.#runWarmUp().catch(() => undefined);
    return this.#warmUp;
  }

  async #runWarmUp(): Promise<void> {
    const untilMs = performance.now() + warmUpMsMax;
    while (!this.#isWarm && performance.now() < untilMs) this.#isWarm = (await this.run({ kind: 'warmUp' })) === true;
  }

  join(place: PartitionPlace): void {
    this.#places.add(place);
    if (this.#pool !== null) return;
    this.#isWarm = false;
    this.#warmUp = null;
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
