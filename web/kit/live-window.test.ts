/** What the live page counts: over the span that it says, and within bounds. */
import t from 'tap';
import type { LiveTick } from '../../api/live/live-shape.js';
import { decisionsMax, pointsOf, shareApproved, sumOf, withDecisions, withPoint, withTick } from './live-window.js';

const startMs = Date.UTC(2026, 10, 27, 12);

function tick(number: number, more: Partial<LiveTick> = {}): LiveTick {
  return {
    atMs: startMs + number * 250,
    windowMs: 250,
    decided: 10,
    approved: 9,
    refused: 0,
    byReason: { limit_exceeded: 1 },
    latencyMs: { p50: 1, p99: 3, p999: 9 },
    hopsMs: null,
    slowest: [],
    books: null,
    alerts: [],
    settleLagMs: 400,
    settleLagRecords: 4,
    engines: [],
    last: [],
    ...more,
  };
}

const ticksOf = (count: number) => {
  let ticks: readonly LiveTick[] = [];
  for (let number = 0; number < count; number++) ticks = withTick(ticks, tick(number));
  return ticks;
};

t.test('a sum covers the newest span and says how much of it was seen', async (t) => {
  const ticks = ticksOf(1000);
  t.equal(ticks.length, 240, 'a minute is kept');
  const sum = sumOf(ticks, 10_000);
  t.match(sum, { spanMs: 10_000, decided: 400, approved: 360 });
  t.equal(shareApproved(sum), 0.9);
  t.same([...sumOf(ticks, 60_000).byReason], [['limit_exceeded', 240]]);
  t.equal(sumOf(ticksOf(8), 10_000).spanMs, 2000, 'less was seen than asked for');
  t.equal(shareApproved(sumOf([], 10_000)), null);
});

t.test('history goes on in steps of five seconds and keeps fifteen minutes', async (t) => {
  const series = Array.from({ length: 180 }, () => 1);
  const fromMs = startMs - 180 * 5000;
  const history = { everyMs: 5000, fromMs, decidedPerSecond: series, approvedShare: series } as const;
  let points = pointsOf({ ...history, p50: series, p99: series, p999: series, settleLagMs: series });
  let ticks: readonly LiveTick[] = [];
  for (let number = 0; number < 45; number++) {
    ticks = withTick(ticks, tick(number));
    points = withPoint(points, ticks);
  }
  t.equal(points.atMs.length, 180);
  t.same(points.atMs.slice(-3), [startMs, startMs + 5000, startMs + 10_000]);
  t.same(points.decidedPerSecond.slice(-4), [1, 40, 40, 40]);
  t.same(points.approvedShare.slice(-2), [0.9, 0.9]);
  t.ok(points.atMs.every((atMs, at) => at === 0 || atMs - points.atMs[at - 1]! === 5000));
});

t.test('the newest decisions come first, and the oldest leave', async (t) => {
  const decision = (id: number) => ({ id: String(id) }) as LiveTick['last'][number];
  let kept = withDecisions([], tick(0, { last: [decision(1), decision(2)] }));
  t.same(
    kept.map(({ id }) => id),
    ['2', '1'],
  );
  for (let id = 3; id < 500; id++) kept = withDecisions(kept, tick(id, { last: [decision(id)] }));
  t.equal(kept.length, decisionsMax);
  t.equal(kept[0]!.id, '499');
});
