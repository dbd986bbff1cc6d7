/**
 * Spans of messages on the authorization port and on links of ISO 8583, and of those that other engines send here. They
 * are made after the answer from the times that a slab has.
 */
import {
  readTraceparent,
  type SpanTimes,
  type TraceIds,
  type TraceParent,
  type Traces,
} from '../../platform/tracing/traces.js';
import { protocolNames } from '../core/codes.js';
import { Reason, reasonEntry } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag } from '../exchange/slab.js';

type Drawing = Pick<Traces, 'draw' | 'begin' | 'add'>;

/** Ids that another engine got before the message was answered, and whether it is traced. */
export interface SentOn {
  readonly ids: TraceIds;
  readonly isDrawn: boolean;
}

/** A message on a port, as its transport knows it. */
export interface TracedMessage {
  readonly arrivalMs: number;
  readonly reentries: number;
  readonly sentOn: SentOn | null;
  /** '': its client has begun no trace. */
  readonly traceparent: string;
  /** Read for a message that is traced, and for no other one. */
  readonly spanHead: SpanHead;
}

export interface SpanHead {
  readonly name: string;
  readonly attributes: SpanTimes['attributes'];
}

export class MessageTraces {
  readonly #traces: Drawing;
  readonly #nowMs: () => number;
  #isSlow = false;

  constructor(traces: Drawing, nowMs: () => number) {
    this.#traces = traces;
    this.#nowMs = nowMs;
  }

  /** The message that is being answered is slow: so no other one needs a look at the clock. */
  noteSlow(): void {
    this.#isSlow = true;
  }

  /** For a message that is sent to another engine, whose span hangs below the one of this engine. */
  sendOn(traceparent: string): SentOn {
    return { ids: this.#traces.begin(readTraceparent(traceparent)), isDrawn: this.#traces.draw() };
  }

  /** Right after the answer. */
  answered(asked: TracedMessage, from: Answers, index: number): void {
    const { arrivalMs, reentries, sentOn } = asked;
    const isFailed = from.reason[index] === Reason.systemError;
    const isTraced = (sentOn === null ? this.#traces.draw() : sentOn.isDrawn) || isFailed || this.#isSlow;
    this.#isSlow = false;
    if (!isTraced) return;
    const nowMs = this.#nowMs();
    // Before the slab that decided it a message may have been in others, and waited for lookups.
    const attributes = { ...attributesOf(from, index), lookups: reentries };
    this.#traces.add(
      sentOn?.ids ?? this.#traces.begin(readTraceparent(asked.traceparent)),
      spanOf(asked, nowMs, attributes, isFailed ? attributes.reason : ''),
      partsOf(arrivalMs, from, nowMs, sentOn === null ? 'decide' : 'hop'),
    );
  }

  /** It has no decision: 503, or its like in another protocol. */
  refused(asked: TracedMessage, reason: string): void {
    const attributes = { reason, refused: true, lookups: asked.reentries };
    const span = spanOf(asked, this.#nowMs(), attributes, reason);
    this.#traces.add(asked.sentOn?.ids ?? this.#traces.begin(readTraceparent(asked.traceparent)), span, []);
  }
}

interface Received {
  readonly kind: number;
  readonly receivedMs: number;
  readonly reentries: number;
}

/** Messages that another engine sent here: its trace goes on, so that a trace has both engines. */
export class PeerTraces {
  readonly #traces: Drawing;
  readonly #nowMs: () => number;
  readonly #slowMs: number;

  /** @param slowMs a message that takes longer here is traced, whatever the other engine has drawn */
  constructor(traces: Drawing, nowMs: () => number, slowMs: number) {
    this.#traces = traces;
    this.#nowMs = nowMs;
    this.#slowMs = slowMs;
  }

  answered(parent: TraceParent, { kind, receivedMs, reentries }: Received, from: Answers, index: number): void {
    const nowMs = this.#nowMs();
    const isFailed = from.reason[index] === Reason.systemError;
    if (!parent.isSampled && !isFailed && nowMs - receivedMs <= this.#slowMs) return;
    const attributes = { ...attributesOf(from, index), lookups: reentries };
    const failure = isFailed ? attributes.reason : '';
    const span = peerSpan(kind, receivedMs, nowMs, attributes, failure);
    this.#traces.add(this.#traces.begin(parent), span, partsOf(receivedMs, from, nowMs, 'decide'));
  }

  refused(parent: TraceParent, { kind, receivedMs, reentries }: Received, refusedFor: Reason): void {
    const reason = reasonEntry(refusedFor).name;
    const attributes = { reason, refused: true, lookups: reentries };
    this.#traces.add(this.#traces.begin(parent), peerSpan(kind, receivedMs, this.#nowMs(), attributes, reason), []);
  }
}

function attributesOf(from: Answers, index: number) {
  const isRepeat = (from.answerFlags[index]! & AnswerFlag.repeated) !== 0;
  return { reason: reasonEntry(from.reason[index] as Reason).name, repeated: isRepeat };
}

/** @param middle what happened between the sealing and the return: it was decided, or another engine was asked */
function partsOf(fromMs: number, { sealedAtMs, returnedAtMs }: Answers, nowMs: number, middle: 'decide' | 'hop') {
  const part = (name: string, startMs: number, endMs: number): SpanTimes => ({
    ...{ name, kind: 'internal', startMs, endMs, attributes: {}, failure: '' },
  });
  return [
    part('wait', fromMs, sealedAtMs),
    part(middle, sealedAtMs, returnedAtMs),
    part('answer', returnedAtMs, nowMs),
  ];
}

function spanOf(
  { arrivalMs, spanHead }: TracedMessage,
  endMs: number,
  attributes: SpanTimes['attributes'],
  failure: string,
): SpanTimes {
  const { name, attributes: own } = spanHead;
  return { name, kind: 'server', startMs: arrivalMs, endMs, attributes: { ...own, ...attributes }, failure };
}

function peerSpan(
  kind: number,
  startMs: number,
  endMs: number,
  attributes: SpanTimes['attributes'],
  failure: string,
): SpanTimes {
  const protocol = protocolNames[kind] ?? 'unknown';
  return { name: `peer ${protocol}`, kind: 'server', startMs, endMs, attributes: { protocol, ...attributes }, failure };
}
