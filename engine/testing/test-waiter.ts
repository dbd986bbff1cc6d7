import { Protocol } from '../core/codes.js';
import type { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import type { Waiter } from '../ledger/waiter.js';

/** A client that notes its answer. */
export class TestWaiter implements Waiter {
  readonly kind = Protocol.native;
  reentries = 0;
  /** '' while it waits. */
  said = '';
  isRefused = false;

  constructor(readonly arrivalMs: number) {}

  get isSettled(): boolean {
    return this.said !== '';
  }
  answer(from: Answers, index: number): void {
    this.said = `answer ${from.status[index]}`;
  }
  refuse(reason: Reason): void {
    this.isRefused = true;
    this.said = `refused ${reason}`;
  }
}
