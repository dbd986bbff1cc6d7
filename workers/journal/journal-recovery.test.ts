/** How a journal ends: clean, torn or damaged; each is recognized at every place where it can happen. */
import t from 'tap';
import { tearSectors } from '../testing/faulty-storage.js';
import { append, type Fixture, journalFixture, numbered, record } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { openJournal } from './journal.js';
import { JournalCorruptError, JournalPositionError } from './journal-errors.js';
import { scanJournal } from './journal-recovery.js';
import { frameBytesFor, segmentHeaderBytes } from './segment.js';
import { segmentName } from './segment-files.js';

const directory = '/journal/p0';

/** Four segments of 4 KiB: 60 records of 40 to 240 bytes in batches of 1 to 3. */
function smallLog(): { storage: MemoryStorage; fixture: Fixture; lastSequence: number; lastFrameBytes: number } {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage);
  const { writer } = fixture.open();
  let lastSequence = 0;
  let lastFrameBytes = 0;
  for (let batch = 0; lastSequence < 60; batch++) {
    const records = Array.from({ length: 1 + (batch % 3) }, (_, index) =>
      numbered(lastSequence + index + 1, 40 + ((batch * 37 + index * 101) % 200)),
    );
    lastSequence = append(writer, records);
    lastFrameBytes = frameBytesFor(records.reduce((sum, bytes) => sum + bytes.length, 0));
  }
  writer.close();
  return { storage, fixture, lastSequence, lastFrameBytes };
}

t.test('every flipped bit of a journal is found or harmless', async (t) => {
  const { storage, fixture, lastSequence } = smallLog();
  const scan = scanJournal(fixture.options)!;
  t.equal(scan.segmentCount, 4);
  const counts = { damaged: 0, reported: 0, harmless: 0 };
  for (let number = 1; number <= 4; number++) {
    const bytes = storage.bytesOf(`${directory}/${segmentName(number)}`);
    const used = number < 4 ? lastNonZero(bytes) + 1 : scan.endOffset;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      try {
        const found = scanJournal(fixture.options)!;
        // Only the unused end may be flipped without stopping the start, and then no record may be missing.
        if (bit >>> 3 < used || found.lastSequence !== lastSequence) {
          t.fail(`bit ${bit} of segment ${number} was not found`);
        }
        if (found.torn !== undefined || found.notes.length > 0) counts.reported++;
        else if (number < 4) counts.harmless++;
        else t.fail(`bit ${bit} behind the end was not reported`);
      } catch (error) {
        if (!(error instanceof JournalCorruptError)) throw error;
        counts.damaged++;
      }
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
    }
  }
  t.ok(counts.damaged > 90_000, `${counts.damaged} damaged, ${counts.reported} reported, ${counts.harmless} harmless`);
});

t.test('every combination of lost sectors of the last frame is a torn end, cut after the record before', async (t) => {
  for (const lead of [0, 1, 2, 3, 5, 7]) {
    for (const length of [60, 400, 500, 900, 1500]) {
      const build = (): { storage: MemoryStorage; fixture: Fixture; from: number; bytes: number } => {
        const storage = new MemoryStorage();
        const fixture = journalFixture(storage);
        const { writer } = fixture.open();
        for (let index = 0; index < lead; index++) append(writer, [numbered(index + 1, 50)]);
        append(writer, [numbered(lead + 1, length)]);
        writer.close();
        const from = segmentHeaderBytes + lead * frameBytesFor(50);
        return { storage, fixture, from, bytes: frameBytesFor(length) };
      };
      const { from, bytes } = build();
      const sectors = Math.floor((from + bytes - 1) / 512) - Math.floor(from / 512) + 1;
      for (let lost = 1; lost < 1 << sectors; lost++) {
        const { storage, fixture } = build();
        const path = `${directory}/${segmentName(1)}`;
        tearSectors(storage, path, from, from + bytes, (index) => (lost & (1 << index)) !== 0);
        const { writer, scan } = fixture.open();
        const whole = lost === (1 << sectors) - 1;
        if (scan.lastSequence !== lead || (scan.torn === undefined) !== whole) {
          t.fail(`lead ${lead}, length ${length}, lost ${lost.toString(2)}: ends at ${scan.lastSequence}`);
        }
        if (scan.torn !== undefined && scan.torn.offset !== from) t.fail('the torn frame was cut at another record');
        append(writer, [numbered(lead + 1, 70)]);
        if (fixture.readAll().length !== lead + 1) t.fail('the journal cannot continue');
      }
    }
  }
});

t.test('a flipped bit in a last frame of mostly zeros is damage, not a torn end', async (t) => {
  for (const nonZeroAt of [-1, 700, 1200]) {
    const storage = new MemoryStorage();
    const fixture = journalFixture(storage);
    const { writer } = fixture.open();
    const body = new Uint8Array(1500);
    if (nonZeroAt >= 0) body[nonZeroAt] = 1;
    append(writer, [record(body)]);
    const bytes = storage.bytesOf(`${directory}/${segmentName(1)}`);
    for (let bit = segmentHeaderBytes * 8; bit < (segmentHeaderBytes + frameBytesFor(1502)) * 8; bit++) {
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      try {
        const found = scanJournal(fixture.options);
        t.fail(`bit ${bit}: ${found?.torn?.detail ?? 'not found'}`);
      } catch (error) {
        if (!(error instanceof JournalCorruptError)) throw error;
      }
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
    }
  }
});

t.test('a write cut short after any byte is a torn end', async (t) => {
  const last = numbered(2, 700);
  for (let written = 1; written < frameBytesFor(700); written++) {
    const storage = new MemoryStorage();
    const fixture = journalFixture(storage);
    const { writer } = fixture.open();
    append(writer, [numbered(1, 100)]);
    append(writer, [last]);
    const bytes = storage.bytesOf(`${directory}/${segmentName(1)}`);
    bytes.fill(0, segmentHeaderBytes + frameBytesFor(100) + written);
    const scan = scanJournal(fixture.options)!;
    if (scan.lastSequence !== 1 || scan.torn === undefined) t.fail(`cut after ${written} bytes`);
  }
});

t.test('a frame inside the journal that lost a sector is damage, not an end', async (t) => {
  const { storage, fixture } = smallLog();
  tearSectors(storage, `${directory}/${segmentName(3)}`, 512, 1024, () => true);
  t.throws(() => fixture.open(), { code: 'JOURNAL_CORRUPT', offset: 512 });
});

t.test('the error names file, byte, record, what is wrong and what to do', async (t) => {
  const { storage, fixture } = smallLog();
  storage.bytesOf(`${directory}/${segmentName(2)}`)[600]! ^= 1;
  t.throws(() => fixture.open(), {
    name: 'JournalCorruptError',
    message:
      /segment-0000000002 at byte 512, where record \d+ should begin: the checksum of the records is wrong.*Copy the/,
  });
});

t.test('a missing segment in the middle is damage', async (t) => {
  const { storage, fixture } = smallLog();
  storage.remove(`${directory}/${segmentName(2)}`);
  t.throws(() => fixture.open(), { code: 'JOURNAL_CORRUPT', message: /segment-0000000002 is missing/ });
});

t.test('a segment of another journal, and a moved or repeated frame, is damage', async (t) => {
  const { storage, fixture, lastFrameBytes } = smallLog();
  const end = scanJournal(fixture.options)!.endOffset;
  const bytes = storage.bytesOf(`${directory}/${segmentName(4)}`);
  // The last frame once more behind itself.
  bytes.copyWithin(end, end - lastFrameBytes, end);
  t.throws(() => fixture.open(), { code: 'JOURNAL_CORRUPT' }, 'a repeated frame is damage');

  const other = smallLog();
  const strange = journalFixture(new MemoryStorage());
  const { writer } = strange.open();
  for (let index = 0; index < 60; index++) append(writer, [record(new Uint8Array(150).fill(9))]);
  const foreign = (strange.options.storage as MemoryStorage).bytesOf(`${directory}/${segmentName(2)}`);
  other.storage.bytesOf(`${directory}/${segmentName(2)}`).set(foreign);
  t.throws(() => other.fixture.open(), { code: 'JOURNAL_CORRUPT' }, 'a segment of another journal is damage');
});

t.test('a whole frame of a twin journal is damage, because the checksum before it differs', async (t) => {
  const twins = [1, 2].map((seed) => {
    const storage = new MemoryStorage();
    const fixture = journalFixture(storage);
    const { writer } = fixture.open();
    for (let index = 0; index < 5; index++) append(writer, [record(new Uint8Array(60).fill(seed + index))]);
    return { fixture, bytes: storage.bytesOf(`${directory}/${segmentName(1)}`) };
  });
  const [mine, other] = twins as [(typeof twins)[0], (typeof twins)[0]];
  const last = segmentHeaderBytes + 4 * frameBytesFor(62);
  mine.bytes.set(other.bytes.subarray(last, last + frameBytesFor(62)), last);
  t.throws(() => mine.fixture.open(), { code: 'JOURNAL_CORRUPT', offset: last, message: /\(chain\)/ });
});

t.test('a shortened file is damage', async (t) => {
  const { storage, fixture } = smallLog();
  const size = storage.size;
  storage.size = (file) => size.call(storage, file) - 512;
  t.throws(() => fixture.open(), { code: 'JOURNAL_CORRUPT', message: /3584 bytes, its header says 4096/ });
});

t.test('a journal that ends before the settled position, or begins after it, is refused with both names', async (t) => {
  const { fixture, lastSequence, storage } = smallLog();
  t.throws(() => openJournal({ ...fixture.options, settledSequence: lastSequence + 1 }), {
    code: 'JOURNAL_POSITION',
    message: /records 1 to 60, but Postgres says that record 61 .* journal is older/,
  });
  storage.remove(`${directory}/${segmentName(1)}`);
  t.throws(() => openJournal({ ...fixture.options, settledSequence: 3 }), JournalPositionError);
  const empty = journalFixture(new MemoryStorage(), '/journal', { settledSequence: 5 });
  t.throws(() => empty.open(), { message: /no record yet.*record 5 was the last/ });
});

t.test('with permission a journal begins after the settled records in place of a damaged one', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage, '/journal', { settledSequence: 40 });
  t.throws(() => fixture.open(), JournalPositionError, 'an empty folder is a lost journal');
  storage.close(storage.create(`${fixture.options.directory}/begin-anew`));
  t.match(new JournalCorruptError('f', 0, 41, 'x').message, /an empty file begin-anew/);
  const { writer } = fixture.open();
  t.equal(append(writer, [numbered(1)]), 41);
  t.notOk(storage.list(fixture.options.directory).includes('begin-anew'), 'the permission is used once');
  writer.close();
  t.equal(fixture.readAll(41).length, 1);
  t.equal(fixture.open().scan.lastSequence, 41);
});

t.test('a start that crashed after its first segment leaves no permission to begin again', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage, '/journal', { settledSequence: 40 });
  const permission = `${fixture.options.directory}/begin-anew`;
  storage.makeDirectory(fixture.options.directory);
  storage.close(storage.create(permission));
  const { remove } = storage;
  storage.remove = (path) => {
    if (path === permission) throw new Error('killed');
    remove.call(storage, path);
  };
  t.throws(() => fixture.open(), { message: 'killed' });
  t.ok(storage.exists(`${fixture.options.directory}/${segmentName(1)}`), 'the journal has begun');
  storage.remove = remove;
  const { writer, scan } = fixture.open();
  t.match(scan.notes, [/begin-anew is removed/]);
  t.notOk(storage.exists(permission));
  writer.close();
  storage.remove(`${fixture.options.directory}/${segmentName(1)}`);
  t.throws(() => fixture.open(), JournalPositionError, 'a folder that is lost later is a lost journal');
});

t.test('another number of partitions is refused with an error that names the right one', async (t) => {
  const { fixture } = smallLog();
  t.throws(() => openJournal({ ...fixture.options, partitionCount: 2 }), {
    code: 'JOURNAL_PARTITION_COUNT',
    message: /written with PARTITIONS=1.*start with PARTITIONS=1$/,
  });
});

function lastNonZero(bytes: Uint8Array): number {
  let index = bytes.length - 1;
  while (index >= 0 && bytes[index] === 0) index--;
  return index;
}
