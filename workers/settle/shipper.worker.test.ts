/** The shipper's thread on a real journal and a real Postgres whose connections are cut while it settles. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { folderFor } from '../../deploy/testing/for-test.js';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import { createProgress } from '../../engine/exchange/progress.js';
import type { ShipperCommand, ShipperEvent } from '../../engine/exchange/shipper-messages.js';
import { openJournal } from '../journal/journal.js';
import { listJournalFiles, partitionDirectory } from '../journal/segment-files.js';
import { FileStorage } from '../journal/storage.js';
import { ledgerFor } from '../testing/ledger-for.js';
import { writeRecords } from '../testing/record-writer.js';
import { readJournalPosition } from './settle.js';
import type { TunedWorkerData } from './shipper.worker.js';

const sizes: JournalSizes = { segmentBytes: 131_072, frameBytesMax: 32_768, segmentsMax: 64 };
const batches = 120;
const batchRecords = 20;

t.test('journals reach Postgres exactly once through cut connections, and drain waits for all records', async (t) => {
  const { sql, url } = await ledgerFor(t, 3, 1_000_000);
  const root = folderFor(t);
  const holder = randomUUID();
  await sql`insert into writer_epochs (scope, epoch, holder) values ('partition 0', 1, ${holder})`;
  const fence = (epoch: number) => ({ scope: 'partition 0', epoch, holder });

  const progress = createProgress(1);
  const storage = new FileStorage();
  const directory = partitionDirectory(root, 0);
  const place = { storage, directory, partition: 0, partitionCount: 1 };
  const { writer } = openJournal({
    ...place,
    sizes,
    progress: progress.partitions[0]!,
    settledSequence: 0,
    epoch: 1,
  });
  const workerData: TunedWorkerData = {
    journalDirectory: root,
    isScratch: false,
    journalSizes: sizes,
    progress: progress.buffer,
    seenIds: 0,
    databaseUrl: url,
    tuning: { recordsMax: 100, delayMs: 1 },
  };
  const worker = new Worker(new URL('./shipper.worker.js', import.meta.url), { workerData });
  const events: ShipperEvent[] = [];
  worker.on('message', (event: ShipperEvent) => events.push(event));
  const ask = async (command: ShipperCommand): Promise<boolean> => {
    worker.postMessage(command);
    for (;;) {
      const done = events.find((event) => event.kind === 'done' && event.id === command.id);
      if (done?.kind === 'done') return done.complete;
      await once(worker, 'message');
    }
  };

  t.equal(await ask({ kind: 'resume', id: 1, partition: 0, fence: fence(1) }), true);
  const append = (batch: number): void => {
    const { source, offsets } = writeRecords(
      Array.from({ length: batchRecords }, (_, index) => ({
        id: `settle-${batch}-${index}`,
        account: 1 + (index % 3),
        card: 1 + (index % 3),
        user: 1 + (index % 3),
        amount: 5,
        held: 5,
        spend: 5,
        spendCount: 1,
        day: 20_000,
      })),
    );
    const last = offsets.at(-1)!;
    const end = last + new DataView(source.buffer, source.byteOffset).getUint16(last, true);
    t.equal(writer.reserve(end), true);
    writer.frame.set(source.subarray(0, end), writer.recordsStart);
    writer.append(writer.recordsStart + end, batchRecords, Date.now());
  };
  for (let batch = 0; batch < batches; batch++) {
    append(batch);
    if (batch % 30 === 10) {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
    }
  }
  t.equal(await ask({ kind: 'drain', id: 2, timeoutMs: 60_000 }), true);
  t.equal(await readJournalPosition(sql, 0), batches * batchRecords);
  const [count] = await sql`select count(*)::integer as events, count(distinct sequence)::integer as sequences
        from transaction_events`;
  t.same([count?.['events'], count?.['sequences']], [batches * batchRecords, batches * batchRecords]);
  const [held] = await sql`select sum(held)::integer as held from accounts`;
  t.equal(held?.['held'], batches * batchRecords * 5);
  t.equal(progress.partitions[0]!.settledSequence, batches * batchRecords);
  t.ok(listJournalFiles(storage, directory).segments.length <= 2, 'settled segments are gone');
  t.same(
    events.filter((event) => event.kind === 'failed'),
    [],
  );
  await sql`update writer_epochs set epoch = 2`;
  append(batches);
  t.equal(
    await ask({ kind: 'drain', id: 5, timeoutMs: 60_000, partition: 0 }),
    false,
    'another engine is the writer now',
  );
  t.match(
    events.filter((event) => event.kind === 'failed'),
    [{ partition: 0, code: 'WRITER_FENCED', message: /another engine has taken partition 0 .*epoch 1/ }],
  );
  t.equal(await readJournalPosition(sql, 0), batches * batchRecords, 'no record of the replaced engine settles');
  t.equal(await ask({ kind: 'pause', id: 3, partition: 0 }), true);
  t.equal(await ask({ kind: 'resume', id: 6, partition: 0, fence: fence(2) }), true);
  t.equal(await ask({ kind: 'drain', id: 7, timeoutMs: 60_000, partition: 0 }), true, 'the partition is ours again');
  t.equal(await readJournalPosition(sql, 0), (batches + 1) * batchRecords);
  const exit = once(worker, 'exit');
  t.equal(await ask({ kind: 'stop', id: 4 }), true);
  t.same(await exit, [0]);
  t.comment(`troubles: ${events.map((event) => (event.kind === 'trouble' ? event.message : '')).join(' ')}`);
  writer.close();
});
