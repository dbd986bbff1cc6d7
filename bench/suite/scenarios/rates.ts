/** Open loop at fixed rates: the latency that callers see who do not wait for each other. */
import { alternate, goal, paced, pacedNames, type Scenario } from '../bench.js';
import { type Goal, type Sample, type Series, samplesOf } from '../figures.js';

const connectionCount = 256;

export const rates: readonly Scenario[] = [1000, 5000, 10_000, 20_000].map((perSecond) => ({
  name: `rate-${perSecond / 1000}k`,
  title: `Latency at ${perSecond.toLocaleString('en-US')} authorizations per second`,
  seconds: 64,
  engine: 'warm',
  async run(bench) {
    const series = await alternate(bench, paced(bench, perSecond, connectionCount));
    return {
      settings: {
        connections: connectionCount,
        arrivals: 'Poisson',
        traffic: 'authorizations, skewed cards and shops',
      },
      series,
      goals: goalsOf(perSecond, series),
      notes: [
        'Held back: the statements that settle wait meanwhile, and the journal grows. What PostgreSQL wrote before ' +
          'is on the disk. The durable echo writes and syncs each body before it sends it back, and decides nothing.',
      ],
    };
  },
}));

function goalsOf(perSecond: number, series: readonly Series[]): Goal[] {
  const beside = samplesOf(series, pacedNames.engine);
  const heldBack = samplesOf(series, pacedNames.engineHeldBack);
  const durable = samplesOf(series, pacedNames.durableEcho);
  const below =
    (p50: number, p99: number, p99_9: number) =>
    ({ p50Ms = 1e9, p99Ms = 1e9, p99_9Ms = 1e9 }: Sample['figures']) =>
      p50Ms <= p50 && p99Ms <= p99 && p99_9Ms <= p99_9;
  const costsAtMost =
    (us: number) =>
    ({ cpuUs = 1e9 }: Sample['figures']) =>
      cpuUs <= us;
  if (perSecond === 1000) {
    return [
      goal('p99 ≤ 2.5 ms', beside, ({ p99Ms = 1e9 }) => p99Ms <= 2.5),
      goal('CPU ≤ 150 µs an authorization', beside, costsAtMost(150)),
    ];
  }
  if (perSecond === 5000) {
    return [
      goal('p50 ≤ 0.8, p99 ≤ 4, p99.9 ≤ 10 ms', beside, below(0.8, 4, 10)),
      goal(
        'held back: p99 ≤ 1.5 × that of the durable echo',
        heldBack,
        ({ p99Ms = 1e9 }, round) => p99Ms <= 1.5 * (durable[round]?.figures.p99Ms ?? 0),
      ),
      goal('CPU ≤ 70 µs an authorization', beside, costsAtMost(70)),
    ];
  }
  return perSecond === 20_000 ? [goal('p50 ≤ 1.5, p99 ≤ 6, p99.9 ≤ 15 ms', beside, below(1.5, 6, 15))] : [];
}
