/** Starting again: a bounded number of times in a row. */
import t from 'tap';
import { Restarts } from './restarts.js';

t.test('pauses double, attempts are bounded, and a long run restores them', async (t) => {
  let nowMs = 0;
  const restarts = new Restarts({ attemptsMax: 3, delayMsMin: 500, steadyMs: 60_000 }, () => nowMs);
  t.same([restarts.next(), restarts.next(), restarts.next(), restarts.next()], [500, 1000, 2000, null]);
  nowMs += 2000 + 60_000;
  t.equal(restarts.next(), null, 'a run must be longer than that');
  nowMs += 60_001;
  t.equal(restarts.next(), 500);
});
