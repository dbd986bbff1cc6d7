/** A sending thread as the main thread sees it. */
import { Worker } from 'node:worker_threads';
import type { LoadOptions } from './options.js';
import type { ThreadReport } from './tally.js';
import type { ThreadCommand, ThreadMessage, ThreadPlan } from './thread.js';

export class LoadThread {
  readonly ready: Promise<void>;
  readonly exhausted: Promise<void>;
  readonly report: Promise<ThreadReport>;
  /** Never resolves; rejects when the thread dies. */
  readonly failed: Promise<never>;
  answerCount = 0;
  readonly #worker: Worker;

  constructor(options: LoadOptions, threadNumber: number) {
    const plan: ThreadPlan = {
      options,
      threadNumber,
      connectionCount: share(options.connectionCount, options.threadCount, threadNumber),
      requestCountMax:
        options.requestCountMax === null ? null : share(options.requestCountMax, options.threadCount, threadNumber),
    };
    this.#worker = new Worker(new URL('./load.worker.js', import.meta.url), { workerData: plan });
    const ready = deferred<void>();
    const exhausted = deferred<void>();
    const report = deferred<ThreadReport>();
    const failed = deferred<never>();
    this.#worker.on('message', (message: ThreadMessage) => {
      if (message.kind === 'ready') ready.resolve();
      else if (message.kind === 'exhausted') exhausted.resolve();
      else if (message.kind === 'report') report.resolve(message.report);
      else this.answerCount = message.answerCount;
    });
    this.#worker.on('error', (error) => {
      ready.reject(error);
      failed.reject(error);
    });
    // Only `ready` and `failed` are awaited while a thread may die; a rejection without a handler would end the
    // process.
    failed.promise.catch(() => undefined);
    ready.promise.catch(() => undefined);
    this.ready = ready.promise;
    this.exhausted = exhausted.promise;
    this.report = report.promise;
    this.failed = failed.promise;
  }

  command(command: ThreadCommand): void {
    this.#worker.postMessage(command);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Part `index` of `total` divided as evenly as integers allow. */
function share(total: number, parts: number, index: number): number {
  return Math.floor(total / parts) + (index < total % parts ? 1 : 0);
}

/** Promise.withResolvers, which Node 20 does not have. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
