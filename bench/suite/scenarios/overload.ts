/**
 * More work than the engine takes at once: what it takes keeps its latency, the rest is turned away fast, memory stays
 * flat. The bound is set to 128 requests in flight, and twice and ten times as many callers send without a pause. An
 * open loop at ten times the ceiling would need more cores than the engine has.
 */
import { alternate, type Bench, type Contender, goal, measure, plainTraffic, type Scenario, warmUp } from '../bench.js';
import type { Goal, Sample, Series } from '../figures.js';
import { sampleOf } from '../sample.js';

const inFlightMax = 128;

export const overload: Scenario = {
  name: 'overload',
  title: `Twice and ten times as many callers as are let in (${inFlightMax} at once)`,
  seconds: 45,
  engine: 'any',
  async run(bench) {
    const limit = bench.scale.name === 'smoke' ? 8 : inFlightMax;
    await bench.engineWith({ MAX_IN_FLIGHT: String(limit) });
    if (bench.scale.name === 'full') await warmUp(bench);
    const contender = (name: string, factor: number): Contender => ({
      name,
      control: false,
      needsEngine: true,
      run: () => press(bench, limit * factor),
    });
    const series = await alternate(bench, [
      contender('as many as are let in', 1),
      contender('2 times', 2),
      contender('10 times', 10),
    ]);
    return {
      settings: { 'in flight at most': limit, traffic: 'plain authorizations, no pause after a refusal' },
      series,
      goals: goalsOf(series),
      notes: [],
    };
  },
};

/** "Keeps its p99": what the cores spend on turning others away is not free, so not to the millisecond. */
const p99FactorMax = 2;
/** "Flat": more than readings differ, less than any queue that grows. */
const memoryFactorMax = 1.1;

const acceptedShareMin = 0.6;

function goalsOf([calm, twice, tenfold]: readonly Series[]): Goal[] {
  const overloaded = [twice!, tenfold!];
  const first = tenfold!.samples[0]!.figures.residentMiB ?? Number.NaN;
  return [
    ...overloaded.flatMap(({ name, samples }) => [
      // Without refusals it was no overload.
      goal(`${name}: refusals in under 50 ms (p99)`, samples, ({ refusedP99Ms = 1e9 }) => refusedP99Ms < 50),
      goal(
        `${name}: p99 of what is let in at most ${p99FactorMax} times that without overload`,
        samples,
        ({ p99Ms = 1e9 }, round) => p99Ms <= p99FactorMax * (calm!.samples[round]!.figures.p99Ms ?? 0),
      ),
    ]),
    goal(
      `10 times: at least ${Math.round(acceptedShareMin * 100)} % of what is accepted without overload`,
      tenfold!.samples,
      ({ perSecond = 0 }, round) => perSecond >= acceptedShareMin * (calm!.samples[round]!.figures.perSecond ?? 1e9),
    ),
    goal(
      `10 times: resident memory at most ${memoryFactorMax} times that of the first round`,
      tenfold!.samples,
      ({ residentMiB = 1e9 }) => residentMiB <= memoryFactorMax * first,
    ),
  ];
}

async function press(bench: Bench, connectionCount: number): Promise<Sample> {
  const measurement = await measure(bench, bench.stack.engine, {
    pace: { kind: 'closed' },
    connectionCount,
    traffic: plainTraffic(bench),
  });
  return sampleOf(measurement, { refusalsExpected: true });
}
