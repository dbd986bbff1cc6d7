/** The forwarder in virtual time, against partitions and engines that the test plays. */
import fc from 'fast-check';
import t from 'tap';
import { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, markBytes, Slab } from '../exchange/slab.js';
import type { PeerOutcome } from '../peers/peer-links.js';
import type { PeerWaiter } from '../peers/peer-server.js';
import { runs } from '../testing/runs.js';
import { TestWaiter } from '../testing/test-waiter.js';
import { Forwarder, waitingMax, withdrawalMsMax, withdrawalsMax } from './forwarder.js';
import type { PartitionState } from './owned-partition.js';
import type { Waiter } from './waiter.js';

const deadlineMs = 100;
const selfId = 'a';

interface Claim {
  readonly kind: number;
  readonly flags: number;
  readonly bytes: Buffer;
  readonly waiter: Waiter;
}

interface Ask {
  readonly engine: string;
  readonly partition: number;
  readonly body: string;
  readonly mark: number;
  readonly arrivalMs: number;
  readonly outcome: PeerOutcome;
}

interface WithdrawAsk {
  readonly engine: string;
  readonly body: string;
  readonly mark: number;
  done(isDone: boolean): Promise<void>;
}

class PeerTestWaiter extends TestWaiter implements PeerWaiter {
  notOwner(): void {
    this.said = 'not owner';
  }
}

/** As other engines receive it. */
function unmarked(bytes: Uint8Array): { body: string; mark: number } {
  const end = bytes.length - markBytes;
  return { body: Buffer.from(bytes.subarray(0, end)).toString(), mark: Buffer.from(bytes).readDoubleLE(end) };
}

function marked(body: string, mark: number): Buffer {
  const bytes = Buffer.alloc(body.length + markBytes);
  bytes.write(body);
  bytes.writeDoubleLE(mark, body.length);
  return bytes;
}

/** One partition, three engines: this one is a. */
function stage() {
  const state = {
    nowMs: 1000,
    host: 'away' as PartitionState,
    hasRoom: true,
    connected: new Set(['b', 'c']),
    lease: { partition: 0, epoch: 1, holder: 'b' as string | null, reservedFor: null as string | null },
  };
  const claims: Claim[] = [];
  const asks: Ask[] = [];
  const withdrawals: WithdrawAsk[] = [];
  const host = {
    get state() {
      return state.host;
    },
    lane: {
      get isReady() {
        return state.host === 'ready';
      },
      claim(kind: number, flags: number, _arrivalMs: number, bytes: Uint8Array, waiter: Waiter | null) {
        if (state.host !== 'ready' || !state.hasRoom) return false;
        claims.push({ kind, flags, bytes: Buffer.from(bytes), waiter: waiter! });
        return true;
      },
    },
  };
  const links = {
    ask(
      engine: string,
      partition: number,
      _protocol: number,
      body: Uint8Array,
      arrivalMs: number,
      outcome: PeerOutcome,
    ) {
      if (!state.connected.has(engine)) return false;
      asks.push({ engine, partition, ...unmarked(body), arrivalMs, outcome });
      return true;
    },
    withdraw(engine: string, _partition: number, _protocol: number, body: Uint8Array): Promise<boolean> {
      return new Promise((resolve) => {
        const done = async (isDone: boolean) => {
          resolve(isDone);
          await new Promise((settled) => setImmediate(settled));
        };
        withdrawals.push({ engine, ...unmarked(body), done });
      });
    },
  };
  const viewOf = () => ({ leases: [state.lease] });
  const forwarder = new Forwarder({ hosts: [host], links, viewOf, selfId, deadlineMs, nowMs: () => state.nowMs });
  const pass = (ms: number) => {
    state.nowMs += ms;
    forwarder.expire(state.nowMs);
  };
  const submit = (body = 'x') => {
    const waiter = new TestWaiter(state.nowMs);
    forwarder.submit(0, Buffer.from(body), waiter);
    return waiter;
  };
  const fromPeer = (body = 'x') => {
    const waiter = new PeerTestWaiter(state.nowMs);
    forwarder.fromPeer(0, Protocol.native, marked(body, 77), waiter);
    return waiter;
  };
  const answers = (flags = AnswerFlag.approved | AnswerFlag.revocable): Answers => {
    const slab = new Slab({ entries: 1, requestBytes: 1 });
    slab.status[0] = EntryStatus.decided;
    slab.answerFlags[0] = flags;
    slab.returnedAtMs = state.nowMs;
    return slab;
  };
  return { state, claims, asks, withdrawals, forwarder, pass, submit, fromPeer, answers };
}

t.test('a message goes to the partition here, and is refused at once where the lane is full', async (t) => {
  const { state, claims, asks, submit } = stage();
  state.host = 'ready';
  const waiter = submit('m');
  t.equal(claims[0]!.waiter, waiter, 'the lane has the very waiter');
  t.match(claims[0], { flags: 0, bytes: Buffer.from('m') });
  state.hasRoom = false;
  t.equal(submit().said, `refused ${Reason.overloaded}`);
  t.equal(asks.length, 0);
});

t.test('a message goes to the engine that holds the lease, with its arrival, and its answer comes back', async (t) => {
  const { state, asks, forwarder, pass, submit, answers } = stage();
  const waiter = submit('m');
  t.match(asks[0], { engine: 'b', partition: 0, body: 'm', arrivalMs: 1000 });
  t.equal(forwarder.waiting, 1);
  pass(99);
  asks[0]!.outcome.answered(answers(), 0);
  t.equal(waiter.said, 'answer 8');
  t.ok(forwarder.isIdle);
  const refused = submit();
  asks[1]!.outcome.refused(Reason.overloaded);
  t.equal(refused.said, `refused ${Reason.overloaded}`);
  state.nowMs += 1000;
  t.equal(asks.length, 2);
});

t.test('a message waits while its partition starts here, and is then taken', async (t) => {
  const { state, claims, asks, forwarder, submit, pass } = stage();
  state.host = 'starting';
  const waiters = [submit('1'), submit('2')];
  pass(20);
  t.equal(asks.length + claims.length, 0, 'the view still names the engine before');
  state.host = 'ready';
  forwarder.wake();
  t.same(
    claims.map(({ bytes }) => bytes.toString()),
    ['1', '2'],
  );
  t.same(
    claims.map(({ waiter }) => waiter),
    waiters,
  );
  t.equal(forwarder.waiting, 0);
});

t.test('a partition whose thread or journal failed here refuses at once', async (t) => {
  const { state, submit, fromPeer, forwarder } = stage();
  for (const broken of ['restarting', 'failed', 'stopped'] as const) {
    state.host = broken;
    t.equal(submit().said, `refused ${Reason.systemError}`);
    t.equal(fromPeer().said, `refused ${Reason.systemError}`);
  }
  t.equal(forwarder.waiting, 0);
});

t.test('a message without an owner waits for a new view, and goes where that says', async (t) => {
  const { state, asks, forwarder, submit, pass } = stage();
  state.lease = { partition: 0, epoch: 1, holder: null, reservedFor: 'c' };
  submit();
  pass(50);
  t.equal(asks.length, 0);
  state.lease = { partition: 0, epoch: 2, holder: 'c', reservedFor: null };
  state.connected.delete('c');
  forwarder.wake();
  t.equal(asks.length, 0, 'not connected yet');
  state.connected.add('c');
  forwarder.wake();
  t.match(asks, [{ engine: 'c', arrivalMs: 1000 }]);
});

t.test('a waiting message is refused at its deadline', async (t) => {
  const { state, forwarder, submit, fromPeer, pass } = stage();
  state.lease = { partition: 0, epoch: 1, holder: selfId, reservedFor: null };
  const [own, peer] = [submit(), fromPeer()];
  pass(99);
  t.equal(forwarder.waiting, 2);
  pass(1);
  for (const waiter of [own, peer]) t.equal(waiter.said, `refused ${Reason.systemError}`);
  t.ok(forwarder.isIdle, 'nothing was asked, so nothing is withdrawn');
});

t.test('waiting messages are bounded', async (t) => {
  const { state, forwarder, submit } = stage();
  state.lease = { partition: 0, epoch: 1, holder: null, reservedFor: null };
  for (let index = 0; index < waitingMax; index++) t.equal(submit().said, '');
  t.equal(submit().said, `refused ${Reason.overloaded}`);
  t.equal(forwarder.overflowed, 1);
});

t.test('a message of another engine is never forwarded again', async (t) => {
  const { state, asks, claims, fromPeer, forwarder } = stage();
  t.equal(fromPeer().said, 'not owner');
  state.lease = { partition: 0, epoch: 1, holder: 'b', reservedFor: selfId };
  const early = fromPeer('early');
  t.equal(early.said, '', 'we are about to take the partition');
  state.lease = { partition: 0, epoch: 2, holder: selfId, reservedFor: null };
  state.host = 'ready';
  forwarder.wake();
  t.equal(claims[0]!.waiter, early);
  t.match(claims[0], { flags: EntryFlag.marked, bytes: marked('early', 77) });
  state.host = 'leaving';
  const late = fromPeer('late');
  t.equal(late.said, '', 'the partition may come back');
  state.host = 'away';
  state.lease = { partition: 0, epoch: 3, holder: 'c', reservedFor: null };
  forwarder.wake();
  t.equal(late.said, 'not owner');
  t.equal(asks.length, 0);
});

t.test('a message that its engine denies goes to the next owner, or there again after a pause', async (t) => {
  const { state, asks, submit, pass, forwarder } = stage();
  submit();
  asks[0]!.outcome.notOwner();
  forwarder.wake();
  t.equal(asks.length, 1, 'the view is the same');
  pass(9);
  t.equal(asks.length, 1);
  pass(1);
  t.equal(asks.length, 2, 'the engine may have started meanwhile');
  asks[1]!.outcome.notOwner();
  pass(19);
  t.equal(asks.length, 2, 'the pause doubles');
  state.lease = { partition: 0, epoch: 2, holder: 'c', reservedFor: null };
  forwarder.wake();
  t.equal(asks[2]!.engine, 'c', 'a new view ends the pause');
});

t.test('a message whose connection broke is asked again of the owner that the view names then', async (t) => {
  const { state, asks, withdrawals, submit, forwarder, answers } = stage();
  const waiter = submit('m');
  state.connected.delete('b');
  asks[0]!.outcome.lost();
  t.equal(waiter.said, '');
  state.lease = { partition: 0, epoch: 2, holder: 'c', reservedFor: null };
  forwarder.wake();
  t.match(asks[1], { engine: 'c', body: 'm', mark: asks[0]!.mark, arrivalMs: 1000 });
  asks[1]!.outcome.answered(answers(AnswerFlag.approved | AnswerFlag.repeated), 0);
  t.equal(waiter.said, 'answer 8');
  t.equal(withdrawals.length, 0);
  t.equal(forwarder.lost, 1);
});

t.test('an approval that comes after the deadline is withdrawn', async (t) => {
  const { asks, withdrawals, submit, forwarder, pass, answers } = stage();
  const waiter = submit('m');
  pass(100);
  t.equal(waiter.said, `refused ${Reason.systemError}`);
  t.equal(withdrawals.length, 0, 'the outcome is to come');
  asks[0]!.outcome.answered(answers(), 0);
  t.match(withdrawals, [{ engine: 'b', body: 'm' }]);
  await withdrawals[0]!.done(true);
  t.equal(forwarder.withdrawn, 1);
  t.ok(forwarder.isIdle);
});

t.test('an approval that comes too late is withdrawn also before the timer has looked', async (t) => {
  const { state, asks, withdrawals, submit, answers } = stage();
  const waiter = submit();
  state.nowMs += 100;
  asks[0]!.outcome.answered(answers(), 0);
  t.equal(waiter.said, `refused ${Reason.systemError}`);
  t.equal(withdrawals.length, 1);
  const fact = submit();
  state.nowMs += 100;
  asks[1]!.outcome.answered(answers(AnswerFlag.approved), 0);
  t.equal(fact.said, 'answer 8', 'what is never revoked is never too late');
});

t.test('a late repeat of an approval is withdrawn only where the message may have been approved itself', async (t) => {
  const { asks, withdrawals, submit, pass, answers } = stage();
  submit('own');
  submit('other');
  t.not(asks[0]!.mark, asks[1]!.mark, 'each message has its own mark');
  asks[0]!.outcome.lost();
  pass(100);
  asks[1]!.outcome.answered(answers(AnswerFlag.approved | AnswerFlag.repeated), 0);
  t.equal(withdrawals.length, 0, 'another message was approved');
  asks[2]!.outcome.answered(answers(AnswerFlag.approved | AnswerFlag.repeated), 0);
  t.match(withdrawals, [{ body: 'own', mark: asks[0]!.mark }]);
});

t.test('what holds no money is not withdrawn: a decline, a refusal, a client that has gone', async (t) => {
  const { asks, withdrawals, submit, pass, answers } = stage();
  submit();
  submit();
  submit();
  pass(100);
  asks[0]!.outcome.answered(answers(0), 0);
  asks[1]!.outcome.refused(Reason.systemError);
  asks[2]!.outcome.notOwner();
  const gone = submit();
  gone.said = 'gone';
  asks[3]!.outcome.answered(answers(), 0);
  const lost = submit();
  lost.said = 'gone';
  asks[4]!.outcome.lost();
  t.equal(withdrawals.length, 0);
});

t.test('a message whose client has gone while it waited is sent nowhere', async (t) => {
  const { state, asks, claims, submit, forwarder } = stage();
  state.lease = { partition: 0, epoch: 1, holder: null, reservedFor: null };
  submit().said = 'gone';
  submit().said = 'gone';
  state.lease = { partition: 0, epoch: 2, holder: 'b', reservedFor: null };
  forwarder.wake();
  t.equal(forwarder.waiting, 0);
  t.equal(asks.length + claims.length, 0);
});

for (const end of ['lost', 'refused', 'notOwner'] as const) {
  t.test(`a message that was lost once and then ends with ${end} after its 503 is withdrawn`, async (t) => {
    const { asks, withdrawals, submit, pass } = stage();
    const waiter = submit('m');
    asks[0]!.outcome.lost();
    t.equal(asks.length, 2, 'the connection is there again');
    pass(100);
    t.equal(waiter.isRefused, true);
    t.equal(withdrawals.length, 0);
    asks[1]!.outcome[end](Reason.systemError);
    t.match(withdrawals, [{ engine: 'b', body: 'm' }]);
  });
}

t.test('a withdrawal is tried again, with growing pauses, wherever the partition is then', async (t) => {
  const { state, asks, claims, withdrawals, submit, forwarder, pass, answers } = stage();
  submit('m');
  pass(100);
  asks[0]!.outcome.answered(answers(), 0);
  await withdrawals[0]!.done(false);
  pass(49);
  t.equal(withdrawals.length, 1);
  pass(1);
  t.equal(withdrawals.length, 2);
  pass(1000);
  t.equal(withdrawals.length, 2, 'one at a time');
  state.lease = { partition: 0, epoch: 2, holder: null, reservedFor: null };
  await withdrawals[1]!.done(false);
  pass(1000);
  t.equal(withdrawals.length, 2);
  state.lease = { partition: 0, epoch: 3, holder: selfId, reservedFor: null };
  forwarder.wake();
  t.equal(claims.length, 0);
  state.host = 'ready';
  forwarder.wake();
  t.match(claims, [{ kind: EntryKind.withdrawal, bytes: marked('\x01m', asks[0]!.mark) }]);
  claims[0]!.waiter.answer(answers(), 0);
  await new Promise((settled) => setImmediate(settled));
  t.ok(forwarder.isIdle);
});

t.test('withdrawals are bounded in number and in age', async (t) => {
  const { asks, submit, forwarder, pass, answers } = stage();
  for (let index = 0; index <= withdrawalsMax; index++) submit();
  pass(100);
  for (const { outcome } of asks) outcome.answered(answers(), 0);
  t.equal(forwarder.withdrawalsWaiting, withdrawalsMax);
  t.equal(forwarder.withdrawalsDropped, 1);
  pass(withdrawalMsMax - 1);
  t.equal(forwarder.withdrawalsWaiting, withdrawalsMax);
  pass(1);
  t.equal(forwarder.withdrawalsDropped, 1 + withdrawalsMax);
  t.ok(forwarder.isIdle);
});

t.test('a withdrawal of another engine is acknowledged when the partition has carried it out', async (t) => {
  const { state, claims, forwarder, answers } = stage();
  const withdraw = () => forwarder.withdraw(0, Protocol.marqeta, marked('m', 77));
  t.equal(await withdraw(), false, 'the partition is not here');
  state.host = 'ready';
  const [first, second] = [withdraw(), withdraw()];
  t.match(claims[0], { kind: EntryKind.withdrawal, bytes: marked('\x02m', 77) });
  claims[0]!.waiter.answer(answers(), 0);
  claims[1]!.waiter.refuse(Reason.systemError);
  t.equal(await first, true);
  t.equal(await second, false);
});

/** What happens in a run: any order, any number. */
const event = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ kind: 'submit' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'fromPeer' as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      which: fc.nat(),
      end: fc.constantFrom(
        'approved' as const,
        'declined' as const,
        'refused' as const,
        'notOwner' as const,
        'lost' as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('move' as const),
      holder: fc.constantFrom('a', 'b', 'c', null),
      reservedFor: fc.constantFrom('a', 'c', null),
      host: fc.constantFrom('away' as const, 'starting' as const, 'ready' as const, 'leaving' as const),
      connected: fc.subarray(['b', 'c']),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('withdrawn' as const), which: fc.nat(), isDone: fc.boolean() }),
  },
);

t.test('every message ends once and in time, and each approval behind a 503 is withdrawn', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
      const { state, asks, claims, withdrawals, forwarder, pass, answers } = stage();
      const waiters = new Map<string, TestWaiter>();
      const open: PeerOutcome[] = [];
      /** Messages that another engine has approved, and whose client has not heard so. */
      const unheard = new Set<string>();
      const peers = new Set<string>();
      let askedBefore = 0;
      let epoch = 1;
      const counted = (waiter: TestWaiter): TestWaiter => {
        let ends = 0;
        for (const name of ['answer', 'refuse', 'notOwner'] as const) {
          const end = (waiter as PeerTestWaiter)[name]?.bind(waiter) as undefined | ((...args: unknown[]) => void);
          if (end === undefined) continue;
          Object.assign(waiter, {
            [name]: (...args: unknown[]) => {
              ends++;
              if (ends > 1) throw new Error('a message ends once');
              end(...args);
            },
          });
        }
        return waiter;
      };
      const look = () => {
        for (const { body, outcome } of asks.slice(askedBefore)) {
          if (peers.has(body)) throw new Error('a message of another engine was forwarded');
          open.push(outcome);
        }
        askedBefore = asks.length;
        if (forwarder.waiting > waiters.size) throw new Error('a message waits twice');
      };
      for (const [index, event] of events.entries()) {
        const body = `m${index}`;
        if (event.kind === 'submit') {
          const waiter = counted(new TestWaiter(state.nowMs));
          waiters.set(body, waiter);
          forwarder.submit(0, Buffer.from(body), waiter);
        } else if (event.kind === 'fromPeer') {
          peers.add(body);
          const waiter = counted(new PeerTestWaiter(state.nowMs)) as PeerTestWaiter;
          waiters.set(body, waiter);
          forwarder.fromPeer(0, Protocol.native, marked(body, index), waiter);
        } else if (event.kind === 'pass') pass(event.ms);
        else if (event.kind === 'outcome' && open.length > 0) {
          const [outcome] = open.splice(event.which % open.length, 1);
          const { body: asked } = asks.find((ask) => ask.outcome === outcome)!;
          if (event.end === 'approved') {
            outcome!.answered(answers(), 0);
            if (waiters.get(asked)!.isRefused) unheard.add(asked);
          } else if (event.end === 'declined') {
            unheard.delete(asked);
            outcome!.answered(answers(0), 0);
          } else if (event.end === 'lost') {
            // It was approved, and its answer is lost.
            unheard.add(asked);
            outcome!.lost();
          } else outcome![event.end](Reason.systemError);
        } else if (event.kind === 'move') {
          state.lease = { partition: 0, epoch: ++epoch, holder: event.holder, reservedFor: event.reservedFor };
          state.host = event.host;
          state.connected = new Set(event.connected);
          forwarder.wake();
        } else if (event.kind === 'withdrawn' && withdrawals.length > 0) {
          await withdrawals[event.which % withdrawals.length]!.done(event.isDone);
        }
        look();
      }
      // The lane of this engine ends what it took; every connection breaks.
      for (const { waiter } of claims) if (!waiter.isSettled) waiter.refuse(Reason.systemError);
      pass(deadlineMs);
      look();
      state.connected.clear();
      for (const outcome of open.splice(0)) outcome.lost();
      look();
      if (forwarder.waiting !== 0) throw new Error('a message waits beyond its deadline');
      for (const [body, waiter] of waiters) if (!waiter.isSettled) throw new Error(`${body} has no end`);
      const withdrawn = new Set(withdrawals.map(({ body }) => body));
      for (const { kind, bytes } of claims)
        if (kind === EntryKind.withdrawal) withdrawn.add(unmarked(bytes.subarray(1)).body);
      // Those that found no owner yet wait for one.
      for (const body of unheard) {
        if (!waiters.get(body)!.isRefused || peers.has(body) || withdrawn.has(body)) continue;
        if (claims.some(({ kind, bytes }) => kind !== EntryKind.withdrawal && bytes.toString().startsWith(body)))
          continue;
        if (forwarder.withdrawalsWaiting === 0) throw new Error(`${body} is not withdrawn`);
      }
    }),
    runs(500),
  );
});
