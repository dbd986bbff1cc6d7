/**
 * Which requests are traced, and how one trace continues another (W3C Trace Context). Of many requests one in
 * TRACE_EVERY is traced, and each slow or failed one, up to a bound a second: in an overload all are slow.
 */

import type { Metrics } from '../metrics/metrics.js';

/** Beyond so many a second spans are dropped: to make and to send these takes about a hundredth of a core. */
export const tracesPerSecondMax = 200;

export interface TraceIds {
  readonly traceId: string;
  readonly spanId: string;
  /** '': the trace begins here. */
  readonly parentId: string;
}

export interface SpanTimes {
  readonly name: string;
  readonly kind: 'server' | 'client' | 'internal';
  /** Unix milliseconds, with a fraction. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** '': none. */
  readonly failure: string;
}

/** Spans that no receiver has, by where they were lost. */
export interface DroppedSpans {
  /** The thread that makes spans had too many to take, or has ended. */
  readonly thread: number;
  /** Too many waited to be sent. */
  readonly queue: number;
  /** The receiver at TRACE_URL refused them, or did not answer. */
  readonly receiver: number;
}

export const noSpansDropped: DroppedSpans = Object.freeze({ thread: 0, queue: 0, receiver: 0 });

export interface SpanSink {
  newTraceId(): string;
  newSpanId(): string;
  add(ids: TraceIds, span: SpanTimes): void;
  readonly dropped: DroppedSpans;
  close(): Promise<void>;
}

export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const form = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;

/** @returns null for no header, or one that must be ignored */
export function readTraceparent(header: string): TraceParent | null {
  const [, traceId, spanId, flags] = header.startsWith('ff') ? [] : (form.exec(header) ?? []);
  if (traceId === undefined || spanId === undefined || flags === undefined) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function writeTraceparent({ traceId, spanId }: TraceIds, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

export class Traces {
  readonly #sink: SpanSink;
  readonly #every: number;
  /** Drawn, so that processes that start together do not trace the same places of a pattern. */
  #count: number;
  #second = 0;
  #inSecond = 0;
  /** Traces that were not made because there were too many in a second. */
  dropped = 0;

  constructor(sink: SpanSink, every: number) {
    this.#sink = sink;
    this.#every = every;
    this.#count = Math.floor(Math.random() * every);
  }

  /** Whether the next request is the one of so many. */
  draw(): boolean {
    if (++this.#count < this.#every) return false;
    this.#count = 0;
    return true;
  }

  /** Ids of a request: of the trace that its client has begun, or of a new one. */
  begin(parent: TraceParent | null): TraceIds {
    return {
      traceId: parent?.traceId ?? this.#sink.newTraceId(),
      spanId: this.#sink.newSpanId(),
      parentId: parent?.spanId ?? '',
    };
  }

  /** Adds the span of a request, and those of its parts. */
  add(ids: TraceIds, whole: SpanTimes, parts: readonly SpanTimes[]): void {
    const second = Math.floor(whole.endMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (++this.#inSecond > tracesPerSecondMax) {
      this.dropped++;
      return;
    }
    this.#sink.add(ids, whole);
    const { traceId, spanId: parentId } = ids;
    for (const part of parts) this.#sink.add({ traceId, parentId, spanId: this.#sink.newSpanId() }, part);
  }

  get droppedSpans(): DroppedSpans {
    return this.#sink.dropped;
  }

  close(): Promise<void> {
    return this.#sink.close();
  }
}

/**
 * @param traces null: nothing is traced, and nothing is dropped
 * @param droppedByThreads traces that other threads have not made
 */
export function measureTraces(metrics: Metrics, traces: Traces | null, droppedByThreads: () => number = () => 0): void {
  const whole = 'Traces that were not made, because there were too many in a second';
  metrics.counter('traces_dropped_total', whole, [], (counter) =>
    counter.inc((traces?.dropped ?? 0) + droppedByThreads()),
  );
  const spans =
    'Spans that were lost: `receiver` refused them or did not answer, the `queue` before it or the `thread` was full';
  metrics.counter('trace_spans_dropped_total', spans, ['where'], (counter) => {
    for (const [where, count] of Object.entries(traces?.droppedSpans ?? noSpansDropped)) counter.inc({ where }, count);
  });
}
