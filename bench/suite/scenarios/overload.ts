/**
 * More work than the engine takes at once: what it takes keeps its latency, the rest is turned away fast, memory stays
 * flat. The bound is set to 128 requests in flight, and twice and ten times as many callers ask without a pause; an open
 * loop at ten times the ceiling would need more cores than the engine has.
 */
import { type Bench, measure, plainTraffic, type Scenario, warmUp } from '../bench.js';
import type { Sample, Series } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';

const inFlightMax = 128;

export const overload: Scenario = {
  name: 'overload',
  title: `Twice and ten times as many callers as are let in (${inFlightMax} at once)`,
  seconds: 45,
  async run(bench) {
    const limit = bench.scale.name === 'smoke' ? 8 : inFlightMax;
    await bench.stack.restartEngine({ env: { MAX_IN_FLIGHT: String(limit) } });
    try {
      if (bench.scale.name === 'full') await warmUp(bench);
      const series: Series[] = [];
      for (const factor of [1, 2, 10]) {
        const samples: Sample[] = [];
        for (let round = 0; round < bench.scale.roundCount; round++) samples.push(await press(bench, limit * factor));
        series.push({ name: factor === 1 ? 'as many as are let in' : `${factor} times`, control: false, samples });
      }
      const [, twice, tenfold] = series;
      const refused = [...twice!.samples, ...tenfold!.samples];
      return {
        settings: { 'in flight at most': limit, traffic: 'plain authorizations, no pause after a refusal' },
        series,
        goals: [
          {
            text: 'refusals in under 50 ms (p99)',
            metCount: refused.filter(({ figures }) => (figures.refusedP99Ms ?? 0) < 50).length,
            roundCount: refused.length,
          },
        ],
        notes: [],
      };
    } finally {
      await bench.stack.restartEngine();
    }
  },
};

async function press(bench: Bench, connectionCount: number): Promise<Sample> {
  const before = bench.stack.engine;
  const measurement = await measure(bench, before, {
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench),
  });
  return withFigures(sampleOf(measurement, { refusalsExpected: true }), {
    perSecond: measurement.load.rightCount / measurement.load.seconds,
  });
}
