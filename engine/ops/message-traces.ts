/** Spans of messages on the authorization port, made after the answer from the times that its slab has. */
import { readTraceparent, type SpanTimes, type Traces } from '../../platform/tracing/traces.js';
import { Reason, reasonEntry } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag } from '../exchange/slab.js';

interface Asked {
  readonly arrivalMs: number;
  readonly reentries: number;
}

export class MessageTraces {
  readonly #traces: Pick<Traces, 'draw' | 'begin' | 'add'>;
  readonly #nowMs: () => number;
  #isSlow = false;

  constructor(traces: Pick<Traces, 'draw' | 'begin' | 'add'>, nowMs: () => number) {
    this.#traces = traces;
    this.#nowMs = nowMs;
  }

  /** The message that is being answered is slow: so no other one needs a look at the clock. */
  noteSlow(): void {
    this.#isSlow = true;
  }

  /** Right after the answer. */
  answered(path: string, traceparent: string, { arrivalMs, reentries }: Asked, from: Answers, index: number): void {
    const isFailed = from.reason[index] === Reason.systemError;
    const isTraced = this.#traces.draw() || isFailed || this.#isSlow;
    this.#isSlow = false;
    if (!isTraced) return;
    const nowMs = this.#nowMs();
    const { sealedAtMs, returnedAtMs } = from;
    const isRepeat = (from.answerFlags[index]! & AnswerFlag.repeated) !== 0;
    const reason = reasonEntry(from.reason[index] as Reason).name;
    // Before the slab that decided it a message may have been in others, and waited for lookups.
    const attributes = { reason, repeated: isRepeat, lookups: reentries };
    const part = (name: string, startMs: number, endMs: number): SpanTimes => ({
      ...{ name, kind: 'internal', startMs, endMs, attributes: {}, failure: '' },
    });
    this.#traces.add(
      this.#traces.begin(readTraceparent(traceparent)),
      spanOf(path, arrivalMs, nowMs, attributes, isFailed ? reason : ''),
      [
        part('wait', arrivalMs, sealedAtMs),
        part('decide', sealedAtMs, returnedAtMs),
        part('answer', returnedAtMs, nowMs),
      ],
    );
  }

  /** 503, with the reason of the decline in its body. */
  refused(path: string, traceparent: string, { arrivalMs, reentries }: Asked, reason: string): void {
    const attributes = { reason, refused: true, lookups: reentries };
    const span = spanOf(path, arrivalMs, this.#nowMs(), attributes, reason);
    this.#traces.add(this.#traces.begin(readTraceparent(traceparent)), span, []);
  }
}

function spanOf(
  path: string,
  startMs: number,
  endMs: number,
  attributes: SpanTimes['attributes'],
  failure: string,
): SpanTimes {
  return {
    name: `POST ${path}`,
    kind: 'server',
    startMs,
    endMs,
    attributes: { 'http.route': path, ...attributes },
    failure,
  };
}
