/**
 * Closed-loop HTTP/1.1 load over raw sockets in worker threads: every connection has one request in flight and sends
 * the next when the answer arrives. It asks how fast and how evenly a server answers when `connections` callers wait
 * for it. A closed loop slows down with the server, so a stall is one slow answer per connection, not one per request
 * that would have come meanwhile: compare servers with it, do not promise latencies at a given rate.
 *
 * The generator shares the machine with the server under test, so it reports its own CPU use beside the result.
 *
 * Threads: `load.worker.ts` does the sending; this file validates, starts the threads, calls the phases and merges.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { type EncodedLatency, Latency, type LatencySummary } from './latency.js';
import { cardDigits, idPrefixLengthMax, type MessageKind } from './message.js';

export interface LoadOptions {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Basic credentials; null sends none. */
  readonly credentials: { readonly user: string; readonly password: string } | null;
  readonly kind: MessageKind;
  /** Must be new for every run against the same engine: it remembers ids. See newIdPrefix(). */
  readonly idPrefix: string;
  /** Accounts (with one card each) `cardFirst` … `cardFirst + cardCount − 1`; one card is one hot account. */
  readonly cardFirst: number;
  readonly cardCount: number;
  /** `random`: uniform, from a fixed seed. `sequence`: every card in turn. */
  readonly cardOrder: 'random' | 'sequence';
  /** Amounts are uniform in [min, max], minor units; both have the same number of digits. */
  readonly amountMinorMin: number;
  readonly amountMinorMax: number;
  readonly connectionCount: number;
  readonly threadCount: number;
  /** Answers of this time are checked but not measured, milliseconds. */
  readonly warmUpMs: number;
  /** Measured time, milliseconds; the upper bound when `requestCountMax` is given. */
  readonly durationMs: number;
  /** Ends the run after this many requests (warm-up included); null: the time alone ends it. */
  readonly requestCountMax: number | null;
  /** A request without an answer for this long counts as a timeout, with its age as latency; its connection is renewed. */
  readonly timeoutMs: number;
  /** Seed of cards and amounts, so that two runs send the same traffic. */
  readonly seed: number;
}

/** Called when measuring starts and ends, to read the counters of the server under test at the same moments. */
export interface LoadObserver {
  readonly onMeasureStart?: () => void;
  readonly onMeasureEnd?: () => void;
  /** About once a second: answers so far, warm-up included. */
  readonly onProgress?: (answerCount: number) => void;
}

/** What one thread counted while measuring. All plain data: it crosses a thread boundary. */
export interface ThreadReport {
  readonly seconds: number;
  /** Answers that arrived inside the measured time: the rate counts these. */
  readonly answerCount: number;
  readonly statusCounts: Record<string, number>;
  readonly approvedCount: number;
  readonly declinedCount: number;
  readonly wrongCount: number;
  readonly errorCount: number;
  readonly timeoutCount: number;
  readonly latency: EncodedLatency;
  /** Share of the measured time in which the thread's event loop was busy, 0–1. */
  readonly utilization: number;
  /** Text of the first error, for the report. */
  readonly errorFirst: string | null;
}

export interface LoadResult {
  readonly connectionCount: number;
  readonly threadCount: number;
  readonly seconds: number;
  readonly answerCount: number;
  readonly answersPerSecond: number;
  /**
   * From handing the request to the socket until its answer was read. Includes answers that arrived after the measured
   * time to requests of the measured time, and timeouts with their age: a stall at the end is not lost.
   */
  readonly latency: LatencySummary;
  readonly statusCounts: Record<string, number>;
  readonly approvedCount: number;
  readonly declinedCount: number;
  /** Answers with status 200 or 402 that did not carry the id of their question. */
  readonly wrongCount: number;
  /** Connections that failed or were closed with a request in flight, and answers that are no HTTP. */
  readonly errorCount: number;
  readonly errorFirst: string | null;
  readonly timeoutCount: number;
  readonly generator: {
    /** CPU of this whole process while measuring, user and system, per answer in microseconds. */
    readonly cpuPerAnswerUs: number;
    readonly cpuSeconds: number;
    /** Of the busiest thread; near 1 means the generator, not the server, is the limit. */
    readonly utilizationMax: number;
  };
}

/** What a thread needs to know. */
export interface ThreadPlan {
  readonly options: LoadOptions;
  readonly threadNumber: number;
  readonly connectionCount: number;
  readonly requestCountMax: number | null;
}

/** `measure` starts sending too when there was no warm-up, so that not even the first answer is missed. */
export type ThreadCommand = 'warm-up' | 'measure' | 'stop';
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly answerCount: number }
  /** All requests of `requestCountMax` are answered; the thread waits for `stop`. */
  | { readonly kind: 'exhausted' }
  | { readonly kind: 'report'; readonly report: ThreadReport };

/** Ids of two runs never meet: the time, and five random characters for runs of the same millisecond. */
export function newIdPrefix(name: string): string {
  const random = Math.floor(Math.random() * 36 ** 5)
    .toString(36)
    .padStart(5, '0');
  return `${name}-${Date.now().toString(36)}${random}`;
}

/** Runs the load and resolves with what was measured. Rejects when the server cannot be reached at all. */
export async function load(options: LoadOptions, observer: LoadObserver = {}): Promise<LoadResult> {
  validate(options);
  const threads = Array.from({ length: options.threadCount }, (_, index) => new LoadThread(options, index));
  try {
    await Promise.all(threads.map((thread) => thread.ready));
    const progress = setInterval(() => {
      observer.onProgress?.(threads.reduce((sum, thread) => sum + thread.answerCount, 0));
    }, 1000);
    try {
      const failed = Promise.race(threads.map((thread) => thread.failed));
      if (options.warmUpMs > 0) {
        for (const thread of threads) thread.command('warm-up');
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

class LoadThread {
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
    // Only `ready` and `failed` are awaited while a thread may die; a rejection nobody awaits would end the process.
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

function merge(options: LoadOptions, reports: readonly ThreadReport[], cpuSeconds: number): LoadResult {
  const latency = new Latency();
  const statusCounts: Record<string, number> = {};
  for (const report of reports) {
    latency.add(report.latency);
    for (const [status, count] of Object.entries(report.statusCounts))
      statusCounts[status] = (statusCounts[status] ?? 0) + count;
  }
  const sum = (pick: (report: ThreadReport) => number) => reports.reduce((total, report) => total + pick(report), 0);
  const answerCount = sum((report) => report.answerCount);
  return {
    connectionCount: options.connectionCount,
    threadCount: options.threadCount,
    seconds: Math.max(...reports.map((report) => report.seconds)),
    answerCount,
    // Each thread measured its own time: the rates add up, the times do not.
    answersPerSecond: sum((report) => (report.seconds > 0 ? report.answerCount / report.seconds : 0)),
    latency: latency.summary(),
    statusCounts,
    approvedCount: sum((report) => report.approvedCount),
    declinedCount: sum((report) => report.declinedCount),
    wrongCount: sum((report) => report.wrongCount),
    errorCount: sum((report) => report.errorCount),
    errorFirst: reports.find((report) => report.errorFirst !== null)?.errorFirst ?? null,
    timeoutCount: sum((report) => report.timeoutCount),
    generator: {
      cpuPerAnswerUs: answerCount === 0 ? 0 : (cpuSeconds * 1e6) / answerCount,
      cpuSeconds,
      utilizationMax: Math.max(...reports.map((report) => report.utilization)),
    },
  };
}

/** Not referenced: when the requests are used up early, the rest of the wait must not keep the process alive. */
function sleep(ms: number): Promise<void> {
  return delay(ms, undefined, { ref: false });
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

function validate(options: LoadOptions): void {
  integer('connectionCount', options.connectionCount, 1, 10_000);
  integer('threadCount', options.threadCount, 1, Math.min(64, options.connectionCount));
  integer('cardFirst', options.cardFirst, 1, 999_999_999);
  integer('cardCount', options.cardCount, 1, 999_999_999);
  integer('warmUpMs', options.warmUpMs, 0, 3_600_000);
  integer('durationMs', options.durationMs, 1, 3_600_000);
  integer('timeoutMs', options.timeoutMs, 1, 60_000);
  integer('amountMinorMin', options.amountMinorMin, 1, 999_999_999);
  integer('amountMinorMax', options.amountMinorMax, options.amountMinorMin, 999_999_999);
  integer('seed', options.seed, 1, 2 ** 31 - 1);
  if (options.requestCountMax !== null) integer('requestCountMax', options.requestCountMax, 1, 999_999_999);
  if (String(options.amountMinorMin).length !== String(options.amountMinorMax).length)
    throw new RangeError('load: amountMinorMin and amountMinorMax must have the same number of digits');
  if (cardDigits(options.cardFirst + options.cardCount - 1) - cardDigits(options.cardFirst) > 1)
    throw new RangeError('load: card numbers of more than two lengths; split the run');
  if (!/^[A-Za-z0-9-]+$/.test(options.idPrefix) || options.idPrefix.length > idPrefixLengthMax)
    throw new RangeError(`load: idPrefix must be 1–${idPrefixLengthMax} letters, digits or dashes`);
}

function integer(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`load: ${name} must be an integer from ${min} to ${max}, not ${value}`);
}
