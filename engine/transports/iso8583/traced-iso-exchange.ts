/** An exchange of a link that is made where traces are on: after its answer it says when what happened to it. */
import type { TraceParent } from '../../../platform/tracing/traces.js';
import { type Reason, reasonEntry } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import type { MessageTraces, SentOn, SpanHead, TracedMessage } from '../../ops/message-traces.js';
import type { IsoQuestion } from '../../protocols/iso8583/questions.js';
import { type ExchangeOwner, IsoExchange } from './iso-exchange.js';
import type { LinkParts } from './link-options.js';

/** Where traces are off, nothing is added to an exchange. */
export function exchangeFor(
  { traces, settings }: Pick<LinkParts, 'traces' | 'settings'>,
  owner: ExchangeOwner,
  arrivalMs: number,
  frame: Buffer,
  question: IsoQuestion,
): IsoExchange {
  if (traces === null) return new IsoExchange(owner, arrivalMs, frame, question);
  return new TracedIsoExchange(traces, settings.name, owner, arrivalMs, frame, question);
}

class TracedIsoExchange extends IsoExchange implements TracedMessage {
  readonly #traces: MessageTraces;
  readonly #link: string;
  /** ISO 8583 has no field for the trace of a client. */
  readonly traceparent = '';
  /** Null: not sent to another engine. */
  sentOn: SentOn | null = null;

  constructor(
    traces: MessageTraces,
    link: string,
    owner: ExchangeOwner,
    arrivalMs: number,
    frame: Buffer,
    question: IsoQuestion,
  ) {
    super(owner, arrivalMs, frame, question);
    this.#traces = traces;
    this.#link = link;
  }

  get spanHead(): SpanHead {
    return { name: `iso8583 ${this.question.message.type}`, attributes: { protocol: 'iso8583', link: this.#link } };
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

  override refuse(reason: Reason): void {
    const isFirst = !this.isSettled;
    super.refuse(reason);
    if (isFirst) this.#traces.refused(this, reasonEntry(reason).name);
  }
}
