/**
 * When the requests of an open loop are due: instants that follow from rate and seed alone and were fixed before the
 * first answer came. A server that is slow cannot slow them down.
 */
import type { Random } from './random.js';

export type Arrivals = 'constant' | 'poisson';

export class Schedule {
  /** Instant of the next request, milliseconds after the start. */
  nextMs: number;
  readonly #gapMeanMs: number;
  readonly #random: Random | null;
  #count = 0;
  readonly #offsetMs: number;

  /**
   * @param ratePerSecond of this thread
   * @param phase 0–1: shifts constant arrivals, so that several threads do not send at the same instants
   */
  constructor(arrivals: Arrivals, ratePerSecond: number, random: Random, phase: number) {
    this.#gapMeanMs = 1000 / ratePerSecond;
    this.#offsetMs = this.#gapMeanMs * phase;
    this.#random = arrivals === 'poisson' ? random : null;
    this.nextMs = arrivals === 'poisson' ? this.#gap(random) : this.#offsetMs;
  }

  advance(): void {
    this.#count++;
    // Constant arrivals are multiplied, not summed: rounding must not drift over millions of requests.
    if (this.#random === null) this.nextMs = this.#offsetMs + this.#count * this.#gapMeanMs;
    else this.nextMs += this.#gap(this.#random);
  }

  /** Exponential gaps: arrivals that know nothing of each other, as callers do. */
  #gap(random: Random): number {
    return -Math.log(random.unit()) * this.#gapMeanMs;
  }
}
