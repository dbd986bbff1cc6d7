/**
 * A question whose answer was settled long ago, asked right after a restart: found, answered again, and not decided
 * again.
 */
import t from 'tap';
import { Protocol } from '../../engine/core/codes.js';
import { EntryFlag, EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { nativeCodec } from '../../engine/protocols/testing/test-codecs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { ForgetfulJournal } from '../testing/forgetful-journal.js';
import { oneCard, tinySize } from '../testing/one-card.js';
import { Partition } from './partition.js';

function partitionWithCard(): { partition: Partition; journal: ForgetfulJournal } {
  const journal = new ForgetfulJournal();
  const codecs = [];
  codecs[Protocol.native] = nativeCodec;
  const partition = new Partition(tinySize, policyDefault, journal, codecs, () => 0);
  partition.takeRows(oneCard('card', 1000));
  return { partition, journal };
}

const question = Buffer.from('{"id":"q","type":"authorization","card":"card","amount":10,"currency":"USD"}');

function ask(partition: Partition, flags: number): { status: number; text: string } {
  const slab = new Slab({ entries: 4, requestBytes: 4096 });
  slab.add(Protocol.native, flags, 1000, question);
  slab.seal(1000, 100);
  partition.run(slab);
  return { status: slab.status[0]!, text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]) };
}

t.test('until all settled ids are loaded an unknown id is looked up, and a repeat receives its answer', (t) => {
  const before = partitionWithCard();
  const first = ask(before.partition, EntryFlag.seenAbsent);
  t.equal(first.status, EntryStatus.decided);
  const record = Buffer.from(before.journal.frame.subarray(0, before.journal.view.getUint16(0, true)));

  const { partition, journal } = partitionWithCard();
  t.same(ask(partition, 0), { status: EntryStatus.lookupSeen, text: 'q' });
  partition.takeRows({ records: [{ id: 'q', sequence: 1, record: record.toString('base64') }] });
  t.same(ask(partition, 0), first, 'the looked-up id receives its first answer');
  t.equal(journal.nextSequence, 1, 'the message is not decided again');
  t.end();
});
