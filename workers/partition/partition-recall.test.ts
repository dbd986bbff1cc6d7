/**
 * A question whose answer was settled long ago, asked right after a restart: found, answered again, and not decided
 * again.
 */
import t from 'tap';
import { Protocol } from '../../engine/core/codes.js';
import { hash64, hashLow } from '../../engine/core/hash.js';
import { EntryFlag, EntryStatus, keySeparator, Slab } from '../../engine/exchange/slab.js';
import { createNativeCodec, type NativeCodec } from '../../engine/protocols/native/codec.js';
import { nativeCodec } from '../../engine/protocols/testing/test-codecs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { PanKeys } from '../../platform/masking/hidden-ids.js';
import { ForgetfulJournal } from '../testing/forgetful-journal.js';
import { oneCard, tinySize } from '../testing/one-card.js';
import { Partition } from './partition.js';

function partitionWithCard(codec: NativeCodec = nativeCodec): { partition: Partition; journal: ForgetfulJournal } {
  const journal = new ForgetfulJournal();
  const codecs = [];
  codecs[Protocol.native] = codec;
  const partition = new Partition(tinySize, policyDefault, journal, codecs, () => 0);
  partition.takeRows(oneCard('card', 1000));
  return { partition, journal };
}

const question = Buffer.from('{"id":"q","type":"authorization","card":"card","amount":10,"currency":"USD"}');

function ask(partition: Partition, flags: number, bytes: Uint8Array = question): { status: number; text: string } {
  const slab = new Slab({ entries: 4, requestBytes: 4096 });
  slab.add(Protocol.native, flags, 1000, bytes);
  slab.seal(1000, 100);
  partition.run(slab);
  return { status: slab.status[0]!, text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]) };
}

t.test('until all settled ids are loaded an unknown id is looked up, and a repeat receives its answer', async (t) => {
  const before = partitionWithCard();
  const first = ask(before.partition, EntryFlag.seenAbsent);
  t.equal(first.status, EntryStatus.decided);
  const record = Buffer.from(before.journal.frame.subarray(0, before.journal.view.getUint16(0, true)));

  const { partition, journal } = partitionWithCard();
  t.same(ask(partition, 0), { status: EntryStatus.lookupSeen, text: 'q' });
  partition.takeRows({ records: [{ id: 'q', sequence: 1, record: record.toString('base64') }] });
  t.same(ask(partition, 0), first, 'the looked-up id receives its first answer');
  t.equal(journal.nextSequence, 1, 'the message is not decided again');
});

function codecWith(...keys: string[]): NativeCodec {
  return createNativeCodec({ panKeys: new PanKeys(keys), strictFields: false });
}

t.test('an id kept under an older key is looked up in both forms, and its older record is the answer', async (t) => {
  const hidden = Buffer.from(question.toString().replace('"q"', '"4111111111111111"'));
  const before = partitionWithCard(codecWith('old-key'));
  const first = ask(before.partition, EntryFlag.seenAbsent, hidden);
  const record = Buffer.from(before.journal.frame.subarray(0, before.journal.view.getUint16(0, true)));
  const [newest, older] = new PanKeys(['new-key', 'old-key']).keptForms('4111111111111111') as [string, string];
  const asked = { status: EntryStatus.lookupSeen, text: `${newest}${keySeparator}${older}` };

  const { partition, journal } = partitionWithCard(codecWith('new-key', 'old-key'));
  const olderBytes = Buffer.from(older);
  hash64(olderBytes, 0, olderBytes.length);
  const olderLow = hashLow;
  partition.expectIds({ mayHold: (low) => low === olderLow });
  t.same(ask(partition, 0, hidden), asked, 'the newest form is surely new, the older one is not');
  partition.takeRows({ records: [{ id: older, sequence: 1, record: record.toString('base64') }] });
  t.same(ask(partition, 0, hidden), first);
  t.equal(journal.nextSequence, 1, 'nothing is decided again');
  const other = Buffer.from(hidden.toString().replace('10', '11'));
  t.match(ask(partition, 0, other).text, /duplicate_conflict/, 'another question under the same id is a conflict');

  const increment = hidden.toString().replace('"4111111111111111"', '"i"').replace('authorization', 'incremental');
  const follows = Buffer.from(increment.replace('}', ',"original":"4111111111111111"}'));
  const cold = partitionWithCard(codecWith('new-key', 'old-key')).partition;
  t.same(ask(cold, EntryFlag.seenAbsent, follows), { ...asked, status: EntryStatus.lookupOriginal });
});
