/** Counts into buckets without allocating; shown as a histogram by each scrape. */
import type { Observed } from './metrics.js';

export class Buckets {
  readonly counts: Float64Array;
  sum = 0;

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  add(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index++;
    this.counts[index]! += 1;
    this.sum += value;
  }

  /** @param scale so many of what was added are one of what is shown */
  observed(scale: number): Observed {
    return { bounds: this.bounds.map((bound) => bound / scale), counts: this.counts, sum: this.sum / scale };
  }
}
