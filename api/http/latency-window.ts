/**
 * Latencies of one route. They are counted for ever into Prometheus buckets, and for percentiles into fine logarithmic
 * buckets of the last one to two minutes. Adding allocates nothing.
 */
import { Buckets } from '../../platform/metrics/buckets.js';
import type { Observed } from '../../platform/metrics/metrics.js';

/** Fine buckets: 8 % apart, from 0.05 ms up to a minute and beyond. */
const fineGrowth = 1.08;
const fineFirstMs = 0.05;
const fineCount = 184;
const logGrowth = Math.log(fineGrowth);
const windowMs = 60_000;

export class LatencyWindow {
  readonly #all = new Buckets();
  #current = new Uint32Array(fineCount);
  #previous = new Uint32Array(fineCount);
  #currentSinceMs = 0;

  /** @param nowMs of performance.now() */
  add(tookMs: number, nowMs: number = performance.now()): void {
    this.#all.add(tookMs);
    this.#turn(nowMs);
    this.#current[fineIndex(tookMs)]! += 1;
  }

  /** All of them, in seconds. */
  observed(): Observed {
    return this.#all.observed();
  }

  /**
   * The latency in milliseconds below which the share `quantile` stayed, 8 % above at most; 0 when nothing was counted.
   */
  quantile(quantile: number, nowMs: number = performance.now()): number {
    this.#turn(nowMs);
    let total = 0;
    for (let index = 0; index < fineCount; index++) total += this.#current[index]! + this.#previous[index]!;
    if (total === 0) return 0;
    let rest = Math.ceil(total * quantile);
    for (let index = 0; index < fineCount; index++) {
      rest -= this.#current[index]! + this.#previous[index]!;
      if (rest <= 0) return fineFirstMs * fineGrowth ** index;
    }
    return fineFirstMs * fineGrowth ** fineCount;
  }

  #turn(nowMs: number): void {
    const age = nowMs - this.#currentSinceMs;
    if (age < windowMs) return;
    const old = this.#previous;
    this.#previous = this.#current;
    this.#current = old.fill(0);
    if (age >= 2 * windowMs) this.#previous.fill(0);
    this.#currentSinceMs = nowMs;
  }
}

function fineIndex(tookMs: number): number {
  if (tookMs <= fineFirstMs) return 0;
  return Math.min(fineCount - 1, Math.ceil(Math.log(tookMs / fineFirstMs) / logGrowth));
}
