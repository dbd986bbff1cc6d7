/** Declines in the log: two lines a spell, however many there are. */
import t from 'tap';
import { createLog } from '../../platform/log.js';
import { DeclineLog } from './decline-log.js';

t.test('the first and the last decline of each kind are logged with their count', async (t) => {
  const counts = { disk: 0, late: 7 };
  const lines: object[] = [];
  const log = createLog('warn', 'test', (line) => {
    const { kind, count, seconds, cause, msg } = JSON.parse(line);
    lines.push(JSON.parse(JSON.stringify({ kind, count, seconds, cause, message: msg })));
  });
  const declines = new DeclineLog(
    [
      { name: 'disk', count: () => counts.disk, cause: () => 'it is full' },
      { name: 'late', count: () => counts.late, cause: () => '' },
    ],
    log,
  );
  declines.look(0);
  t.match(lines, [{ kind: 'late', count: 7 }], 'declines before the first look count');
  lines.length = 0;
  for (let second = 1; second <= 20; second++) {
    counts.disk += second <= 10 ? 1000 : 0;
    declines.look(second * 1000);
  }
  t.same(lines, [
    { kind: 'disk', count: 1000, cause: 'it is full', message: 'declines of this kind began' },
    { kind: 'late', count: 7, seconds: 0, message: 'declines of this kind ended' },
    { kind: 'disk', count: 10_000, seconds: 9, message: 'declines of this kind ended' },
  ]);
  lines.length = 0;
  counts.disk++;
  declines.look(30_000);
  t.match(lines, [{ kind: 'disk', count: 1 }], 'a later decline begins a new series');
});
