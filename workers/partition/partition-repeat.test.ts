/**
 * A repeat gets its first answer although what surrounds it has changed: the program's settings, the journal's files.
 */
import t from 'tap';
import { Protocol } from '../../engine/core/codes.js';
import type { Policy } from '../../engine/core/question.js';
import { AnswerFlag, EntryStatus, Slab } from '../../engine/exchange/slab.js';
import { marqetaSample, sampleText } from '../../engine/protocols/testing/marqeta-sample.js';
import { nativeCodec, testMarqetaCodec } from '../../engine/protocols/testing/test-codecs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { replayJournal } from '../journal/journal-reader.js';
import { listJournalFiles, segmentName } from '../journal/segment-files.js';
import { journalFixture } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { oneCard, tinySize } from '../testing/one-card.js';
import { Partition } from './partition.js';

const slab = new Slab({ entries: 4, requestBytes: 16_384 });
const sizes = { segmentBytes: 64 * 1024, frameBytesMax: 32 * 1024 };

function stage(fundsMinor: number) {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage, '/journal', { sizes });
  const load = oneCard('card-77', fundsMinor);
  const account = { ...load.accounts![0]!, partialApproval: true };
  const start = (changes: Partial<Policy> = {}): Partition => {
    const codecs = [];
    codecs[Protocol.native] = nativeCodec;
    codecs[Protocol.marqeta] = testMarqetaCodec();
    const { writer } = fixture.open();
    const size = { ...tinySize, transactions: 4096, seenIds: 4096 };
    const partition = new Partition(size, { ...policyDefault, ...changes }, writer, codecs, () => 0);
    partition.takeRows({ ...load, accounts: [account], seenComplete: true });
    const { options, progress } = fixture;
    replayJournal(options, 1, progress.durableSequence, (bytes, view, offset, sequence, location) =>
      partition.replay(bytes, view, offset, sequence, location),
    );
    return partition;
  };
  return { storage, directory: fixture.options.directory, start };
}

function ask(partition: Partition, kind: number, text: string) {
  slab.clear();
  slab.add(kind, 0, 1000, Buffer.from(text));
  slab.seal(1000, 100);
  partition.run(slab);
  return {
    status: slab.status[0]!,
    text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]),
    isApproved: (slab.answerFlags[0]! & AnswerFlag.approved) !== 0,
    isRepeat: (slab.answerFlags[0]! & AnswerFlag.repeated) !== 0,
  };
}

t.test('a change of the partial approval setting turns no repeat into a conflict', async (t) => {
  for (const before of [false, true]) {
    const { start } = stage(1000);
    const text = sampleText(marqetaSample());
    const first = ask(start({ wholeAmountsOnly: before ? [] : [Protocol.marqeta] }), Protocol.marqeta, text);
    t.equal(first.isApproved, before, 'the approval is for less only where the program permits it');
    const again = ask(start({ wholeAmountsOnly: before ? [Protocol.marqeta] : [] }), Protocol.marqeta, text);
    t.match(again, { ...first, isRepeat: true });
  }
});

t.test('a repeat whose segment was recycled is looked up, whatever the file contains by then', async (t) => {
  const { storage, directory, start } = stage(1e12);
  const partition = start();
  const message = (number: number) =>
    JSON.stringify({ id: `q-${number}`, type: 'authorization', card: 'card-77', amount: 1, currency: 'USD' });
  let count = 0;
  while (listJournalFiles(storage, directory).segments.length < 2) ask(partition, Protocol.native, message(count++));
  t.match(ask(partition, Protocol.native, message(0)), { status: EntryStatus.decided, isRepeat: true });
  // The file gets another name, is zeroed and filled with other records: the partition still has it open.
  storage.rename(`${directory}/${segmentName(1)}`, `${directory}/spare`);
  const bytes = storage.bytesOf(`${directory}/spare`);
  bytes.copyWithin(777, 512, 40_000);
  for (let number = 0; number < count - 1; number += 7) {
    const said = ask(partition, Protocol.native, message(number));
    t.same([said.status, said.text], [EntryStatus.lookupSeen, `q-${number}`]);
  }
});
