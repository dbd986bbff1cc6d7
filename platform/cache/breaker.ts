/**
 * Spares a service that does not answer. After a few failures in a row it gets a call only now and then, so that a
 * service that is down costs nothing per message.
 */
const failuresMax = 3;
const restMsMin = 100;
const restMsMax = 2000;

export class Breaker {
  readonly #nowMs: () => number;
  #failures = 0;
  #restMs = restMsMin;
  #closedAtMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Whether it may be asked. After a rest one is let through, to see. */
  tryPass(): boolean {
    if (this.#failures < failuresMax) return true;
    const nowMs = this.#nowMs();
    if (nowMs < this.#closedAtMs) return false;
    this.#rest(nowMs);
    return true;
  }

  /** As tryPass(), without using up the one that is let through. */
  get isResting(): boolean {
    return this.#failures >= failuresMax && this.#nowMs() < this.#closedAtMs;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#restMs = restMsMin;
  }

  failed(): void {
    this.#failures++;
    if (this.#failures === failuresMax) this.#rest(this.#nowMs());
  }

  #rest(nowMs: number): void {
    this.#closedAtMs = nowMs + this.#restMs;
    this.#restMs = Math.min(this.#restMs * 2, restMsMax);
  }
}
