/**
 * The shipper against a Postgres that fails in every way a connection can: each record settles exactly once, in order.
 */
import fc from 'fast-check';
import t from 'tap';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import { createProgress } from '../../engine/exchange/progress.js';
import { runs } from '../../engine/testing/runs.js';
import { type JournalWriter, openJournal } from '../journal/journal.js';
import { copyJournal } from '../journal/journal-copy.js';
import { listJournalFiles, segmentName } from '../journal/segment-files.js';
import type { Storage } from '../journal/storage.js';
import { FaultControl, FaultyStorage } from '../testing/faulty-storage.js';
import { append, journalSizesTiny, numbered } from '../testing/journal-fixture.js';
import { MemoryStorage } from '../testing/memory-storage.js';
import { type Settle, Shipper, type ShipperOptions } from './shipper.js';

const directory = '/journal/p0';
type Weather = 'fine' | 'lost before' | 'lost after' | 'elsewhere' | 'no position';

/** Postgres as far as the shipper can tell: a position, and what was applied at it. */
class FakePostgres {
  position = 0;
  readonly applied: string[] = [];
  calls = 0;
  /** What happens to the next calls, in order; then the weather is fine. */
  weather: Weather[] = [];
  largest = 0;

  readonly settle: Settle = async (_partition, from, to, bytes, offsets) => {
    this.calls++;
    const weather = this.weather.shift() ?? 'fine';
    await turn();
    if (weather === 'lost before') throw new Error('connection lost');
    if (weather === 'elsewhere' || from !== this.position + 1) return false;
    if (to - from + 1 !== offsets.length) throw new Error('the offsets do not match the sequences');
    for (const [index, offset] of offsets.entries()) {
      const end = offsets[index + 1] ?? bytes.length;
      this.applied.push(Buffer.from(bytes.slice(offset, end)).toString('hex'));
    }
    this.largest = Math.max(this.largest, offsets.length);
    this.position = to;
    if (weather === 'lost after') throw new Error('connection lost');
    return true;
  };

  readonly readPosition = async (): Promise<number> => {
    await turn();
    if (this.weather[0] === 'no position') {
      this.weather.shift();
      throw new Error('connection refused');
    }
    return this.position;
  };
}

interface World {
  readonly storage: Storage;
  readonly postgres: FakePostgres;
  readonly options: ShipperOptions;
  readonly shipper: Shipper;
  readonly failures: unknown[];
  open(): JournalWriter;
}

function world(more: Partial<ShipperOptions> = {}, sizes: Partial<JournalSizes> = {}): World {
  const storage = more.storage ?? new MemoryStorage();
  storage.makeDirectory('/journal');
  const postgres = new FakePostgres();
  const progress = createProgress(1);
  const failures: unknown[] = [];
  const options: ShipperOptions = {
    storage,
    root: '/journal',
    progress,
    sizes: { ...journalSizesTiny, ...sizes },
    settle: postgres.settle,
    readPosition: postgres.readPosition,
    onFailed: (_partition, error) => failures.push(error),
    // Delays take no time, except the long ones of drains, which tests end themselves.
    schedule: (callback, delayMs) => {
      if (delayMs >= 60_000) return () => undefined;
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
    ...more,
    // Tests have no clock to wait for; what is unhurried has a test of its own.
    tuning: { spareUnhurriedMs: 0, sendBehindMs: 0, ...more.tuning },
  };
  const open = (): JournalWriter => {
    const place = { storage, directory, partition: 0, partitionCount: 1, sizes: options.sizes };
    return openJournal({ ...place, progress: progress.partitions[0]!, settledSequence: postgres.position, epoch: 1 })
      .writer;
  };
  return { storage, postgres, options, shipper: new Shipper(options), failures, open };
}

t.test('every record settles exactly once and in order, whatever the connection does', async () => {
  const weather = fc.constantFrom<Weather>('fine', 'lost before', 'lost after', 'elsewhere', 'no position');
  const batch = fc.array(fc.integer({ min: 12, max: 300 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(batch, fc.array(weather, { maxLength: 3 }), fc.integer({ min: 0, max: 9 })), { maxLength: 25 }),
      fc.integer({ min: 1, max: 9 }),
      async (steps, recordsMax) => {
        const { postgres, shipper, open, failures } = world({ tuning: { recordsMax, bytesMax: 900 } });
        let writer = open();
        shipper.resume(0);
        const acknowledged: string[] = [];
        for (const [lengths, more, then] of steps) {
          const records = lengths.map((length, index) => numbered(acknowledged.length + index + 1, length));
          postgres.weather.push(...more);
          while (append(writer, records) < 0) {
            // The books lag: let the shipper retire a segment.
            if (failures.length > 0) throw failures[0];
            await turn();
          }
          acknowledged.push(...records.map((bytes) => Buffer.from(bytes).toString('hex')));
          if (then < 4) await turn();
          if (then === 9) {
            // The worker is restarted: the journal's last file becomes another one.
            await shipper.pause(0);
            writer.close();
            writer = open();
            shipper.resume(0);
          }
        }
        const drained = await shipper.drain(60_000);
        await shipper.stop();
        if (failures.length > 0) throw failures[0];
        if (!drained) throw new Error('not drained');
        if (postgres.applied.join() !== acknowledged.join()) throw new Error('not exactly once');
        if (postgres.largest > recordsMax) throw new Error('a batch is too large');
      },
    ),
    runs(60),
  );
});

t.test('without a file descriptor settling waits, and later continues where it stopped', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 2, maxLength: 12 }), async (turns) => {
      const control = new FaultControl();
      const storage = new FaultyStorage(new MemoryStorage(), control);
      const { shipper, postgres, open, failures } = world({ storage, tuning: { recordsMax: 5 } });
      const writer = open();
      shipper.resume(0);
      let last = 0;
      for (const [index, count] of turns.entries()) {
        control.outOfDescriptors(index % 2 === 1);
        for (let turned = 0; turned < count; turned++) {
          for (let tries = 0; append(writer, [numbered(last + 1, 400)]) < 0; tries++) {
            // Either the books lag or a descriptor is needed: both end when there is one.
            if (tries > 20) control.outOfDescriptors(false);
            if (tries > 1000 || failures.length > 0)
              throw new Error('the journal does not go on', { cause: failures[0] });
            await turn();
          }
          last++;
          await turn();
        }
      }
      control.outOfDescriptors(false);
      if (!(await shipper.drain(60_000))) throw new Error('not drained');
      for (let step = 0; step < 20; step++) await turn();
      if (postgres.applied.length !== last) throw new Error(`${postgres.applied.length} of ${last} settled`);
      const files = listJournalFiles(storage, directory);
      if (files.making.length > 1) throw new Error(`files are left behind: ${files.making}`);
      await shipper.stop();
      if (failures.length > 0) throw failures[0];
    }),
    runs(60),
  );
  t.pass('each record settled once');
});

t.test('the shipper sends the next full batch while Postgres works on the one before', async (t) => {
  const postgres = new FakePostgres();
  let underWay = 0;
  let most = 0;
  const settle: Settle = async (...batch) => {
    underWay++;
    most = Math.max(most, underWay);
    const applied = await postgres.settle(...batch);
    underWay--;
    return applied;
  };
  const { shipper, open, options } = world({
    settle,
    readPosition: postgres.readPosition,
    tuning: { recordsMax: 2, backlogRecordsMax: 6 },
  });
  const writer = open();
  const appendTen = (from: number) => {
    for (let index = 0; index < 10; index++) append(writer, [numbered(from + index)]);
  };
  appendTen(1);
  shipper.resume(0);
  t.ok(await shipper.drain(60_000));
  t.equal(most, 2, 'two statements run at once, never more');
  t.equal(postgres.calls, 5);

  // One that finds another position than its own, as behind a batch that takes two statements, is sent once more.
  postgres.weather = ['fine', 'elsewhere'];
  appendTen(11);
  t.ok(await shipper.drain(60_000));
  t.equal(postgres.applied.length, 20);
  t.equal(options.progress.partitions[0]!.settleFailures, 0, 'the outcome is no failure');
  await shipper.stop();
});

t.test('settled segments are retired, and the worker rolls over into prepared spares', async (t) => {
  const { storage, shipper, open, options, postgres } = world();
  const writer = open();
  shipper.resume(0);
  const seen = new Set<string>();
  for (let sequence = 1; sequence <= 300; sequence++) {
    while (append(writer, [numbered(sequence, 400)]) < 0) await turn();
    if (sequence % 7 === 0) t.equal(await shipper.drain(60_000), true);
    for (const name of storage.list(directory)) seen.add(name);
    const files = listJournalFiles(storage, directory);
    t.ok(files.segments.length + files.spares.length + files.making.length <= journalSizesTiny.segmentsMax + 1);
  }
  t.equal(await shipper.drain(60_000), true);
  for (let step = 0; step < 50; step++) await turn();
  t.same(listJournalFiles(storage, directory).segments.length, 1);
  t.same(listJournalFiles(storage, directory).spares.length, 2);
  const progress = options.progress.partitions[0]!;
  t.same([progress.segments, progress.spares], [1, 2]);
  t.equal(progress.settledSequence, 300);
  t.equal(progress.backlogRecords, 0);
  t.equal(progress.settledRecords, 300);
  t.equal(progress.settledAtMs, 1000);
  t.equal(postgres.applied.length, 300);
  t.ok([...seen].some((name) => name.startsWith('spare-')));
  await shipper.stop();
});

t.test('spares are prepared while Postgres is away, and while it hangs', async (t) => {
  const away = world({ readPosition: () => Promise.reject(new Error('connection refused')) });
  let answer = (_isApplied: boolean): void => undefined;
  const hanging = world({
    settle: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  for (const { storage, shipper, open } of [away, hanging]) {
    append(open(), [numbered(1)]);
    shipper.resume(0);
    for (let step = 0; step < 100; step++) await turn();
    t.equal(listJournalFiles(storage, directory).spares.length, 2, 'the worker needs no spare of its own');
    const stopped = shipper.stop();
    answer(true);
    await stopped;
  }
});

t.test('a segment stays as long as an approval in it can be revoked, settled or not', async (t) => {
  const { storage, postgres, options, shipper, open } = world();
  const writer = open();
  const progress = options.progress.partitions[0]!;
  progress.publishFinal(0);
  let sequence = 0;
  while (listJournalFiles(storage, directory).segments.length < 3) append(writer, [numbered(++sequence, 500)]);
  shipper.resume(0);
  t.equal(await shipper.drain(60_000), true);
  for (let step = 0; step < 50; step++) await turn();
  t.equal(postgres.position, sequence, 'every record is settled');
  t.equal(listJournalFiles(storage, directory).segments.length, 3, 'every segment is still there');
  progress.publishFinal(sequence);
  for (let step = 0; step < 50; step++) await turn();
  t.equal(
    listJournalFiles(storage, directory).segments.length,
    1,
    'the segment is retired once its records are final, without another record',
  );
  await shipper.stop();
});

t.test(
  'a second copy of a journal keeps what is not settled, whatever the segments of the first one were',
  async (t) => {
    const { storage, postgres, options, shipper, failures, open } = world();
    const progress = options.progress.partitions[0]!;
    const segmentCount = () => listJournalFiles(storage, directory).segments.length;
    progress.publishFinal(0);
    const writer = open();
    let first = 0;
    while (segmentCount() < 3) append(writer, [numbered(++first, 500)]);
    shipper.resume(0);
    t.equal(await shipper.drain(60_000), true);
    await shipper.pause(0);
    writer.close();
    const last = first + 20;
    async function* framesBehind(settled: number) {
      for (let sequence = settled + 1; sequence <= last; sequence++) {
        yield {
          position: sequence,
          epoch: 1,
          firstSequence: sequence,
          recordCount: 1,
          atMs: 1000,
          records: numbered(sequence, 500),
        };
      }
    }
    const place = { storage, directory, partition: 0, partitionCount: 1, sizes: options.sizes, epoch: 1 };
    await copyJournal({ ...place, progress, settledSequence: first }, { framesBehind }, last + 1);
    progress.publishDurable(last);
    progress.publishFinal(last);
    const copied = segmentCount();
    postgres.weather = Array(50).fill('lost before');
    shipper.resume(0);
    for (let step = 0; step < 30; step++) await turn();
    t.equal(postgres.position, first, 'Postgres takes nothing meanwhile');
    t.equal(segmentCount(), copied, 'every segment is still there');
    postgres.weather = [];
    t.equal(await shipper.drain(60_000), true);
    t.equal(postgres.position, last);
    t.same(failures, []);
    await shipper.stop();
  },
);

t.test('a recycled segment contains nothing of its former records', async (t) => {
  const { storage, shipper, open } = world();
  const rename = storage.rename;
  let recycled = 0;
  storage.rename = (from, to) => {
    if (from.includes('/segment-')) recycled++;
    rename.call(storage, from, to);
  };
  const writer = open();
  shipper.resume(0);
  for (let sequence = 1; sequence <= 200; sequence++) {
    while (append(writer, [numbered(sequence, 700)]) < 0) await turn();
    for (const name of listJournalFiles(storage, directory).spares) {
      const bytes = (storage as MemoryStorage).bytesOf(`${directory}/${name}`);
      if (bytes.some((byte) => byte !== 0)) t.fail(`${name} is not zero`);
    }
    // Time enough for the spares to be complete, as there is between two rolls of 64 MiB.
    if (sequence % 3 === 0) for (let step = 0; step < 12; step++) await turn();
  }
  await shipper.stop();
  t.ok(recycled > 5, `${recycled} segments were recycled`);
  t.equal(open().lastSequence, 200, 'the journal opens');
});

t.test('in a long outage the shipper keeps its position, its pauses are bounded, and drain ends in time', async (t) => {
  const delays: number[] = [];
  let onLate = (): void => undefined;
  const attempts: number[] = [];
  const { postgres, shipper, open, options } = world({
    onTrouble: (_partition, _error, attempt) => attempts.push(attempt),
    schedule: (callback, delayMs) => {
      if (delayMs >= 60_000) {
        onLate = callback;
        return () => undefined;
      }
      delays.push(delayMs);
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
  });
  const writer = open();
  append(writer, [numbered(1), numbered(2)]);
  postgres.weather = Array.from({ length: 40 }, () => 'lost before' as const);
  shipper.resume(0);
  const drained = shipper.drain(60_000);
  while (attempts.length < 12) await turn();
  onLate();
  t.equal(await drained, false);
  t.same(attempts.slice(0, 4), [1, 2, 3, 4]);
  t.equal(Math.max(...delays), 5_000);
  t.ok(options.progress.partitions[0]!.settleFailures >= 12);
  postgres.weather = [];
  t.equal(await shipper.drain(60_000), true);
  t.equal(postgres.applied.length, 2);
  await shipper.stop();
});

t.test('while the front is busy a small backlog waits a little, and a large one does not wait', async (t) => {
  const { postgres, shipper, open, options } = world({
    tuning: { backlogRecordsMax: 10, holdBackMax: 3, holdBackFewMax: 3 },
  });
  const writer = open();
  options.progress.setRequestsInFlight(1000);
  shipper.resume(0);
  for (let step = 0; step < 20; step++) await turn();
  append(writer, [numbered(1)]);
  let turns = 0;
  for (; postgres.calls === 0; turns++) await turn();
  t.ok(turns >= 3 && turns < 20, `the shipper waited, but not for ever: ${turns}`);
  await shipper.stop();
});

t.test('few records wait until no more come, also where no request is in flight', async (t) => {
  const { postgres, shipper, open } = world({ tuning: { fewRecords: 50, stillMin: 6, holdBackFewMax: 1000 } });
  const writer = open();
  shipper.resume(0);
  for (let step = 0; step < 20; step++) await turn();
  for (let number = 1; number <= 10; number++) {
    append(writer, [numbered(number)]);
    for (let step = 0; step < 2; step++) await turn();
  }
  t.equal(postgres.calls, 0, 'one after the other comes');
  for (let turns = 0; postgres.calls === 0 && turns < 100; turns++) await turn();
  t.equal(await shipper.drain(60_000), true);
  t.equal(postgres.calls, 1, 'and one statement settles all of them');
  await shipper.stop();
});

t.test('while the front is busy the shipper rests in proportion to its last statement and its backlog', async (t) => {
  let nowMs = 0;
  const { postgres, shipper, open, options } = world({
    tuning: { recordsMax: 1, busyRequests: 1, restShare: 9, backlogRecordsMax: 10 },
    nowMs: () => nowMs,
    settle: async (...batch) => {
      nowMs += 10;
      return postgres.settle(...batch);
    },
  });
  const writer = open();
  options.progress.setRequestsInFlight(1000);
  append(
    writer,
    [1, 2, 3, 4, 5, 6].map((number) => numbered(number)),
  );
  shipper.resume(0);
  const settledAfter = async (ms: number) => {
    nowMs += ms;
    for (let step = 0; step < 50; step++) await turn();
    return postgres.position;
  };
  t.equal(await settledAfter(0), 1);
  t.same(
    [await settledAfter(44), await settledAfter(1)],
    [1, 2],
    'five of ten records wait, which is half of nine times ten',
  );
  t.same([await settledAfter(53), await settledAfter(1)], [2, 3], 'four records wait');
  await shipper.stop();
});

t.test('a backlog that keeps growing is settled without rests although the front is busy', async (t) => {
  let nowMs = 0;
  const { postgres, shipper, open, options } = world({
    tuning: { recordsMax: 2, recordsBusyMax: 1, busyRequests: 1, restMsMax: 60_000, keepUpRecords: 4 },
    nowMs: () => nowMs,
    settle: async (...batch) => {
      nowMs += 10_000;
      return postgres.settle(...batch);
    },
  });
  const writer = open();
  options.progress.setRequestsInFlight(1000);
  let appended = 0;
  const settledAfter = async (ms: number, more: number) => {
    nowMs += ms;
    for (let count = 0; count < more; count++) append(writer, [numbered(++appended)]);
    for (let step = 0; step < 50; step++) await turn();
    return postgres.position;
  };
  shipper.resume(0);
  t.equal(await settledAfter(0, 6), 1, 'the shipper rests after a small statement');
  t.equal(await settledAfter(5_000, 6), 1, 'a backlog that grew once may be what a burst left');
  t.equal(await settledAfter(5_000, 6), appended);
  t.equal(postgres.largest, 2, 'its statements are full ones');
  await shipper.stop();
});

t.test('a backlog is caught up at a pace while messages are in flight, and at once without them', async (t) => {
  let nowMs = 0;
  const sleeps: { readonly endsAtMs: number; readonly end: () => void }[] = [];
  const { postgres, shipper, open, options } = world({
    // What waits, within 100 ms, but no slower than 50 a second.
    tuning: { recordsMax: 2, recordsBusyMax: 2, catchUpMs: 100, catchUpPerSecond: 50, backlogRecordsMax: 1000 },
    nowMs: () => nowMs,
    settle: async (...batch) => {
      nowMs += 10;
      return postgres.settle(...batch);
    },
    schedule: (callback, delayMs) => {
      const sleep = { endsAtMs: nowMs + delayMs, end: callback };
      sleeps.push(sleep);
      return () => void sleeps.splice(sleeps.indexOf(sleep), 1);
    },
  });
  const writer = open();
  options.progress.setRequestsInFlight(1);
  append(
    writer,
    Array.from({ length: 12 }, (_, index) => numbered(1 + index)),
  );
  const settledAfter = async (ms: number) => {
    nowMs += ms;
    for (const { end } of sleeps.filter(({ endsAtMs }) => endsAtMs <= nowMs)) end();
    for (let step = 0; step < 50; step++) await turn();
    return postgres.position;
  };
  shipper.resume(0);
  t.equal(await settledAfter(0), 2);
  t.same([await settledAfter(9), await settledAfter(1)], [2, 4], 'ten records in 100 ms are two in 20');
  t.same([await settledAfter(14), await settledAfter(1)], [4, 6], 'eight records in 100 ms are two in 25');
  options.progress.setRequestsInFlight(0);
  t.equal(await settledAfter(24), 12, 'no message waits for a core');
  await shipper.stop();
});

t.test('while the front is busy partitions settle one after the other and rest together', async (t) => {
  let nowMs = 0;
  const settled: number[] = [];
  const partitions = [0, 1, 2];
  const storage = new MemoryStorage();
  const progress = createProgress(partitions.length);
  progress.setEngines(2);
  progress.setRequestsInFlight(1000);
  let hangs = false;
  const ends: (() => void)[] = [];
  const shipper = new Shipper({
    storage,
    root: '/journal',
    progress,
    sizes: journalSizesTiny,
    tuning: { recordsMax: 1, holdBackMax: 0, busyRequests: 1, restShare: 9, backlogRecordsMax: 1_000_000 },
    nowMs: () => nowMs,
    schedule: (callback) => {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    },
    readPosition: async () => 0,
    settle: async (partition) => {
      settled.push(partition);
      if (hangs) await new Promise<void>((resolve) => ends.push(resolve));
      nowMs += 10;
      return true;
    },
  });
  storage.makeDirectory('/journal');
  for (const partition of partitions) {
    const place = { storage, directory: `/journal/p${partition}`, partition, partitionCount: 3 };
    const { writer } = openJournal({
      ...place,
      sizes: journalSizesTiny,
      progress: progress.partitions[partition]!,
      settledSequence: 0,
      epoch: 1,
    });
    append(writer, [numbered(1)]);
    append(writer, [numbered(2)]);
    shipper.resume(partition);
  }
  const settledAfter = async (ms: number) => {
    nowMs += ms;
    for (let step = 0; step < 50; step++) await turn();
    return settled.length;
  };
  t.equal(await settledAfter(0), 1);
  t.same([await settledAfter(179), await settledAfter(1)], [1, 2], 'two engines rest twice as long');
  t.equal(await settledAfter(180), 3);
  t.same([...settled].sort(), partitions, 'each partition has had its turn');
  hangs = true;
  t.same(
    [await settledAfter(180), await settledAfter(499), await settledAfter(1)],
    [4, 4, 5],
    'one that hangs is passed',
  );
  hangs = false;
  for (const end of ends) end();
  await shipper.stop();
});

t.test('the first spare is prepared at once and the second one slowly', async (t) => {
  let nowMs = 0;
  const { storage, options, shipper, open } = world({
    tuning: { spareUnhurriedMs: 250 },
    nowMs: () => nowMs,
  });
  open();
  shipper.resume(0);
  for (let step = 0; step < 50; step++) await turn();
  const progress = options.progress.partitions[0]!;
  t.same([progress.segments, listJournalFiles(storage, directory).spares.length], [1, 1]);
  nowMs += 250;
  for (let step = 0; step < 50; step++) await turn();
  t.equal(listJournalFiles(storage, directory).spares.length, 2);
  await shipper.stop();
});

t.test('without a spare, the next one grows as the journal does', async (t) => {
  const sizes = { segmentBytes: 16 * 2 ** 20, frameBytesMax: 2 ** 20, segmentsMax: 8 };
  const { storage, options, shipper, open } = world({ tuning: { spareUnhurriedMs: 250 }, nowMs: () => 0 }, sizes);
  const writer = open();
  shipper.resume(0);
  const turns = async () => {
    for (let step = 0; step < 100; step++) await turn();
  };
  await turns();
  // The worker takes the only spare: now nothing is ready, and the clock stands.
  const [spare] = listJournalFiles(storage, directory).spares;
  storage.remove(`${directory}/${spare}`);
  await turns();
  const grown = () => {
    const [making] = listJournalFiles(storage, directory).making;
    if (making === undefined) return sizes.segmentBytes;
    return storage.size(storage.open(`${directory}/${making}`));
  };
  const before = grown();
  t.ok(before <= 2 ** 20, 'nothing is written: the spare can wait');
  const progress = options.progress.partitions[0]!;
  const from = progress.bytes;
  for (let sequence = 1; progress.bytes - from < 2 ** 20; sequence++) append(writer, [numbered(sequence, 60_000)]);
  await turns();
  t.ok(grown() >= 4 * 2 ** 20 && grown() < 8 * 2 ** 20, 'four times what was journaled');
  for (let sequence = 1; progress.bytes - from < 4 * 2 ** 20; sequence++) append(writer, [numbered(sequence, 60_000)]);
  await turns();
  t.equal(listJournalFiles(storage, directory).spares.length, 1, 'ready at a quarter of the segment');
  await shipper.stop();
});

t.test('while messages are in flight a small batch waits for more records, and a full one leaves', async (t) => {
  const { postgres, shipper, open, options } = world({ tuning: { recordsMax: 4, holdBackMax: 100_000 } });
  const writer = open();
  options.progress.setRequestsInFlight(1);
  shipper.resume(0);
  append(writer, [numbered(1), numbered(2), numbered(3)]);
  for (let step = 0; step < 50; step++) await turn();
  t.equal(postgres.calls, 0);
  append(writer, [numbered(4)]);
  for (let step = 0; step < 50; step++) await turn();
  t.equal(postgres.position, 4);
  await shipper.stop();
});

t.test('a damaged journal is not settled and is reported', async (t) => {
  const { storage, postgres, shipper, open, failures } = world();
  const writer = open();
  for (let sequence = 1; sequence <= 5; sequence++) append(writer, [numbered(sequence)]);
  (storage as MemoryStorage).bytesOf(`${directory}/${segmentName(1)}`)[512 + 2 * 128 + 70]! ^= 4;
  shipper.resume(0);
  t.equal(await shipper.drain(60_000), false);
  t.equal(postgres.position <= 2, true);
  t.match(failures, [{ code: 'JOURNAL_CORRUPT', sequence: 3 }]);
  await shipper.stop();
});

t.test('a position outside the journal is refused with both names', async (t) => {
  const { postgres, shipper, open, failures } = world();
  const writer = open();
  append(writer, [numbered(1), numbered(2)]);
  postgres.position = 9;
  shipper.resume(0);
  t.equal(await shipper.drain(60_000), false);
  t.match(failures, [{ code: 'JOURNAL_POSITION', settledSequence: 9, lastSequence: 2 }]);
  await shipper.stop();
});

t.test('a partition that was fenced settles again from the position of Postgres once it is resumed', async (t) => {
  const fenced = new Error('fenced');
  let isFenced = true;
  const postgres = new FakePostgres();
  const { shipper, open, failures } = world({
    settle: (...batch) => (isFenced ? Promise.reject(fenced) : postgres.settle(...batch)),
    readPosition: postgres.readPosition,
    isFinal: (error) => error === fenced,
  });
  const writer = open();
  append(writer, [numbered(1), numbered(2), numbered(3)]);
  shipper.resume(0);
  t.equal(await shipper.drain(60_000), false);
  t.same(failures, [fenced]);
  await shipper.pause(0);
  // Meanwhile the other owner has settled two records.
  postgres.position = 2;
  isFenced = false;
  shipper.resume(0);
  t.equal(await shipper.drain(60_000, 0), true);
  t.same([postgres.position, postgres.applied.length, failures.length], [3, 1, 1]);
  await shipper.stop();
});

t.test('no record is settled before it is durable', async (t) => {
  const control = new FaultControl();
  const { postgres, shipper, open } = world({ storage: new FaultyStorage(new MemoryStorage(), control) });
  const writer = open();
  append(writer, [numbered(1)]);
  control.failSyncs();
  t.throws(() => append(writer, [numbered(2)]));
  shipper.resume(0);
  t.equal(await shipper.drain(60_000), true);
  for (let step = 0; step < 10; step++) await turn();
  t.equal(postgres.position, 1, 'record 2 is in the file but was never proved to be on disk');
  await shipper.stop();
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
