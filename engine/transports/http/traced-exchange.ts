/** An exchange that is made where traces are on: after its answer it says when what happened to it. */
import type { TraceParent } from '../../../platform/tracing/traces.js';
import { type Reason, reasonEntry } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import type { MessageTraces, SentOn, SpanHead, TracedMessage } from '../../ops/message-traces.js';
import { Exchange } from './exchange.js';
import type { Route } from './routes.js';
import type { ServerOptions } from './server-options.js';
import type { HttpRequest, HttpResponse } from './uws.js';

/** @param traces null: off, and nothing is added to an exchange */
export function exchangeFor(route: Route, res: HttpResponse, req: HttpRequest, options: ServerOptions): Exchange {
  const { traces } = options;
  if (traces === null) return new Exchange(route, res, options);
  return new TracedExchange(traces, req.getHeader('traceparent'), route, res, options);
}

class TracedExchange extends Exchange implements TracedMessage {
  readonly #traces: MessageTraces;
  readonly traceparent: string;
  readonly #path: string;
  /** Null: not sent to another engine. */
  sentOn: SentOn | null = null;

  constructor(traces: MessageTraces, traceparent: string, route: Route, res: HttpResponse, options: ServerOptions) {
    super(route, res, options);
    this.#traces = traces;
    this.traceparent = traceparent;
    this.#path = route.path;
  }

  get spanHead(): SpanHead {
    return { name: `POST ${this.#path}`, attributes: { 'http.route': this.#path } };
  }

  hopTrace(): TraceParent {
    this.sentOn ??= this.#traces.sendOn(this.traceparent);
    const { ids, isDrawn } = this.sentOn;
    return { traceId: ids.traceId, spanId: ids.spanId, isSampled: isDrawn };
  }

  override answer(from: Answers, index: number): void {
    if (this.isSettled) return;
    super.answer(from, index);
    this.#traces.answered(this, from, index);
  }

  override shuttingDown(): void {
    super.shuttingDown();
    this.#traces.refused(this, 'shutting_down');
  }

  override refuse(reason: Reason): void {
    const isFirst = !this.isSettled;
    super.refuse(reason);
    if (isFirst) this.#traces.refused(this, reasonEntry(reason).name);
  }
}
