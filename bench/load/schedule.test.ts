import t from 'tap';
import { Random } from './random.js';
import { type Arrivals, Schedule } from './schedule.js';

function instants(arrivals: Arrivals, count: number, seed = 5, phase = 0): number[] {
  const schedule = new Schedule(arrivals, 1000, new Random(seed, 0), phase);
  return Array.from({ length: count }, () => {
    const { nextMs } = schedule;
    schedule.advance();
    return nextMs;
  });
}

t.test('constant arrivals keep their distance and do not drift', async (t) => {
  t.strictSame(instants('constant', 4), [0, 1, 2, 3]);
  t.strictSame(instants('constant', 3, 5, 0.5), [0.5, 1.5, 2.5]);
  t.equal(instants('constant', 1_000_001).at(-1), 1_000_000);
});

t.test('Poisson arrivals are fixed by the seed', async (t) => {
  t.strictSame(instants('poisson', 100), instants('poisson', 100));
  t.notSame(instants('poisson', 100), instants('poisson', 100, 6));
});

t.test('Poisson arrivals have the rate and the spread of their law', async (t) => {
  const times = instants('poisson', 100_000);
  t.ok(Math.abs(times.at(-1)! / 100_000 - 1) < 0.02, 'one a millisecond in the mean');
  // Counts per 10 ms: of a Poisson process mean and variance are the same.
  const counts = new Array<number>(9000).fill(0);
  for (const time of times) if (time < 90_000) counts[Math.floor(time / 10)]!++;
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
  t.ok(Math.abs(variance / mean - 1) < 0.1, `variance ${variance}, mean ${mean}`);
});
