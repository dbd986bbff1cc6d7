/** Transactions and records of one partition, with the books that they move. Part of database.ts. */
import type postgres from 'postgres';
import { statusNamed } from '../core/accounts.js';
import { MessageType, TransactionStatus } from '../core/codes.js';
import type {
  AccountRow,
  PartitionRows,
  RecordRow,
  SpendRow,
  TransactionRow,
  UserRow,
} from '../core/partition-rows.js';
import { settledOf, spendJson, spendOf, spendRows } from './database-accounts.js';

export interface KeysRead {
  readonly message: PartitionRows;
  readonly found: ReadonlySet<string>;
}

export async function accountRows(sql: postgres.Sql, numbers: readonly number[]): Promise<AccountRow[]> {
  if (numbers.length === 0) return [];
  const rows = await sql<{ json: Omit<AccountRow, 'status'> & { status: string } }[]>`
    select json_build_object('number', a.id, 'version', a.version, 'status', a.status, 'currency', a.currency,
      'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits', l.limits, 'funds', a.funds,
      'held', a.held, 'posted', a.posted) as json
    from engine_accounts a left join limits l on l.level = 2 and l.entity_id = a.id
    where a.id = any(${numbers as number[]}::bigint[])`;
  return rows.map(({ json }) => ({ ...json, status: statusNamed(json.status) }));
}

export async function userRows(sql: postgres.Sql, numbers: readonly number[]): Promise<UserRow[]> {
  if (numbers.length === 0) return [];
  const rows = await sql<{ json: Omit<UserRow, 'status'> & { status: string } }[]>`
    select json_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits', l.limits) as json
    from users u left join limits l on l.level = 1 and l.entity_id = u.id
    where u.id = any(${numbers as number[]}::bigint[])`;
  return rows.map(({ json }) => ({ ...json, status: statusNamed(json.status) }));
}

/** @param from rows of spend_windows */
export async function readSpend(sql: postgres.Sql, from: postgres.PendingQuery<postgres.Row[]>): Promise<SpendRow[]> {
  const rows = await sql<{ json: SpendRow }[]>`select ${spendJson(sql, 's')} as json from (${from}) s`;
  return rows.map((row) => row.json);
}

/**
 * A transaction that a reversal opened is a tombstone: its authorization has not come (transactions keep it as
 * reversed).
 */
function transactionStatus(status: number, type: number): TransactionStatus {
  return type === MessageType.reversal ? TransactionStatus.tombstone : (status as TransactionStatus);
}

export type TransactionJson = Omit<TransactionRow, 'status'> & { readonly status: number; readonly type: number };

export function transactionRow({ type, ...json }: TransactionJson): TransactionRow {
  return { ...json, status: transactionStatus(json.status, type) };
}

/**
 * Transactions of one partition: an id means nothing beyond it. A transaction that gave its id up to a later one is
 * found by its name only, which the look for lapsed holds knows.
 */
export async function transactionRows(
  sql: postgres.Sql,
  partition: number,
  ids: readonly string[],
): Promise<TransactionRow[]> {
  if (ids.length === 0) return [];
  const rows = await sql<{ json: TransactionJson }[]>`
    with asked as (select unnest(${ids as string[]}::text[]) as asked_id),
    direct as (
      select a.asked_id, a.asked_id as name, null::smallint as type from asked a
      join transactions t on t.id = name_id(a.asked_id) and t.partition = ${partition}
        and t.occurrence = name_occurrence(a.asked_id)),
    -- The id of a later message leads to its transaction.
    indirect as (
      select asked_id, name, type from (
        select distinct on (a.asked_id) a.asked_id, e.transaction_id as name, e.approved, e.type
        from asked a join transaction_events e on e.request_id = a.asked_id and e.partition + 0 = ${partition}
        where a.asked_id not in (select asked_id from direct)
        order by a.asked_id, e.sequence desc) newest
      -- What was declined or revoked added nothing that could be followed. An answer shows the name, so it is an id.
      where approved and name_occurrence(name) = 0),
    named as (select * from direct union all select * from indirect)
    select json_build_object('id', k.name, 'askedId', k.asked_id, 'askedType', k.type,
      'accountNumber', t.account_id, 'cardNumber', t.card_id,
      'cardSpend', coalesce(c.spend_of, t.card_id), 'userNumber', t.user_id,
      'status', t.status, 'type', t.type,
      'held', t.held_amount, 'posted', t.posted_amount,
      'refunded', t.refunded_amount, 'firstDay', t.spend_day, 'newestDay', t.newest_spend_day,
      'newestAmount', t.newest_spend_amount,
      'expiresAtMs', coalesce(extract(epoch from t.expires_at) * 1000, 0)) as json
    from named k
    join transactions t on t.id = name_id(k.name) and t.partition = ${partition}
      and t.occurrence = name_occurrence(k.name)
    left join cards c on c.id = t.card_id
    where t.account_id is not null and not exists (
      select from quarantined_records q where q.partition = ${partition} and q.chain = name_key(k.name))
    union all
    -- What is quarantined is not in the row yet: the newest record has the whole.
    select (q.chain_state || jsonb_build_object('id', k.name, 'askedId', k.asked_id))::json
    from (select asked_id, name from named union select asked_id, asked_id from asked) k
    cross join lateral (
      select chain_state from quarantined_records
      where partition = ${partition} and chain = name_key(k.name) order by sequence desc limit 1) q
    where q.chain_state ->> 'accountNumber' is not null`;
  return rows.map((row) => transactionRow(row.json));
}

export async function readTransactions(
  sql: postgres.Sql,
  partition: number,
  ids: readonly string[],
): Promise<KeysRead> {
  // First: what is read behind it has all that is settled here, or more.
  const [position] = await sql<{ settled: number }[]>`select ${settledOf(sql, partition)}`;
  const transactions = await transactionRows(sql, partition, ids);
  const numbers = (pick: (row: TransactionRow) => number) => [...new Set(transactions.map(pick))];
  const [accounts, users, rows] = await Promise.all([
    accountRows(
      sql,
      numbers((row) => row.accountNumber),
    ),
    userRows(
      sql,
      numbers((row) => row.userNumber),
    ),
    readSpend(
      sql,
      spendRows(
        sql,
        numbers((row) => row.cardSpend ?? row.cardNumber),
        numbers((row) => row.userNumber),
        numbers((row) => row.accountNumber),
      ),
    ),
  ]);
  const { settled } = position!;
  const { spend, unspent } = spendOf(transactions, accounts, rows);
  return {
    message: { settled, accounts, users, spend, unspent, transactions },
    found: new Set(transactions.map((row) => row.askedId)),
  };
}

/** Journal records of a partition's settled questions, by request id: of one that was asked again, the newest. */
export async function readRecords(sql: postgres.Sql, partition: number, ids: readonly string[]): Promise<KeysRead> {
  const records = await sql<RecordRow[]>`
    select distinct on (id) id, sequence::float8 as sequence, encode(record, 'base64') as record
    from (
      select request_id as id, sequence, record from transaction_events
      -- By the id's index alone: without statistics the planner would read the partition's whole primary key as well.
      where request_id = any(${ids as string[]}) and partition + 0 = ${partition}
      union all
      select a.id, q.sequence, q.record from unnest(${ids as string[]}::text[]) a (id)
      join quarantined_records q on q.partition = ${partition} and q.request = name_key(a.id)) known
    order by id, known.sequence desc`;
  return { message: { records: [...records] }, found: new Set(records.map((row) => row.id)) };
}

export interface SettledDecision {
  readonly partition: number;
  readonly sequence: number;
  readonly record: Uint8Array;
}

/**
 * The newest settled record of a message with that id, of any partition. Where no message has the id it may be the name
 * that a transaction has instead of its own (transaction_name); then the record that opened it.
 */
export async function readDecision(sql: postgres.Sql, id: string): Promise<SettledDecision | null> {
  const rows = await sql<SettledDecision[]>`
    select partition, sequence::float8 as sequence, record from (
      (select 0 as rank, at, partition, sequence, record from transaction_events
        where request_id = ${id} order by at desc, sequence desc limit 1)
      union all
      (select 0, 'infinity', partition, sequence, record from quarantined_records
        where request = name_key(${id}) order by sequence desc limit 1)
      union all
      (select 1, at, partition, sequence, record from transaction_events
        where transaction_id = ${id} and transaction_id <> request_id order by at, sequence limit 1)
    ) known order by rank, at desc, sequence desc limit 1`;
  return rows[0] ?? null;
}
