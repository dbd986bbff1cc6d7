/** What a partition's housekeeping asks of Postgres: holds whose lifetime ended, and records that are quarantined. */
import type postgres from 'postgres';
import { readRecordRoot } from '../core/record.js';

/** Where a page of lapsed transactions ended. */
export interface LapsePlace {
  readonly expires: string;
  readonly id: string;
  readonly occurrence: string;
}

export interface LapsedPage {
  /** The database's clock. */
  readonly databaseMs: number;
  readonly names: readonly string[];
  /** Null: there are no more. */
  readonly last: LapsePlace | null;
}

export interface Quarantine {
  readonly count: number;
  /** Partition and sequence, the transaction, and why; '' when there is none. */
  readonly oldest: string;
}

/**
 * A partition's open transactions whose lifetime ended, oldest first, by `nowMs` and by the clock of the database.
 * @param after the last one of the page before
 */
export async function lapsed(
  sql: postgres.Sql,
  partition: number,
  nowMs: number,
  after: LapsePlace | null,
  limit: number,
): Promise<LapsedPage> {
  const { expires, id, occurrence } = after ?? { expires: '-infinity', id: '', occurrence: '0' };
  const [row] = await sql<{ databaseMs: number; page: (LapsePlace & { name: string })[]; quarantined: string[] }[]>`
    select extract(epoch from now())::float8 * 1000 as "databaseMs", coalesce((
      select json_agg(json_build_object('name', transaction_name(id, occurrence), 'expires', expires_at::text, 'id', id,
        'occurrence', occurrence::text) order by expires_at, id, occurrence)
      from lapsing_transactions(${partition}::integer, least(${new Date(nowMs)}, now()), ${expires}::text::timestamptz,
        ${id}::text, ${occurrence}::text::bigint, ${limit}::integer)), '[]') as page, coalesce((
      select json_agg(encode(record, 'base64')) from (
        select distinct on (chain) chain_state, record from quarantined_records
        where partition = ${partition} and chain is not null and ${after === null}
        order by chain, sequence desc) newest
      where (chain_state ->> 'status')::integer = 1 and (chain_state ->> 'expiresAtMs')::float8 > 0
        and (chain_state ->> 'expiresAtMs')::float8 <= least(${nowMs}::float8, extract(epoch from now()) * 1000)
      ), '[]') as quarantined`;
  const { databaseMs, page, quarantined } = row!;
  // They have no row that is up to date, and come with the first page.
  const apart = quarantined.map((record) => transactionName(Buffer.from(record, 'base64')));
  return {
    databaseMs,
    names: [...apart, ...page.map(({ name }) => name)],
    last: page.length < limit ? null : page.at(-1)!,
  };
}

/** How many records settling has set apart, and the oldest of them. */
export async function quarantined(sql: postgres.Sql): Promise<Quarantine> {
  const [row] = await sql<{ count: number; partition: number; sequence: string; error: string; record: Buffer }[]>`
    select count(*) over ()::integer as count, partition, sequence, error, record from quarantined_records
    order by quarantined_at limit 1`;
  if (row === undefined) return { count: 0, oldest: '' };
  const { count, partition, sequence, error, record } = row;
  return { count, oldest: `${partition}/${sequence} (${transactionName(record)}): ${error}` };
}

/** The name of the transaction that a record opens or follows. */
function transactionName(record: Buffer): string {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const root = { start: 0, end: 0 };
  readRecordRoot(view, 0, root);
  return record.toString('utf8', root.start, root.end);
}
