/** From changes to lanes, and when they are in force. */
import t from 'tap';
import type { FeedEntry } from '../core/feed.js';
import { Reason } from '../core/reasons.js';
import type { Slab } from '../core/slab.js';
import type { Waiter } from '../lane.js';
import { Delivery } from './delivery.js';

const entry = (sequence: number, ownerKey: number): FeedEntry => ({
  sequence,
  atMs: sequence,
  topic: 'user',
  payload: { number: sequence, version: 2, status: 'frozen', limits: null, ownerKey },
});

function stage() {
  const applied: number[] = [];
  const partitions = [0, 1].map(() => {
    const claimed: { users: number[]; waiter: Waiter }[] = [];
    const partition = {
      state: 'ready',
      isFull: false,
      claimed,
      lane: {
        isReady: true,
        claim(_kind: number, _flags: number, _atMs: number, bytes: Uint8Array, waiter: Waiter | null) {
          if (partition.isFull) return false;
          const { changes } = JSON.parse(Buffer.from(bytes).toString());
          claimed.push({ users: changes.users.map((user: { number: number }) => user.number), waiter: waiter! });
          return true;
        },
      },
    };
    return partition;
  });
  const delivery = new Delivery(
    partitions,
    (ownerKey) => ownerKey % 2,
    () => 0,
    (sequence) => applied.push(sequence),
  );
  const back = (partition: number) => {
    for (const { waiter } of partitions[partition]!.claimed.splice(0)) waiter.answer({} as Slab, 0);
  };
  return { applied, partitions, delivery, back };
}

t.test('changes go to their own partition, and are in force when all slabs are back, in order', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  delivery.deliver([entry(1, 0), entry(2, 1), entry(3, 0)]);
  delivery.deliver([entry(4, 1)]);
  t.same(
    partitions.map(({ claimed }) => claimed.map(({ users }) => users)),
    [[[1, 3]], [[2], [4]]],
  );
  back(1);
  t.same(applied, [], '4 is, but 1 and 3 are not');
  back(0);
  t.same(applied, [3, 4]);
  t.equal(delivery.isIdle, true);
});

t.test('what finds no room waits, and stops more from being taken', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  partitions[0]!.isFull = true;
  for (let sequence = 1; sequence <= 64; sequence++) delivery.deliver([entry(sequence, 0)]);
  t.equal(delivery.hasRoom, false);
  partitions[0]!.isFull = false;
  delivery.retry();
  t.equal(delivery.hasRoom, true);
  back(0);
  t.equal(applied.at(-1), 64);
});

t.test('a partition whose worker is away has its changes first when it is back', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  const [partition] = partitions;
  delivery.deliver([entry(1, 0)]);
  partition!.lane.isReady = false;
  partition!.state = 'restarting';
  partition!.claimed.pop()!.waiter.refuse(Reason.systemError);
  delivery.deliver([entry(2, 0)]);
  t.same(applied, [1, 2], 'it approves nothing meanwhile, so nobody waits for it');
  partition!.lane.isReady = true;
  partition!.state = 'ready';
  delivery.opened(partition!);
  t.same(
    partition!.claimed.map(({ users }) => users),
    [[1], [2]],
  );
  delivery.deliver([entry(3, 1)]);
  back(1);
  t.same(applied, [1, 2], 'what comes later is in force after them');
  back(0);
  t.same(applied, [1, 2, 3]);
});

t.test('a partition that failed for good needs no changes', async (t) => {
  const { applied, partitions, delivery } = stage();
  partitions[0]!.state = 'failed';
  partitions[0]!.lane.isReady = false;
  delivery.deliver([entry(1, 0)]);
  t.same(applied, [1]);
});
