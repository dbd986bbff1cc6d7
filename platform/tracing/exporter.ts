/**
 * Spans of OpenTelemetry, sent in batches by OTLP over HTTP: the only importer of its packages, which are loaded where
 * TRACE_URL is set and nowhere else. Spans are made from times that are known already, after the answer.
 */
import { ROOT_CONTEXT, type SpanContext, SpanKind, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { version } from '../version.js';
import type { SpanSink, SpanTimes, TraceIds } from './traces.js';

/** Spans that wait for a batch: ten seconds of the most that Traces lets through. More are dropped. */
const queueMax = 8192;
const batchMax = 512;
/** A request to the receiver costs as much as making some ten traces. */
const batchEveryMs = 5000;
const sendMs = 5000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

export function openExporter(url: string, service: string): Pick<SpanSink, 'add' | 'close'> {
  // A span has the id that it was given: it may have been passed on before the span was made.
  let nextSpanId = '';
  let nextTraceId = '';
  const provider = new BasicTracerProvider({
    sampler: new AlwaysOnSampler(),
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    idGenerator: {
      generateTraceId: () => nextTraceId,
      generateSpanId: () => nextSpanId,
    },
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: sendMs }), {
        maxQueueSize: queueMax,
        maxExportBatchSize: batchMax,
        scheduledDelayMillis: batchEveryMs,
        exportTimeoutMillis: sendMs,
      }),
    ],
  });
  const tracer = provider.getTracer('atlanticfrewaycard', version);
  return {
    add({ traceId, spanId, parentId }: TraceIds, { name, kind, startMs, endMs, attributes, failure }: SpanTimes) {
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
