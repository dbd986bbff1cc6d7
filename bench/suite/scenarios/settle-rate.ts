/**
 * The rate that the books keep up with: what is decided must also reach Postgres, or the journal grows without end.
 * Rates are tried from the top; the first at which the backlog does not grow is the answer. Each begins with the
 * backlog of the one before, so that settling no longer yields to the front. SETTLE_SECONDS says for how long each is
 * tried, and SETTLE_RATE_MAX where to begin.
 */
import { scrapeMetrics } from '../../metrics.js';
import { sizeFromEnvironment } from '../../run.js';
import { type Bench, goal, measure, plainTraffic, rate, type Scenario } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const ratesPerSecond = [20_000, 15_000, 12_500, 10_000, 9000, 8000, 7000, 6000, 5000, 2500, 1000];
const goalPerSecond = 15_000;
/** A backlog that grows by less than this share of the traffic stands still, as far as one can tell. */
const growthShareMax = 0.01;
const sampleEveryMs = 1000;

export const settleRate: Scenario = {
  name: 'settle-rate',
  title: 'The highest rate at which Postgres keeps up',
  seconds: 400,
  engine: 'warm',
  async run(bench) {
    const seconds = bench.scale.name === 'smoke' ? 1 : sizeFromEnvironment('SETTLE_SECONDS', 180);
    const series: Series[] = [];
    const rateMax = sizeFromEnvironment('SETTLE_RATE_MAX', ratesPerSecond[0]!);
    const rates = ratesPerSecond.filter((perSecond) => perSecond <= rateMax);
    for (const perSecond of bench.scale.name === 'smoke' ? [500] : rates) {
      const sample = await keepUp(bench, perSecond, seconds);
      series.push({ name: `${perSecond}/s`, control: false, samples: [sample] });
      const { backlogGrowthPerSecond } = sample.figures;
      const growth = backlogGrowthPerSecond === undefined ? 'an unknown number' : Math.round(backlogGrowthPerSecond);
      bench.log(`${perSecond}/s: backlog grows by ${growth} a second`);
      if (isFlat(sample.figures)) break;
    }
    return {
      settings: { 'seconds each': seconds, connections: 256, traffic: 'plain authorizations' },
      series,
      goals: [goal('15,000/s with a flat backlog', series.at(-1)!.samples, isGoalReached)],
      notes: ['The last row is the highest rate tried whose backlog stood still, unless its growth says otherwise.'],
    };
  },
};

function isGoalReached(figures: Sample['figures']): boolean {
  return isFlat(figures) && (figures.offeredPerSecond ?? 0) >= goalPerSecond * 0.99;
}

/** Whether the backlog stood still. */
export function isFlat({ backlogGrowthPerSecond = 1e9, offeredPerSecond = 1 }: Sample['figures']): boolean {
  return backlogGrowthPerSecond < offeredPerSecond * growthShareMax;
}

async function keepUp(bench: Bench, perSecond: number, seconds: number): Promise<Sample> {
  const { metricsUrl } = bench.stack.engine;
  const backlogs: { readonly atMs: number; readonly count: number }[] = [];
  const look = async () => {
    const metrics = await scrapeMetrics(metricsUrl).catch(() => null);
    const count = metrics?.values.get('shipper_lag_records');
    if (count !== undefined) backlogs.push({ atMs: performance.now(), count });
  };
  const timer = setInterval(() => void look(), sampleEveryMs);
  try {
    const measurement = await measure(bench, bench.stack.engine, {
      pace: rate(bench, perSecond),
      connectionCount: 256,
      traffic: plainTraffic(bench),
      durationMs: seconds * 1000,
      // Here the rate is what counts, not each latency: late by less than this is still the rate.
      lagMsMax: 1000,
    });
    await look();
    return withFigures(sampleOf(measurement), { backlogGrowthPerSecond: slope(backlogs) });
  } finally {
    clearInterval(timer);
  }
}

/**
 * Records per second by which the backlog grew in the second half: the first fills caches and lets settling begin. The
 * line of least squares, because settling rests for seconds and then takes much at once: between two points alone,
 * thousands of records up or down are chance. Null when there were too few looks.
 */
export function slope(backlogs: readonly { readonly atMs: number; readonly count: number }[]): number | null {
  const half = backlogs.slice(backlogs.length >> 1);
  const mean = (pick: (look: (typeof half)[number]) => number) =>
    half.reduce((sum, look) => sum + pick(look), 0) / half.length;
  const [atMean, countMean] = [mean(({ atMs }) => atMs), mean(({ count }) => count)];
  const spread = mean(({ atMs }) => (atMs - atMean) ** 2);
  if (half.length < 2 || spread === 0) return null;
  return (mean(({ atMs, count }) => (atMs - atMean) * (count - countMean)) * 1000) / spread;
}
