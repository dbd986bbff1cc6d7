/**
 * The journal against a list of what was acknowledged, under random batches, rolls, restarts, crashes and failing
 * syncs.
 */
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { FrameExchange } from '../../engine/exchange/frame-exchange.js';
import { runs } from '../../engine/testing/runs.js';
import { append, journalFixture, record } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { SlowFrameSink } from '../testing/slow-sink.js';
import { type FrameTarget, ThreadFrameSink, writeFrame } from './frame-sink.js';
import type { JournalWriter } from './journal.js';
import { JournalFailedError } from './journal-errors.js';
import { sectorBytes } from './segment.js';
import { partitionDirectory, segmentName } from './segment-files.js';

const body = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }),
  // Long runs of zeros look like sectors that were never written.
  fc.integer({ min: 1, max: 1500 }).map((length) => new Uint8Array(length)),
);
const batch = fc.array(body.map(record), { minLength: 1, maxLength: 6 }).filter((records) => {
  return records.reduce((sum, bytes) => sum + bytes.length, 0) <= 1900;
});
type Step =
  | { do: 'append'; records: Uint8Array[] }
  | { do: 'restart' }
  | { do: 'kill' }
  | { do: 'lose power'; seed: number }
  | { do: 'fail sync'; records: Uint8Array[]; seed: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('append' as const), records: batch }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose power' as const), seed: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('fail sync' as const), records: batch, seed: fc.nat() }),
  },
);

t.test('every acknowledged record is read back in order and unchanged after any history', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const storage = new MemoryStorage();
      const fixture = journalFixture(storage, '/journal', { sizes: { segmentsMax: 1000 } });
      let { writer } = fixture.open();
      /** Acknowledged. A batch whose sync failed may follow it, whole or not at all. */
      const acked: Uint8Array[] = [];
      const check = (): void => {
        const found = fixture.readAll();
        if (found.length !== fixture.progress.durableSequence) throw new Error('records were skipped');
        if (Buffer.compare(Buffer.concat(found), Buffer.concat(acked)) !== 0) throw new Error('the records differ');
      };
      const reopen = (maybe: Uint8Array[] = []): JournalWriter => {
        const opened = fixture.open();
        if (opened.scan.lastSequence === acked.length + maybe.length) acked.push(...maybe);
        if (opened.scan.lastSequence !== acked.length) throw new Error(`the log ends at ${opened.scan.lastSequence}`);
        return opened.writer;
      };
      for (const each of steps) {
        if (each.do === 'append') {
          acked.push(...each.records);
          if (append(writer, each.records) !== acked.length) throw new Error('the wrong sequence');
        } else if (each.do === 'restart') {
          writer.close();
          writer = reopen();
        } else if (each.do === 'kill') {
          storage.kill();
          writer = reopen();
        } else if (each.do === 'lose power') {
          storage.crash(odds(each.seed));
          writer = reopen();
        } else {
          storage.failNextSync = true;
          try {
            append(writer, each.records);
            throw new Error('a failed sync was not noticed');
          } catch (error) {
            if (!(error instanceof JournalFailedError)) throw error;
          }
          // The process restarts and reads what the page cache shows, then the power goes: what was taken over must
          // stay.
          storage.kill();
          writer = reopen(each.records);
          storage.crash(odds(each.seed));
          writer = reopen();
        }
        check();
      }
    }),
    runs(150),
  );
});

t.test('a power cut during an append leaves all of the batch or none, and everything before it', async () => {
  fc.assert(
    fc.property(fc.array(batch, { maxLength: 8 }), batch, fc.nat(), fc.nat(), (before, last, seed, name) => {
      const storage = new MemoryStorage();
      const fixture = journalFixture(storage, '/journal', { sizes: { segmentsMax: 1000 } });
      const { writer } = fixture.open();
      for (const records of before) append(writer, records);
      const acked = before.flat();
      // The power goes inside fdatasync: some of the dirty sectors are on the device, some are not.
      const sync = storage.fdatasync;
      let countdown = seed % 2;
      storage.fdatasync = (file) => {
        if (countdown-- === 0) throw new Error('power');
        sync.call(storage, file);
      };
      try {
        append(writer, last);
      } catch {
        // It is not acknowledged.
      }
      storage.fdatasync = sync;
      storage.crash(odds(seed), (count) => name % count);
      let opened: ReturnType<typeof fixture.open>;
      try {
        opened = fixture.open();
      } catch (error) {
        // A sparse frame that lost a sector looks like a damaged one: stopping is right, guessing is not.
        if (mayBeSparse(last)) return;
        throw error;
      }
      const found = Buffer.concat(fixture.readAll());
      const short = Buffer.concat(acked);
      const long = Buffer.concat([...acked, ...last]);
      if (!found.equals(short) && !found.equals(long)) throw new Error('neither with nor without the last batch');
      append(opened.writer, last);
      if (!Buffer.concat(fixture.readAll()).equals(Buffer.concat([found, ...last]))) throw new Error('cannot go on');
    }),
    runs(600),
  );
});

t.test('after a power cut the journal has every durable record, and only whole frames in order', async () => {
  const turn = fc.oneof(
    { weight: 3, arbitrary: batch },
    { weight: 2, arbitrary: fc.constant('disk' as const) },
    { weight: 1, arbitrary: fc.constant('nothing' as const) },
  );
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), fc.nat(), (turns, seed) => {
      const storage = new MemoryStorage();
      const fixture = journalFixture(storage, '/journal', { sizes: { segmentsMax: 1000 } });
      const { progress, sizes } = fixture.options;
      const sink = new SlowFrameSink({ storage, partition: 0, progress, nowMs: () => 0 }, sizes.frameBytesMax);
      const { writer } = fixture.open(sink);
      const appended: Uint8Array[] = [];
      const locations: number[] = [];
      const target = new Uint8Array(4096);
      for (const each of turns) {
        if (each === 'disk') sink.step();
        else if (each === 'nothing') {
          if (!writer.reserve(100)) throw new Error('no room');
          writer.release();
        } else {
          appended.push(...each);
          append(writer, each);
          let end = writer.recordsStart;
          for (const bytes of [...each].reverse()) {
            end -= bytes.length;
            locations[appended.lastIndexOf(bytes)] = writer.frameLocation + end;
          }
        }
      }
      // Wherever a record stands now, open frame, frame on its way, or disk, it is read the same.
      for (const [index, bytes] of appended.entries()) {
        const length = writer.read(locations[index]!, target);
        if (Buffer.compare(target.subarray(0, length), bytes) !== 0) throw new Error(`record ${index + 1} differs`);
      }
      const durable = progress.durableSequence;
      storage.crash(odds(seed));
      const { lastSequence } = fixture.open().scan;
      if (lastSequence !== durable) throw new Error(`${durable} were durable, ${lastSequence} came back`);
      const found = Buffer.concat(fixture.readAll());
      if (!found.equals(Buffer.concat(appended.slice(0, durable)))) throw new Error('the records differ');
    }),
    runs(300),
  );
});

t.test('frames of the thread and of its syncer stand on the disk in the order of their records', async () => {
  const turn = fc.oneof(
    { weight: 4, arbitrary: fc.record({ records: batch, isAwaited: fc.boolean() }) },
    { weight: 2, arbitrary: fc.constant('syncer' as const) },
  );
  // All of a history fits into one frame: on one thread nothing could wait for the syncer.
  const sizes = { segmentBytes: 2 ** 20, frameBytesMax: 2 ** 16 };
  const recordsMax = 4;
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 30 }), fc.nat(), (turns, seed) => {
      const storage = new MemoryStorage();
      const fixture = journalFixture(storage, '/journal', { sizes });
      const { progress } = fixture.options;
      const target = { storage, partition: 0, progress, nowMs: () => 0 };
      const exchange = new FrameExchange(FrameExchange.create(sizes.frameBytesMax));
      const failed = (message: string): never => {
        throw new Error(message);
      };
      const sink = new ThreadFrameSink(exchange, 0, { target, recordsMax, failed });
      const { writer } = fixture.open(sink);
      const appended: Uint8Array[] = [];
      for (const each of turns) {
        if (each === 'syncer') syncOne(exchange, target);
        else {
          const isFree = exchange.ready === -1;
          sink.isAwaited = each.isAwaited;
          appended.push(...each.records);
          append(writer, each.records);
          const isOwn = isFree && !each.isAwaited && each.records.length <= recordsMax;
          if ((progress.durableSequence === appended.length) !== isOwn) throw new Error('the other thread wrote it');
        }
      }
      const durable = progress.durableSequence;
      storage.crash(odds(seed));
      const { lastSequence } = fixture.open().scan;
      if (lastSequence !== durable) throw new Error(`${durable} were durable, ${lastSequence} came back`);
      const found = Buffer.concat(fixture.readAll());
      if (!found.equals(Buffer.concat(appended.slice(0, durable)))) throw new Error('the records differ');
    }),
    runs(200),
  );
});

/** As the syncer's thread does it, where there is a frame. */
function syncOne(exchange: FrameExchange, target: FrameTarget): void {
  const index = exchange.ready;
  if (index === -1) return;
  const plan = { segmentNumber: 0, offset: 0, recordsEnd: 0, recordCount: 0, firstSequence: 0, atMs: 0, epoch: 0 };
  exchange.readPlan(index, plan);
  const file = target.storage.open(join(partitionDirectory('/journal', 0), segmentName(plan.segmentNumber)));
  const frame = exchange.frames[index];
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  exchange.chain = writeFrame(target, file, frame, view, plan, exchange.chain);
  exchange.finish();
}

/** A repeatable coin for each sector. */
function odds(seed: number): (sector: number) => boolean {
  return (sector) => (Math.imul(seed ^ (sector * 0x9e3779b1), 0x85ebca6b) >>> 16) % 2 === 0;
}

/**
 * True when a sector of the frame may have fewer than two bytes that are not zero, which is what flags a frame sparse.
 * The header stands before the records; at most 63 zeros of padding and the closing mark come after them.
 */
function mayBeSparse(records: readonly Uint8Array[]): boolean {
  const bytes = Buffer.concat([...records, Buffer.alloc(63)]);
  const places = [-2, -1];
  for (const [place, byte] of bytes.entries()) if (byte !== 0) places.push(place);
  places.push(bytes.length, bytes.length + 1);
  return places.some((place, index) => places[index + 2]! - place > sectorBytes);
}
