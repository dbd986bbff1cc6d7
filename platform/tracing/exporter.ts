/**
 * Spans of OpenTelemetry, sent in batches by OTLP over HTTP: the only importer of its packages, which are loaded where
 * TRACE_URL is set and nowhere else. Spans are made from times that are known already, after the answer.
 */
import { ROOT_CONTEXT, type SpanContext, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { version } from '../version.js';
import type { SpanTimes, TraceIds } from './traces.js';

/** Spans that wait for a batch: ten seconds of the most that Traces lets through. More are dropped. */
const queueMax = 8192;
const batchMax = 512;
/** A request to the receiver costs as much as making some ten traces. */
const batchEveryMs = 5000;
const sendMs = 5000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/** Spans that are lost: the package drops them without a word. */
export interface LostSpans {
  /** The queue was full. */
  overflowed: number;
  /** The receiver refused them, or did not answer. */
  unsent: number;
}

/** Passes batches on, and knows how many spans wait and how many are lost. */
class CountingExporter implements SpanExporter {
  readonly #inner: OTLPTraceExporter;
  readonly #lost: LostSpans;
  waiting = 0;

  constructor(inner: OTLPTraceExporter, lost: LostSpans) {
    this.#inner = inner;
    this.#lost = lost;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.waiting -= spans.length;
    this.#inner.export(spans, (result) => {
      // 0 is success: the package with its name is not one of ours.
      if (result.code !== 0) this.#lost.unsent += spans.length;
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }
}

export interface Exporter {
  readonly lost: Readonly<LostSpans>;
  add(ids: TraceIds, span: SpanTimes): void;
  /** Sends what waits. */
  close(): Promise<void>;
}

/** @param instance tells several processes of one service apart */
export function openExporter(url: string, service: string, instance: string): Exporter {
  const lost: LostSpans = { overflowed: 0, unsent: 0 };
  const exporter = new CountingExporter(new OTLPTraceExporter({ url, timeoutMillis: sendMs }), lost);
  // A span has the id that it was given: it may have been passed on before the span was made.
  let nextSpanId = '';
  let nextTraceId = '';
  const provider = new BasicTracerProvider({
    sampler: new AlwaysOnSampler(),
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
    }),
    idGenerator: {
      generateTraceId: () => nextTraceId,
      generateSpanId: () => nextSpanId,
    },
    spanProcessors: [
      new BatchSpanProcessor(exporter, {
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        scheduledDelayMillis: batchEveryMs,
        exportTimeoutMillis: sendMs,
      }),
    ],
  });
  const tracer = provider.getTracer('atlanticfrewaycard', version);
  return {
    lost,
    add({ traceId, spanId, parentId }: TraceIds, { name, kind, startMs, endMs, attributes, failure }: SpanTimes) {
      if (exporter.waiting >= queueMax) {
        lost.overflowed++;
        return;
      }
      exporter.waiting++;
      nextTraceId = traceId;
      nextSpanId = spanId;
      const parent: SpanContext = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
      const context = parentId === '' ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
      const span = tracer.startSpan(name, { kind: kinds[kind], startTime: startMs, attributes }, context);
      if (failure !== '') span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      // An end before the start, by a clock that was set back, would be refused.
      span.end(Math.max(startMs, endMs));
    },
    close: () => provider.shutdown(),
  };
}
