/**
 * One message on its way to its answer. It keeps the frame as it came, because the answer takes fields over from it:
 * reading it again costs less memory than keeping what was read.
 */
import { Protocol } from '../../core/codes.js';
import type { Reason } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import type { Waiter } from '../../ledger/waiter.js';
import type { IsoQuestion } from '../../protocols/iso8583/questions.js';

export interface ExchangeOwner {
  answered(exchange: IsoExchange, from: Answers, index: number): void;
  refused(exchange: IsoExchange, reason: Reason): void;
}

export class IsoExchange implements Waiter {
  readonly kind = Protocol.iso8583;
  readonly arrivalMs: number;
  /** Header and message. */
  readonly frame: Buffer;
  readonly question: IsoQuestion;
  readonly #owner: ExchangeOwner;
  reentries = 0;
  isSettled = false;
  isRefused = false;

  constructor(owner: ExchangeOwner, arrivalMs: number, frame: Buffer, question: IsoQuestion) {
    this.#owner = owner;
    this.arrivalMs = arrivalMs;
    this.frame = frame;
    this.question = question;
  }

  answer(from: Answers, index: number): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#owner.answered(this, from, index);
  }

  refuse(reason: Reason): void {
    this.isRefused = true;
    if (this.isSettled) return;
    this.isSettled = true;
    this.#owner.refused(this, reason);
  }

  /** The peer has gone. What is decided stands: the network asks again with the same key, or reverses. */
  abort(): void {
    this.isSettled = true;
  }
}
