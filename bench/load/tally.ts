/** What one sending thread counts, and its report. */
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { type EncodedLatency, Latency } from './latency.js';
import { Verdict } from './traffic.js';

/** What one thread counted while measuring. All plain data: it crosses a thread boundary. */
export interface ThreadReport {
  readonly seconds: number;
  /**
   * Answers that arrived inside the measured time, whenever their requests were due: what the server got done in it.
   */
  readonly answerCount: number;
  readonly statusCounts: Record<string, number>;
  /** Answers by kind of request, see Traffic.kinds. */
  readonly kindCounts: Record<string, number>;
  readonly rightCount: number;
  readonly declinedCount: number;
  readonly refusedCount: number;
  readonly wrongCount: number;
  readonly errorCount: number;
  readonly timeoutCount: number;
  readonly latency: EncodedLatency;
  readonly latencyRefused: EncodedLatency;
  /** Open loop: how late the schedule was kept. */
  readonly lag: EncodedLatency;
  /** Open loop: requests that were due, and of them those that found every connection busy and had to wait. */
  readonly dueCount: number;
  readonly queuedCount: number;
  /** Share of the measured time in which the thread worked, 0–1. */
  readonly utilization: number;
  /** Text of the first error, for the report. */
  readonly errorFirst: string | null;
}

export class Tally {
  // Written on every answer.
  readonly #verdictCounts = new Uint32Array(Object.keys(Verdict).length);
  readonly #statusCounts = new Uint32Array(1000);
  readonly #kindCounts: Uint32Array;
  readonly #latency = new Latency();
  readonly #latencyRefused = new Latency();
  readonly #lag = new Latency();
  #answerCount = 0;
  /** Of everything, warm-up too: for the progress line. */
  answerCountTotal = 0;
  #errorCount = 0;
  #timeoutCount = 0;
  #errorFirst: string | null = null;
  #dueCount = 0;
  #queuedCount = 0;

  readonly #kinds: readonly string[];
  /** Requests that began before are not measured. */
  #fromMs = Number.NEGATIVE_INFINITY;
  #startedMs = 0;
  #seconds = 0;
  #isMeasuring = false;
  #utilizationAtStart: EventLoopUtilization | undefined;
  #utilization = 0;
  /** Time in which the thread let go of its core on purpose, see open-sender.ts: its event loop counts it as work. */
  restedMs = 0;
  #restedAtStartMs = 0;

  constructor(kinds: readonly string[]) {
    this.#kinds = kinds;
    this.#kindCounts = new Uint32Array(kinds.length);
  }

  /**
   * Forgets the warm-up.
   * @param fromMs requests that began before count no more; a closed loop passes minus infinity: what is in flight now
   *   was sent during warm-up, and its answer is the first of the measured time
   */
  start(fromMs: number, nowMs: number): void {
    this.#verdictCounts.fill(0);
    this.#statusCounts.fill(0);
    this.#kindCounts.fill(0);
    this.#latency.reset();
    this.#latencyRefused.reset();
    this.#lag.reset();
    this.#answerCount = 0;
    this.#isMeasuring = true;
    this.#errorCount = 0;
    this.#timeoutCount = 0;
    this.#errorFirst = null;
    this.#dueCount = 0;
    this.#queuedCount = 0;
    this.#fromMs = fromMs;
    this.#startedMs = nowMs;
    this.#restedAtStartMs = this.restedMs;
    this.#utilizationAtStart = performance.eventLoopUtilization();
  }

  /**
   * Answers from here on are in the latencies but not in the rate. A server that falls behind its open loop continues
   * to answer, and would seem as fast as the requested rate.
   */
  stop(nowMs: number): void {
    this.#seconds = (nowMs - this.#startedMs) / 1000;
    const busyMs = performance.eventLoopUtilization(this.#utilizationAtStart).active;
    this.#utilization = Math.max(0, busyMs - (this.restedMs - this.#restedAtStartMs)) / (nowMs - this.#startedMs);
    this.#isMeasuring = false;
  }

  answered(verdict: Verdict, status: number, kind: number, startMs: number, nowMs: number): void {
    this.answerCountTotal++;
    if (this.#isMeasuring) this.#answerCount++;
    if (startMs < this.#fromMs) return;
    this.#verdictCounts[verdict]!++;
    this.#statusCounts[status]!++;
    this.#kindCounts[kind]!++;
    (verdict === Verdict.refused ? this.#latencyRefused : this.#latency).record((nowMs - startMs) * 1000);
  }

  /** A request without an answer counts with its age: a stall must not vanish from the histogram. */
  timedOut(startMs: number, nowMs: number): void {
    if (startMs < this.#fromMs) return;
    this.#timeoutCount++;
    this.#latency.record((nowMs - startMs) * 1000);
  }

  failed(error: Error, startMs: number | null): void {
    if (startMs !== null && startMs < this.#fromMs) return;
    this.#errorCount++;
    this.#errorFirst ??= error.message;
  }

  /** The schedule's request of `dueMs` was taken up at `nowMs`; `queued`: no connection was free. */
  due(dueMs: number, nowMs: number, queued: boolean): void {
    if (dueMs < this.#fromMs) return;
    this.#dueCount++;
    if (queued) this.#queuedCount++;
    this.#lag.record((nowMs - dueMs) * 1000);
  }

  report(): ThreadReport {
    const count = (verdict: Verdict) => this.#verdictCounts[verdict]!;
    return {
      seconds: this.#seconds,
      answerCount: this.#answerCount,
      statusCounts: named(this.#statusCounts, String),
      kindCounts: named(this.#kindCounts, (kind) => this.#kinds[kind]!),
      rightCount: count(Verdict.right),
      declinedCount: count(Verdict.declined),
      refusedCount: count(Verdict.refused),
      wrongCount: count(Verdict.wrong),
      errorCount: this.#errorCount,
      timeoutCount: this.#timeoutCount,
      latency: this.#latency.encode(),
      latencyRefused: this.#latencyRefused.encode(),
      lag: this.#lag.encode(),
      dueCount: this.#dueCount,
      queuedCount: this.#queuedCount,
      utilization: this.#utilization,
      errorFirst: this.#errorFirst,
    };
  }
}

function named(counts: Uint32Array, name: (index: number) => string): Record<string, number> {
  return Object.fromEntries(
    [...counts.entries()].filter(([, count]) => count > 0).map(([index, count]) => [name(index), count]),
  );
}
