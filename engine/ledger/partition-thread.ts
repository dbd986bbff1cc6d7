/**
 * A thread that decides, while it hosts a partition. One Piscina task lasts as long as slabs are all that the thread
 * has to do: it takes them from shared memory (SlabQueue). A control task ends it, and the next slab begins another.
 */
import type {
  PartitionEvent,
  PartitionResult,
  PartitionTask,
  PartitionThreadData,
  SlabResult,
} from '../exchange/partition-task.js';
import { nextCount, SlabOutcome, SlabQueue } from '../exchange/slab-queue.js';
import { WorkerPool } from './pool.js';

/** What the thread says of a place on it. */
export interface HostedPlace {
  readonly partition: number;
  died(error: Error): void;
  /** The thread could not make durable what it wrote to the partition's journal itself. */
  journalFailed(message: string): void;
}

interface SlabWaiter {
  resolve(isAlive: boolean): void;
  reject(error: unknown): void;
}

/** A thread that gets no processor for so long is used as it is. */
const warmUpMsMax = 5000;
/** Of each partition: its slabs in flight, plus the odd control task. */
const queuePerPartition = 16;

export class PartitionThread {
  readonly #data: PartitionThreadData;
  readonly #hostedMax: number;
  readonly #places = new Set<HostedPlace>();
  #pool: WorkerPool<PartitionTask, PartitionResult> | null = null;
  #queue: SlabQueue;
  /** It has run slabs, or what prepares it for them. */
  #isWarm = false;
  #warmUp: Promise<void> | null = null;
  /** Slabs until flush(), and what waits for them. */
  #slabs: number[] = [];
  #waiting: SlabWaiter[] = [];
  /** What waits for slabs in the queue, oldest first, and how many slabs were taken back from it. */
  #given: SlabWaiter[] = [];
  #takenCount = 0;
  #isServing = false;
  /** Tasks other than serving that are with the pool: slabs stay behind those. */
  #taskCount = 0;
  /** What slabs threw that were not taken back yet. */
  #thrown: string[] = [];

  /** @param hostedMax partitions on it at once */
  constructor(data: PartitionThreadData, hostedMax: number) {
    this.#data = data;
    this.#hostedMax = hostedMax;
    this.#queue = this.#newQueue();
  }

  #newQueue(): SlabQueue {
    return new SlabQueue(2 ** Math.ceil(Math.log2(queuePerPartition * this.#hostedMax)));
  }

  run(task: PartitionTask): Promise<PartitionResult> {
    // Behind the slabs that were given before it.
    this.flush();
    if (this.#isServing) {
      this.#isServing = false;
      this.#queue.end();
    }
    return this.#send(task);
  }

  async #send(task: PartitionTask): Promise<PartitionResult> {
    if (this.#pool === null) throw new Error('there is no thread');
    this.#taskCount++;
    try {
      return await this.#pool.run(task);
    } finally {
      this.#taskCount--;
    }
  }

  /** Settles once the thread has run the slab, which it gets at the next flush(). */
  runSlab(slab: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#slabs.push(slab);
      this.#waiting.push({ resolve, reject });
    });
  }

  /** Hands the slabs over together: waking the thread costs as much as deciding a few messages. */
  flush(): void {
    const [slabs, waiting] = [this.#slabs, this.#waiting];
    if (slabs.length === 0) return;
    this.#slabs = [];
    this.#waiting = [];
    this.#isWarm = true;
    if (this.#taskCount > 0 || this.#pool === null) {
      void this.#runSlabs(slabs, waiting);
      return;
    }
    this.#serve(this.#pool);
    for (const slab of slabs) this.#queue.give(slab);
    this.#given.push(...waiting);
    this.#queue.ring();
  }

  async #runSlabs(slabs: readonly number[], waiting: readonly SlabWaiter[]): Promise<void> {
    try {
      const results = (await this.#send(slabs)) as readonly SlabResult[];
      for (const [index, { resolve, reject }] of waiting.entries()) {
        const result = results[index]!;
        if (typeof result === 'boolean') resolve(result);
        else reject(result);
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  #serve(pool: WorkerPool<PartitionTask, PartitionResult>): void {
    if (this.#isServing) return;
    this.#isServing = true;
    this.#queue.begin();
    pool.run({ kind: 'serve', queue: this.#queue.buffer }).then(
      () => this.collect(),
      (error: unknown) => {
        if (pool === this.#pool) this.#abandonQueue(error);
      },
    );
  }

  /** What a thread left in the queue is not its successor's: no slab that is given from here on is counted with it. */
  #abandonQueue(error: unknown): void {
    this.#queue = this.#newQueue();
    this.#takenCount = 0;
    this.#thrown = [];
    this.#isServing = false;
    for (const { reject } of this.#given.splice(0)) reject(error);
  }

  /** Takes the slabs back that the thread has done. Called whenever the thread or a syncer says something. */
  collect(): void {
    if (this.#given.length === 0) return;
    const { doneCount } = this.#queue;
    while (this.#takenCount !== doneCount) {
      const outcome = this.#queue.outcome(this.#takenCount);
      // The message with what it threw is on its way, and calls this again.
      if (outcome === SlabOutcome.threw && this.#thrown.length === 0) return;
      this.#takenCount = nextCount(this.#takenCount);
      const { resolve, reject } = this.#given.shift()!;
      if (outcome === SlabOutcome.threw) reject(new Error(this.#thrown.shift()));
      else resolve(outcome === SlabOutcome.decided);
    }
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

  join(place: HostedPlace): void {
    this.#places.add(place);
    if (this.#pool !== null) return;
    this.#isWarm = false;
    this.#warmUp = null;
    const url = new URL('../../workers/partition/partition.worker.js', import.meta.url);
    const pool = new WorkerPool<PartitionTask, PartitionResult>(url, this.#data, queuePerPartition * this.#hostedMax, {
      lost: () => {
        // Behind the rejection of its task, which has the cause.
        setImmediate(() => void this.#lost(pool));
      },
      message: (event) => {
        if (pool !== this.#pool) return;
        this.#heard(event as PartitionEvent);
      },
    });
    this.#pool = pool;
    this.#abandonQueue(new Error("the partition's thread ended"));
  }

  #heard(event: PartitionEvent): void {
    if (event?.kind === 'journalFailed') {
      for (const place of this.#places) if (place.partition === event.partition) place.journalFailed(event.message);
      return;
    }
    if (event !== null) this.#thrown.push(event.message);
    this.collect();
  }

  /** The thread ended: what was on it must be made again, on another one. */
  async #lost(pool: WorkerPool<PartitionTask, PartitionResult>): Promise<void> {
    if (pool !== this.#pool) return;
    this.#pool = null;
    const places = [...this.#places];
    this.#places.clear();
    const error = new Error("the partition's thread ended");
    for (const place of places) place.died(error);
    this.#abandonQueue(error);
    await pool.destroy().catch(() => undefined);
  }

  async leave(place: HostedPlace): Promise<void> {
    if (!this.#places.delete(place)) return;
    const pool = this.#pool;
    if (this.#places.size > 0) {
      await this.run({ kind: 'drop', partition: place.partition }).catch(() => undefined);
      return;
    }
    this.#pool = null;
    await pool?.destroy().catch(() => undefined);
    // Unless another partition has joined meanwhile.
    if (this.#pool === null) this.#abandonQueue(new Error("the partition's thread ended"));
  }
}
