/** Percentiles of a sliding window. */
import t from 'tap';
import { LatencyWindow } from './latency-window.js';

const count = (counts: Iterable<number>) => [...counts].reduce((sum, each) => sum + each);

t.test('percentiles are at most 8 % above the exact ones', async (t) => {
  const window = new LatencyWindow();
  for (let ms = 1; ms <= 1000; ms++) window.add(ms, 1);
  for (const quantile of [0.5, 0.95, 0.99]) {
    const exact = 1000 * quantile;
    const shown = window.quantile(quantile, 1);
    t.ok(shown >= exact && shown <= exact * 1.08, `${quantile}: ${shown}`);
  }
  const { counts, sum } = window.observed();
  t.equal(count(counts), 1000);
  t.equal(sum, 500.5);
});

t.test('the window forgets times older than two minutes, and the histogram keeps all', async (t) => {
  const window = new LatencyWindow();
  window.add(500, 0);
  window.add(1, 61_000);
  t.ok(window.quantile(0.99, 61_000) >= 500);
  t.ok(window.quantile(0.99, 122_000) < 2);
  t.equal(window.quantile(0.99, 400_000), 0);
  t.equal(count(window.observed().counts), 2);
});

t.test('times beyond both ends are counted', async (t) => {
  const window = new LatencyWindow();
  window.add(0, 1);
  window.add(1e9, 1);
  t.ok(window.quantile(0.1, 1) <= 0.05);
  t.ok(window.quantile(0.99, 1) > 60_000);
});
