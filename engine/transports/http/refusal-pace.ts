/**
 * When a refusal for overload leaves. A refused client that sends at once again costs as much as an accepted one: on
 * two cores, ten times the callers took nine tenths of the accepted work away. So beyond a rate each refusal waits a
 * bounded time. The connection carries no other request meanwhile, and the client learns it well inside its deadline.
 */
import { assert } from '../../core/invariant.js';
import { Reason } from '../../core/reasons.js';

/** What is refused; a client that has gone meanwhile is refused without effect. */
export interface Refused {
  refuse(reason: Reason): void;
}

/**
 * Longer leaves more cores to accepted messages, and answers the refused ones later. At 32 ms ten times the callers
 * leave 54 to 61 % of the accepted work, and a refusal leaves within 50 ms where the loop is not behind.
 */
export const refusalHoldMs = 32;
/** Fewer than 1,000 refusals a second cost a front at most a fiftieth of a core: they leave at once. */
export const refusalsAtOnce = 10;
const windowMs = 10;
const timerMs = 4;
/** As many connections as the largest set-up has; each holds at most one refusal. */
export const refusalsHeldMax = 16_384;
assert(refusalHoldMs + 2 * timerMs < 50, 'a refusal must leave within 50 ms');

export class RefusalPace {
  readonly #nowMs: () => number;
  /** In the order of their due times, from #head on. */
  #held: { readonly refused: Refused; readonly dueMs: number }[] = [];
  #head = 0;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #windowCount = 0;
  #timer: NodeJS.Timeout | null = null;

  /** @param nowMs monotonic milliseconds */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get heldCount(): number {
    return this.#held.length - this.#head;
  }

  /** Refuses it as overloaded: now, or after refusalHoldMs when many are refused. */
  refuse(refused: Refused): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#windowStartMs >= windowMs) {
      this.#windowStartMs = nowMs;
      this.#windowCount = 0;
    }
    this.#windowCount++;
    if (this.#windowCount <= refusalsAtOnce || this.heldCount >= refusalsHeldMax) {
      refused.refuse(Reason.overloaded);
      return;
    }
    this.#held.push({ refused, dueMs: nowMs + refusalHoldMs });
    this.#timer ??= setInterval(() => this.answerDue(), timerMs).unref();
  }

  /** Answers what has waited long enough. */
  answerDue(): void {
    this.#answerUntil(this.#nowMs());
  }

  /** Answers all at once; before the port closes. */
  end(): void {
    this.#answerUntil(Number.POSITIVE_INFINITY);
  }

  #answerUntil(untilMs: number): void {
    while (this.#head < this.#held.length && this.#held[this.#head]!.dueMs <= untilMs) {
      this.#held[this.#head++]!.refused.refuse(Reason.overloaded);
    }
    if (this.#head === this.#held.length) {
      this.#held = [];
      this.#head = 0;
      if (this.#timer !== null) clearInterval(this.#timer);
      this.#timer = null;
    } else if (this.#head >= refusalsHeldMax) {
      this.#held = this.#held.slice(this.#head);
      this.#head = 0;
    }
  }
}
