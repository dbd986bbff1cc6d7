/**
 * Books what a processor reports to have happened: facts, one after the other, each when the one before it is decided.
 * They pass the lanes, the journal and the deadline of authorizations. A fact is never revoked, and its id counts once:
 * a notification that was answered 503 may come again as a whole.
 */
import type { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryStatus } from '../exchange/slab.js';
import type { Codec } from '../protocols/codec.js';
import type { Ledger } from './ledger.js';
import type { Waiter } from './waiter.js';

/** What became of one fact; `refused`: nothing was decided. */
export interface Booked {
  readonly isRefused: boolean;
  readonly isRepeat: boolean;
  readonly reason: Reason;
}

export interface FactBookerOptions {
  readonly ledger: Pick<Ledger, 'submit'>;
  nowMs(): number;
}

/**
 * Resolves when each fact is decided, or one was refused. Never rejects.
 * @param each hears of every fact that was decided
 * @returns why a fact was refused; null: all are decided
 */
export async function bookFacts(
  { ledger, nowMs }: FactBookerOptions,
  codec: Codec,
  facts: readonly Uint8Array[],
  each: (booked: Booked) => void,
): Promise<Reason | null> {
  for (const fact of facts) {
    const booked = await new Promise<Booked>((resolve) => {
      ledger.submit(codec, fact, new FactWaiter(codec.protocol, nowMs(), resolve));
    });
    if (booked.isRefused) return booked.reason;
    each(booked);
  }
  return null;
}

class FactWaiter implements Waiter {
  readonly kind: number;
  readonly arrivalMs: number;
  readonly #resolve: (booked: Booked) => void;
  reentries = 0;
  isSettled = false;
  isRefused = false;

  constructor(kind: number, arrivalMs: number, resolve: (booked: Booked) => void) {
    this.kind = kind;
    this.arrivalMs = arrivalMs;
    this.#resolve = resolve;
  }

  answer(from: Answers, index: number): void {
    const isRepeat = (from.answerFlags[index]! & AnswerFlag.repeated) !== 0;
    const isRefused = from.status[index] !== EntryStatus.decided;
    this.#settle({ isRefused, isRepeat, reason: from.reason[index] as Reason });
  }

  refuse(reason: Reason): void {
    this.isRefused = true;
    this.#settle({ isRefused: true, isRepeat: false, reason });
  }

  #settle(booked: Booked): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.#resolve(booked);
  }
}
