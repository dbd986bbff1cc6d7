/**
 * HTTP/1.1 load over raw sockets in worker threads, every answer checked. Two paces:
 *
 * - closed: every connection sends its next request when its answer came. It asks how fast and how evenly a server
 *   answers when `connections` callers wait for it. It slows down with the server, so a stall is one slow answer per
 *   connection, not one per request that would have come meanwhile: compare servers with it, do not promise latencies.
 * - open: requests at a rate, by a schedule fixed in advance, each latency from the instant at which it was due. It
 *   asks what callers who do not wait for each other would see: promise latencies with it.
 *
 *   const result = await load({
 *     host, port, connectionCount: 256, threadCount: 1, warmUpMs: 1000, durationMs: 10_000, requestCountMax: null,
 *     timeoutMs: 5000, seed: 1,
 *     pace: { kind: 'open', ratePerSecond: 5000, arrivals: 'poisson' },
 *     traffic: lifeCycleTraffic({ … }),   // or uniformTraffic, requestsTraffic, or a module of your own: traffic.ts
 *   });
 *   if (result.invalid !== null) …        // the generator could not keep up: the figures say nothing
 *
 * The generator shares the machine with the server under test, so it reports its own CPU use and lateness beside the
 * result. Threads: load.worker.ts sends; this file starts the threads and calls the phases; result.ts adds up.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LoadThread } from './load-thread.js';
import { type LoadOptions, validateOptions } from './options.js';
import { type LoadResult, merge } from './result.js';

export { newIdPrefix } from './ids.js';
export type { LoadOptions } from './options.js';
export type { LoadResult } from './result.js';

/** Called when measuring starts and ends, to read the counters of the server under test at the same moments. */
export interface LoadObserver {
  readonly onMeasureStart?: () => void;
  readonly onMeasureEnd?: () => void;
  /** About once a second: answers so far, warm-up included. */
  readonly onProgress?: (answerCount: number) => void;
}

/** Runs the load and resolves with what was measured. Rejects when the server cannot be reached at all. */
export async function load(options: LoadOptions, observer: LoadObserver = {}): Promise<LoadResult> {
  validateOptions(options);
  const threads = Array.from({ length: options.threadCount }, (_, index) => new LoadThread(options, index));
  try {
    await Promise.all(threads.map((thread) => thread.ready));
    const progress = setInterval(() => {
      observer.onProgress?.(threads.reduce((sum, thread) => sum + thread.answerCount, 0));
    }, 1000);
    try {
      const failed = Promise.race(threads.map((thread) => thread.failed));
      if (options.warmUpMs > 0) {
        for (const thread of threads) thread.command('start');
        await Promise.race([sleep(options.warmUpMs), failed]);
      }
      for (const thread of threads) thread.command('measure');
      const cpuAtStart = process.cpuUsage();
      observer.onMeasureStart?.();
      const exhausted = Promise.all(threads.map((thread) => thread.exhausted));
      await Promise.race([sleep(options.durationMs), exhausted, failed]);
      for (const thread of threads) thread.command('stop');
      const cpu = process.cpuUsage(cpuAtStart);
      observer.onMeasureEnd?.();
      const reports = await Promise.race([Promise.all(threads.map((thread) => thread.report)), failed]);
      return merge(options, reports, (cpu.user + cpu.system) / 1e6);
    } finally {
      clearInterval(progress);
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

/** Not referenced: when the requests are used up early, the rest of the wait must not keep the process alive. */
function sleep(ms: number): Promise<void> {
  return delay(ms, undefined, { ref: false });
}
