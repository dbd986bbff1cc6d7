/** What a run of the load generator found: the reports of its threads, added up. */
import { Latency, type LatencySummary } from './latency.js';
import { type LoadOptions, lagMsMaxDefault, type Pace } from './options.js';
import type { ThreadReport } from './tally.js';

export interface LoadResult {
  readonly pace: Pace;
  readonly connectionCount: number;
  readonly threadCount: number;
  readonly seconds: number;
  /** Answers that arrived in the measured time. */
  readonly answerCount: number;
  readonly answersPerSecond: number;
  /**
   * Closed loop: from handing the request to the socket until its answer was read. Open loop: from the instant at which
   * it was due. Without refusals. Includes answers that arrived after the measured time to requests of the measured
   * time, and timeouts with their age: a stall at the end is not lost.
   */
  readonly latency: LatencySummary;
  /** The same for what was refused (503, 429). */
  readonly latencyRefused: LatencySummary;
  /** `latency` in full, HdrHistogram's compressed form. */
  readonly histogram: string;
  readonly statusCounts: Record<string, number>;
  readonly kindCounts: Record<string, number>;
  readonly rightCount: number;
  /** A no where a yes was expected. */
  readonly declinedCount: number;
  /** 503 and 429. */
  readonly refusedCount: number;
  /** Answers to another question, impossible ones, and unexpected statuses. */
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
    /** Open loop: how much later than due the generator came to its requests. It is part of `latency`. */
    readonly lag: LatencySummary;
    /** Open loop: requests that were due in the measured time. */
    readonly dueCount: number;
    /** Open loop: of them those that found every connection waiting for an answer; the queueing is in `latency`. */
    readonly queuedCount: number;
  };
  /** Why the figures say nothing about the server; null: they do. */
  readonly invalid: string | null;
}

/** @param cpuSeconds of this process while measuring */
export function merge(options: LoadOptions, reports: readonly ThreadReport[], cpuSeconds: number): LoadResult {
  const latency = new Latency();
  const latencyRefused = new Latency();
  const lag = new Latency();
  for (const report of reports) {
    latency.add(report.latency);
    latencyRefused.add(report.latencyRefused);
    lag.add(report.lag);
  }
  const sum = (pick: (report: ThreadReport) => number) => reports.reduce((total, report) => total + pick(report), 0);
  const answerCount = sum((report) => report.answerCount);
  const lagSummary = lag.summary();
  const seconds = Math.max(...reports.map((report) => report.seconds));
  return {
    pace: options.pace,
    connectionCount: options.connectionCount,
    threadCount: options.threadCount,
    seconds,
    answerCount,
    // Each thread measured its own time: the rates add up, the times do not.
    answersPerSecond: sum((report) => (report.seconds > 0 ? report.answerCount / report.seconds : 0)),
    latency: latency.summary(),
    latencyRefused: latencyRefused.summary(),
    histogram: latency.encode().histogram,
    statusCounts: addUp(reports.map((report) => report.statusCounts)),
    kindCounts: addUp(reports.map((report) => report.kindCounts)),
    rightCount: sum((report) => report.rightCount),
    declinedCount: sum((report) => report.declinedCount),
    refusedCount: sum((report) => report.refusedCount),
    wrongCount: sum((report) => report.wrongCount),
    errorCount: sum((report) => report.errorCount),
    errorFirst: reports.find((report) => report.errorFirst !== null)?.errorFirst ?? null,
    timeoutCount: sum((report) => report.timeoutCount),
    generator: {
      cpuPerAnswerUs: answerCount === 0 ? 0 : (cpuSeconds * 1e6) / answerCount,
      cpuSeconds,
      utilizationMax: Math.max(...reports.map((report) => report.utilization)),
      lag: lagSummary,
      dueCount: sum((report) => report.dueCount),
      queuedCount: sum((report) => report.queuedCount),
    },
    invalid: invalidity(options, lagSummary),
  };
}

function invalidity({ pace, lagMsMax = lagMsMaxDefault }: LoadOptions, lag: LatencySummary): string | null {
  if (pace.kind !== 'open' || lag.p99Ms <= lagMsMax) return null;
  return (
    `the generator could not keep its schedule: 1 % of the requests left ${lag.p99Ms.toFixed(1)} ms late or ` +
    `later, more than ${lagMsMax} ms`
  );
}

function addUp(parts: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const part of parts) {
    for (const [name, count] of Object.entries(part)) total[name] = (total[name] ?? 0) + count;
  }
  return total;
}

/** Everything that must be zero for a run to count, in words; empty when it is. */
export function faultsOf(result: LoadResult): string[] {
  return [
    result.errorCount > 0 ? `${result.errorCount} errors (${result.errorFirst})` : '',
    result.timeoutCount > 0 ? `${result.timeoutCount} timeouts` : '',
    result.wrongCount > 0 ? `${result.wrongCount} wrong answers` : '',
    result.declinedCount > 0 ? `${result.declinedCount} declined` : '',
    ...Object.entries(result.statusCounts).map(([status, count]) => (status === '200' ? '' : `${count} × ${status}`)),
  ].filter((part) => part !== '');
}
