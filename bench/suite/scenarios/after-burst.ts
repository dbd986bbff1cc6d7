/** Ordinary load right after a burst, while the books still catch up. */
import { alternate, type Bench, goal, measure, plainTraffic, rate, realTraffic, type Scenario } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleOf, withFigures } from '../sample.js';
import { untilSettled, withSettlingHeld } from '../settled.js';

const connectionCount = 256;
const perSecond = 5000;
const burstCount = 150_000;
/** Longer than other rounds: the backlog must be gone within a minute. */
const measuredMs = 10_000;
const caughtUpSecondsMax = 60;

export const afterBurst: Scenario = {
  name: 'after-burst',
  title: `Latency at ${perSecond.toLocaleString('en-US')} a second right after a burst`,
  seconds: 150,
  engine: 'warm',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const count = isSmoke ? 500 : burstCount;
    const series = await alternate(bench, [
      { name: 'engine', control: false, needsEngine: true, run: () => burstThenRate(bench, count, isSmoke) },
    ]);
    const { samples } = series[0]!;
    return {
      settings: {
        'unsettled before': count,
        connections: connectionCount,
        arrivals: 'Poisson',
        traffic: 'authorizations, skewed cards and shops',
      },
      series,
      goals: [
        goal('p99 ≤ 10 ms, no refusal', samples, ({ p99Ms = 1e9 }) => p99Ms <= 10),
        goal(
          'caught up within a minute',
          samples,
          ({ caughtUpSeconds = 1e9 }) => caughtUpSeconds <= caughtUpSecondsMax,
        ),
      ],
      notes: ['Settling is held back during the burst and goes on when the measured load begins.'],
    };
  },
};

async function burstThenRate(bench: Bench, count: number, isSmoke: boolean): Promise<Sample> {
  const { stack, log, scale } = bench;
  await untilSettled(stack, log);
  await withSettlingHeld(stack, () =>
    measure(bench, stack.engine, {
      pace: { kind: 'closed' },
      connectionCount,
      traffic: plainTraffic(bench),
      warmUpMs: 0,
      // The number of authorizations ends it.
      durationMs: 600_000,
      requestCountMax: count,
    }),
  );
  const releasedAtMs = performance.now();
  const measurement = await measure(bench, stack.engine, {
    pace: rate(bench, perSecond),
    connectionCount,
    traffic: realTraffic(bench, 'authorizations'),
    warmUpMs: 0,
    durationMs: isSmoke ? scale.durationMs : measuredMs,
  });
  const isSettled = await untilSettled(stack, log);
  const caughtUpSeconds = isSettled ? (performance.now() - releasedAtMs) / 1000 : null;
  return withFigures(sampleOf(measurement), { caughtUpSeconds });
}
