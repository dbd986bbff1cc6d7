/** Transactions of personal customers as the follower of their history reads them in the settled ledger. */
import { MessageType } from '../../../engine/core/codes.js';
import type { Database } from '../postgres.js';
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
      select ${transactionColumns(sql)}, u.public_id as "userId", ${spendDayColumn(sql)} as "spendDay", h.events,
      s.totals,
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
          from transaction_history(t.partition, transaction_name(t.id, t.occurrence)) e
          where e.account_id = t.account_id
        ) e
      ) h
      cross join lateral (
        select json_agg(to_json(s) order by s.place) as totals from (
          select ${totalColumns(sql)}, min(e.sequence) as place
          from transaction_history(t.partition, transaction_name(t.id, t.occurrence)) e
          where e.account_id = t.account_id
          group by e.type
        ) s
      ) s
      where t.type <> ${MessageType.reversal} and h."eventCount" > 0`,
  );
  return rows.map(({ userId, spendDay, events, totals, eventCount, lastSequence, createdAtMs, ...row }) => {
    const { createdAt, updatedAt, ...rest } = transactionOf(row);
    return {
      // An id alone may also belong to another partition or an earlier transaction. A transaction's name changes when
      // its id is opened again; its partition and its beginning never do.
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
