import { Protocol } from '../core/codes.js';
import type { Reason } from '../core/reasons.js';
import type { Slab } from '../exchange/slab.js';
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
  answer(slab: Slab, index: number): void {
    this.said = `answer ${slab.status[index]}`;
  }
  refuse(reason: Reason): void {
    this.isRefused = true;
    this.said = `refused ${reason}`;
  }
}
