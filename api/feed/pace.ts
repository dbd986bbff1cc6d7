/**
 * How much background work goes into one step: as much as the store did in `targetMs` the last time. Grows by
 * doubling and shrinks at once, so that a store that becomes slow is given small steps from the next one on.
 */
export interface PaceOptions {
  readonly first: number;
  readonly max: number;
  readonly targetMs: number;
}

export class Pace {
  readonly #options: PaceOptions;
  #size: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#size = options.first;
  }

  /** Items for the next step, 1 at least. */
  get size(): number {
    return this.#size;
  }

  /** A step of `count` items took the store this long. */
  took(count: number, tookMs: number): void {
    if (count === 0) return;
    const { max, targetMs } = this.#options;
    const wanted = Math.floor((count * targetMs) / Math.max(tookMs, 0.1));
    if (tookMs > targetMs) this.#size = Math.max(1, Math.min(this.#size, wanted));
    // A small step that was fast says little about a large one.
    else this.#size = Math.max(this.#size, Math.min(wanted, count * 2, max));
  }
}
