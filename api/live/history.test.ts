/** What a page that has just been opened gets, by a clock of the test's own. */
import t from 'tap';
import { History } from './history.js';
import { Slice } from './slice.js';
import { TickRing } from './tick-ring.js';

const startMs = 1_700_000_000_000;

function slice(decided: number, approved: number): Slice {
  return Object.assign(new Slice(), { decided, approved });
}

t.test('history has a point for each five seconds, and for 15 minutes', async (t) => {
  const history = new History(startMs);
  t.same(history.shown.decidedPerSecond, []);
  history.take(slice(40, 30), 10, startMs + 1000);
  history.take(slice(60, 60), 90, startMs + 4999);
  history.take(slice(5, 0), 0, startMs + 5000);
  t.match(history.shown, { fromMs: startMs, decidedPerSecond: [20], approvedShare: [0.9], settleLagMs: [90] });
  history.take(slice(0, 0), 0, startMs + 20_000);
  t.same(history.shown.decidedPerSecond, [20, 1, 0, 0]);
  t.same(history.shown.approvedShare, [0.9, 0, null, null]);
  for (let ms = 20_000; ms <= 2_000_000; ms += 2_500) history.take(slice(10, 10), 0, startMs + ms);
  t.equal(history.shown.p99.length, 180);
  t.equal(history.shown.fromMs, startMs + 2_000_000 - 900_000);
});

t.test('a machine that slept for a week goes on with the last 15 minutes', async (t) => {
  const history = new History(startMs);
  history.take(slice(10, 10), 0, startMs);
  history.take(slice(10, 10), 0, startMs + 7 * 86_400_000);
  const { fromMs, decidedPerSecond } = history.shown;
  t.ok(decidedPerSecond.length <= 180 && fromMs >= startMs + 7 * 86_400_000 - 900_000);
  t.equal(fromMs + decidedPerSecond.length * 5000, startMs + 7 * 86_400_000);
});

t.test('a stream goes on behind any tick of the last minute of this process, and behind no other', async (t) => {
  const ring = new TickRing(startMs);
  const idOf = (number: number) => `${startMs}-${number}`;
  t.equal(ring.resumable(idOf(1)), null);
  for (let count = 0; count < 300; count++) ring.add({ decided: count } as never);
  t.equal(ring.resumable(idOf(300)), 300, 'nothing is missing');
  t.equal(ring.resumable(idOf(60)), 60);
  t.match(String(ring.at(61)), `id: ${idOf(61)}\nevent: tick\ndata: {"decided":60}\n\n`);
  for (const lost of [idOf(59), idOf(301), `${startMs + 1}-100`, '', 'x', idOf(-1), `${idOf(60)} `]) {
    t.equal(ring.resumable(lost), null, lost);
  }
});
