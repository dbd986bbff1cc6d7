/** No single clock makes a hold lapse too early. */
import t from 'tap';
import { LapseClock } from './lapse-clock.js';

const minuteMs = 60_000;
const dayMs = 1440 * minuteMs;

function stage() {
  const clocks = { wallMs: 1_000_000_000_000, steadyMs: 5000 };
  const logged: string[] = [];
  const note = (fields: unknown, text?: string) => logged.push(text ?? String(fields));
  const log = { info: note, warn: note };
  const clock = new LapseClock(
    () => clocks.wallMs,
    () => clocks.steadyMs,
    log as never,
  );
  const pass = (ms: number) => {
    clocks.wallMs += ms;
    clocks.steadyMs += ms;
  };
  return { clocks, clock, logged, pass };
}

t.test('a wall clock eight days ahead for twelve seconds lapses no hold, and both jumps are logged', async (t) => {
  const { clocks, clock, logged, pass } = stage();
  const beganMs = clocks.wallMs;
  clocks.wallMs += 8 * dayMs;
  for (let second = 2; second <= 12; second += 2) {
    pass(2000);
    t.equal(clock.nowMs(), beganMs + second * 1000);
  }
  clocks.wallMs -= 8 * dayMs;
  pass(2000);
  t.equal(clock.nowMs(), clocks.wallMs);
  t.match(logged, [/jumped ahead/, /agrees .* again/]);
  t.equal(logged.length, 2);
});

t.test(
  'a wall clock that stays ahead counts after a quarter of an hour, because the machine was suspended',
  async (t) => {
    const { clocks, clock, logged, pass } = stage();
    clocks.wallMs += dayMs;
    t.equal(clock.nowMs(), clocks.wallMs - dayMs);
    pass(14 * minuteMs);
    t.equal(clock.nowMs(), clocks.wallMs - dayMs);
    pass(minuteMs);
    t.equal(clock.nowMs(), clocks.wallMs);
    pass(2000);
    t.equal(clock.nowMs(), clocks.wallMs);
    t.match(logged, [/jumped ahead/, /stayed ahead/]);
  },
);

t.test('the clock follows a wall clock that is set back or drifts', async (t) => {
  const { clocks, clock, logged, pass } = stage();
  for (const shift of [-dayMs, 900, -900, 20_000]) {
    clocks.wallMs += shift;
    pass(2000);
    t.equal(clock.nowMs(), clocks.wallMs);
  }
  t.same(logged, []);
});

t.test("no hold lapses before the database's clock says so", async (t) => {
  const { clock, logged } = stage();
  t.equal(clock.earlier(1000, 2000), 1000);
  t.equal(clock.earlier(2000, 1900), 1900);
  t.same(logged, []);
  t.equal(clock.earlier(8 * dayMs, 5), 5);
  t.equal(clock.earlier(8 * dayMs, 6), 6);
  t.match(logged, [/database's clock is behind/]);
  t.equal(logged.length, 1, 'the difference is logged once');
});
