/** Turns a measurement into a sample: the figures that a table, a page and a comparison can show. */
import { faultsOf } from '../load/result.js';
import type { Measurement } from '../measure.js';
import type { FigureName, Sample } from './figures.js';

export interface SampleOptions {
  /** True where being turned away is part of the scenario. */
  readonly refusalsExpected?: boolean;
}

export function sampleOf({ load, use }: Measurement, options: SampleOptions = {}): Sample {
  const { latency, latencyRefused, generator } = load;
  const open = load.pace.kind === 'open';
  const judgedCount = load.rightCount + load.declinedCount + load.refusedCount + load.wrongCount;
  const refusedShare = load.refusedCount / Math.max(1, judgedCount);
  const refusals = load.refusedCount > 0;
  const values: Partial<Record<FigureName, number | null>> = {
    ...use,
    // What was turned away is no answer: it must not look like speed.
    perSecond: load.answersPerSecond * (1 - refusedShare),
    offeredPerSecond: load.pace.kind === 'open' ? load.pace.ratePerSecond : null,
    p50Ms: latency.p50Ms,
    p90Ms: latency.p90Ms,
    p99Ms: latency.p99Ms,
    p99_9Ms: isKnown(latency, 0.001) ? latency.p99_9Ms : null,
    p99_99Ms: isKnown(latency, 0.0001) ? latency.p99_99Ms : null,
    maxMs: latency.maxMs,
    refusedPerSecond: refusals ? load.answersPerSecond * refusedShare : null,
    refusedP99Ms: refusals ? latencyRefused.p99Ms : null,
    refusedMaxMs: refusals ? latencyRefused.maxMs : null,
    generatorUs: generator.cpuPerAnswerUs,
    // Near 1 the generator, not the server, is the limit.
    generatorBusy: generator.utilizationMax,
    lagP99Ms: open ? generator.lag.p99Ms : null,
    queuedShare: open && generator.dueCount > 0 ? generator.queuedCount / generator.dueCount : null,
  };
  const faults = faultsOf(load).filter((fault) => !(options.refusalsExpected === true && /× (503|429)$/.test(fault)));
  return { figures: known(values), histogram: load.histogram, faults, invalid: load.invalid };
}

/** A percentile with fewer values beyond it is one of them at random: no column of a table should hold it. */
const valuesBeyondMin = 10;

function isKnown({ count }: { readonly count: number }, shareBeyond: number): boolean {
  return count * shareBeyond >= valuesBeyondMin;
}

/** A sample of something that is not a load: only the figures that are known. */
export function sampleFrom(values: Partial<Record<FigureName, number | null>>, faults: readonly string[] = []): Sample {
  return { figures: known(values), histogram: null, faults, invalid: null };
}

/** The sample with more figures. */
export function withFigures(sample: Sample, values: Partial<Record<FigureName, number | null>>): Sample {
  return { ...sample, figures: { ...sample.figures, ...known(values) } };
}

function known(values: Partial<Record<FigureName, number | null>>): Partial<Record<FigureName, number>> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as Partial<Record<FigureName, number>>;
}
