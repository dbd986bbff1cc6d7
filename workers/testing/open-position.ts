/** A ledger of one partition, before its first record: what an engine's start writes (engine/lookups/database.ts). */
import type postgres from 'postgres';

export async function openFirstPosition(sql: postgres.Sql): Promise<void> {
  await sql`insert into journal_positions (partition, partition_count) values (0, 1)`;
}
