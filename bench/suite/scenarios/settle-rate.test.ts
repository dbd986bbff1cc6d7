import t from 'tap';
import { slope } from './settle-rate.js';

/** A look every second: a backlog that grows by `perSecond` and swings, as settling rests and catches up in turn. */
function looks(seconds: number, perSecond: number, swing: number): { atMs: number; count: number }[] {
  return Array.from({ length: seconds + 1 }, (_, second) => ({
    atMs: second * 1000,
    count: 50_000 + second * perSecond + (second % 7) * swing,
  }));
}

t.test('a steady backlog counts as flat, whenever in its swing the looks begin and end', async (t) => {
  for (const seconds of [90, 91, 92, 93, 94, 95, 96]) {
    const found = slope(looks(seconds, 0, 3000))!;
    t.ok(Math.abs(found) < 100, `${found} a second over ${seconds} s`);
  }
});

t.test('growth is reported, whatever the swing', async (t) => {
  t.ok(Math.abs(slope(looks(180, 2500, 3000))! - 2500) < 100);
  t.ok(Math.abs(slope(looks(180, -2500, 0))! + 2500) < 1e-6);
});

t.test('one measurement gives no settle rate', async (t) => {
  t.equal(slope([]), null);
  t.equal(slope([{ atMs: 1, count: 1 }]), null);
});
