/** What the lookups remembers not to be there, and what it does where memory has no room for what is. */
import t from 'tap';
import { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import { EntryFlag, EntryStatus } from '../exchange/slab.js';
import type { Reentry } from '../ledger/lane.js';
import { TestWaiter } from '../testing/test-waiter.js';
import { Lookups } from './lookups.js';

type Reads = ConstructorParameters<typeof Lookups>[0];

const unused = () => {
  throw new Error('not expected here');
};
const noReads: Reads = { hasRedis: false, openingsOf: () => 1, look: unused, cards: unused, others: unused };
const refused = `refused ${Reason.overloaded}`;

t.test('an absent id is looked up again at once when the partition has a new worker', async (t) => {
  const settled = new Set<string>();
  let openings = 1;
  let nowMs = 0;
  const asked: string[][] = [];
  const reads: Reads = {
    ...noReads,
    openingsOf: () => openings,
    async others(_target, _status, keys) {
      asked.push([...keys]);
      return { message: {}, found: new Set(keys.filter((key) => settled.has(key))), foreign: new Set() };
    },
  };
  const reentered: number[] = [];
  const lane = { claim: unused, reenter: ({ flags }: Reentry) => void reentered.push(flags) };
  const lookups = new Lookups(
    reads,
    () => nowMs,
    100,
    1024,
    () => undefined,
    () => 0,
  );
  const ask = async () => {
    const again: Reentry = { kind: Protocol.native, flags: 0, arrivalMs: nowMs, bytes: Buffer.alloc(0), waiter: null };
    lookups.lookUp(lane, 0, { status: EntryStatus.lookupSeen, key: 'id' }, again);
    await new Promise((resolve) => setImmediate(resolve));
    return reentered.pop();
  };
  t.equal(await ask(), EntryFlag.seenAbsent);
  nowMs = 100;
  t.equal(await ask(), EntryFlag.seenAbsent);
  t.equal(asked.length, 1, 'an absence is remembered for a moment');
  // The message is decided and settled; then its worker dies.
  settled.add('id');
  openings = 2;
  t.equal(await ask(), 0, 'the settled id is found, so the repeat receives the first answer');
  t.equal(asked.length, 2);
});

const deadlineMs = 100;

function stage() {
  const state = { nowMs: 1000, settled: 0, looks: 0 };
  const reentered: Reentry[] = [];
  const lane = { claim: unused, reenter: (again: Reentry) => void reentered.push(again) };
  const reads: Reads = {
    ...noReads,
    async cards(_target, tokens) {
      state.looks++;
      return { message: {}, found: new Set(tokens), foreign: new Set() };
    },
  };
  const lookups = new Lookups(
    reads,
    () => state.nowMs,
    4096,
    1024,
    () => undefined,
    () => state.settled,
  );
  const ask = () => {
    const waiter = new TestWaiter(state.nowMs);
    return { waiter, again: { kind: 1, flags: 0, arrivalMs: state.nowMs, bytes: Buffer.alloc(0), waiter } };
  };
  /** The partition lacks the card (again). */
  const lack = async (again: Reentry, status: number = EntryStatus.lookupCard) => {
    again.waiter!.reentries++;
    lookups.lookUp(lane, 0, { status, key: 'card' }, again);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const tick = async (ms: number) => {
    state.nowMs += ms;
    lookups.expire(state.nowMs, deadlineMs);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { state, lookups, reentered, ask, lack, tick };
}

t.test('a card that never finds room is looked up a few times and then refused as overloaded', async (t) => {
  const { state, lookups, reentered, ask, lack, tick } = stage();
  const { waiter, again } = ask();
  await lack(again);
  await lack(again);
  t.same([state.looks, reentered.length, lookups.resting], [2, 2, 0], 'the card is looked up twice at once');
  while (!waiter.isSettled) {
    await lack(again);
    t.equal(lookups.resting, 1, 'the message rests after two lookups');
    while (lookups.resting > 0 && !waiter.isSettled) await tick(5);
  }
  t.equal(waiter.said, refused);
  t.equal(lookups.roomRefusals, 1);
  t.ok(state.looks < 10, `${state.looks} lookups in all`);
});

t.test('a message without room returns as soon as more records are settled', async (t) => {
  const { state, lookups, reentered, ask, lack, tick } = stage();
  const { waiter, again } = ask();
  await lack(again, EntryStatus.noRoom);
  await tick(5);
  t.equal(reentered.length, 0);
  state.settled = 10;
  await tick(5);
  t.same([reentered.length, lookups.resting, waiter.said], [1, 0, '']);
});

t.test('a message beyond the bound of waiting ones is refused at once', async (t) => {
  const { lookups, ask, lack } = stage();
  const all = Array.from({ length: 600 }, ask);
  for (const { again } of all) await lack(again, EntryStatus.noRoom);
  t.equal(lookups.resting, 512);
  t.same(
    all.filter(({ waiter }) => waiter.isSettled).map(({ waiter }) => waiter.said),
    Array.from({ length: 88 }, () => refused),
  );
});
