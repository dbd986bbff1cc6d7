/**
 * While the front of an engine is busy, its partitions settle one after the other, and rest together. A statement keeps
 * a core busy: with a pace of its own each of twelve partitions would take what all of them may.
 */

/** A statement that takes longer waits for a lock or for the server: that must not hold up the other partitions. */
const turnMsMax = 500;

export class SettleTurns {
  /** In the order in which they began to wait. */
  readonly #waiting = new Set<object>();
  #takenAtMs = Number.POSITIVE_INFINITY;
  #restUntilMs = 0;

  /** @returns whether it is the turn of `one`, which keeps it until leave(). False: to be asked for again */
  take(one: object, nowMs: number): boolean {
    this.#waiting.add(one);
    const [first] = this.#waiting;
    if (this.#takenAtMs + turnMsMax <= nowMs) this.leave(first!);
    if (nowMs < this.#restUntilMs || this.#takenAtMs <= nowMs || !isFirst(this.#waiting, one)) return false;
    this.#takenAtMs = nowMs;
    return true;
  }

  /** It has settled, or does not wait any more. */
  leave(one: object): void {
    if (isFirst(this.#waiting, one)) this.#takenAtMs = Number.POSITIVE_INFINITY;
    this.#waiting.delete(one);
  }

  /** The turn that is over costs the others so much rest. */
  rest(untilMs: number): void {
    this.#restUntilMs = untilMs;
  }
}

function isFirst(waiting: ReadonlySet<object>, one: object): boolean {
  return waiting.values().next().value === one;
}
