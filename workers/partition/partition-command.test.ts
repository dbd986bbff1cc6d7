/** Deposits and withdrawals in one partition: what is journaled, what is not, and what stays undecided. */
import t from 'tap';
import { Protocol } from '../../engine/core/codes.js';
import type { AccountRow } from '../../engine/core/partition-rows.js';
import { Reason } from '../../engine/core/reasons.js';
import { AnswerFlag, EntryFlag, EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { commandIdPrefix } from '../../engine/protocols/commands/codec.js';
import { ledgerCodec } from '../../engine/protocols/testing/test-codecs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { ForgetfulJournal } from '../testing/forgetful-journal.js';
import { Partition } from './partition.js';

const row = (number: number, funds = 1000): AccountRow => ({
  ...{ number, publicId: `acct_${number}`, version: 7, status: 0, limits: null, currency: 'USD', timeZone: 'UTC' },
  ...{ partialApproval: false, funds, held: 0, posted: 0 },
});

function stage(accounts = 16) {
  const journal = new ForgetfulJournal();
  const codecs = [];
  codecs[Protocol.ledger] = ledgerCodec;
  const size = { accounts, users: 16, cards: 16, spendRows: 64, transactions: 16, seenIds: 16 };
  const partition = new Partition(size, policyDefault, journal, codecs, () => 0);
  partition.takeRows({ seenComplete: true });
  const ask = (command: object, options: { flags?: number; deadlineMs?: number; isStale?: boolean } = {}) => {
    const { flags = 0, deadlineMs = 100, isStale = false } = options;
    const slab = new Slab({ entries: 4, requestBytes: 4096 });
    slab.add(Protocol.ledger, flags, 1000, Buffer.from(JSON.stringify({ account: 'acct_1', amount: 10, ...command })));
    slab.seal(1000, deadlineMs, isStale);
    partition.run(slab);
    return {
      status: slab.status[0]!,
      text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]),
      flags: slab.answerFlags[0]!,
      reason: slab.reason[0]!,
    };
  };
  /** The record that was journaled last comes back by a lookup, as it does once its segment has gone. */
  const recall = (id: string) => {
    const record = Buffer.from(journal.frame.subarray(0, journal.view.getUint16(0, true))).toString('base64');
    partition.takeRows({ records: [{ id: `${commandIdPrefix}${id}`, sequence: journal.nextSequence - 1, record }] });
  };
  return { partition, journal, ask, recall };
}

const deposit = { id: 'd', type: 'deposit' };

t.test('an account that is not in memory is looked up by its public id, and then the command is decided', async (t) => {
  const { partition, journal, ask, recall } = stage();
  t.match(ask(deposit), { status: EntryStatus.lookupAccount, text: 'acct_1' });
  t.equal(journal.nextSequence, 1, 'the command is not journaled yet');
  partition.takeRows({ accounts: [row(1)] });
  const first = ask(deposit);
  t.match([first.status, JSON.parse(first.text).account.funds], [EntryStatus.decided, 1010]);
  t.equal(first.flags, AnswerFlag.approved, 'the command is approved, and no deadline can revoke it');
  t.equal(journal.nextSequence, 2);
  t.match(ask(deposit), { status: EntryStatus.lookupSeen, text: `${commandIdPrefix}d` });
  recall('d');
  const again = ask(deposit);
  t.match([again.status, again.text], [EntryStatus.decided, first.text]);
  t.equal(again.flags & AnswerFlag.repeated, AnswerFlag.repeated);
  t.equal(journal.nextSequence, 2, 'a repeat is not journaled again');
});

t.test('loading the account again does not reset its books', async (t) => {
  const { partition, ask } = stage();
  partition.takeRows({ accounts: [row(1)] });
  ask(deposit);
  partition.takeRows({ accounts: [row(1)] });
  t.equal(JSON.parse(ask({ ...deposit, id: 'd2' }).text).account.funds, 1020);
});

t.test('an unknown account is a 404, is not journaled, and leaves the id free', async (t) => {
  const { partition, journal, ask } = stage();
  t.match(ask(deposit, { flags: EntryFlag.accountAbsent }), { status: EntryStatus.unknownAccount });
  t.equal(journal.nextSequence, 1);
  partition.takeRows({ accounts: [row(1)] });
  t.match(ask(deposit), { status: EntryStatus.decided });
});

t.test('a repeated id with an account of another partition is answered without a look at that account', async (t) => {
  const { partition, journal, ask } = stage();
  t.match(ask(deposit, { flags: EntryFlag.foreign }), {
    status: EntryStatus.decided,
    reason: Reason.duplicateConflict,
  });
  t.equal(journal.nextSequence, 1);
  partition.takeRows({ accounts: [row(1)] });
  t.match(ask(deposit), { status: EntryStatus.decided });
});

t.test('a command is decided however late it is', async (t) => {
  const { partition, ask } = stage();
  partition.takeRows({ accounts: [row(1)] });
  t.match(JSON.parse(ask(deposit, { deadlineMs: 0 }).text), { approved: true });
  t.match(JSON.parse(ask({ id: 'w', type: 'withdrawal' }, { deadlineMs: 0 }).text), { approved: true });
});

t.test('on stale knowledge no command is decided, and a repeat still receives its answer', async (t) => {
  const { partition, journal, ask, recall } = stage();
  partition.takeRows({ accounts: [row(1)] });
  const answered = ask(deposit);
  recall('d');
  for (const type of ['deposit', 'withdrawal']) {
    t.match(ask({ id: 'later', type }, { isStale: true }), { status: EntryStatus.unavailable, text: '' }, type);
  }
  t.equal(journal.nextSequence, 2, 'no command is journaled');
  t.equal(ask(deposit, { isStale: true }).text, answered.text);
  t.match(JSON.parse(ask({ id: 'later', type: 'withdrawal' }).text), { approved: true }, 'the id is still free');
});

t.test('a full store leaves a command for another account unanswered, and serves the known ones', async (t) => {
  const { partition, ask } = stage(1);
  partition.takeRows({ accounts: [row(1), row(2)] });
  t.match(ask({ ...deposit, account: 'acct_2' }), { status: EntryStatus.lookupAccount });
  t.match(ask(deposit), { status: EntryStatus.decided });
});
