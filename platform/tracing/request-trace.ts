/** The trace of the request that runs, for what it waits for: its hops become spans after the answer. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type SpanTimes, type TraceIds, writeTraceparent } from './traces.js';

/** A request has some ten; a report may walk more pages, whose first ones tell enough. */
const hopsMax = 64;

export class RequestTrace {
  readonly hops: SpanTimes[] = [];
  readonly startMs: number;
  /** To pass on. */
  readonly traceparent: string;

  constructor(
    readonly ids: TraceIds,
    readonly isDrawn: boolean,
    nowMs: number,
  ) {
    this.startMs = nowMs;
    this.traceparent = writeTraceparent(ids, isDrawn);
  }
}

const running = new AsyncLocalStorage<RequestTrace>();

/** Runs what a request does. */
export function withTrace(trace: RequestTrace, work: () => void): void {
  running.run(trace, work);
}

/** Of the request that runs; undefined where traces are off, and in background work. */
export function runningTrace(): RequestTrace | undefined {
  return running.getStore();
}

/** Notes that the request has waited for something. @param startedMs of performance.now() */
export function noteHop(name: string, startedMs: number, failure = ''): void {
  const trace = running.getStore();
  if (trace === undefined || trace.hops.length >= hopsMax) return;
  const origin = performance.timeOrigin;
  const endMs = origin + performance.now();
  trace.hops.push({ name, kind: 'client', startMs: origin + startedMs, endMs, attributes: {}, failure });
}
