/** Ids beside the journal: all of them or none, whatever happened to the files. */
import t from 'tap';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import { Seen } from '../../engine/core/seen.js';
import { SettledIds } from '../partition/settled-ids.js';
import { append, journalFixture } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { writeRecords } from '../testing/record-writer.js';
import { type IdStretch, keepSegmentIds, readIds, removeOldIds, writeIdFile } from './id-files.js';
import { openJournal } from './journal.js';
import { listJournalFiles, segmentName } from './segment-files.js';

const directory = '/journal/p0';
const owner = { partition: 0, partitionCount: 1 };
const fromTheFirst = () => 1;

function hashesOf(first: number, count: number): Uint32Array {
  const hashes = new Uint32Array(count * 2);
  for (let index = 0; index < count; index++) {
    const id = Buffer.from(`id-${first + index}`);
    hash64(id, 0, id.length);
    hashes[index * 2] = hashLow;
    hashes[index * 2 + 1] = hashHigh;
  }
  return hashes;
}

/** Files of 10 records each. */
function folder(fileCount: number): MemoryStorage {
  const storage = new MemoryStorage();
  storage.makeDirectory(directory);
  for (let file = 0; file < fileCount; file++) {
    const firstSequence = 1 + file * 10;
    writeIdFile(storage, directory, 1 + file, owner, { firstSequence, hashes: hashesOf(firstSequence, 10) });
  }
  return storage;
}

const range = (stretches: readonly IdStretch[]) => {
  const ids = new SettledIds(stretches);
  return [ids.firstSequence, ids.lastSequence];
};

t.test('a retired segment leaves a file with the ids of its records, read from its own bytes', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage);
  const { writer } = fixture.open();
  const ids = Array.from({ length: 40 }, (_, index) => `id-${index + 1}`);
  for (const id of ids) {
    const { source } = writeRecords([{ id, amount: 1 }]);
    append(writer, [source]);
  }
  writer.close();
  const { segments } = listJournalFiles(storage, directory);
  t.ok(segments.length > 2, 'several segments were retired');
  const scan = openJournal({ ...fixture.options, settledSequence: 40 });
  scan.writer.close();
  for (const [index, number] of segments.entries()) {
    const next = segments[index + 1];
    const end = next === undefined ? 41 : firstSequenceOf(storage, next);
    keepSegmentIds(storage, directory, number, end);
  }
  const stretches = readIds(storage, directory, owner, fromTheFirst);
  t.same(range(stretches), [1, 40]);
  t.same([...stretches.flatMap(({ hashes }) => [...hashes])], [...hashesOf(1, 40)]);
  t.throws(
    () => keepSegmentIds(storage, directory, segments[0]!, 40),
    /does not reach/,
    'a segment that lacks records leaves no file',
  );
});

t.test('reading ids ends at a gap, a flipped bit, a cut file or a file of another partition', async (t) => {
  t.same(range(readIds(folder(5), directory, owner, fromTheFirst)), [1, 50]);
  t.same(
    range(readIds(folder(5), directory, owner, (last) => last - 14)),
    [31, 50],
    'reading stops at the requested sequence',
  );
  t.same(
    range(readIds(folder(5), directory, owner, fromTheFirst, 30)),
    [1, 30],
    'files of segments that still exist are skipped',
  );

  const gap = folder(5);
  gap.remove(`${directory}/ids-0000000003`);
  t.same(range(readIds(gap, directory, owner, fromTheFirst)), [31, 50]);

  for (const at of [3, 25, 36, 64, 143]) {
    const flipped = folder(5);
    flipped.bytesOf(`${directory}/ids-0000000003`)[at]! ^= 4;
    t.same(range(readIds(flipped, directory, owner, fromTheFirst)), [31, 50], `the reader stops at byte ${at}`);
  }
  t.same(readIds(folder(5), directory, { partition: 0, partitionCount: 2 }, fromTheFirst), []);
  t.same(readIds(new MemoryStorage(), directory, owner, fromTheFirst), []);
});

t.test('after a power cut a file of ids is whole or absent', async (t) => {
  const storage = folder(2);
  const rename = storage.rename;
  storage.rename = () => {
    throw new Error('power lost');
  };
  t.throws(() => writeIdFile(storage, directory, 3, owner, { firstSequence: 21, hashes: hashesOf(21, 10) }));
  storage.rename = rename;
  storage.crash(() => false);
  t.same(range(readIds(storage, directory, owner, fromTheFirst)), [1, 20]);
});

t.test('a file whose ids are all forgotten is removed', async (t) => {
  const storage = folder(5);
  removeOldIds(storage, directory, 21);
  t.same(range(readIds(storage, directory, owner, fromTheFirst)), [21, 50]);
  removeOldIds(storage, directory, 30);
  t.same(range(readIds(storage, directory, owner, fromTheFirst)), [21, 50], 'a file with a single remembered id stays');
});

t.test('all ids enter the table, newest first, and until then every unknown id counts as possible', async (t) => {
  const ids = new SettledIds(readIds(folder(5), directory, owner, fromTheFirst));
  ids.add({ firstSequence: 51, hashes: new Uint32Array(4) });
  const seen = new Seen(64);
  const all = hashesOf(1, 50);
  for (let index = 0; index < 50; index++) t.ok(ids.mayHold(all[index * 2]!), `id-${index + 1} counts as possible`);
  const unknown = hashesOf(1_000_000, 1000);
  let possible = 0;
  for (let index = 0; index < 1000; index++) if (ids.mayHold(unknown[index * 2]!)) possible++;
  t.ok(possible < 10, `${possible} of 1000 unknown ids need a lookup`);
  t.equal(ids.moveInto(seen, 7), false);
  t.equal(seen.size, 5, 'two of the seven records had no id');
  t.ok(seen.findHash(all[98]!, all[99]!) >= 0, 'the newest id is in the table');
  t.ok(seen.findHash(all[0]!, all[1]!) < 0, 'the oldest id is not in the table yet');
  while (!ids.moveInto(seen, 7));
  for (let index = 0; index < 50; index++) {
    const slot = seen.findHash(all[index * 2]!, all[index * 2 + 1]!);
    t.equal(seen.sequence(slot), index + 1);
  }
});

function firstSequenceOf(storage: MemoryStorage, number: number): number {
  const bytes = storage.bytesOf(`${directory}/${segmentName(number)}`);
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(24, true);
}
