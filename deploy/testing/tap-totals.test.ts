/** Reading tap's totals. */
import t from 'tap';
import { readTapTotals } from './tap-totals.js';

t.test('what passed is counted, and everything else is a failure', async (t) => {
  t.same(readTapTotals('ok 1\n# { total: 5, pass: 5 }\n# time=1ms\n'), { passed: 5, failed: 0 });
  t.same(readTapTotals('# { total: 7, pass: 4, fail: 1, skip: 1, todo: 1 }\n'), { passed: 4, failed: 3 });
});

t.test('the totals of a subtest are not those of the run', async (t) => {
  t.same(readTapTotals('    # { total: 2, pass: 2 }\n# { total: 9, pass: 9 }\n'), { passed: 9, failed: 0 });
});

t.test('output that stops in the middle is not a pass', async (t) => {
  t.throws(() => readTapTotals('ok 1 - a\n'), /ended without totals/);
});
