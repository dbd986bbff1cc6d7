/** How late a follower is, in virtual time. */
import t from 'tap';
import { Lag } from './lag.js';

t.test('the age counts from when the oldest waiting record was seen', async (t) => {
  const lag = new Lag();
  lag.noted(10, 10, 0);
  t.equal(lag.ageMs(500), 0, 'no record waits');
  lag.noted(20, 10, 1000);
  lag.noted(30, 15, 2000);
  t.equal(lag.ageMs(3000), 2000, 'place 20 waits since 1000');
  lag.noted(40, 25, 4000);
  t.equal(lag.ageMs(5000), 1000, 'the waiting record was seen at 4000');
  lag.noted(40, 40, 6000);
  t.equal(lag.ageMs(9000), 0);
});

t.test('a source that was set back does not make the follower late for ever', async (t) => {
  const lag = new Lag();
  lag.noted(1000, 10, 0);
  lag.noted(20, 20, 1000);
  t.equal(lag.ageMs(2000), 0);
});

t.test('a follower that is late for half a minute is reported', async (t) => {
  const lag = new Lag();
  lag.noted(20, 10, 0);
  t.equal(lag.complaint('history', 10, 29_000), '');
  t.equal(lag.complaint('history', 10, 31_000), 'history: 10 wait to be copied, the first for 31 s');
  lag.noted(20, 20, 32_000);
  t.equal(lag.complaint('history', 0, 90_000), '');
  lag.noted(30, 20, 100_000);
  lag.reset();
  t.equal(lag.complaint('history', 0, 200_000), '', 'another process follows');
});
