/** What is answered 503 is never remembered: late before it was decided, or decided, approved late, and revoked. */
import t from 'tap';
import { Protocol } from '../../engine/core/codes.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import { followsTransaction } from '../../engine/core/record.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { viewOfDecision } from '../../engine/ledger/decision-view.js';
import { marqetaSample, sampleText } from '../../engine/protocols/testing/marqeta-sample.js';
import { nativeCodec, testMarqetaCodec } from '../../engine/protocols/testing/test-codecs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { replayJournal } from '../journal/journal-reader.js';
import { type Fixture, journalFixture } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { oneCard, tinySize } from '../testing/one-card.js';
import { Partition } from './partition.js';
import { PeerApprovals, peerApprovalsMax } from './peer-approvals.js';

const slab = new Slab({ entries: 4, requestBytes: 16_384 });

interface Said {
  readonly status: number;
  readonly text: string;
  readonly isRepeat: boolean;
  readonly location: number;
}

/** A partition with one card, which can be started again from its journal. */
class Stage {
  readonly #fixture: Fixture = journalFixture(new MemoryStorage(), '/journal', {
    sizes: { segmentBytes: 64 * 1024, frameBytesMax: 32 * 1024 },
  });
  /** What the books have, and what the lane revokes no more. */
  sequences = { settled: 0, final: Number.MAX_SAFE_INTEGER };
  readonly settled = () => this.sequences.settled;
  readonly final = () => this.sequences.final;
  partition = this.#start(true);

  /** @param known false: the ids of settled messages are not in memory yet */
  restart(known: boolean): void {
    this.partition = this.#start(known);
  }

  /** Starts from books in which everything is settled. */
  startSettled(message: PartitionRows): void {
    this.partition = this.#start(false, false);
    this.partition.takeRows(message);
  }

  #start(known: boolean, replays = true): Partition {
    const codecs = [];
    codecs[Protocol.native] = nativeCodec;
    codecs[Protocol.marqeta] = testMarqetaCodec();
    const { writer } = this.#fixture.open();
    const { settled, final } = this;
    const place = [tinySize, policyDefault, writer, codecs, settled] as const;
    const partition = new Partition(...place, undefined, final);
    partition.takeRows({ ...oneCard('card-77', 100_000), seenComplete: known });
    const { options, progress } = this.#fixture;
    if (replays) {
      replayJournal(options, 1, progress.durableSequence, (bytes, view, offset, sequence, location) =>
        partition.replay(bytes, view, offset, sequence, location),
      );
    }
    return partition;
  }

  get records(): number {
    return this.#fixture.progress.durableSequence;
  }

  newestView(): DataView {
    const bytes = this.#fixture.readAll(this.records)[0]!;
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The newest record, as Postgres has it. */
  newestRecord(id: string): { id: string; sequence: number; record: string } {
    return {
      id,
      sequence: this.records,
      record: Buffer.from(this.#fixture.readAll(this.records)[0]!).toString('base64'),
    };
  }

  run(kind: number, bytes: Uint8Array, { sealedAtMs = 1000, flags = 0 } = {}): Said {
    slab.clear();
    slab.add(kind, flags, 1000, bytes);
    slab.seal(sealedAtMs, 100);
    this.partition.run(slab);
    return {
      status: slab.status[0]!,
      text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]),
      isRepeat: (slab.answerFlags[0]! & AnswerFlag.repeated) !== 0,
      location: slab.location[0]!,
    };
  }

  ask(message: object, options = {}): Said {
    return this.run(Protocol.native, Buffer.from(JSON.stringify(message)), options);
  }

  revoke({ location }: Said): Said {
    return this.run(EntryKind.revocation, new Uint8Array(new Float64Array([location]).buffer));
  }

  /** A message of another engine, with its mark. */
  peerAsks(message: object | string, { mark = 7, kind = Protocol.native as number } = {}): Said {
    return this.run(kind, marked(message, mark), { flags: EntryFlag.marked });
  }

  withdraw(message: object | string, { mark = 7, kind = Protocol.native as number } = {}): number {
    return this.run(EntryKind.withdrawal, Buffer.concat([Buffer.of(kind), marked(message, mark)])).status;
  }

  get held(): number {
    return this.partition.books.accounts.held(0);
  }
}

function marked(message: object | string, mark: number): Buffer {
  const text = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message));
  return Buffer.concat([text, new Uint8Array(new Float64Array([mark]).buffer)]);
}

const question = { id: 'q', type: 'authorization', card: 'card-77', amount: 10, currency: 'USD' };
const questions = {
  marqeta: { kind: Protocol.marqeta, text: sampleText(marqetaSample()) },
  native: { kind: Protocol.native, text: JSON.stringify(question) },
} as const;

for (const [protocol, { kind, text }] of Object.entries(questions)) {
  t.test(`${protocol}: a revoked approval is decided again and then kept, also after a restart`, async (t) => {
    for (const restarts of [false, true]) {
      const stage = new Stage();
      const ask = () => stage.run(kind, Buffer.from(text));
      const first = ask();
      t.equal(first.status, EntryStatus.decided);
      t.equal(stage.revoke(first).status, EntryStatus.revoked);
      t.equal(stage.held, 0);
      if (restarts) stage.restart(true);
      const second = ask();
      t.match(second, { status: EntryStatus.decided, isRepeat: false });
      const { held } = stage;
      t.ok(held > 0);
      t.match(ask(), { status: EntryStatus.decided, text: second.text, isRepeat: true });
      stage.restart(true);
      t.match(
        ask(),
        { status: EntryStatus.decided, text: second.text, isRepeat: true },
        'the second decision is the answer',
      );
      t.equal(stage.held, held);
      // Late a second time: the same again.
      t.equal(stage.revoke(second).status, EntryStatus.revoked);
      t.equal(stage.held, 0);
      t.match(ask(), { status: EntryStatus.decided, isRepeat: false });
    }
  });

  t.test(`${protocol}: a message that is late before its decision leaves no record`, async (t) => {
    const stage = new Stage();
    const { status } = stage.run(kind, Buffer.from(text), { sealedAtMs: 1100 });
    t.equal(status, EntryStatus.unavailable);
    t.equal(stage.records, 0);
    t.match(stage.run(kind, Buffer.from(text)), { status: EntryStatus.decided, isRepeat: false });
  });
}

t.test('the record of a revocation explains the approval as its own record did, also after a restart', async (t) => {
  const stage = new Stage();
  const explained = () => {
    const { sequence, record } = stage.partition.decision(Buffer.from('q'))!;
    const { checks, atMs, approved, approvedAmount, revokedAtMs } = viewOfDecision(
      0,
      sequence,
      Buffer.from(record, 'base64'),
      null,
    );
    return { decided: { checks, atMs, approved, approvedAmount }, sequence, revokedAtMs };
  };
  const approval = stage.ask(question);
  stage.ask({ ...question, id: 'another', amount: 500 });
  const first = explained();
  t.match(first, { decided: { approved: true, approvedAmount: 10 }, sequence: 1, revokedAtMs: null });
  t.match(first.decided.checks.at(-1), { reason: 'insufficient_funds', numbers: { available: 100_000 } });
  stage.revoke(approval);
  t.same(explained(), { decided: first.decided, sequence: 3, revokedAtMs: 1000 });
  stage.restart(true);
  t.same(explained(), { decided: first.decided, sequence: 3, revokedAtMs: 1000 });
  stage.ask(question);
  t.match(explained(), { sequence: 4, revokedAtMs: null }, 'the decision after it is explained instead');
  t.equal(stage.partition.decision(Buffer.from('unknown')), null);
});

t.test('a revoked message that comes again is declined for a current reason', async (t) => {
  const stage = new Stage();
  stage.revoke(stage.ask(question));
  stage.partition.takeRows({
    changes: { accounts: [], users: [], cards: [{ ...oneCard('card-77', 1).cards![0]!, version: 2, status: 1 }] },
  });
  const again = stage.ask(question);
  t.match(again.text, '"reason":"card_inactive"');
  t.match(stage.ask(question), { text: again.text, isRepeat: true });
});

t.test('a fact is accepted however late it is, and its answer is kept', async (t) => {
  const stage = new Stage();
  stage.ask(question);
  const clearing = { ...question, id: 'c', type: 'clearing', original: 'q' };
  const first = stage.ask(clearing, { sealedAtMs: 1100 });
  t.equal(first.status, EntryStatus.decided);
  t.match(stage.ask(clearing), { text: first.text, isRepeat: true });
});

t.test('a settled revocation is no answer for a repeat', async (t) => {
  const stage = new Stage();
  stage.revoke(stage.ask(question));
  const record = stage.newestRecord('q');
  stage.startSettled({});
  t.equal(stage.ask(question).status, EntryStatus.lookupSeen);
  stage.partition.takeRows({ records: [record] });
  const again = stage.ask(question);
  t.match(again, { status: EntryStatus.decided, isRepeat: false });
  t.match(stage.ask(question), { text: again.text, isRepeat: true });
  // The record of the revocation is still there, and must not hide the newer one.
  stage.partition.takeRows({ records: [record] });
  t.match(stage.ask(question, { flags: EntryFlag.seenAbsent }), { text: again.text, isRepeat: true });
});

t.test('a reversal of a revoked authorization spends its id, and the next authorization is declined', async (t) => {
  for (const restarts of [false, true]) {
    const stage = new Stage();
    stage.revoke(stage.ask(question));
    if (restarts) stage.restart(true);
    t.match(
      stage.ask({ id: 'r', type: 'reversal', card: 'card-77', original: 'q' }).text,
      '"reason":"original_not_found"',
    );
    if (restarts) stage.restart(true);
    t.match(stage.ask(question).text, '"reason":"original_closed"');
    t.equal(stage.held, 0);
  }
});

t.test('a revoked authorization that comes again joins its surviving increment', async (t) => {
  for (const restarts of [false, true]) {
    const stage = new Stage();
    const first = stage.ask(question);
    stage.ask({ ...question, id: 'i', type: 'incremental', original: 'q', amount: 5 });
    stage.revoke(first);
    t.equal(stage.held, 5);
    if (restarts) stage.restart(true);
    const again = stage.ask(question);
    t.match(again, { status: EntryStatus.decided, isRepeat: false });
    t.match(again.text, '"authorizationId":"q"');
    t.equal(followsTransaction(stage.newestView(), 0), true, 'the restart loads the transaction that it joined');
    t.equal(stage.held, 15);
    t.same(stage.partition.books.spend.use(0, 1, 0)?.counts, [1, 1, 1, 1, 1], 'the purchase counts once');
    if (restarts) stage.restart(true);
    stage.revoke(again);
    t.equal(stage.held, 5);
    stage.ask({ id: 'r', type: 'reversal', card: 'card-77', original: 'q' });
    t.equal(stage.held, 0);
    t.match(stage.ask(question).text, '"reason":"original_closed"', 'the authorization was reversed');
    t.equal(stage.held, 0);
  }
});

t.test('a revoked increment is decided again', async (t) => {
  const stage = new Stage();
  stage.ask(question);
  const increment = { ...question, id: 'i', type: 'incremental', original: 'q', amount: 5 };
  stage.revoke(stage.ask(increment));
  t.equal(stage.held, 10);
  t.match(stage.ask(increment), { status: EntryStatus.decided, isRepeat: false });
  t.equal(stage.held, 15);
});

const { none, withdrawn, unavailable } = EntryStatus;

for (const [protocol, { kind, text }] of Object.entries(questions)) {
  t.test(`${protocol}: a withdrawn approval is decided again and then kept, also after a restart`, async (t) => {
    for (const restarts of [false, true]) {
      const stage = new Stage();
      stage.peerAsks(text, { kind });
      t.ok(stage.held > 0);
      t.equal(stage.withdraw(text, { kind }), withdrawn);
      t.equal(stage.held, 0);
      t.equal(stage.records, 2, 'by a record of its own');
      if (restarts) stage.restart(true);
      t.equal(stage.withdraw(text, { kind }), none, 'once');
      t.equal(stage.held, 0);
      const again = stage.peerAsks(text, { kind, mark: 8 });
      t.match(again, { status: EntryStatus.decided, isRepeat: false });
      t.match(stage.run(kind, Buffer.from(text)), { text: again.text, isRepeat: true });
      t.equal(stage.withdraw(text, { kind, mark: 8 }), none, 'another client has received it');
      t.ok(stage.held > 0);
    }
  });
}

t.test('only the message that was approved withdraws the approval', async (t) => {
  const stage = new Stage();
  const first = stage.ask(question);
  t.equal(stage.withdraw(question), none, 'a client of this engine was answered');
  t.match(stage.peerAsks(question), { text: first.text, isRepeat: true });
  t.equal(stage.withdraw(question), none);
  const other = { ...question, id: 'other' };
  stage.peerAsks(other, { mark: 8 });
  t.equal(stage.withdraw(other, { mark: 9 }), none, 'a repeat that was lost on its way was not approved');
  t.equal(stage.held, 20);
  t.equal(stage.withdraw(other, { mark: 8 }), withdrawn);
  t.equal(stage.held, 10);
});

t.test('an approval whose answer another message has received is not withdrawn', async (t) => {
  for (const repeat of [
    (stage: Stage) => stage.ask(question),
    (stage: Stage) => stage.peerAsks(question, { mark: 8 }),
  ]) {
    const stage = new Stage();
    const first = stage.peerAsks(question);
    t.match(stage.peerAsks(question), { text: first.text, isRepeat: true }, 'the same message, sent again');
    t.match(repeat(stage), { text: first.text, isRepeat: true });
    t.equal(stage.withdraw(question), none);
    t.equal(stage.withdraw(question, { mark: 8 }), none);
    t.equal(stage.held, 10);
  }
});

t.test('a message that was sent again, because its connection broke, is withdrawn', async (t) => {
  const stage = new Stage();
  stage.peerAsks(question);
  t.equal(stage.peerAsks(question).isRepeat, true);
  t.equal(stage.withdraw(question), withdrawn);
  t.equal(stage.held, 0);
});

t.test('an approval that was decided before the start is not withdrawn', async (t) => {
  const stage = new Stage();
  stage.peerAsks(question);
  stage.restart(true);
  t.equal(stage.withdraw(question), none);
  t.equal(stage.held, 10);
});

t.test('an approval whose transaction has a later message is not withdrawn', async (t) => {
  for (const later of [
    { ...question, id: 'l', type: 'incremental', original: 'q', amount: 5 },
    { ...question, id: 'l', type: 'clearing', original: 'q' },
    { ...question, id: 'l', type: 'clearing', original: 'q', amount: 4, final: false },
    { id: 'l', type: 'reversal', card: 'card-77', original: 'q' },
    { ...question, id: 'l', type: 'refund', original: 'q', amount: 3 },
  ]) {
    const stage = new Stage();
    stage.peerAsks(question);
    const { text } = stage.ask(later);
    const { held, records } = stage;
    const { accounts } = stage.partition.books;
    const before = [held, accounts.posted(0), accounts.available(0)];
    t.equal(stage.withdraw(question), none, later.type);
    t.same([stage.held, accounts.posted(0), accounts.available(0)], before);
    t.equal(stage.records, records);
    t.match(stage.ask(later), { text, isRepeat: true });
  }
});

t.test('an increment is withdrawn, and the authorization before it stays', async (t) => {
  const stage = new Stage();
  const increment = { ...question, id: 'i', type: 'incremental', original: 'q', amount: 5 };
  const first = stage.peerAsks(question);
  stage.peerAsks(increment);
  t.equal(stage.withdraw(increment), withdrawn);
  t.equal(stage.held, 10);
  t.equal(stage.withdraw(question), none, 'the revocation is a later message of the transaction');
  t.match(stage.ask(question), { text: first.text, isRepeat: true });
  stage.ask(increment);
  t.equal(stage.held, 15);
});

t.test('a decline, a fact, a command, another question and bytes that cannot be read are left alone', async (t) => {
  const stage = new Stage();
  const large = { ...question, id: 'd', amount: 1_000_000 };
  stage.peerAsks(large);
  const advice = { ...question, id: 'a', type: 'advice' };
  stage.peerAsks(advice);
  stage.peerAsks(question);
  const { records, held } = stage;
  t.equal(stage.withdraw(large), none);
  t.equal(stage.withdraw(advice), none);
  t.equal(stage.withdraw({ ...question, amount: 11 }), none);
  t.equal(stage.withdraw({ ...question, id: 'unknown' }), none);
  t.equal(stage.withdraw('{"id":'), none);
  t.equal(stage.withdraw(''), none);
  t.equal(stage.withdraw(question, { kind: Protocol.ledger }), none);
  t.equal(stage.withdraw(question, { kind: 200 }), none);
  t.equal(stage.withdraw(question, { mark: Number.NaN }), none);
  t.same([stage.records, stage.held], [records, held]);
});

t.test('an approval that its lane may still revoke is withdrawn later', async (t) => {
  const stage = new Stage();
  stage.sequences.final = 0;
  const first = stage.peerAsks(question);
  t.equal(stage.withdraw(question), unavailable);
  t.equal(stage.held, 10);
  stage.revoke(first);
  stage.sequences.final = 2;
  t.equal(stage.withdraw(question), none, 'the lane has revoked it');
  t.equal(stage.peerAsks(question).isRepeat, false);
  t.equal(stage.withdraw(question), unavailable);
  stage.sequences.final = 3;
  t.equal(stage.withdraw(question), withdrawn);
  t.equal(stage.held, 0);
});

t.test('a withdrawal between other messages of its slab changes none of them', async (t) => {
  const stage = new Stage();
  stage.peerAsks(question);
  slab.clear();
  const other = { ...question, id: 'other', amount: 7 };
  const withdrawal = (message: object) => Buffer.concat([Buffer.of(Protocol.native), marked(message, 7)]);
  slab.add(Protocol.native, EntryFlag.marked, 1000, marked(other, 7));
  slab.add(EntryKind.withdrawal, 0, 1000, withdrawal(question));
  slab.add(Protocol.native, 0, 1000, Buffer.from(JSON.stringify(question)));
  slab.add(EntryKind.withdrawal, 0, 1000, withdrawal(other));
  slab.seal(1000, 100);
  stage.sequences.final = 1;
  stage.partition.run(slab);
  t.same([...slab.status], [EntryStatus.decided, withdrawn, EntryStatus.decided, unavailable]);
  t.equal(slab.answerFlags[2]! & AnswerFlag.repeated, 0, 'it is decided again');
  t.equal(stage.held, 17);
});

t.test('the marks of the newest approvals are kept, and no older ones', async (t) => {
  const approvals = new PeerApprovals();
  t.equal(approvals.isOf(5, 7), false);
  approvals.repeated(5, 7);
  approvals.add(5, 7);
  t.equal(approvals.isOf(5, 7), true);
  approvals.add(5 + peerApprovalsMax, 8);
  t.equal(approvals.isOf(5, 7), false);
  approvals.repeated(5, 9);
  t.equal(approvals.isOf(5 + peerApprovalsMax, 8), true, 'a repeat of the older one');
});
