/** The hand-over between a front thread and the main thread, its two ends in one thread and in any interleaving. */
import { deepStrictEqual as deepEqual, strictEqual as equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { Protocol } from '../core/codes.js';
import { bodyBytesMax } from '../core/limits.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import type { Waiter } from '../ledger/waiter.js';
import type { SentOn } from '../ops/message-traces.js';
import type { Codec } from '../protocols/codec.js';
import { nativeCodec } from '../protocols/testing/test-codecs.js';
import { runs } from '../testing/runs.js';
import { BodyBytes, bodyBytesWaitingMax } from './body-bytes.js';
import { FrontLedger } from './front-ledger.js';
import { FrontLink } from './front-link.js';

const placesMax = 8;
const codecs: (Codec | undefined)[] = [];
codecs[Protocol.native] = nativeCodec;
const sentOn: SentOn = { ids: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: '' }, isDrawn: true };

const refusedAtOnce: End = { kind: 'refusal', reason: Reason.overloaded, reentries: 0 };

/** How the wait of a client ended. */
type End =
  | { readonly kind: 'answer'; readonly columns: readonly number[]; readonly bytes: string; readonly reentries: number }
  | { readonly kind: 'refusal'; readonly reason: number; readonly reentries: number };

class Asker implements Waiter {
  readonly kind = Protocol.native;
  reentries = 0;
  isRefused = false;
  isGone = false;
  readonly ends: End[] = [];
  readonly traceparent: string;
  sentOn: SentOn | null = null;

  constructor(
    readonly arrivalMs: number,
    readonly body: Buffer,
  ) {
    this.traceparent = `of ${arrivalMs}`;
  }

  get isSettled(): boolean {
    return this.isGone || this.ends.length > 0;
  }
  answer(from: Answers, index: number): void {
    this.ends.push({ kind: 'answer', ...answerAt(from, index), reentries: this.reentries });
  }
  refuse(reason: Reason): void {
    this.ends.push({ kind: 'refusal', reason, reentries: this.reentries });
  }
}

function answerAt(from: Answers, index: number) {
  const { status, answerFlags, reason, sealedAtMs, returnedAtMs } = from;
  const bytes = from.answer.toString('hex', from.answerStart[index], from.answerEnd[index]);
  return { columns: [status[index]!, answerFlags[index]!, reason[index]!, sealedAtMs, returnedAtMs], bytes };
}

/** Both ends, and what is on its way between them. */
class HandOver {
  readonly toMain: ArrayBuffer[] = [];
  readonly toFront: ArrayBuffer[] = [];
  /** Ends of event-loop turns. */
  readonly frontTurns: (() => void)[] = [];
  readonly mainTurns: (() => void)[] = [];
  readonly bodyBytes = new BodyBytes(BodyBytes.memory());
  /** What the ledger has taken and not ended, in the order in which it came. */
  readonly taken: Waiter[] = [];
  readonly askers: Asker[] = [];
  /** Bodies in the order in which the ledger got them. */
  readonly bodies: string[] = [];
  /** Bodies of the messages that were not refused at once. */
  readonly handed: string[] = [];
  /** What the ledger said, by arrival. */
  readonly said = new Map<number, End>();
  readonly front = new FrontLedger({
    placesMax,
    bodyBytes: this.bodyBytes,
    post: (batch) => this.toMain.push(batch),
    schedule: (task) => this.frontTurns.push(task),
  });
  readonly link = new FrontLink({
    placesMax,
    bodyBytes: this.bodyBytes,
    codecs,
    traces: { sendOn: () => sentOn },
    ledger: { submit: (codec, body, waiter) => this.#submit(codec, body, waiter) },
    post: (batch) => this.toFront.push(batch),
    schedule: (task) => this.mainTurns.push(task),
  });

  #submit(_codec: Codec, body: Uint8Array, waiter: Waiter): void {
    this.bodies.push(Buffer.from(body).toString('hex'));
    this.taken.push(waiter);
  }

  /** Messages in the ledger for which a client waits. */
  get waited(): number {
    return this.taken.filter(({ isSettled }) => !isSettled).length;
  }

  ask(body: Buffer): Asker {
    const asker = new Asker(this.askers.length, body);
    this.askers.push(asker);
    this.front.submit(nativeCodec, body, asker);
    if (!asker.isSettled) this.handed.push(body.toString('hex'));
    return asker;
  }

  /** Ends the message that the ledger has at `place`. */
  end(place: number, bytes: Buffer, isRefusal: boolean): void {
    const [waiter] = this.taken.splice(place % Math.max(1, this.taken.length), 1);
    if (waiter === undefined || waiter.isSettled) return;
    waiter.reentries = bytes.length;
    if (bytes.length % 2 === 1) waiter.hopTrace?.();
    const said = isRefusal
      ? ({ kind: 'refusal', reason: Reason.systemError, reentries: bytes.length } as const)
      : ({ kind: 'answer', ...answerAt(oneAnswer(bytes), 1), reentries: bytes.length } as const);
    this.said.set(waiter.arrivalMs, said);
    if (isRefusal) waiter.refuse(Reason.systemError);
    else waiter.answer(oneAnswer(bytes), 1);
    if (waiter.isRefused !== isRefusal) throw new Error('the ledger sees in the waiter whether it was refused');
  }

  run(step: Step): void {
    if (step.do === 'ask') this.ask(Buffer.from(step.bytes));
    else if (step.do === 'leave') this.#leave(step.place);
    else if (step.do === 'end') this.end(step.place, Buffer.from(step.bytes), step.isRefusal);
    else if (step.do === 'front turn') this.frontTurns.shift()?.();
    else if (step.do === 'main turn') this.mainTurns.shift()?.();
    else if (step.do === 'to main') take(this.toMain, (batch) => this.link.take(batch));
    else take(this.toFront, (batch) => this.front.take(batch));
  }

  #leave(place: number): void {
    const waiting = this.askers.filter(({ isSettled }) => !isSettled);
    const asker = waiting[place % Math.max(1, waiting.length)];
    if (asker === undefined) return;
    asker.isGone = true;
    this.front.abandon(asker);
  }

  /** Until nothing is on its way, and the ledger has ended everything. */
  settle(): void {
    for (let round = 0; round < 4; round++) {
      for (const turn of [...this.frontTurns.splice(0), ...this.mainTurns.splice(0)]) turn();
      for (const batch of this.toMain.splice(0)) this.link.take(batch);
      while (this.taken.length > 0) this.end(0, Buffer.from('last'), false);
      for (const turn of this.mainTurns.splice(0)) turn();
      for (const batch of this.toFront.splice(0)) this.front.take(batch);
    }
  }
}

function take(queue: ArrayBuffer[], taker: (batch: ArrayBuffer) => void): void {
  const batch = queue.shift();
  if (batch !== undefined) taker(batch);
}

/** Among other bytes and columns, at index 1. */
function oneAnswer(bytes: Buffer): Answers {
  return {
    status: Uint8Array.of(0, 8, 0),
    answerFlags: Uint8Array.of(9, bytes.length & 7, 9),
    reason: Uint8Array.of(9, bytes.length & 15, 9),
    answerStart: Int32Array.of(0, 3, 0),
    answerEnd: Int32Array.of(0, 3 + bytes.length, 0),
    answer: Buffer.concat([Buffer.from('xyz'), bytes, Buffer.from('xyz')]),
    sealedAtMs: bytes.length + 0.25,
    returnedAtMs: bytes.length + 0.5,
  };
}

type Step =
  | { readonly do: 'ask'; readonly bytes: Uint8Array }
  | { readonly do: 'end'; readonly place: number; readonly bytes: Uint8Array; readonly isRefusal: boolean }
  | { readonly do: 'leave'; readonly place: number }
  | { readonly do: 'front turn' | 'main turn' | 'to main' | 'to front' };

const bytes = fc.uint8Array({ maxLength: 40 });
const place = fc.nat(placesMax - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), bytes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), place, bytes, isRefusal: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), place }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('front turn' as const, 'main turn' as const, 'to main' as const, 'to front' as const),
    }),
  },
);

t.test('each message is ended once, with what the ledger said of it', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const handOver = new HandOver();
      for (const one of steps) {
        handOver.run(one);
        if (handOver.front.waiting > placesMax || handOver.waited > placesMax) return false;
      }
      handOver.settle();
      equal(handOver.front.waiting, 0, 'every place is free again');
      ok(handOver.bodyBytes.add(bodyBytesWaitingMax), 'every body was read');
      for (const { arrivalMs, ends, isGone } of handOver.askers) {
        const said = handOver.said.get(arrivalMs);
        if (isGone) deepEqual(ends, [], 'a client that has gone hears nothing');
        else deepEqual(ends, [said ?? refusedAtOnce], 'what the ledger said, byte for byte, or all places were taken');
      }
      deepEqual(handOver.bodies, handOver.handed, 'the bodies arrive whole and in order');
      return true;
    }),
    runs(300),
  );
});

t.test('a place is used again only after the main thread has ended its message', async (t) => {
  const handOver = new HandOver();
  const first = handOver.ask(Buffer.from('first'));
  handOver.frontTurns.shift()!();
  handOver.link.take(handOver.toMain.shift()!);
  first.isGone = true;
  handOver.front.abandon(first);
  t.equal(handOver.front.waiting, 1, 'the place is taken while the answer may be on its way');
  handOver.end(0, Buffer.from('answer'), false);
  handOver.settle();
  t.equal(handOver.front.waiting, 0);
  t.equal(first.ends.length, 0);
});

t.test('a message that another engine decided brings the ids of its trace back', async (t) => {
  const handOver = new HandOver();
  const asker = handOver.ask(Buffer.from('traced'));
  handOver.frontTurns.shift()!();
  handOver.link.take(handOver.toMain.shift()!);
  handOver.end(0, Buffer.from('odd'), false);
  handOver.settle();
  t.same(asker.sentOn, sentOn);
  t.equal(asker.reentries, 3);
});

t.test('bodies that the main thread does not read are bounded, and more are refused', async (t) => {
  const bodyBytes = new BodyBytes(BodyBytes.memory());
  const front = new FrontLedger({ placesMax: 4096, bodyBytes, post: () => undefined, schedule: () => undefined });
  const body = Buffer.alloc(bodyBytesMax);
  const askers = Array.from({ length: bodyBytesWaitingMax / bodyBytesMax + 1 }, (_, index) => new Asker(index, body));
  for (const asker of askers) front.submit(nativeCodec, body, asker);
  t.equal(askers.filter(({ isSettled }) => isSettled).length, 1);
  t.match(askers.at(-1)!.ends, [{ kind: 'refusal', reason: Reason.overloaded }]);
});
