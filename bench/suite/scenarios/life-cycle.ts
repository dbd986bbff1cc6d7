/** The whole life of authorizations, every answer foretold and checked. */
import { alternate, measure, rate, realTraffic, type Scenario } from '../bench.js';
import { sampleOf } from '../sample.js';

export const lifeCycle: Scenario = {
  name: 'life-cycle',
  title: 'Increments, clearings, reversals, refunds and repeats among the authorizations, 5,000 messages per second',
  seconds: 16,
  engine: 'warm',
  async run(bench) {
    const kinds: Record<string, number> = {};
    const series = await alternate(bench, [
      {
        name: 'engine',
        control: false,
        needsEngine: true,
        async run() {
          const measurement = await measure(bench, bench.stack.engine, {
            pace: rate(bench, 5000),
            connectionCount: 256,
            traffic: realTraffic(bench, 'all'),
          });
          Object.assign(kinds, measurement.load.kindCounts);
          return sampleOf(measurement);
        },
      },
    ]);
    const mix = Object.entries(kinds).map(([kind, count]) => `${count} × ${kind}`);
    return {
      settings: { connections: 256, arrivals: 'Poisson' },
      series,
      goals: [],
      notes: [`Last round: ${mix.join(', ')}.`],
    };
  },
};
