/** The settled ledger as the follower reads it: where the journals stand, and transactions of personal customers as they are. */
import { MessageType } from '../../../engine/core/codes.js';
import type { Database, Sql } from '../postgres.js';
import {
  type EventRow,
  eventOf,
  spendDayColumn,
  type TotalRow,
  type TransactionRow,
  totalColumns,
  totalOf,
  transactionColumns,
  transactionOf,
} from '../transaction-rows.js';
import { eventsShown } from '../transactions.js';
import type { HistoryDocument } from './mongo-history.js';

/** A settled message as it was read. A ledger that has another one in its place has taken another course since. */
export interface Checkpoint {
  readonly sequence: number;
  /** Of what the message says: see markOf(). */
  readonly mark: string;
}

export interface SettledWindow {
  /** Last message looked at; null: there is none after the position. */
  readonly last: Checkpoint | null;
  /** Names of the transactions of personal customers that these messages belong to. */
  readonly transactions: readonly string[];
}

/** How long an answer is good for: a database is rarely replaced by another one under a running API. */
const identityMs = 1_000;

/** Which ledger the database is: the same in every backup of it. */
export class LedgerIdentity {
  readonly #database: Database;
  #id: Promise<string> | null = null;
  #readAtMs = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  read(): Promise<string> {
    const nowMs = performance.now();
    if (this.#id !== null && nowMs - this.#readAtMs < identityMs) return this.#id;
    const before = this.#id;
    this.#readAtMs = nowMs;
    const id = this.#database
      .run('ledger_identity.read', (sql) => sql<{ id: string }[]>`select id::text as id from ledger_identity`)
      .then(
        ([row]) => {
          if (row === undefined) throw new Error('the table ledger_identity is empty: put its row back from a backup');
          return row.id;
        },
        // The last answer serves while Postgres is away.
        (error: unknown) => before ?? Promise.reject(error),
      );
    this.#id = id;
    id.catch(() => {
      if (this.#id === id) this.#id = null;
    });
    return id;
  }
}

/** Last settled sequence by partition. */
export async function settledPositions(database: Database): Promise<Map<string, number>> {
  const rows = await database.run(
    'journal_positions.list',
    (sql) => sql<{ partition: number; sequence: number }[]>`select partition, sequence from journal_positions`,
  );
  return new Map(rows.map(({ partition, sequence }) => [String(partition), sequence]));
}

/** Of those messages, the ones that the ledger has exactly so. */
export async function knownCheckpoints(
  database: Database,
  partition: string,
  checkpoints: readonly Checkpoint[],
): Promise<Set<number>> {
  const rows = await database.run(
    'transaction_events.known',
    (sql) => sql<{ sequence: number }[]>`
      select e.sequence
      from unnest(${checkpoints.map(({ sequence }) => sequence)}::bigint[], ${checkpoints.map(({ mark }) => mark)}::text[])
        c (sequence, mark)
      join transaction_events e on e.partition = ${Number(partition)} and e.sequence = c.sequence and ${markOf(sql)} = c.mark`,
  );
  return new Set(rows.map(({ sequence }) => sequence));
}

/**
 * The next messages of a partition after `sequence`, at most `limit`: committed in order, so nothing appears behind.
 * @param checkpoint the newest message that was read before; null: none was
 * @returns null when the ledger does not have that message (any more)
 */
export async function nextWindow(
  database: Database,
  partition: string,
  sequence: number,
  checkpoint: Checkpoint | null,
  limit: number,
): Promise<SettledWindow | null> {
  // In one statement: the database may be replaced between two.
  const [row] = await database.run(
    'transaction_events.follow',
    (sql) => sql<{ isKnown: boolean; last: number | null; mark: string | null; transactions: string[] }[]>`
      with messages as (
        select e.sequence, e.transaction_id, e.user_id from transaction_events e
        where e.partition = ${Number(partition)} and e.sequence > ${sequence}
        order by e.sequence limit ${limit}
      ), newest as (
        select e.sequence, ${markOf(sql)} as mark from transaction_events e
        where e.partition = ${Number(partition)} and e.sequence = (select max(m.sequence) from messages m)
      )
      select (select n.sequence from newest n) as last, (select n.mark from newest n) as mark, array(
        select distinct m.transaction_id from messages m join users u on u.id = m.user_id where u.kind = 'personal'
      ) as transactions, ${
        checkpoint === null
          ? sql`true`
          : sql`exists (
              select from transaction_events e
              where e.partition = ${Number(partition)} and e.sequence = ${checkpoint.sequence}
                and ${markOf(sql)} = ${checkpoint.mark}
            )`
      } as "isKnown"`,
  );
  if (row === undefined || !row.isKnown) return null;
  const { last, mark, transactions } = row;
  return { last: last === null || mark === null ? null : { sequence: last, mark }, transactions };
}

/** Of transaction_events as `e`: differs wherever another message was settled. The transaction's name may change later. */
function markOf(sql: Sql) {
  return sql`md5(e.request_id || ' ' || extract(epoch from e.at)::text || ' ' || md5(e.record))`;
}

type WholeRow = TransactionRow & {
  readonly userId: string;
  readonly spendDay: number;
  readonly events: readonly EventRow[];
  readonly totals: readonly TotalRow[];
  readonly eventCount: number;
  readonly lastSequence: number;
  readonly createdAtMs: number;
};

/** What to read: transactions by their names within the partition, or all that ever had one of these ids. */
export type Wanted = { readonly names: readonly string[] } | { readonly ids: readonly string[] };

/** A partition's transactions as they stand now, ready to be kept. */
export async function readTransactions(
  database: Database,
  ledger: string,
  partition: string,
  wanted: Wanted,
): Promise<HistoryDocument[]> {
  const byName = 'names' in wanted;
  const texts = byName ? wanted.names : wanted.ids;
  if (texts.length === 0) return [];
  const rows = await database.run(
    'transactions.follow',
    (sql) => sql<WholeRow[]>`
      select ${transactionColumns(sql)}, u.public_id as "userId", ${spendDayColumn(sql)} as "spendDay", h.events, s.totals,
        h."eventCount", h."lastSequence", extract(epoch from t.created_at)::float8 * 1000 as "createdAtMs"
      from unnest(${texts as string[]}::text[]) n (name)
      join transactions t on t.partition = ${Number(partition)} and ${
        byName ? sql`t.id = name_id(n.name) and t.occurrence = name_occurrence(n.name)` : sql`t.id = n.name`
      }
      join accounts a on a.id = t.account_id
      join cards c on c.id = t.card_id
      join users u on u.id = t.user_id and u.kind = 'personal'
      cross join lateral (
        select json_agg(json_build_object(
            'type', e.type, 'amount', e.amount, 'approvedAmount', e.approved_amount, 'approved', e.approved,
            'reason', e.reason, 'requestId', e.request_id,
            'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
          ) order by e.sequence) filter (where e.place <= ${eventsShown}) as events,
          count(*)::integer as "eventCount", max(e.sequence) as "lastSequence"
        from (
          select e.*, row_number() over (order by e.sequence) as place
          from transaction_history(t.partition, transaction_name(t.id, t.occurrence)) e where e.account_id = t.account_id
        ) e
      ) h
      cross join lateral (
        select json_agg(to_json(s) order by s.place) as totals from (
          select ${totalColumns(sql)}, min(e.sequence) as place
          from transaction_history(t.partition, transaction_name(t.id, t.occurrence)) e where e.account_id = t.account_id
          group by e.type
        ) s
      ) s
      where t.type <> ${MessageType.reversal} and h."eventCount" > 0`,
  );
  return rows.map(({ userId, spendDay, events, totals, eventCount, lastSequence, createdAtMs, ...row }) => {
    const { createdAt, updatedAt, ...rest } = transactionOf(row);
    return {
      // An id alone may be another partition's too, or an earlier transaction's; a transaction's name changes when its id is
      // opened again, its partition and its beginning never do.
      _id: `${ledger}/${partition}/${createdAtMs}/${row.transactionId}`,
      ledger,
      partition: Number(partition),
      lastSequence,
      userId,
      ...rest,
      createdAt: new Date(createdAt),
      updatedAt: new Date(updatedAt),
      spentAmount: rest.heldAmount + rest.postedAmount,
      spendDay,
      events: events.map(eventOf),
      eventCount,
      eventTotals: totals.map(({ type, count, approvedAmount }) => totalOf({ type, count, approvedAmount })),
    };
  });
}
