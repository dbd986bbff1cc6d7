/** Open loop at fixed rates: the latency that callers see who do not wait for each other. */
import { alternate, goal, paced, type Scenario } from '../bench.js';

const connectionCount = 256;

export const rates: readonly Scenario[] = [1000, 5000, 10_000, 20_000].map((perSecond) => ({
  name: `rate-${perSecond / 1000}k`,
  title: `Latency at ${perSecond.toLocaleString('en-US')} authorizations per second`,
  seconds: 32,
  engine: 'warm',
  async run(bench) {
    const series = await alternate(bench, paced(bench, perSecond, connectionCount));
    const engine = series[1]!.samples;
    const fast = ({ p50Ms = 1e9, p99Ms = 1e9, p99_9Ms = 1e9 }) => p50Ms <= 1.5 && p99Ms <= 6 && p99_9Ms <= 15;
    return {
      settings: {
        connections: connectionCount,
        arrivals: 'Poisson',
        traffic: 'authorizations, skewed cards and shops',
      },
      series,
      goals: perSecond === 20_000 ? [goal('p50 ≤ 1.5, p99 ≤ 6, p99.9 ≤ 15 ms', engine, fast)] : [],
      notes: [],
    };
  },
}));
