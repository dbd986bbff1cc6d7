/** Counts by upper bound. Engines of different versions may have different bounds: their counts still add up. */
import type { LatencyCounts } from '../../platform/live/engine-line.js';
import type { LiveLatency } from './live-shape.js';

export class Histogram {
  /** By upper bound in ms; Infinity holds what lies above all bounds. */
  readonly #counts = new Map<number, number>();

  /** What was counted from one state of a counter to a later one. */
  addDifference(before: LatencyCounts, after: LatencyCounts): void {
    for (const [index, count] of after.counts.entries()) {
      const bound = after.boundsMs[index] ?? Number.POSITIVE_INFINITY;
      this.#add(bound, Math.max(0, count - (before.counts[index] ?? 0)));
    }
  }

  addAll(other: Histogram): void {
    for (const [bound, count] of other.#counts) this.#add(bound, count);
  }

  #add(bound: number, count: number): void {
    // Also 0: the next bucket begins at this bound.
    this.#counts.set(bound, (this.#counts.get(bound) ?? 0) + count);
  }

  /** Null: nothing was counted. */
  latency(): LiveLatency | null {
    const steps = [...this.#counts].sort(([one], [other]) => one - other);
    const total = steps.reduce((sum, [, count]) => sum + count, 0);
    if (total === 0) return null;
    const quantile = (share: number) => quantileOf(steps, share * total);
    return { p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999) };
  }
}

/** Between two bounds by a straight line, as Prometheus does; above all bounds, the highest one. */
function quantileOf(steps: readonly (readonly [bound: number, count: number])[], rank: number): number {
  let below = 0;
  let lower = 0;
  for (const [bound, count] of steps) {
    if (bound === Number.POSITIVE_INFINITY) break;
    if (below + count >= rank) return round(lower + (bound - lower) * ((rank - below) / count));
    below += count;
    lower = bound;
  }
  return round(lower);
}

/** To microseconds. */
export function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
