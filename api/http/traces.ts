/** Spans of requests of the API: which are traced is decided before, slow and failed ones after the answer. */
import type { FastifyInstance } from 'fastify';
import { RequestTrace, withTrace } from '../../platform/tracing/request-trace.js';
import { readTraceparent, type Traces } from '../../platform/tracing/traces.js';

const failedFrom = 500;

/** Must be registered before what requests wait for. @param slowMs answers slower than this are traced */
export function registerTraces(app: FastifyInstance, traces: Traces, slowMs: number): void {
  const running = new WeakMap<object, RequestTrace>();
  const nowMs = () => performance.timeOrigin + performance.now();
  app.addHook('onRequest', (request, _reply, done) => {
    const { traceparent } = request.headers;
    const parent = readTraceparent(typeof traceparent === 'string' ? traceparent : '');
    const trace = new RequestTrace(traces.begin(parent), traces.draw(), nowMs());
    running.set(request, trace);
    withTrace(trace, done);
  });
  app.addHook('onResponse', async (request, reply) => {
    const trace = running.get(request);
    if (trace === undefined) return;
    const { ids, isDrawn, startMs, hops } = trace;
    const endMs = nowMs();
    const status = reply.statusCode;
    if (!isDrawn && status < failedFrom && endMs - startMs <= slowMs) return;
    const route = request.routeOptions.url ?? 'unknown';
    const name = `${request.method} ${route}`;
    const attributes = {
      'http.route': route,
      'http.request.method': request.method,
      'http.response.status_code': status,
      'request.id': request.id,
    };
    const failure = status < failedFrom ? '' : `answered ${status}`;
    traces.add(ids, { name, kind: 'server', startMs, endMs, attributes, failure }, hops);
  });
}
