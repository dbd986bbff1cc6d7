/**
 * The main thread's end of the way to a front thread: it gives the messages to the ledger, and lays what became of them
 * into the next batch back. It makes the waiters that the ledger knows. They own deadline and refusal, so an approval
 * that is decided behind a 503 is revoked as in an engine of one thread.
 */
import type { TraceParent } from '../../platform/tracing/traces.js';
import { assert } from '../core/invariant.js';
import type { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import type { Ledger } from '../ledger/ledger.js';
import type { Waiter } from '../ledger/waiter.js';
import type { MessageTraces, SentOn } from '../ops/message-traces.js';
import type { Codecs } from '../protocols/registry.js';
import type { BodyBytes } from './body-bytes.js';
import { BatchWriter, type MessageTaker, readMessages } from './front-batch.js';

export interface FrontLinkOptions {
  /** Messages of the front thread that may be here at once. */
  readonly placesMax: number;
  readonly bodyBytes: BodyBytes;
  readonly codecs: Codecs;
  readonly ledger: Pick<Ledger, 'submit'>;
  /** Null: traces are off. */
  readonly traces: Pick<MessageTraces, 'sendOn'> | null;
  post(batch: ArrayBuffer): void;
  /** Runs `task` at the end of this event-loop turn. */
  schedule(task: () => void): void;
}

export class FrontLink implements MessageTaker {
  readonly #options: FrontLinkOptions;
  readonly #batch = new BatchWriter();
  /** By place. */
  readonly #messages: (FrontMessage | undefined)[];
  #isDue = false;
  /** The front thread takes nothing more. */
  isClosed = false;

  constructor(options: FrontLinkOptions) {
    this.#options = options;
    this.#messages = new Array<FrontMessage | undefined>(options.placesMax).fill(undefined);
  }

  /** A batch of the front thread. */
  take(batch: ArrayBuffer): void {
    if (!this.isClosed) readMessages(batch, this);
  }

  message(place: number, protocol: number, arrivalMs: number, traceparent: string, body: Buffer): void {
    const { bodyBytes, codecs, ledger, traces } = this.#options;
    bodyBytes.read(body.length);
    assert(place < this.#messages.length && this.#messages[place] === undefined, 'a place has one message at a time');
    const waiter =
      traces === null
        ? new FrontMessage(this, place, protocol, arrivalMs)
        : new TracedFrontMessage(traces, traceparent, this, place, protocol, arrivalMs);
    this.#messages[place] = waiter;
    ledger.submit(codecs[protocol]!, body, waiter);
  }

  /** A decision that was made of it is kept; one whose answer is on its way has ended. */
  abandon(place: number): void {
    this.#messages[place]?.abandon();
  }

  /** Makes room for the end of a message. */
  end(place: number): BatchWriter {
    this.#messages[place] = undefined;
    if (!this.#isDue) {
      this.#isDue = true;
      this.#options.schedule(() => this.flush());
    }
    return this.#batch;
  }

  /** Hands over what waits for the end of the turn. */
  flush(): void {
    this.#isDue = false;
    if (this.isClosed || this.#batch.isEmpty) return;
    this.#options.post(this.#batch.take());
  }
}

class FrontMessage implements Waiter {
  readonly #link: FrontLink;
  readonly #place: number;
  readonly kind: number;
  readonly arrivalMs: number;
  reentries = 0;
  isRefused = false;
  #isSettled = false;

  constructor(link: FrontLink, place: number, protocol: number, arrivalMs: number) {
    this.#link = link;
    this.#place = place;
    this.kind = protocol;
    this.arrivalMs = arrivalMs;
  }

  get isSettled(): boolean {
    return this.#isSettled || this.#link.isClosed;
  }

  /** JSON of the ids under which it was sent to another engine; '': it was not. */
  protected get sentOnText(): string {
    return '';
  }

  answer(from: Answers, index: number): void {
    this.#end()?.answer(this.#place, from, index, this.reentries, this.sentOnText);
  }

  refuse(reason: Reason): void {
    this.isRefused = true;
    this.#end()?.refusal(this.#place, reason, this.reentries, this.sentOnText);
  }

  abandon(): void {
    this.#end()?.abandoned(this.#place);
  }

  #end(): BatchWriter | null {
    if (this.isSettled) return null;
    this.#isSettled = true;
    return this.#link.end(this.#place);
  }
}

class TracedFrontMessage extends FrontMessage {
  readonly #traces: Pick<MessageTraces, 'sendOn'>;
  readonly #traceparent: string;
  #sentOn: SentOn | null = null;

  constructor(
    traces: Pick<MessageTraces, 'sendOn'>,
    traceparent: string,
    ...message: ConstructorParameters<typeof FrontMessage>
  ) {
    super(...message);
    this.#traces = traces;
    this.#traceparent = traceparent;
  }

  hopTrace(): TraceParent {
    this.#sentOn ??= this.#traces.sendOn(this.#traceparent);
    const { ids, isDrawn } = this.#sentOn;
    return { traceId: ids.traceId, spanId: ids.spanId, isSampled: isDrawn };
  }

  protected override get sentOnText(): string {
    return this.#sentOn === null ? '' : JSON.stringify(this.#sentOn);
  }
}
