/** Counts into buckets without allocating; shown as a histogram by each scrape. */
import type { Observed } from './metrics.js';

/**
 * Upper bounds of every latency histogram of both processes, in milliseconds. The edges 1, 2 and 5 of each power of ten
 * up to 1000 are promised to dashboards; the others are finer ones beside them.
 */
export const latencyBoundsMs: readonly number[] = [
  0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 20, 50, 100, 200, 500, 1000, 5000,
];

export class Buckets {
  readonly counts: Float64Array;
  sum = 0;

  constructor(readonly bounds: readonly number[] = latencyBoundsMs) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index++;
    this.counts[index]! += 1;
    this.sum += value;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }

  /** @param scale so many of what was added are one of what is shown: milliseconds become seconds */
  observed(scale = 1000): Observed {
    return { bounds: this.bounds.map((bound) => bound / scale), counts: this.counts, sum: this.sum / scale };
  }
}
