/** The check that chaos is judged by: it finds an order where there is one, and none where an engine lies. */
import t from 'tap';
import { Random } from '../protocols/testing/mutate.js';
import { type Operation, whyNoOrder } from './linearizability.js';
import { testSeed } from './runs.js';

const start = { funds: 1000, held: 0, posted: 0 };

/** A hold of `held`, asked and answered at these times. */
function hold(name: string, held: number, available: number, askedAtMs: number, answeredAtMs: number): Operation {
  const moved = { funds: 0, held, posted: 0 };
  return { name, askedAtMs, answeredAtMs, moved, available, books: null, fleetingMinor: 0, fleetingMax: 0 };
}

t.test('answers that overlap may come in any order that fits', async (t) => {
  t.equal(whyNoOrder([hold('a', 10, 970, 0, 9), hold('b', 20, 980, 1, 8)], start), '');
  t.equal(whyNoOrder([hold('a', 10, 990, 0, 9), hold('b', 20, 970, 1, 8), hold('look', 0, 990, 0, 9)], start), '');
});

t.test('an answer that does not know an earlier one has no place', async (t) => {
  t.match(whyNoOrder([hold('a', 10, 990, 0, 1), hold('b', 20, 980, 2, 3)], start), /none of these fits: b/);
  t.match(whyNoOrder([hold('a', 10, 990, 0, 1), hold('look', 0, 1000, 2, 3)], start), /look/);
  t.equal(whyNoOrder([hold('a', 10, 990, 0, 2), hold('look', 0, 1000, 1, 3)], start), '', 'unless they overlap');
});

t.test('what a late attempt held may be seen until it is revoked, and not after its answer', async (t) => {
  const late = { ...hold('late', 10, 990, 0, 20), fleetingMinor: 10, fleetingMax: 1 };
  const look = (available: number, atMs: number) => hold('look', 0, available, atMs, atMs + 1);
  t.equal(whyNoOrder([late, look(990, 5), look(1000, 10)], start), '');
  t.match(whyNoOrder([late, look(990, 5), look(1000, 10), look(990, 12), look(1000, 14)], start), /look/);
  t.match(whyNoOrder([late, look(980, 5)], start), /look/);
});

t.test('a long history with many at a time has an order, and none when one answer is changed', async (t) => {
  const random = new Random(testSeed);
  const operations: Operation[] = [];
  let available = 1000;
  for (let count = 0; count < 4_000; count++) {
    const moved = random.below(5) === 0 ? 0 : random.below(7) - 3;
    available -= moved;
    // It takes effect at the instant `count`.
    operations.push(hold(`${count}`, moved, available, count - random.below(24), count + 1 + random.below(24)));
  }
  t.equal(whyNoOrder(operations, start), '');
  const changed = operations.with(2_000, { ...operations[2_000]!, available: -1_000_000 });
  t.match(whyNoOrder(changed, start), /none of these fits|not decided/);
});
