/**
 * Reads Prometheus text and computes what happened between two readings. Series that differ only in labels (partitions)
 * are added up. Just enough for the benchmarks: counters and histograms.
 */

/** One reading: the sum per metric name; buckets of histograms by their upper bound. */
export interface Metrics {
  readonly values: ReadonlyMap<string, number>;
  /** Histogram name → upper bound → cumulative count. */
  readonly buckets: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

export async function scrapeMetrics(url: string): Promise<Metrics> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return parseMetrics(await response.text());
}

export function parseMetrics(text: string): Metrics {
  const values = new Map<string, number>();
  const buckets = new Map<string, Map<number, number>>();
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (match === null) continue;
    const name = match[1]!;
    const value = Number(match[3]);
    if (!name.endsWith('_bucket')) {
      values.set(name, (values.get(name) ?? 0) + value);
      continue;
    }
    const bound = /(?:^|,)le="([^"]+)"/.exec(match[2] ?? '')?.[1];
    if (bound === undefined) continue;
    const histogram = name.slice(0, -'_bucket'.length);
    const counts = buckets.get(histogram) ?? new Map<number, number>();
    buckets.set(histogram, counts);
    const upper = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound);
    counts.set(upper, (counts.get(upper) ?? 0) + value);
  }
  return { values, buckets };
}

/** Growth of a counter; null when the server does not have it. */
export function counterDelta(before: Metrics, after: Metrics, name: string): number | null {
  const end = after.values.get(name);
  return end === undefined ? null : end - (before.values.get(name) ?? 0);
}

/** Mean of what a histogram observed between the readings; null when nothing. */
export function histogramMean(before: Metrics, after: Metrics, name: string): number | null {
  const count = counterDelta(before, after, `${name}_count`);
  const sum = counterDelta(before, after, `${name}_sum`);
  return count === null || sum === null || count <= 0 ? null : sum / count;
}

/**
 * Estimates a percentile of what a histogram observed between the readings, linearly inside its bucket; the lowest
 * bound of the last, open bucket when it falls in there. Null when nothing was observed.
 */
export function histogramPercentile(before: Metrics, after: Metrics, name: string, percentile: number): number | null {
  const ends = after.buckets.get(name);
  if (ends === undefined) return null;
  const starts = before.buckets.get(name);
  const bounds = [...ends.keys()].sort((left, right) => left - right);
  const counts = bounds.map((bound) => ends.get(bound)! - (starts?.get(bound) ?? 0));
  const total = counts.at(-1) ?? 0;
  if (total <= 0) return null;
  const rank = (total * percentile) / 100;
  const index = counts.findIndex((count) => count >= rank);
  const lower = index === 0 ? 0 : bounds[index - 1]!;
  const upper = bounds[index]!;
  if (upper === Number.POSITIVE_INFINITY) return lower;
  const below = index === 0 ? 0 : counts[index - 1]!;
  const inside = counts[index]! - below;
  return inside <= 0 ? upper : lower + ((upper - lower) * (rank - below)) / inside;
}
