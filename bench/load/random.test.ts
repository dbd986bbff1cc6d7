import t from 'tap';
import { Random, Skew } from './random.js';

t.test('streams of different seeds differ, and the same stream repeats', async (t) => {
  const take = (seed: number, stream: number) => {
    const random = new Random(seed, stream);
    return [random.next(), random.next()];
  };
  t.strictSame(take(1, 0), take(1, 0));
  t.notSame(take(1, 0), take(1, 1));
  t.notSame(take(1, 0), take(2, 0));
});

t.test('skewed picks stay in range, reach every item, and prefer some', async (t) => {
  for (const count of [1, 2, 7, 1000]) {
    const skew = new Skew(count, 0.8);
    const random = new Random(3, 0);
    const counts = new Array<number>(count).fill(0);
    for (let pick = 0; pick < 200_000; pick++) counts[skew.pick(random)]!++;
    t.ok(
      counts.every((times) => times > 0),
      `all of ${count} are picked`,
    );
    t.equal(counts.length, count);
  }
});

t.test('the share of the most popular item follows the law', async (t) => {
  const count = 10_000;
  const exponent = 0.8;
  const skew = new Skew(count, exponent);
  const random = new Random(3, 0);
  const counts = new Map<number, number>();
  const picks = 500_000;
  for (let pick = 0; pick < picks; pick++) {
    const which = skew.pick(random);
    counts.set(which, (counts.get(which) ?? 0) + 1);
  }
  const ranked = [...counts.values()].sort((left, right) => right - left);
  const expected = (2 ** (1 - exponent) - 1) / ((count + 1) ** (1 - exponent) - 1);
  t.ok(Math.abs(ranked[0]! / picks / expected - 1) < 0.05, `the first has ${(ranked[0]! / picks) * 100} %`);
  t.ok(ranked[0]! > ranked[99]! * 10, 'the hundredth far less');
});

t.test('exponent 0 prefers no item', async (t) => {
  const skew = new Skew(10, 0);
  const random = new Random(3, 0);
  const counts = new Array<number>(10).fill(0);
  for (let pick = 0; pick < 100_000; pick++) counts[skew.pick(random)]!++;
  t.ok(Math.max(...counts) / Math.min(...counts) < 1.1);
});
