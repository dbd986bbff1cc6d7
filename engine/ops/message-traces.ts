/** Spans of messages on the authorization port, made after the answer from the times that its slab has. */
import { readTraceparent, type SpanTimes, type Traces } from '../../platform/tracing/traces.js';
import { Reason, reasonEntry } from '../core/reasons.js';

interface Asked {
  readonly arrivalMs: number;
  readonly reentries: number;
}

interface Answered {
  readonly sealedAtMs: number;
  readonly returnedAtMs: number;
  readonly reason: number;
  readonly isRepeat: boolean;
}

export class MessageTraces {
  readonly #traces: Pick<Traces, 'draw' | 'begin' | 'add'>;
  readonly #nowMs: () => number;
  readonly #slowMs: number;

  /** @param slowMs answers slower than this are traced, whichever they are */
  constructor(traces: Pick<Traces, 'draw' | 'begin' | 'add'>, nowMs: () => number, slowMs: number) {
    this.#traces = traces;
    this.#nowMs = nowMs;
    this.#slowMs = slowMs;
  }

  answered(path: string, traceparent: string, { arrivalMs, reentries }: Asked, answer: Answered): void {
    const isDrawn = this.#traces.draw();
    const isFailed = answer.reason === Reason.systemError;
    const nowMs = this.#nowMs();
    if (!isDrawn && !isFailed && nowMs - arrivalMs <= this.#slowMs) return;
    const { sealedAtMs, returnedAtMs, isRepeat } = answer;
    const reason = reasonEntry(answer.reason as Reason).name;
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
