/** What the writer promises when the disk does not play along, and reading back. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import { ExchangeFailedError, FrameExchange } from '../../engine/exchange/frame-exchange.js';
import { FaultControl, FaultyStorage } from '../testing/faulty-storage.js';
import { append, journalFixture, numbered } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { ThreadFrameSink } from './frame-sink.js';
import { recordUnreadable } from './journal.js';
import { JournalFailedError } from './journal-errors.js';
import { JournalReader, replayJournal } from './journal-reader.js';
import { scanJournal } from './journal-recovery.js';
import { locationOf } from './segment.js';
import { listJournalFiles, segmentName } from './segment-files.js';
import { FileStorage } from './storage.js';

const directory = '/journal/p0';

t.test('a batch is exactly one write and one sync', async (t) => {
  const storage = new MemoryStorage();
  const { writer } = journalFixture(storage).open();
  const { writes, syncs } = storage;
  append(writer, [numbered(1), numbered(2)]);
  t.equal(storage.writes - writes, 1);
  t.equal(storage.syncs - syncs, 1);
});

t.test('a failed sync ends the writer for ever, and no later record counts as durable', async (t) => {
  const control = new FaultControl();
  const fixture = journalFixture(new FaultyStorage(new MemoryStorage(), control));
  const { writer } = fixture.open();
  append(writer, [numbered(1)]);
  control.failSyncs();
  t.throws(() => append(writer, [numbered(2)]), { code: 'JOURNAL_FAILED', message: /EIO/ });
  control.heal();
  const { writes, syncs } = control;
  t.throws(() => writer.reserve(10), { code: 'JOURNAL_FAILED' });
  t.throws(() => append(writer, [numbered(2)]), { code: 'JOURNAL_FAILED' });
  t.throws(() => writer.append(100, 1, 0), { code: 'JOURNAL_FAILED' });
  t.equal(fixture.progress.durableSequence, 1);
  t.same([control.writes, control.syncs], [writes, syncs], 'the failed disk was not used again');
  t.equal(writer.failed, true);
});

t.test('a failed or short write ends the writer, and the next start cuts the torn frame', async (t) => {
  for (const written of [0, 1, 63, 64, 100, 127]) {
    const control = new FaultControl();
    const fixture = journalFixture(new FaultyStorage(new MemoryStorage(), control));
    const { writer } = fixture.open();
    append(writer, [numbered(1)]);
    control.shortWrite(written);
    t.throws(() => append(writer, [numbered(2)]), { code: 'JOURNAL_FAILED' });
    t.throws(() => writer.reserve(10), { code: 'JOURNAL_FAILED' });
    const { scan, writer: again } = fixture.open();
    t.equal(scan.lastSequence, 1);
    t.equal(scan.torn !== undefined, written > 0);
    t.equal(append(again, [numbered(2)]), 2);
  }
});

t.test('a full disk refuses batches and loses no record, and the journal continues when there is room', async (t) => {
  let nowMs = 0;
  const control = new FaultControl();
  const storage = new FaultyStorage(new MemoryStorage(), control);
  const fixture = journalFixture(storage, '/journal', { nowMs: () => nowMs });
  const { writer } = fixture.open();
  control.full(true);
  let last = 0;
  for (let sequence = 1; ; sequence++) {
    if (append(writer, [numbered(sequence, 300)]) < 0) break;
    last = sequence;
  }
  t.ok(last > 5, 'the open segment was filled first');
  t.equal(writer.refusal, 'disk full');
  t.equal(writer.reserve(300), false);
  control.full(false);
  t.equal(append(writer, [numbered(last + 1, 300)]), last + 1);
  t.equal(writer.refusal, '');
  t.equal(fixture.readAll().length, last + 1);

  // The free space says yes, the write says no: declined as well, and not tried again at once.
  storage.freeBytes = () => 1e9;
  control.full(true);
  for (last++; append(writer, [numbered(last + 1, 300)]) > 0; last++);
  const files = listJournalFiles(storage, directory);
  t.same(files.making, [], 'no file is left behind');
  control.full(false);
  t.equal(writer.reserve(300), false, 'the pause is not over');
  nowMs += 251;
  t.equal(append(writer, [numbered(last + 1, 300)]), last + 1);
  t.equal(fixture.readAll().length, last + 1);
});

t.test(
  'without a file descriptor the journal refuses batches once its segment is full, and continues later',
  async (t) => {
    const control = new FaultControl();
    const storage = new FaultyStorage(new MemoryStorage(), control);
    const fixture = journalFixture(storage, '/journal');
    const { writer } = fixture.open();
    let last = 0;
    for (let round = 0; round < 3; round++) {
      control.outOfDescriptors(true);
      while (append(writer, [numbered(last + 1, 300)]) > 0) last++;
      t.equal(writer.refusal, 'no file descriptor');
      t.equal(writer.failed, false);
      control.outOfDescriptors(false);
      t.equal(append(writer, [numbered(last + 1, 300)]), ++last);
      t.equal(fixture.readAll().length, last);
    }
  },
);

t.test('a file name becomes durable without a free file descriptor if its folder was synced before', async (t) => {
  const script = `
    import { openSync, renameSync, mkdirSync } from 'node:fs';
    const { FileStorage } = await import('${new URL('./storage.js', import.meta.url).href}');
    const storage = new FileStorage();
    const folder = process.argv[1] + '/journal';
    mkdirSync(folder);
    storage.syncDirectory(folder);
    for (;;) try { openSync('/dev/null', 'r'); } catch (error) { if (error.code === 'EMFILE') break; throw error; }
    const codeOf = (step) => { try { step(); return 'done'; } catch (error) { return error.code; } };
    console.log(codeOf(() => storage.list(folder)), codeOf(() => storage.syncDirectory(folder)));
    renameSync(folder, folder + '-before');
    mkdirSync(folder);
    // The old folder's descriptor is free for the new one: closed, it would not sync the names in the new one.
    console.log(codeOf(() => storage.syncDirectory(folder)), codeOf(() => storage.list(folder)));`;
  const argv = [
    '-c',
    'ulimit -n 64; exec "$@"',
    'sh',
    process.execPath,
    '--input-type=module',
    '-e',
    script,
    t.testdir(),
  ];
  const child = spawnSync('sh', argv, { encoding: 'utf8' });
  t.equal(child.stdout, 'EMFILE done\ndone EMFILE\n', child.stderr);
});

t.test('a journal at its bound refuses batches until segments are retired', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage, '/journal', { sizes: { segmentsMax: 3 } });
  const { writer } = fixture.open();
  let last = 0;
  while (append(writer, [numbered(last + 1, 500)]) > 0) last++;
  t.equal(writer.refusal, 'books lag');
  t.equal(listJournalFiles(storage, directory).segments.length, 3);
  storage.remove(`${directory}/${segmentName(1)}`);
  t.equal(append(writer, [numbered(last + 1, 500)]), last + 1);
});

t.test('a restart on a full disk works and keeps everything', async (t) => {
  const control = new FaultControl();
  const storage = new FaultyStorage(new MemoryStorage(), control);
  const fixture = journalFixture(storage);
  const { writer } = fixture.open();
  for (let sequence = 1; sequence <= 5; sequence++) append(writer, [numbered(sequence)]);
  writer.close();
  // The fresh file does not fit; zeroing the end of the old one takes no room.
  const create = storage.create;
  storage.create = () => {
    throw Object.assign(new Error('full'), { code: 'ENOSPC' });
  };
  const { writer: again, scan } = fixture.open();
  storage.create = create;
  t.equal(scan.lastSequence, 5);
  t.equal(append(again, [numbered(6)]), 6);
  t.equal(fixture.readAll().length, 6);
});

t.test(
  'a record is read by its location from the frame and from open and sealed segments until it is retired',
  async (t) => {
    const storage = new MemoryStorage();
    const fixture = journalFixture(storage);
    const { writer } = fixture.open();
    const locations: number[] = [];
    for (let sequence = 1; sequence <= 40; sequence++) {
      const bytes = numbered(sequence, 100 + sequence);
      writer.reserve(bytes.length);
      locations.push(writer.frameLocation + writer.recordsStart);
      writer.frame.set(bytes, writer.recordsStart);
      writer.append(writer.recordsStart + bytes.length, 1, 0);
    }
    const target = new Uint8Array(2400);
    for (const [index, location] of locations.entries()) {
      const length = writer.read(location, target);
      t.same(target.slice(0, length), numbered(index + 1, 101 + index));
    }
    const replayed: number[] = [];
    replayJournal(fixture.options, 1, 40, (_bytes, _view, _offset, _sequence, location) => replayed.push(location));
    t.same(replayed, locations, 'replay returns the same locations');
    storage.remove(`${directory}/${segmentName(1)}`);
    t.equal(writer.read(locations[0]!, target), 0);
    t.equal(writer.read(locations[39]!, target), 140);
    t.equal(writer.read(locationOf(77, 600), target), 0);
  },
);

/** A journal whose first segment is sealed; `locations` are those of its records. */
function withSealedSegment(storage: MemoryStorage) {
  const { writer } = journalFixture(storage).open();
  const locations: number[] = [];
  for (let sequence = 1; listJournalFiles(storage, directory).segments.length < 2; sequence++) {
    const bytes = numbered(sequence, 300);
    writer.reserve(bytes.length);
    locations.push(writer.frameLocation + writer.recordsStart);
    writer.frame.set(bytes, writer.recordsStart);
    writer.append(writer.recordsStart + bytes.length, 1, 0);
  }
  return { writer, first: locations[0]! };
}

t.test('a record in a recycled file is gone for its reader, whatever the file contains by then', async (t) => {
  for (const [low, high] of [
    [0, 0],
    [1, 0],
    [255, 255],
    [44, 1],
  ]) {
    const storage = new MemoryStorage();
    const { writer, first } = withSealedSegment(storage);
    const target = new Uint8Array(2400);
    t.equal(writer.read(first, target), 300, 'the reader has the file open from here on');
    storage.rename(`${directory}/${segmentName(1)}`, `${directory}/making`);
    storage.bytesOf(`${directory}/making`).fill(low!);
    const bytes = storage.bytesOf(`${directory}/making`);
    for (let offset = 0; offset < bytes.length; offset += 2) bytes.set([low!, high!], offset);
    t.equal(writer.read(first, target), 0);
    t.equal(writer.read(first, target), 0, 'the record stays gone');
  }
});

t.test('a segment that is retired between any two steps of a read is gone, not an error', async (t) => {
  for (const step of ['open', 'pread', 'exists'] as const) {
    const storage = new MemoryStorage();
    const { writer, first } = withSealedSegment(storage);
    const original = storage[step] as (...parameters: unknown[]) => unknown;
    Object.assign(storage, {
      [step]: (...parameters: unknown[]) => {
        storage.remove(`${directory}/${segmentName(1)}`);
        return original.apply(storage, parameters);
      },
    });
    t.equal(writer.read(first, new Uint8Array(2400)), 0, step);
  }
});

t.test('a segment that cannot be read now is an error, neither a record nor gone', async (t) => {
  const storage = new MemoryStorage();
  const { writer, first } = withSealedSegment(storage);
  const target = new Uint8Array(2400);
  const open = storage.open.bind(storage);
  storage.open = () => {
    throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
  };
  t.equal(writer.read(first, target), recordUnreadable);
  storage.open = open;
  t.equal(writer.read(first, target), 300, 'the record can be read later');
});

t.test('revocations may use one segment beyond the bound', async (t) => {
  const storage = new MemoryStorage();
  const { writer } = journalFixture(storage, '/journal', { sizes: { segmentsMax: 3 } }).open();
  while (append(writer, [numbered(1, 500)]) > 0);
  t.equal(writer.reserve(500, true), true);
  writer.release();
  t.equal(listJournalFiles(storage, directory).segments.length, 4);
  while (append(writer, [numbered(1, 500)]) > 0);
  t.equal(writer.reserve(500), false, 'one more segment is permitted, and only for revocations');
});

t.test('a reader that follows the writer sees each batch only once it is durable', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage, '/journal', { sizes: { segmentsMax: 100 } });
  const { writer } = fixture.open();
  const reader = new JournalReader(fixture.options);
  reader.seek(1, 0);
  let read = 0;
  for (let sequence = 1; sequence <= 200; sequence++) {
    if (read === sequence - 1) t.equal(reader.next(fixture.progress.durableSequence), false);
    append(writer, [numbered(sequence, 60 + (sequence % 300))]);
    // Behind by up to three batches at times, so that read-ahead holds places that were empty when they were read.
    if (sequence % 5 === 3) continue;
    while (reader.next(fixture.progress.durableSequence)) {
      t.equal(reader.frame.frameSequence, ++read);
    }
  }
  t.equal(read, 200);
  reader.close();
});

t.test('a reader can start at any record, also inside a batch', async (t) => {
  const fixture = journalFixture(new MemoryStorage(), '/journal', { sizes: { segmentsMax: 100 } });
  const { writer } = fixture.open();
  for (let last = 0; last < 90; )
    last = append(
      writer,
      [1, 2, 3].map((index) => numbered(last + index, 120)),
    );
  const all = fixture.readAll();
  for (let from = 1; from <= 91; from++) t.same(fixture.readAll(from), all.slice(from - 1));
  t.throws(() => new JournalReader(fixture.options).seek(92, 90), { code: 'JOURNAL_POSITION' });
});

t.test('a spare with a header from a crash, or of another size, is harmless', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage);
  const { writer } = fixture.open();
  for (const [name, bytes] of [
    ['spare-0000000001', 512],
    ['spare-0000000002', 4096],
  ] as const) {
    const file = storage.create(`${directory}/${name}`);
    storage.preallocate(file, 0, bytes);
    storage.pwrite(file, storage.bytesOf(`${directory}/${segmentName(1)}`), 512, 0);
  }
  for (let sequence = 1; sequence <= 20; sequence++) append(writer, [numbered(sequence, 300)]);
  t.equal(fixture.readAll().length, 20);
  t.same(listJournalFiles(storage, directory).spares, ['spare-0000000001']);
});

t.test('a journal appends, restarts, rolls over and reads on a real disk', async (t) => {
  const root = folderFor(t);
  const fixture = journalFixture(new FileStorage(), join(root, 'a', 'b'));
  let { writer } = fixture.open();
  for (let sequence = 1; sequence <= 40; sequence++) {
    t.equal(append(writer, [numbered(sequence, 200)]), sequence);
    if (sequence % 15 !== 0) continue;
    writer.close();
    writer = fixture.open().writer;
  }
  t.same(
    fixture.readAll(),
    Array.from({ length: 40 }, (_, index) => numbered(index + 1, 200)),
  );
  writer.close();
  t.equal(scanJournal(fixture.options)?.lastSequence, 40);
});

t.test('a frame that its own thread cannot make durable is the end for both threads, and said once', async (t) => {
  const storage = new MemoryStorage();
  const fixture = journalFixture(storage);
  const { progress, sizes } = fixture.options;
  const exchange = new FrameExchange(FrameExchange.create(sizes.frameBytesMax));
  const target = { storage, partition: 0, progress, nowMs: () => 0 };
  const said: string[] = [];
  const own = { target, recordsMax: 4, failed: (message: string) => void said.push(message) };
  const { writer } = fixture.open(new ThreadFrameSink(exchange, 0, own));
  t.equal(append(writer, [numbered(1)]), 1);
  storage.failNextSync = true;
  t.throws(() => append(writer, [numbered(2)]), JournalFailedError);
  t.equal(progress.durableSequence, 1, 'nothing that failed counts as durable');
  t.throws(() => append(writer, [numbered(3)]), JournalFailedError);
  t.throws(() => exchange.begin(false), ExchangeFailedError);
  t.equal(said.length, 1, said.join(' '));
});
