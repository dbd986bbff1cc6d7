/**
 * The epoch of the writer's lease in the journal: it never goes down, neither along the log nor from start to start.
 */
import { crc32c } from '@node-rs/crc32';
import t from 'tap';
import { append, journalFixture, numbered } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { JournalEpochError } from './journal-errors.js';
import { scanJournal } from './journal-recovery.js';
import { sectorBytes } from './segment.js';
import { segmentName } from './segment-files.js';

t.test('frames and segments carry the epoch of the engine that wrote them', async (t) => {
  const storage = new MemoryStorage();
  for (const epoch of [3, 3, 4, 9]) {
    const fixture = journalFixture(storage, '/journal', { epoch });
    const { writer, scan } = fixture.open();
    t.ok(scan.epoch <= epoch);
    // Over a segment's end, so that one is made under this epoch.
    for (let count = 0; count < 14; count++) append(writer, [numbered(writer.nextSequence, 200)]);
    writer.close();
    t.equal(scanJournal(fixture.options)!.epoch, epoch);
  }
});

t.test('a journal with a newer epoch than the lease is refused before any file changes', async (t) => {
  const storage = new MemoryStorage();
  const { writer } = journalFixture(storage, '/journal', { epoch: 7 }).open();
  append(writer, [numbered(1)]);
  writer.close();
  const [older, same] = [6, 7].map((epoch) => journalFixture(storage, '/journal', { epoch }));
  const { writes } = storage;
  t.throws(() => older!.open(), {
    code: 'JOURNAL_EPOCH',
    message: /written under epoch 7, and this start has epoch 6 .*restored from a backup.*set epoch = 7/,
  });
  t.throws(() => older!.open(), JournalEpochError);
  t.equal(storage.writes, writes);
  t.equal(same!.open().scan.lastSequence, 1);
});

t.test('a frame of an older epoch after a newer one is damage, because a replaced engine wrote it', async (t) => {
  const fixture = journalFixture(new MemoryStorage(), '/journal', { epoch: 5 });
  const { writer } = fixture.open();
  append(writer, [numbered(1)]);
  (fixture.options as { epoch: number }).epoch = 4;
  append(writer, [numbered(2)]);
  writer.close();
  (fixture.options as { epoch: number }).epoch = 6;
  t.throws(() => fixture.open(), { code: 'JOURNAL_CORRUPT', sequence: 2, message: /of epoch 4 behind one of 5/ });
  t.throws(() => fixture.readAll(), { code: 'JOURNAL_CORRUPT' });
});

t.test('a journal from before epochs existed opens and continues with them', async (t) => {
  const storage = new MemoryStorage();
  const old = journalFixture(storage, '/journal', { epoch: 0 });
  const { writer } = old.open();
  append(writer, [numbered(1)]);
  writer.close();
  const bytes = storage.bytesOf(`/journal/p0/${segmentName(1)}`);
  setVersion(bytes, 1);
  const fixture = journalFixture(storage, '/journal', { epoch: 1 });
  const again = fixture.open();
  t.same([again.scan.epoch, again.scan.lastSequence], [0, 1]);
  append(again.writer, [numbered(2)]);
  again.writer.close();
  t.equal(fixture.readAll().length, 2);
  setVersion(bytes, 6);
  t.throws(() => fixture.open(), {
    message: /format is version 6, this program reads versions 1 to 5: start the release/,
  });
});

function setVersion(segment: Uint8Array, version: number): void {
  const view = new DataView(segment.buffer, segment.byteOffset);
  view.setUint32(8, version, true);
  view.setUint32(sectorBytes - 4, crc32c(segment.subarray(0, sectorBytes - 4)), true);
}
