/** The audit of the journal in Postgres finds what was changed, taken out or settled otherwise. */
import { crc32c } from '@node-rs/crc32';
import postgres from 'postgres';
import t from 'tap';
import { settle } from '../../workers/settle/settle.js';
import { writeRecords } from '../../workers/testing/record-writer.js';
import { createTestAccounts } from '../testing/test-accounts.js';
import { createTestDatabase } from '../testing/test-database.js';
import { auditFrames } from './audit-frames.js';

const holder = '00000000-0000-4000-8000-000000000001';
const successor = '00000000-0000-4000-8000-000000000002';

t.test('the audit of the frames names the partition and what is wrong with it', async (t) => {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(async () => {
    await sql.end({ timeout: 5 });
    await database.close();
  });
  await createTestAccounts(sql, 1, 1000);
  await sql`insert into journal_positions (partition, partition_count, journal) values (0, 1, 'postgres')`;
  await sql`select journal_take_over(0, 1, ${holder}::text::uuid, 0)`;
  const day = 20_000;
  const sketches = ['a', 'b', 'c', 'd'].map((id) => ({ id, amount: 10, held: 10, day, spend: 10, spendCount: 1 }));
  const written = writeRecords(sketches);
  const { source } = written;
  const offsets = Uint32Array.from(written.offsets);
  const end = (index: number) => offsets[index] ?? source.length;
  const bytes = Buffer.from(source);
  // Two frames of two records, of which three are settled.
  for (const [position, from] of [
    [2, 0],
    [3, 2],
  ] as const) {
    const records = bytes.subarray(offsets[from]!, end(from + 2));
    await sql`insert into journal_frames
      values (0, ${position}, 1, ${holder}::text::uuid, ${from + 1}, 2, 0, ${crc32c(records)}, ${records})`;
  }
  const settled = { partition: 0, firstSequence: 1, source, offsets: written.offsets.slice(0, 3) };
  t.same(await settle(sql, settled), { applied: true, sequence: 3 });
  t.same(await auditFrames(sql), {
    findings: [],
    notes: ['partition 0: records 4 to 4 are in the journal and not settled yet'],
  });

  await sql`create table saved_frames as table journal_frames`;
  const found = async (change: string): Promise<readonly string[]> => {
    await sql.unsafe(change);
    const { findings } = await auditFrames(sql);
    await sql.unsafe('truncate journal_frames; insert into journal_frames table saved_frames').simple();
    return findings;
  };
  t.same(await found('delete from journal_frames where position = 2'), [
    'partition 0: frame 2 is missing',
    'partition 0: frame 3 does not follow the one before',
  ]);
  t.same(await found(`update journal_frames set records = records || '\\x00' where position = 2`), [
    'partition 0: frame 2 is not what was written',
  ]);
  t.same(await found('update journal_frames set epoch = 9 where position = 2'), [
    'partition 0: frame 2 is of an owner that took nothing over',
    'partition 0: frame 3 is of an owner that was replaced before it',
  ]);
  t.same(await found(`update journal_frames set holder = '${successor}' where position = 3`), [
    'partition 0: frame 3 is of an owner that took nothing over',
  ]);
  t.same(await found('delete from journal_frames where position = 3'), [
    'partition 0: record 3 is settled, and the frames end with record 2',
  ]);
  t.same(await found('update journal_frames set first_sequence = first_sequence + 10'), [
    'partition 0: records 4 to 10 are in no frame',
  ]);
  t.same(await found(`update transaction_events set record = record || '\\x00' where sequence = 2`), [
    'partition 0: record 2 is not what Postgres settled',
  ]);
  t.same(await found('delete from transaction_events where sequence = 2'), [
    'partition 0: record 2 is settled without an event',
  ]);
});

t.test('the audit follows a partition through its owners, and each engine with its own epochs', async (t) => {
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(async () => {
    await sql.end({ timeout: 5 });
    await database.close();
  });
  await sql`insert into engines (id, auth_url, ops_url, peer_host, peer_port, host, pid, version, lease_ms)
    select id, '', '', '', 1, '', 1, '', 60000 from unnest(${[holder, successor]}::text[]::uuid[]) as id`;
  await sql`insert into journal_positions (partition, partition_count, journal)
    select partition, 2, 'postgres' from generate_series(0, 1) as partition`;
  await sql`insert into partition_leases (partition) values (0), (1)`;
  // Both partitions were one engine's, of a version before many engines.
  await sql`insert into writer_epochs values ('ledger', 4, ${holder})`;
  for (const partition of [0, 1]) await sql`select journal_take_over(${partition}, 4, ${holder}::text::uuid, 0)`;
  const takeOver = async (partition: number, engine: string) => {
    const [row] = await sql<{ epoch: number }[]>`
      select claim_partition(${partition}, ${engine}::text::uuid)::integer as epoch`;
    await sql`select journal_take_over(${partition}, ${row!.epoch}, ${engine}::text::uuid, 0)`;
    await sql`update partition_leases set holder = null where partition = ${partition}`;
    return row!.epoch;
  };
  t.same(
    [await takeOver(0, holder), await takeOver(0, successor), await takeOver(1, successor), await takeOver(0, holder)],
    [5, 6, 6, 7],
  );
  t.same(await auditFrames(sql), { findings: [], notes: [] });
  // Claimed and not taken over yet.
  await sql`select claim_partition(0, ${successor}::text::uuid)`;
  t.same((await auditFrames(sql)).findings, []);
  await sql`update partition_leases set epoch = 5 where partition = 1`;
  t.same((await auditFrames(sql)).findings, [
    'partition 1: its lease has epoch 5, and its fence 6',
    'partition 1: its frames have epoch 6, and its lease 5',
  ]);
});
