/** Lanes that share a syncer: which slabs leave together, and that one lane never stops the others. */
import t from 'tap';
import { Protocol } from '../core/codes.js';
import { EntryStatus } from '../exchange/slab.js';
import { TestWaiter } from '../testing/test-waiter.js';
import { Lane } from './lane.js';
import { LaneGroup } from './lane-group.js';

/** Two lanes of a group; their slabs are decided at once, and durable when the test says so. */
function stage({ secondSlabMin = 3, everyMs = 0 } = {}) {
  const state = { nowMs: 0 };
  const timers: { readonly run: () => void; readonly delayMs: number }[] = [];
  const turns: (() => void)[] = [];
  /** What was sent until each flush: of each slab its lane and its number of messages. */
  const flushes: string[][] = [];
  let sent: string[] = [];
  const durable = [0, 0];
  const group = new LaneGroup(
    turns.push.bind(turns),
    () => {
      if (sent.length > 0) flushes.push(sent);
      sent = [];
    },
    {
      everyMs,
      behindMin: 2,
      nowMs: () => state.nowMs,
      schedule: (run, delayMs) => timers.push({ run, delayMs }),
    },
  );
  const lanes: readonly Lane[] = [0, 1].map(
    (number): Lane =>
      new Lane(
        { entries: 8, requestBytes: 4096 },
        100,
        () => 1000,
        group,
        {
          run: async (index) => {
            const slab = lanes[number]!.slabs[index]!;
            sent.push(`${number}: ${slab.count}`);
            slab.status.fill(EntryStatus.decided, 0, slab.count);
            slab.lastSequence = 1;
            return true;
          },
          durableSequence: () => durable[number]!,
          lookUp: () => undefined,
          batch: () => undefined,
          failed: () => undefined,
          revoking: () => undefined,
          final: () => undefined,
          isStale: () => false,
        },
        secondSlabMin,
      ),
  );
  for (const lane of lanes) lane.open();
  const ask = (number: number): TestWaiter => {
    const waiter = new TestWaiter(1000);
    lanes[number]!.claim(Protocol.native, 0, 1000, Buffer.from('{}'), waiter);
    return waiter;
  };
  /** The end of an event-loop turn, and what the worker decided in it comes back. */
  const turn = async () => {
    for (const send of turns.splice(0)) send();
    await new Promise((done) => setImmediate(done));
  };
  return { group, lanes, durable, flushes, ask, turn, state, timers };
}

t.test('lanes of a group send together, and then when all that they sent is on disk', async (t) => {
  const { group, durable, flushes, ask, turn } = stage();
  const first = [ask(0), ask(1)];
  await turn();
  t.same(flushes, [['0: 1', '1: 1']]);
  const second = [ask(0), ask(1), ask(1)];
  await turn();
  durable[0] = 1;
  group.synced();
  await turn();
  t.equal(flushes.length, 1, 'the frame of one lane is not on disk');
  t.same(
    first.map(({ isSettled }) => isSettled),
    [true, false],
    'an answer waits for no other lane',
  );
  durable[1] = 1;
  group.synced();
  await turn();
  t.same(flushes.slice(1), [['0: 1', '1: 2']]);
  group.synced();
  t.ok(second.every(({ isSettled }) => isSettled));
});

t.test('a lane with many messages takes the others along', async (t) => {
  const { flushes, ask, turn } = stage();
  ask(0);
  await turn();
  ask(0);
  for (let count = 0; count < 2; count++) ask(1);
  await turn();
  t.equal(flushes.length, 1);
  ask(1);
  await turn();
  t.same(flushes.slice(1), [['0: 1', '1: 3']]);
});

t.test('a lane whose frame hangs, or whose worker is lost, stops no other lane', async (t) => {
  const { lanes, flushes, ask, turn } = stage();
  ask(0);
  await turn();
  ask(1);
  await turn();
  t.equal(flushes.length, 1);
  for (const lane of lanes) lane.expire(1001);
  t.equal(flushes.length, 1, 'the frame may be on its way');
  for (const lane of lanes) lane.expire(1006);
  t.same(flushes.slice(1), [['1: 1']], 'at the second look at deadlines at the latest');
  lanes[1]!.fail(new Error('gone'));
  lanes[1]!.open();
  lanes[0]!.fail(new Error('gone'));
  ask(1);
  await turn();
  t.same(flushes.slice(2), [['1: 1']], 'nothing of the lane that is lost is on its way');
});

t.test('behind a wave of many messages the next one gathers, and behind a small one it does not wait', async (t) => {
  const { group, durable, flushes, ask, turn, state, timers } = stage({ everyMs: 5 });
  const areDurable = () => {
    durable.fill(1);
    group.synced();
  };
  ask(0);
  ask(1);
  await turn();
  state.nowMs = 2;
  areDurable();
  ask(0);
  await turn();
  t.equal(flushes.length, 1);
  t.same(
    timers.map(({ delayMs }) => delayMs),
    [3],
  );
  state.nowMs = 5;
  timers[0]!.run();
  await turn();
  t.same(flushes.slice(1), [['0: 1']]);
  areDurable();
  ask(1);
  await turn();
  t.same(flushes.slice(2), [['1: 1']], 'one message was no crowd');
});
