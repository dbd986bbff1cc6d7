/** The latencies of a series over all its rounds. */
import { type Latency, mergeHistograms } from '../load/latency.js';
import type { Series } from './figures.js';

/** All valid rounds of a series in one histogram; null when it has none. */
export function mergedHistogram({ samples }: Series): Latency | null {
  const encoded = samples.filter(({ invalid }) => invalid === null).flatMap(({ histogram }) => histogram ?? []);
  return encoded.length === 0 ? null : mergeHistograms(encoded);
}
