/** Tables as they were: for tests of a database that is restored from an older copy. */
import type postgres from 'postgres';

/** Copies the tables. @returns puts the copy back as a dump does: triggers and foreign keys do not act */
export async function backUp(sql: postgres.Sql, tables: readonly string[]): Promise<() => Promise<void>> {
  for (const table of tables) {
    await sql.unsafe(`drop table if exists backup_${table}`);
    await sql.unsafe(`create table backup_${table} as select * from ${table}`);
  }
  return async () => {
    await sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`;
      for (const table of tables) await restore(tx, table);
    });
  };
}

async function restore(sql: postgres.TransactionSql, table: string): Promise<void> {
  const columns = await sql<{ name: string; sequence: string | null }[]>`
    select attname as name, pg_get_serial_sequence(${table}, attname) as sequence from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped and attgenerated = ''`;
  const names = columns.map(({ name }) => name).join(', ');
  await sql.unsafe(`delete from ${table}`);
  await sql.unsafe(`insert into ${table} (${names}) overriding system value select ${names} from backup_${table}`);
  for (const { name, sequence } of columns) {
    if (sequence === null) continue;
    await sql.unsafe(`
      select setval('${sequence}', (select coalesce(max(${name}), 1) from ${table}), exists (select from ${table}))`);
  }
}
