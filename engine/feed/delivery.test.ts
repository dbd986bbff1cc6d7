/** From changes to lanes, and when they are in force. */
import t from 'tap';
import type { FeedEntry } from '../core/feed.js';
import { slabEntriesMax, slabRequestBytes } from '../core/limits.js';
import { Reason } from '../core/reasons.js';
import type { Slab } from '../exchange/slab.js';
import { Lane } from '../ledger/lane.js';
import { LaneGroup } from '../ledger/lane-group.js';
import type { Waiter } from '../ledger/waiter.js';
import { longestLimits } from '../testing/longest-limits.js';
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

t.test('changes reach their own partition and come into force in order once all slabs are back', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  delivery.deliver([entry(1, 0), entry(2, 1), entry(3, 0)]);
  delivery.deliver([entry(4, 1)]);
  t.same(
    partitions.map(({ claimed }) => claimed.map(({ users }) => users)),
    [[[1, 3]], [[2], [4]]],
  );
  back(1);
  t.same(applied, [], 'change 4 waits for changes 1 and 3');
  back(0);
  t.same(applied, [3, 4]);
  t.equal(delivery.isIdle, true);
});

t.test('a change waits while its lane is full, and no further change is taken meanwhile', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  partitions[0]!.isFull = true;
  for (let sequence = 1; sequence <= 64; sequence++) delivery.deliver([entry(sequence, 0)]);
  t.equal(delivery.hasRoom, false, '64 lane entries wait');
  partitions[0]!.isFull = false;
  delivery.retry();
  t.equal(delivery.hasRoom, true);
  back(0);
  t.equal(applied.at(-1), 64);
});

t.test('a restarted worker receives the missed changes before any other', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  const [partition] = partitions;
  delivery.deliver([entry(1, 0)]);
  partition!.lane.isReady = false;
  partition!.state = 'restarting';
  partition!.claimed.pop()!.waiter.refuse(Reason.systemError);
  delivery.deliver([entry(2, 0)]);
  t.same(applied, [1, 2], 'no change waits for a partition that approves nothing');
  partition!.lane.isReady = true;
  partition!.state = 'ready';
  delivery.opened(partition!);
  t.same(
    partition!.claimed.map(({ users }) => users),
    [[1], [2]],
  );
  delivery.deliver([entry(3, 1)]);
  back(1);
  t.same(applied, [1, 2], 'a later change comes into force after the missed ones');
  back(0);
  t.same(applied, [1, 2, 3]);
});

t.test('a partition that failed for good receives no changes', async (t) => {
  const { applied, partitions, delivery } = stage();
  partitions[0]!.state = 'failed';
  partitions[0]!.lane.isReady = false;
  delivery.deliver([entry(1, 0)]);
  t.same(applied, [1]);
});

t.test('600 changes at every maximum reach a real lane at once, and all are in force', async (t) => {
  const size = { entries: slabEntriesMax, requestBytes: slabRequestBytes };
  const taken: number[] = [];
  const lane: Lane = new Lane(size, 100, () => 0, new LaneGroup(setImmediate), {
    run: async (index) => {
      const slab = lane.slabs[index]!;
      for (let entry = 0; entry < slab.count; entry++) {
        const { changes } = JSON.parse(slab.request.toString('utf8', slab.start[entry], slab.end[entry]));
        for (const { number } of changes.cards) taken.push(number);
      }
      return true;
    },
    durableSequence: () => Number.MAX_SAFE_INTEGER,
    lookUp: () => undefined,
    batch: () => undefined,
    failed: () => undefined,
    revoking: () => undefined,
    final: () => undefined,
    isStale: () => false,
  });
  lane.open();
  let applied = 0;
  const delivery = new Delivery(
    [{ lane, state: 'ready' }],
    () => 0,
    () => 0,
    (sequence) => {
      applied = sequence;
    },
  );
  const limits = longestLimits();
  const common = { version: 2, status: 'frozen', expiresDay: 1, limits, accountNumber: 1, userNumber: 1, ownerKey: 2 };
  const numbers = Array.from({ length: 600 }, (_, index) => index + 1);
  const payload = (number: number) => ({ ...common, number, token: `card_${number}` });
  delivery.deliver(numbers.map((number) => ({ sequence: number, atMs: 0, topic: 'card', payload: payload(number) })));
  for (let turns = 0; turns < 100_000 && applied < 600; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    delivery.retry();
  }
  t.equal(applied, 600);
  t.same(
    taken.sort((a, b) => a - b),
    numbers,
  );
  t.equal(delivery.isIdle, true);
});

t.test('changes that no partition needs come into force in order', async (t) => {
  const { applied, delivery, back } = stage();
  delivery.deliver([entry(1, 0)]);
  delivery.deliver([], { sequence: 2, atMs: 2 });
  t.same(applied, [], 'change 1 is not in force yet');
  back(0);
  t.same(applied, [1, 2]);
});

t.test(
  'a restored partition forgets missed changes from before its read, and all missed changes of cards',
  async (t) => {
    const { applied, partitions, delivery } = stage();
    const [partition] = partitions;
    partition!.lane.isReady = false;
    partition!.state = 'restarting';
    delivery.deliver([entry(1, 0)]);
    delivery.restoring(partition!);
    const common = {
      number: 9,
      version: 2,
      status: 'frozen',
      expiresDay: 1,
      limits: null,
      accountNumber: 1,
      userNumber: 1,
    };
    delivery.deliver([
      entry(2, 0),
      { sequence: 3, atMs: 0, topic: 'card', payload: { ...common, token: 'c', ownerKey: 0 } },
    ]);
    t.same(applied, [1, 3]);
    partition!.lane.isReady = true;
    partition!.state = 'ready';
    t.equal(delivery.opened(partition!), true);
    t.same(
      partition!.claimed.map(({ users }) => users),
      [[2]],
    );
  },
);

t.test('a partition that missed too many changes is restored again, and no other partition waits', async (t) => {
  const { applied, partitions, delivery, back } = stage();
  const [partition] = partitions;
  partition!.lane.isReady = false;
  partition!.state = 'restarting';
  const limits = longestLimits();
  for (let sequence = 1; sequence <= 100; sequence++) {
    const payload = { number: 1, version: sequence + 1, status: 'active', limits, ownerKey: sequence % 2 };
    delivery.deliver([{ sequence, atMs: 0, topic: 'user', payload }]);
    back(1);
  }
  t.equal(applied.at(-1), 100);
  partition!.lane.isReady = true;
  partition!.state = 'ready';
  t.equal(delivery.opened(partition!), false);
  t.same(partition!.claimed, []);
  t.equal(delivery.opened(partition!), true, 'after the next restore the partition keeps its changes');
});

t.test('a change waits for no partition of another engine, and for one that leaves until it has left', async (t) => {
  const { applied, partitions, delivery } = stage();
  const [partition] = partitions;
  partition!.lane.isReady = false;
  partition!.state = 'leaving';
  delivery.deliver([entry(1, 0)]);
  delivery.retry();
  t.same(applied, [], 'what is inside may yet be approved');
  partition!.state = 'away';
  delivery.retry();
  delivery.deliver([entry(2, 0)]);
  t.same(applied, [1, 2]);
  partition!.state = 'starting';
  delivery.deliver([entry(3, 0)]);
  partition!.state = 'ready';
  partition!.lane.isReady = true;
  delivery.opened(partition!);
  t.same(
    partition!.claimed.map(({ users }) => users),
    [[3]],
    'what came while it started is kept for it',
  );
});
