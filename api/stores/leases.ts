/** Work that one API does at a time: leases in Postgres, which take over atomically whatever else is used beside it. */
import { hostname } from 'node:os';
import type { Database } from './postgres.js';

export interface LeaseHolder {
  readonly host: string;
  readonly pid: number;
}

/**
 * Takes or renews a lease.
 * @param holder a UUID
 * @returns null, or the holder that has it
 */
export async function takeLease(
  database: Database,
  scope: string,
  holder: string,
  leaseMs: number,
): Promise<LeaseHolder | null> {
  const rows = await database.run(
    'api_leases.take',
    (sql) => sql<(LeaseHolder & { isOurs: boolean })[]>`
      with taken as (
        insert into api_leases as l (scope, holder, host, pid, held_until)
        values (${scope}, ${holder}::text::uuid, ${hostname()}, ${process.pid},
          clock_timestamp() + ${leaseMs}::integer * interval '1 millisecond')
        on conflict (scope) do update set
          holder = excluded.holder, host = excluded.host, pid = excluded.pid, held_until = excluded.held_until
        where l.holder = excluded.holder or l.held_until < clock_timestamp()
        returning host, pid
      )
      select host, pid, true as "isOurs" from taken
      union all
      select host, pid, false from api_leases where scope = ${scope} and not exists (select from taken)`,
  );
  const [row] = rows;
  // No row at all: another API inserted the first one in this moment, behind the snapshot.
  if (row === undefined) return { host: 'unknown', pid: 0 };
  return row.isOurs ? null : { host: row.host, pid: row.pid };
}

/** Gives a lease up, so that another API need not wait for its end. */
export async function releaseLease(database: Database, scope: string, holder: string): Promise<void> {
  await database.run(
    'api_leases.release',
    (sql) => sql`
      update api_leases set held_until = '-infinity' where scope = ${scope} and holder = ${holder}::text::uuid`,
  );
}
