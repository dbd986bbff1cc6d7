/** The audit of journals beside the books: it finds what the books alone cannot know. */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { JournalSizes } from '../../engine/exchange/journal-sizes.js';
import { createProgress } from '../../engine/exchange/progress.js';
import { type JournalWriter, openJournal } from '../../workers/journal/journal.js';
import { partitionDirectory } from '../../workers/journal/segment-files.js';
import { FileStorage } from '../../workers/journal/storage.js';
import { settle } from '../../workers/settle/settle.js';
import { ledgerFor } from '../../workers/testing/ledger-for.js';
import { writeRecords } from '../../workers/testing/record-writer.js';
import { folderFor } from '../testing/for-test.js';
import { auditBooks } from './audit-books.js';
import { auditJournals } from './audit-journals.js';

const sizes: JournalSizes = { segmentBytes: 16_384, frameBytesMax: 8192, segmentsMax: 64 };

/** A ledger at epoch 2, and a journal whose engine holds its lease. */
async function stage(t: Test) {
  const { sql } = await ledgerFor(t, 3, 1_000_000);
  const root = folderFor(t);
  const holder = randomUUID();
  await sql`insert into writer_epochs (scope, epoch, holder) values ('ledger', 2, ${holder})`;
  writeFileSync(join(root, 'engine.lock'), JSON.stringify({ pid: 1, leases: [randomUUID(), holder] }));
  const { writer } = openJournal({
    ...{ storage: new FileStorage(), directory: partitionDirectory(root, 0), partition: 0, partitionCount: 1, sizes },
    ...{ progress: createProgress(1).partitions[0]!, settledSequence: 0, epoch: 2 },
  });
  t.teardown(() => writer.close());
  const records = (count: number, prefix = 'a', from = writer.nextSequence) =>
    writeRecords(
      Array.from({ length: count }, (_, index) => ({
        id: `${prefix}-${from + index}`,
        account: 1,
        amount: 5,
        held: 5,
      })),
    );
  /** Appends records, and settles as many of them. */
  const append = async (count: number, settled: number) => {
    for (let done = 0; done < count; done += 10) {
      const firstSequence = writer.nextSequence;
      const batch = records(Math.min(10, count - done));
      write(writer, batch);
      const offsets = batch.offsets.slice(0, Math.max(0, settled - done));
      if (offsets.length > 0) await settle(sql, { partition: 0, firstSequence, source: batch.source, offsets });
    }
  };
  return { sql, root, records, append, audit: () => auditJournals(sql, root) };
}

function write(writer: JournalWriter, { source, offsets }: ReturnType<typeof writeRecords>): void {
  const last = offsets.at(-1)!;
  const end = last + new DataView(source.buffer, source.byteOffset).getUint16(last, true);
  if (!writer.reserve(end)) throw new Error(writer.refusal);
  writer.frame.set(source.subarray(0, end), writer.recordsStart);
  writer.append(writer.recordsStart + end, offsets.length, Date.now());
}

t.test('a journal that matches Postgres has no findings, and unsettled records are noted', async (t) => {
  const { append, audit, root, sql } = await stage(t);
  t.same(await auditJournals(sql, join(root, 'none')), { findings: [], notes: [] });
  await append(200, 200);
  t.same(await audit(), { findings: [], notes: [] });
  await append(60, 45);
  t.match(await audit(), {
    findings: [],
    notes: [/partition 0 .*records 246 to 260 are in the journal and not settled yet/],
  });
});

t.test('a journal whose records another engine settled is found, even when the books balance', async (t) => {
  const { append, records, audit, sql } = await stage(t);
  await append(20, 10);
  await settle(sql, { partition: 0, firstSequence: 11, ...records(10, 'theirs', 11) });
  t.same((await auditBooks(sql)).findings, []);
  const { findings } = await audit();
  t.match(findings[0], /record 11 of the journal is not the record that Postgres settled/);
  t.match(findings.at(-1), /10 records of the journal differ/);
});

t.test('a journal that another engine replaced is found by its end, its epoch or its content alone', async (t) => {
  const { append, records, audit, sql } = await stage(t);
  await append(20, 15);
  await sql`update writer_epochs set epoch = 3, holder = ${randomUUID()}`;
  t.match((await audit()).findings, [/records 16 to 20 .*not settled, and another engine has the ledger since/]);
  await sql`update writer_epochs set epoch = 1`;
  t.match((await audit()).findings, [/written under epoch 2, the ledger stands at 1/, /another engine/]);
  await sql`update writer_epochs set epoch = 3`;
  await settle(sql, { partition: 0, firstSequence: 16, ...records(10, 'a', 16) });
  t.match((await audit()).findings, [/Postgres has settled record 25, the journal ends with record 20/]);
});

t.test('a folder from before the journal moved into Postgres is sound as long as all of it is settled', async (t) => {
  const { append, records, audit, sql } = await stage(t);
  await append(20, 20);
  await sql`update journal_positions set journal = 'postgres'`;
  // A claim of a partition excludes the engine before it from the ledger.
  await sql`update writer_epochs set epoch = 3, holder = '00000000-0000-0000-0000-000000000000'`;
  await settle(sql, { partition: 0, firstSequence: 21, ...records(10, 'a', 21) });
  t.same(await audit(), { findings: [], notes: [] });
  await append(20, 0);
  t.match((await audit()).findings, [/records 31 to 40 .*not settled, and another engine has the ledger since/]);
});

t.test('a journal of another ledger is a finding', async (t) => {
  const { append, audit, root, sql } = await stage(t);
  await append(20, 20);
  const [identity] = await sql`select id::text as id from ledger_identity`;
  writeFileSync(join(root, 'ledger'), `${identity!['id']}\n`);
  t.same((await audit()).findings, []);
  writeFileSync(join(root, 'ledger'), '00000000-0000-0000-0000-000000000000\n');
  t.match((await audit()).findings, [/the journals belong to ledger 00000000-.*, the database is ledger /]);
});

t.test('a damaged journal is a finding and does not end the audit', async (t) => {
  const { append, audit, root } = await stage(t);
  await append(20, 20);
  writeFileSync(join(partitionDirectory(root, 0), 'segment-0000000001'), 'nothing');
  t.match((await audit()).findings, [/partition 0: the journal is damaged/]);
});
