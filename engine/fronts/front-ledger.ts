/**
 * The ledger as a front thread has it: it hands messages to the main thread, and gets their answers. Deadlines
 * and refusals are the main thread's, whose waiter the ledger knows (front-link.ts).
 */
import { assert } from '../core/invariant.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import type { Waiter } from '../ledger/waiter.js';
import type { SentOn } from '../ops/message-traces.js';
import type { Codec } from '../protocols/codec.js';
import type { MessageLedger } from '../transports/http/server-options.js';
import type { BodyBytes } from './body-bytes.js';
import { type AnswerTaker, BatchWriter, readAnswers } from './front-batch.js';

export interface FrontLedgerOptions {
  /** Messages that may be with the main thread at once. */
  readonly placesMax: number;
  readonly bodyBytes: BodyBytes;
  post(batch: ArrayBuffer): void;
  /** Runs `task` at the end of this event-loop turn. */
  schedule(task: () => void): void;
}

/** A message that is traced: the main thread may send it to another engine, whose span hangs below the one of here. */
interface TracedWaiter extends Waiter {
  readonly traceparent: string;
  sentOn: SentOn | null;
}

export class FrontLedger implements MessageLedger, AnswerTaker {
  readonly #options: FrontLedgerOptions;
  readonly #batch = new BatchWriter();
  /** By place; null: free. */
  readonly #waiters: (Waiter | null)[];
  readonly #free: number[];
  #isDue = false;

  constructor(options: FrontLedgerOptions) {
    this.#options = options;
    const { placesMax } = options;
    this.#waiters = new Array<Waiter | null>(placesMax).fill(null);
    this.#free = Array.from({ length: placesMax }, (_, index) => placesMax - 1 - index);
  }

  /** Messages that the main thread has not ended. */
  get waiting(): number {
    return this.#waiters.length - this.#free.length;
  }

  submit(codec: Codec, body: Uint8Array, waiter: Waiter): void {
    const { bodyBytes } = this.#options;
    // Admission bounds the clients. Those that have gone keep their place until the main thread knows it.
    if (this.#free.length === 0 || !bodyBytes.add(body.length)) {
      waiter.refuse(Reason.overloaded);
      return;
    }
    const place = this.#free.pop()!;
    assert(this.#waiters[place] === null, 'a place is free when it is given');
    this.#waiters[place] = waiter;
    this.#batch.message(place, codec.protocol, waiter.arrivalMs, isTraced(waiter) ? waiter.traceparent : '', body);
    this.#due();
  }

  abandon(waiter: Waiter): void {
    const place = this.#waiters.indexOf(waiter);
    if (place < 0) return;
    this.#batch.abandon(place);
    this.#due();
  }

  #due(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#options.schedule(() => {
      this.#isDue = false;
      this.#options.post(this.#batch.take());
    });
  }

  /** A batch of the main thread. */
  take(batch: ArrayBuffer): void {
    readAnswers(batch, this);
  }

  answer(place: number, from: Answers, reentries: number, trace: string): void {
    const waiter = this.#end(place, reentries, trace);
    if (!waiter.isSettled) waiter.answer(from, 0);
  }

  refusal(place: number, reason: number, reentries: number, trace: string): void {
    const waiter = this.#end(place, reentries, trace);
    if (!waiter.isSettled) waiter.refuse(reason as Reason);
  }

  abandoned(place: number): void {
    this.#end(place, 0, '');
  }

  /** @returns the waiter, whose client may have gone meanwhile */
  #end(place: number, reentries: number, trace: string): Waiter {
    const waiter = this.#waiters[place];
    assert(waiter != null, 'the main thread ends a message once');
    this.#waiters[place] = null;
    this.#free.push(place);
    waiter.reentries = reentries;
    if (trace !== '' && isTraced(waiter)) waiter.sentOn = JSON.parse(trace) as SentOn;
    return waiter;
  }
}

function isTraced(waiter: Waiter): waiter is TracedWaiter {
  return 'traceparent' in waiter;
}
