/** A question whose answer was settled long ago, asked right after a restart: found, told again, and not decided anew. */
import t from 'tap';
import { Protocol } from '../engine/core/codes.js';
import { EntryFlag, EntryKind, EntryStatus, Slab } from '../engine/core/slab.js';
import { policyDefault } from '../engine/testing/world.js';
import { nativeCodec } from '../engine/wire/native.js';
import { Partition } from './partition.js';
import { ForgetfulJournal } from './testing/forgetful-journal.js';

function partitionWithCard(): { partition: Partition; journal: ForgetfulJournal } {
  const size = { accounts: 16, users: 16, cards: 16, spendRows: 64, chains: 16, seenIds: 16 };
  const journal = new ForgetfulJournal();
  const codecs = [];
  codecs[Protocol.native] = nativeCodec;
  const partition = new Partition(size, policyDefault, journal, codecs, () => 0);
  const common = { number: 1, version: 1, status: 0, limits: null } as const;
  partition.load({
    accounts: [
      { ...common, currency: 'USD', timeZone: 'UTC', partialApproval: false, funds: 1000, held: 0, posted: 0 },
    ],
    users: [common],
    cards: [{ ...common, token: 'card', expiresDay: 1_000_000, accountNumber: 1, userNumber: 1 }],
  });
  return { partition, journal };
}

const question = Buffer.from('{"id":"q","type":"authorization","card":"card","amount":10,"currency":"USD"}');

function ask(partition: Partition, flags: number): { status: number; text: string } {
  const slab = new Slab({ entries: 4, requestBytes: 4096 });
  slab.add(EntryKind.native, flags, 1000, question);
  slab.seal(1000, 100);
  partition.run(slab);
  return { status: slab.status[0]!, text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]) };
}

t.test('until all settled ids are known an unknown one is looked up, and what is found is the answer', (t) => {
  const before = partitionWithCard();
  const first = ask(before.partition, EntryFlag.seenAbsent);
  t.equal(first.status, 200);
  const record = Buffer.from(before.journal.frame.subarray(0, before.journal.view.getUint16(0, true)));

  const { partition, journal } = partitionWithCard();
  t.same(ask(partition, 0), { status: EntryStatus.needSeen, text: 'q' });
  partition.load({ records: [{ id: 'q', record: record.toString('base64') }] });
  t.same(ask(partition, 0), first, 'the loader brought it: told again');
  t.equal(journal.nextSequence, 1, 'and not decided anew');
  t.end();
});
