/** When settling counts as standing still. */
import t from 'tap';
import { createProgress } from '../exchange/progress.js';
import { SettleWatch, stallMsMax } from './settle-watch.js';

/** Two partitions, watched from 0 ms on by virtual time. */
function watched() {
  const { partitions } = createProgress(2);
  for (const partition of partitions) {
    partition.publishDurable(0);
    partition.publishSettled(0, 0);
  }
  const watch = new SettleWatch(partitions, 0);
  /** Looks once a second until `atMs`. */
  let nowMs = 0;
  const until = (atMs: number) => {
    for (; nowMs <= atMs; nowMs += 1000) watch.look(nowMs);
    return watch.stalled(atMs);
  };
  return { partitions, until };
}

t.test('an idle engine never counts as stalled', async (t) => {
  const { until } = watched();
  t.equal(until(10 * stallMsMax), null);
});

t.test('waiting records without progress for the whole bound are a stall, which the first progress ends', async (t) => {
  const { partitions, until } = watched();
  t.equal(until(5000), null);
  partitions[1]!.publishDurable(40);
  t.equal(until(4000 + stallMsMax), null, 'no stall is reported before the bound');
  t.match(until(7000 + stallMsMax), { partition: 1, records: 40 });
  partitions[1]!.publishSettled(1, 0);
  t.equal(until(9000 + stallMsMax), null);
  t.match(until(60_000 + 2 * stallMsMax), { partition: 1, records: 39 }, 'one step of progress does not last for ever');
});

t.test('a shrinking backlog is progress, however long it is', async (t) => {
  const { partitions, until } = watched();
  partitions[0]!.publishDurable(1_000_000);
  for (let second = 0; second < 300; second++) {
    partitions[0]!.publishSettled(second, 0);
    t.equal(until(second * 1000), null);
  }
});

t.test('a shipper that never learns the position of Postgres counts as stalled', async (t) => {
  const { partitions } = createProgress(1);
  partitions[0]!.publishDurable(3);
  const watch = new SettleWatch(partitions, 0);
  for (let nowMs = 0; nowMs <= stallMsMax; nowMs += 1000) watch.look(nowMs);
  t.match(watch.stalled(stallMsMax + 1000), { partition: 0, records: 3 });
});
