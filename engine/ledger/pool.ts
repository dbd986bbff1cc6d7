/**
 * A Piscina pool of one thread: the only importer of piscina. `stricterFIFO` keeps tasks in order; `atomics: 'sync'`
 * (the default) parks the idle thread in Atomics.wait, which is why a partition owns no timer or socket.
 */
import { Piscina } from 'piscina';

export interface WorkerPoolEvents {
  /** The thread has ended by itself. The next task would find a fresh, empty one. */
  lost(): void;
  /** What the thread posted in the middle of a task. */
  message(message: unknown): void;
}

export class WorkerPool<Task, Result> {
  readonly #pool: Piscina<Task, Result>;
  #isEnding = false;

  /**
   * @param filename URL of the worker's entry file
   * @param queueMax tasks that wait at once; more mean a bug in their sender
   */
  constructor(filename: URL, workerData: unknown, queueMax: number, events: WorkerPoolEvents) {
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
    // For a worker that dies while idle.
    this.#pool.on('error', () => undefined);
    this.#pool.on('workerDestroy', () => {
      if (!this.#isEnding) events.lost();
    });
    this.#pool.on('message', (message: unknown) => events.message(message));
  }

  /** Runs a task on the thread. Rejects when it throws or the thread dies. */
  run(task: Task): Promise<Result> {
    return this.#pool.run(task);
  }

  /** Ends the thread at once. */
  async destroy(): Promise<void> {
    this.#isEnding = true;
    await this.#pool.destroy();
  }
}
