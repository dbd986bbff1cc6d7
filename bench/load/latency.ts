/**
 * Latency histograms of the benchmarks: microseconds, three significant digits, up to a minute. The plain flavour of
 * hdr-histogram-js; recording costs some tens of nanoseconds and allocates nothing.
 */
import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** A minute: far above every timeout used here. Longer ones are recorded as this and counted apart. */
export const latencyUsMax = 60_000_000;

export interface LatencySummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p99_9Ms: number;
  readonly p99_99Ms: number;
  readonly maxMs: number;
  /** Values above latencyUsMax, recorded as that. */
  readonly overRangeCount: number;
}

export interface EncodedLatency {
  readonly histogram: string;
  readonly overRangeCount: number;
}

function newHistogram(): Histogram {
  // Fixed range: a histogram that resizes would allocate in the middle of a measurement.
  return build({
    bitBucketSize: 32,
    autoResize: false,
    lowestDiscernibleValue: 1,
    highestTrackableValue: latencyUsMax,
    numberOfSignificantValueDigits: 3,
    useWebAssembly: false,
  });
}

export class Latency {
  readonly #histogram: Histogram = newHistogram();
  #overRangeCount = 0;

  record(latencyUs: number): void {
    if (latencyUs > latencyUsMax) {
      this.#overRangeCount++;
      this.#histogram.recordValue(latencyUsMax);
      return;
    }
    this.#histogram.recordValue(latencyUs < 1 ? 1 : Math.round(latencyUs));
  }

  reset(): void {
    this.#histogram.reset();
    this.#overRangeCount = 0;
  }

  /** As text that crosses a thread boundary. */
  encode(): EncodedLatency {
    return { histogram: encodeIntoCompressedBase64(this.#histogram), overRangeCount: this.#overRangeCount };
  }

  /** Adds the histogram of another thread: percentiles are read from the sum, never averaged. */
  add(encoded: EncodedLatency): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded.histogram));
    this.#overRangeCount += encoded.overRangeCount;
  }

  summary(): LatencySummary {
    const histogram = this.#histogram;
    const percentileMs = (percentile: number) =>
      histogram.totalCount === 0 ? 0 : histogram.getValueAtPercentile(percentile) / 1000;
    return {
      count: histogram.totalCount,
      meanMs: histogram.totalCount === 0 ? 0 : histogram.mean / 1000,
      p50Ms: percentileMs(50),
      p90Ms: percentileMs(90),
      p95Ms: percentileMs(95),
      p99Ms: percentileMs(99),
      p99_9Ms: percentileMs(99.9),
      p99_99Ms: percentileMs(99.99),
      maxMs: histogram.totalCount === 0 ? 0 : histogram.maxValue / 1000,
      overRangeCount: this.#overRangeCount,
    };
  }

  /** Percentiles in milliseconds as text, in the form that HdrHistogram's plotter reads (.hgrm). */
  distribution(): string {
    return this.#histogram.outputPercentileDistribution(5, 1000);
  }

  /** For a plot on a logarithmic axis: how rare (1 / (1 − share)), and the latency of it in milliseconds. */
  curve(): { readonly rarity: number; readonly ms: number }[] {
    const points: { rarity: number; ms: number }[] = [];
    for (let rarity = 1; rarity <= this.#histogram.totalCount; rarity *= curveStep) {
      points.push({ rarity, ms: this.#histogram.getValueAtPercentile(100 * (1 - 1 / rarity)) / 1000 });
    }
    return points;
  }
}

/** Twenty points for each factor of ten. */
const curveStep = 10 ** 0.05;

/** One histogram of several runs. */
export function mergeHistograms(encoded: readonly string[]): Latency {
  const merged = new Latency();
  for (const histogram of encoded) merged.add({ histogram, overRangeCount: 0 });
  return merged;
}
