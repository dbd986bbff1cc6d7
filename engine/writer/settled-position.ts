/**
 * What a writer settles before it starts: which ledger this is, how far it is settled, and the end of earlier settlers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import { seeRunbook } from '../../platform/runbook.js';
import type { JournalKind } from '../config.js';
import type { WriterFence } from '../core/writer-fence.js';

/** Ten seconds: a cancelled statement stops at its next row. */
const fenceAttemptsMax = 200;
const fencePauseMs = 50;
/** Of the connections that settle; a number follows where one partition has the connection. */
const settlerName = 'settle';

/**
 * Ends statements of a killed engine or a dead shipper that may still run. A settle statement whose client is gone
 * continues and commits. The state read for a restart would be half before and half after it. The caller holds the
 * writer's lease. A shipper that lives loses its connection, and settles again from where Postgres stands. Throws when
 * one does not end.
 * @param partition ends only those of this partition; null ends those of all
 */
export async function endSettlers(sql: postgres.Sql, partition: number | null): Promise<void> {
  // An engine of an older version names no partition.
  const pattern = partition === null ? `^${settlerName}( |$)` : `^${settlerName}( ${partition})?$`;
  for (let attempt = 0; attempt < fenceAttemptsMax; attempt++) {
    const ended = await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name ~ ${pattern} and pid <> pg_backend_pid()`;
    if (ended.length === 0) return;
    await delay(fencePauseMs);
  }
  throw new Error('a settle statement of an earlier engine does not end: see pg_stat_activity, application "settle"');
}

/**
 * Settled position of a partition's journal; a row is made for a new one. Throws when the partition count differs, or
 * another engine has the writer's lease.
 */
export async function openPosition(
  sql: postgres.Sql,
  partition: number,
  partitionCount: number,
  journal: JournalKind,
  { scope, epoch, holder }: WriterFence,
): Promise<number> {
  await sql`
    with fence as materialized (
      select from writer_epochs where scope = ${scope} and epoch = ${epoch}
      and holder = ${holder}::text::uuid for share)
    insert into journal_positions (partition, partition_count, journal)
    select ${partition}::integer, ${partitionCount}::integer, ${journal}::text from fence
    on conflict (partition) do nothing`;
  const [row] = await sql<{ sequence: string; partitionCount: number; journal: string }[]>`
    select sequence, partition_count as "partitionCount", journal from journal_positions
    where partition = ${partition} and exists (
      select from writer_epochs where scope = ${scope} and epoch = ${epoch} and holder = ${holder}::text::uuid)`;
  if (row === undefined) throw new Error(`another engine has taken the lease of this database (${scope})`);
  assertSameJournal(row, partitionCount, journal);
  return Number(row.sequence);
}

/**
 * The first start decides which journal the ledger has, and how many partitions.
 * @throws one line for a person when this start has another number, or another journal
 */
export async function fixJournal(
  sql: postgres.TransactionSql,
  partitionCount: number,
  journal: JournalKind,
): Promise<void> {
  // Two first starts at once would both find nothing.
  await sql`lock table partition_leases in share row exclusive mode`;
  const rows = await sql<{ partitionCount: number; journal: string }[]>`
    select distinct partition_count as "partitionCount", journal from journal_positions
    union select count(*)::integer, 'postgres' from partition_leases having count(*) > 0`;
  for (const row of rows) assertSameJournal(row, partitionCount, journal);
  const last = partitionCount - 1;
  if (journal === 'local') {
    await sql`
      insert into journal_positions (partition, partition_count, journal)
      select partition, ${partitionCount}::integer, ${journal}::text
      from generate_series(0, ${last}::integer) as partition on conflict do nothing`;
    return;
  }
  // With the first tables of its frames: takeovers of several partitions at once would wait for each other there.
  await sql`
    with added as (
      insert into partition_leases (partition) select generate_series(0, ${last}::integer)
      on conflict do nothing returning partition)
    select journal_upkeep(partition, 1, 0) from added`;
}

/**
 * @param found what the database is kept by
 * @throws one line for a person when this start has another number of partitions, or another journal
 */
export function assertSameJournal(
  found: { readonly partitionCount: number; readonly journal: string },
  partitionCount: number,
  journal: JournalKind,
): void {
  if (found.partitionCount !== partitionCount) {
    throw new Error(
      `this database is kept by ${found.partitionCount} partitions, and their number cannot be changed: ` +
        `start with PARTITIONS=${found.partitionCount} (now it is ${partitionCount})`,
    );
  }
  if (found.journal !== journal) {
    throw new Error(
      `the journal of this database is JOURNAL=${found.journal}, and this start has JOURNAL=${journal}: what is not ` +
        `settled stands in the other one. Start with JOURNAL=${found.journal}. ${seeRunbook('another-journal')}`,
    );
  }
}

/** Which ledger this database is: the same in every backup of it. */
export async function ledgerId(sql: postgres.Sql): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select id::text as id from ledger_identity`;
  if (row === undefined) throw new Error('the table ledger_identity is empty: put its row back from a backup');
  return row.id;
}
