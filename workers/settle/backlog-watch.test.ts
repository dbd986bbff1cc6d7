import { test } from 'tap';
import { createProgress } from '../../engine/exchange/progress.js';
import { BacklogWatch } from './backlog-watch.js';

/** An engine to which records come at a rate and whose Postgres settles at another one, by a clock of its own. */
function load() {
  const progress = createProgress(2);
  const watch = new BacklogWatch(progress, { keepUpRecords: 1000, keepUpPerSecondMax: 500 });
  let [nowMs, came, settled] = [0, 0, 0];
  return {
    progress,
    /** @returns whether settling must keep up at the end of so many seconds */
    pass(seconds: number, comePerSecond: number, settlePerSecond: number): boolean {
      let must = watch.mustKeepUp(nowMs);
      for (let second = 0; second < seconds; second++) {
        nowMs += 1000;
        came += comePerSecond;
        settled = Math.min(came, settled + settlePerSecond);
        for (const partition of progress.partitions) {
          partition.publishDurable(came / 2);
          partition.publishSettled(settled / 2, nowMs);
        }
        must = watch.mustKeepUp(nowMs);
      }
      return must;
    },
  };
}

test('settling must keep up with a load that lasts, until half of the bound is left', async (t) => {
  const { pass } = load();
  t.equal(pass(6, 400, 300), false, 'the backlog is small');
  t.equal(pass(12, 400, 300), true);
  t.equal(pass(9, 400, 500), true, 'it shrinks, and more than half of the bound is left');
  t.equal(pass(12, 400, 500), false);
});

test('what a burst left does not matter while it shrinks', async (t) => {
  const { pass } = load();
  pass(3, 10_000, 0);
  t.equal(pass(12, 400, 500), false);
});

test('settling does not try to keep up with more than Postgres can settle', async (t) => {
  const { pass, progress } = load();
  t.equal(pass(30, 600, 300), false);
  t.equal(pass(12, 400, 300), true);
  progress.setEngines(2);
  t.equal(pass(12, 400, 300), false, 'the other engine has as many on the same Postgres');
});
