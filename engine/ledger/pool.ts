/**
 * One Piscina pool of one thread per partition: the only importer of piscina. `stricterFIFO` keeps tasks in order;
 * `atomics: 'sync'` (the default) parks the idle thread in Atomics.wait, which is why a partition owns no timer or
 * socket.
 */
import { Piscina } from 'piscina';

/** Slab in flight, plus the odd control task; more means a bug in the lane. */
const queueMax = 16;

export class WorkerPool<Task, Result> {
  readonly #pool: Piscina<Task, Result>;

  /** @param filename URL of the worker's entry file */
  constructor(filename: URL, workerData: unknown) {
    this.#pool = new Piscina<Task, Result>({
      filename: filename.href,
      workerData,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: 1,
      maxQueue: queueMax,
      idleTimeout: Number.POSITIVE_INFINITY,
      stricterFIFO: true,
      recordTiming: false,
    });
    // Piscina says "error" for a worker that dies while idle; the next task would find a fresh, empty one.
    this.#pool.on('error', () => undefined);
  }

  /** Runs a task on the thread. Rejects when it throws or the thread dies. */
  run(task: Task): Promise<Result> {
    return this.#pool.run(task);
  }

  /** Ends the thread at once. */
  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}
