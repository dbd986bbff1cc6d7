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
  /** The counts, and the sum behind them. */
  readonly cells: Float64Array;
  readonly counts: Float64Array;

  /** @param cells memory that another thread reads, Buckets.cellsOf(bounds) of them; its own when not given */
  constructor(
    readonly bounds: readonly number[] = latencyBoundsMs,
    cells: Float64Array = new Float64Array(Buckets.cellsOf(bounds)),
  ) {
    this.cells = cells;
    this.counts = cells.subarray(0, bounds.length + 1);
  }

  static cellsOf(bounds: readonly number[]): number {
    return bounds.length + 2;
  }

  get sum(): number {
    return this.cells[this.counts.length]!;
  }

  add(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > this.bounds[index]!) index++;
    this.counts[index]! += 1;
    this.cells[this.counts.length]! += value;
  }

  get count(): number {
    return this.counts.reduce((total, count) => total + count, 0);
  }

  /** @param scale so many of what was added are one of what is shown: milliseconds become seconds */
  observed(scale = 1000): Observed {
    return { bounds: this.bounds.map((bound) => bound / scale), counts: this.counts, sum: this.sum / scale };
  }
}
