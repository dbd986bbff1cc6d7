/** The lane against a worker that the test plays: what it sends, what it answers, what it takes back. */
import t from 'tap';
import { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import { AnswerFlag, EntryKind, EntryStatus, type Slab } from '../exchange/slab.js';
import { TestWaiter } from '../testing/test-waiter.js';
import { Lane, type Reentry } from './lane.js';
import { LaneGroup } from './lane-group.js';

interface Run {
  readonly slab: Slab;
  done(alive?: boolean): Promise<void>;
  die(): Promise<void>;
}

/** A lane, a clock, and the slabs that were sent and not returned. */
function stage({ deadlineMs = 100, entries = 4, secondSlabMin = 16 } = {}) {
  const state = { nowMs: 1000, failed: '', revocations: 0, isStale: false, durable: 1_000_000, final: 0 };
  const runs: Run[] = [];
  const needs: Reentry[] = [];
  const turns: (() => void)[] = [];
  const lane: Lane = new Lane(
    { entries, requestBytes: 4096 },
    deadlineMs,
    () => state.nowMs,
    new LaneGroup(turns.push.bind(turns)),
    {
      run: (index) =>
        new Promise((resolve, reject) => {
          const settle = async (act: () => void) => {
            act();
            // The lane hears of it in a microtask.
            await new Promise((done) => setImmediate(done));
          };
          runs.push({
            slab: lane.slabs[index]!,
            done: (alive = true) => settle(() => resolve(alive)),
            die: () => settle(() => reject(new Error('gone'))),
          });
        }),
      durableSequence: () => state.durable,
      lookUp: (_lookup, again) => needs.push(again),
      batch: () => undefined,
      failed: (error, isFinal) => {
        state.failed = `${(error as Error).message.slice(0, 12)} ${isFinal}`;
      },
      revoking: (count) => {
        state.revocations += count;
      },
      final: (sequence) => {
        state.final = sequence;
      },
      isStale: () => state.isStale,
    },
    secondSlabMin,
  );
  lane.open();
  /** The end of an event-loop turn. */
  const turn = () => {
    for (const send of turns.splice(0)) send();
  };
  const ask = (text: string): TestWaiter => {
    const waiter = new TestWaiter(state.nowMs);
    if (!lane.claim(Protocol.native, 0, state.nowMs, Buffer.from(text), waiter)) waiter.refuse(Reason.overloaded);
    return waiter;
  };
  /** The first message is approved, and not on disk. */
  const approveFirst = async (): Promise<TestWaiter> => {
    state.durable = 0;
    const waiter = ask('a');
    turn();
    approve(runs[0]!.slab, 0, 1);
    runs[0]!.slab.lastSequence = 1;
    await runs[0]!.done();
    return waiter;
  };
  return { state, lane, runs, needs, turn, ask, approveFirst };
}

const texts = (slab: Slab) =>
  Array.from({ length: slab.count }, (_, index) =>
    slab.kind[index] === EntryKind.revocation
      ? `revoke ${slab.request.readDoubleLE(slab.start[index]!)}`
      : slab.request.toString('utf8', slab.start[index], slab.end[index]),
  );

const answered = `answer ${EntryStatus.decided}`;

function approve(slab: Slab, index: number, location: number): void {
  slab.status[index] = EntryStatus.decided;
  slab.answerFlags[index] = AnswerFlag.approved | AnswerFlag.revocable;
  slab.location[index] = location;
}

t.test('messages of one turn share a batch, and later messages wait for the next batch', async (t) => {
  const { runs, turn, ask } = stage();
  const waiters = [ask('a'), ask('b')];
  turn();
  waiters.push(ask('c'));
  turn();
  t.equal(runs.length, 1, 'one batch is under way');
  t.same(texts(runs[0]!.slab), ['a', 'b']);
  approve(runs[0]!.slab, 0, 1);
  approve(runs[0]!.slab, 1, 2);
  await runs[0]!.done();
  t.same(texts(runs[1]!.slab), ['c']);
  approve(runs[1]!.slab, 0, 3);
  await runs[1]!.done();
  t.same(
    waiters.map(({ said }) => said),
    [answered, answered, answered],
  );
});

t.test('an approval from before a long suspension is revoked and not sent', async (t) => {
  const { state, lane, runs, turn, approveFirst } = stage();
  const waiter = await approveFirst();
  t.equal(runs[0]!.slab.isStale, false, 'the feed was current when the batch was sealed');
  // The steady clock stood still: no deadline has passed.
  state.isStale = true;
  state.durable = 1;
  lane.synced();
  turn();
  t.equal(waiter.said, '', 'no approval is sent');
  t.same(texts(runs[1]!.slab), ['revoke 1']);
});

t.test('a few messages wait until the batch ahead of them is on disk, and many do not wait', async (t) => {
  const { state, lane, runs, turn, ask } = stage({ entries: 8, secondSlabMin: 3 });
  state.durable = 0;
  ask('a');
  turn();
  runs[0]!.slab.lastSequence = 1;
  await runs[0]!.done();
  ask('b');
  ask('c');
  turn();
  t.equal(runs.length, 1, 'two messages wait');
  ask('d');
  turn();
  t.same(texts(runs[1]!.slab), ['b', 'c', 'd'], 'three messages do not wait');
  runs[1]!.slab.lastSequence = 4;
  await runs[1]!.done();
  ask('e');
  turn();
  t.equal(runs.length, 2, 'one message waits');
  state.durable = 4;
  lane.synced();
  t.same(texts(runs[2]!.slab), ['e'], 'the message leaves once the batch ahead of it is on disk');
});

t.test('an answer waits until its record is on disk, and answers keep their order', async (t) => {
  const { state, lane, runs, turn, ask, approveFirst } = stage({ secondSlabMin: 1 });
  const first = await approveFirst();
  const second = ask('b');
  turn();
  t.same(texts(runs[1]!.slab), ['b'], 'the second batch is decided while the first is synced');
  approve(runs[1]!.slab, 0, 2);
  runs[1]!.slab.lastSequence = 2;
  await runs[1]!.done();
  t.same([first.said, second.said, lane.isIdle, lane.depth], ['', '', false, 2]);
  state.durable = 1;
  lane.synced();
  t.same([first.said, second.said], [answered, '']);
  state.durable = 2;
  lane.synced();
  t.same([second.said, lane.isIdle], [answered, true]);
});

t.test('a change is in force once the worker has taken it, whatever the disk does', async (t) => {
  const { state, lane, runs, turn, ask } = stage();
  state.durable = 0;
  const message = ask('a');
  const change = new TestWaiter(Number.POSITIVE_INFINITY);
  lane.claim(EntryKind.rows, 0, state.nowMs, Buffer.from('change'), change);
  turn();
  approve(runs[0]!.slab, 0, 1);
  runs[0]!.slab.lastSequence = 1;
  await runs[0]!.done();
  t.same([change.said === '', message.said], [false, '']);
  change.said = 'applied';
  state.durable = 1;
  lane.synced();
  t.same([change.said, message.said], ['applied', answered], 'each is reported once');
});

t.test('a hanging disk bounds the number of decided messages, and deadlines still pass', async (t) => {
  const { state, lane, runs, turn, ask } = stage({ secondSlabMin: 1 });
  state.durable = 0;
  const waiters: TestWaiter[] = [];
  for (let sent = 0; sent < 20; sent++) {
    waiters.push(ask(`a${sent}`));
    turn();
    if (runs.length <= sent) break;
    approve(runs[sent]!.slab, 0, sent);
    runs[sent]!.slab.lastSequence = sent + 1;
    await runs[sent]!.done();
  }
  t.equal(runs.length, 6, 'six batches are decided ahead of the disk');
  state.nowMs += 100;
  lane.expire(state.nowMs);
  t.ok(
    waiters.every(({ isRefused }) => isRefused),
    'each message is answered at its deadline',
  );
  state.durable = 6;
  lane.synced();
  turn();
  t.equal(state.revocations, 6);
  t.equal(texts(runs[6]!.slab).length, 4, 'the approvals are revoked once they are on disk');
});

t.test('a repeat decided before the revocation of its approval does not send that approval', async (t) => {
  const { state, lane, runs, turn, ask, approveFirst } = stage({ secondSlabMin: 1 });
  await approveFirst();
  state.nowMs += 60;
  const repeat = ask('a');
  turn();
  approve(runs[1]!.slab, 0, 1);
  runs[1]!.slab.answerFlags[0] = AnswerFlag.approved | AnswerFlag.repeated;
  runs[1]!.slab.lastSequence = 1;
  await runs[1]!.done();
  state.nowMs += 60;
  state.durable = 1;
  lane.synced();
  turn();
  t.equal(repeat.said, '', 'the repeat is not answered yet');
  t.same(texts(runs[2]!.slab), ['revoke 1']);
  runs[2]!.slab.lastSequence = 2;
  await runs[2]!.done();
  turn();
  t.equal(runs.length, 3, 'the repeat waits for the revocation');
  state.durable = 2;
  lane.synced();
  turn();
  t.same(texts(runs[3]!.slab), ['a'], 'the repeat leaves after the revocation');
});

t.test('a message still waiting when its approval comes late is answered 503 once it is revoked', async (t) => {
  const { state, lane, runs, turn, ask } = stage();
  const waiters = [ask('refused'), ask('waits')];
  turn();
  approve(runs[0]!.slab, 0, 1);
  approve(runs[0]!.slab, 1, 2);
  waiters[0]!.refuse(Reason.systemError);
  state.nowMs += 100;
  await runs[0]!.done();
  const { slab } = runs[1]!;
  t.same(texts(slab), ['revoke 1', 'revoke 2']);
  t.equal(waiters[1]!.said, '');
  for (const index of [0, 1]) {
    slab.status[index] = EntryStatus.revoked;
    slab.reason[index] = Reason.systemError;
  }
  await runs[1]!.done();
  t.equal(waiters[1]!.said, `refused ${Reason.systemError}`);
  t.equal(lane.isIdle, true);
});

t.test('a message whose revocation cannot leave yet is refused at its deadline', async (t) => {
  const { state, lane, runs, turn, ask, approveFirst } = stage({ secondSlabMin: 1 });
  await approveFirst();
  const second = ask('b');
  turn();
  state.nowMs += 100;
  state.durable = 2;
  lane.synced();
  approve(runs[1]!.slab, 0, 2);
  runs[1]!.slab.lastSequence = 2;
  await runs[1]!.done();
  t.equal(runs.length, 3, 'the revocation of the first is under way, and that of the second waits');
  t.equal(second.said, '');
  lane.expire(state.nowMs);
  t.equal(second.isRefused, true);
  await runs[2]!.done();
  turn();
  t.same(texts(runs[3]!.slab), ['revoke 2'], 'the second approval is revoked after its refusal');
});

t.test('after a disk failure no message keeps waiting', async (t) => {
  const { state, lane, approveFirst } = stage();
  const waiter = await approveFirst();
  lane.journalFailed();
  t.equal(waiter.isRefused, true);
  t.match(state.failed, / true$/);
});

t.test('a full lane refuses a message at once', async (t) => {
  const { turn, ask } = stage();
  const waiters = ['a', 'b', 'c', 'd', 'e'].map(ask);
  turn();
  t.same(
    waiters.map(({ said }) => said),
    ['', '', '', '', `refused ${Reason.overloaded}`],
  );
});

t.test('a late approval is revoked before any later message is decided', async (t) => {
  const { state, lane, runs, turn, ask } = stage();
  const late = ask('a');
  turn();
  const behind = ask('a again');
  state.nowMs += 100;
  lane.expire(state.nowMs);
  t.equal(late.said, `refused ${Reason.systemError}`, 'the message is answered at its deadline');
  approve(runs[0]!.slab, 0, 77);
  await runs[0]!.done();
  t.equal(state.revocations, 1);
  t.same(texts(runs[1]!.slab), ['revoke 77'], 'the revocation leaves first');
  await runs[1]!.done();
  t.same(texts(runs[2]!.slab), ['a again']);
  t.equal(behind.isRefused, true, 'the later message was late too');
});

t.test('late approvals are revoked after the revocations under way are answered', async (t) => {
  const { state, runs, turn, ask } = stage({ entries: 16 });
  const first = ask('a');
  turn();
  // Enough for a second slab behind the first.
  const second = Array.from({ length: 16 }, (_, index) => ask(`b${index}`));
  turn();
  t.equal(runs.length, 2, 'two slabs are under way');
  state.nowMs += 100;
  approve(runs[0]!.slab, 0, 70);
  await runs[0]!.done();
  t.same(texts(runs[2]!.slab), ['revoke 70'], 'the revocation leaves after the second slab');
  for (const index of second.keys()) approve(runs[1]!.slab, index, 80 + index);
  await runs[1]!.done();
  t.equal(runs.length, 3, 'one slab of revocations is under way at a time');
  runs[2]!.slab.status[0] = EntryStatus.decided;
  await runs[2]!.done();
  t.not(first.said, '', 'the first message has its answer');
  t.equal(texts(runs[3]!.slab).length, 16);
  for (const index of second.keys()) runs[3]!.slab.status[index] = EntryStatus.decided;
  await runs[3]!.done();
  t.ok(
    second.every(({ said }) => said !== ''),
    'the other messages have their answers',
  );
});

t.test('revocations that found no room in the journal stay first until they are written', async (t) => {
  const { state, lane, runs, turn, ask } = stage();
  ask('a');
  turn();
  state.nowMs += 100;
  approve(runs[0]!.slab, 0, 77);
  await runs[0]!.done();
  const repeat = ask('a');
  for (let attempt = 1; attempt <= 3; attempt++) {
    t.same(texts(runs[attempt]!.slab), ['revoke 77'], `attempt ${attempt}`);
    runs[attempt]!.slab.status[0] = EntryStatus.unavailable;
    runs[attempt]!.slab.reason[0] = Reason.systemError;
    await runs[attempt]!.done();
    turn();
    t.equal(runs.length, attempt + 1, 'the revocation waits for the clock and does not spin');
    t.equal(lane.isIdle, false);
    lane.expire(state.nowMs);
    turn();
  }
  t.equal(repeat.said, '', 'the repeat waits for the revocation');
  runs[4]!.slab.status[0] = EntryStatus.decided;
  await runs[4]!.done();
  t.same(texts(runs[5]!.slab), ['a'], 'the repeat leaves after the revocation');
});

t.test('records are final once no approval up to them can be revoked any more', async (t) => {
  const { state, runs, turn, ask } = stage({ entries: 2, secondSlabMin: 1 });
  const returns = async (index: number, lastSequence: number) => {
    runs[index]!.slab.lastSequence = lastSequence;
    await runs[index]!.done();
  };
  ask('a');
  turn();
  await returns(0, 1);
  t.equal(state.final, 1);
  ask('b');
  turn();
  ask('c');
  turn();
  approve(runs[1]!.slab, 0, 77);
  state.nowMs += 100;
  await returns(1, 2);
  t.same(texts(runs[3]!.slab), ['revoke 77'], 'the revocation leaves after the slab that was under way');
  t.equal(state.final, 1);
  await returns(2, 3);
  t.equal(state.final, 1, 'the slab after the late approval makes no record final');
  runs[3]!.slab.status[0] = EntryStatus.unavailable;
  await returns(3, 3);
  t.equal(state.final, 1, 'a revocation that found no room makes no record final');
});

t.test('no message keeps waiting for a worker that died, and its late answer changes nothing', async (t) => {
  const { state, lane, runs, turn, ask } = stage();
  const waiters = [ask('a')];
  turn();
  waiters.push(ask('b'));
  await runs[0]!.die();
  t.same(
    waiters.map(({ said }) => said),
    [`refused ${Reason.systemError}`, `refused ${Reason.systemError}`],
  );
  t.equal(state.failed, 'gone false');
  t.equal(ask('c').isRefused, true, 'the lane is closed');
  lane.open();
  const next = ask('d');
  turn();
  t.same(texts(runs[1]!.slab), ['d']);
  await runs[1]!.done(false);
  t.equal(next.isRefused, true);
  t.match(state.failed, / true$/, 'a failed journal is final');
});

t.test('a lapsed hold that finds no room in memory is looked up once, not again and again', async (t) => {
  const { state, lane, runs, needs, turn } = stage();
  lane.claim(EntryKind.expiry, 0, state.nowMs, Buffer.from('hold'), null);
  let asked = 0;
  for (let run = 0; run < 10; run++) {
    turn();
    if (runs.length === run) break;
    runs[run]!.slab.status[0] = EntryStatus.lookupOriginal;
    await runs[run]!.done();
    for (const again of needs.splice(0)) {
      asked++;
      lane.reenter(again);
    }
  }
  t.equal(asked, 1, 'the hold is looked up once');
  t.equal(lane.isIdle, true);
});

t.test('a batch carries whether the feed was stale when it left', async (t) => {
  const { runs, state, turn, ask } = stage();
  ask('a');
  turn();
  t.equal(runs[0]!.slab.isStale, false);
  await runs[0]!.done();
  state.isStale = true;
  ask('b');
  turn();
  t.equal(runs[1]!.slab.isStale, true);
  await runs[1]!.done();
});

t.test('a stale engine revokes approvals that were decided before, and refuses withdrawals', async (t) => {
  const { lane, runs, state, turn, ask } = stage();
  const approved = ask('a');
  const declined = ask('b');
  const withdrawal = new TestWaiter(state.nowMs);
  lane.claim(Protocol.ledger, 0, state.nowMs, Buffer.from('w'), withdrawal);
  turn();
  const { slab } = runs[0]!;
  slab.status.fill(EntryStatus.decided, 0, 3);
  slab.answerFlags.set([AnswerFlag.approved | AnswerFlag.revocable, 0, AnswerFlag.approved]);
  slab.location[0] = 77;
  // The process stands still here, well within the deadline, and another engine takes its place.
  state.isStale = true;
  await runs[0]!.done();
  t.equal(declined.said, answered);
  t.equal(withdrawal.isRefused, true);
  t.equal(approved.said, '', 'the approval is not answered before its revocation is written');
  turn();
  t.equal(runs[1]!.slab.kind[0], EntryKind.revocation);
  t.equal(Buffer.from(runs[1]!.slab.request).readDoubleLE(runs[1]!.slab.start[0]), 77);
  runs[1]!.slab.status[0] = EntryStatus.revoked;
  runs[1]!.slab.reason[0] = Reason.systemError;
  await runs[1]!.done();
  t.equal(approved.said, `refused ${Reason.systemError}`);
});

t.test('a lane that was closed takes nothing in, and answers what is inside', async (t) => {
  const { lane, runs, needs, turn, ask } = stage();
  const [inside, looked] = [ask('a'), ask('looked up')];
  turn();
  lane.close();
  t.equal(lane.isReady, false);
  t.equal(ask('late').isRefused, true);
  approve(runs[0]!.slab, 0, 1);
  runs[0]!.slab.status[1] = EntryStatus.lookupCard;
  await runs[0]!.done();
  t.equal(inside.said, answered);
  t.equal(lane.isIdle, false, 'a message waits for its lookup');
  t.ok(lane.claim(EntryKind.rows, 0, 0, Buffer.from('rows'), null), 'what was looked up comes in');
  lane.reenter(needs[0]!);
  turn();
  t.same(texts(runs[1]!.slab), ['rows', 'looked up']);
  approve(runs[1]!.slab, 1, 2);
  await runs[1]!.done();
  t.equal(looked.said, answered);
  t.equal(lane.isIdle, true);
  lane.open();
  ask('b');
  turn();
  t.same(texts(runs[2]!.slab), ['b'], 'a lane that is opened again takes messages in');
});
