/** The settled ledger as the follower reads it: where the journals stand, and chains of personal customers as they are. */
import { MessageType } from '../../../engine/core/codes.js';
import type { Database } from '../postgres.js';
import {
  type EventRow,
  eventOf,
  spendDayColumn,
  type TransactionRow,
  transactionColumns,
  transactionOf,
} from '../transaction-rows.js';
import { eventsMax } from '../transactions.js';
import type { HistoryDocument } from './mongo-history.js';

export interface SettledWindow {
  /** Sequence of the last message looked at; null: there is none after the position. */
  readonly last: number | null;
  /** Names of the chains of personal customers that these messages belong to. */
  readonly chains: readonly string[];
}

/** Last settled sequence by partition. */
export async function settledPositions(database: Database): Promise<Map<string, number>> {
  const rows = await database.run(
    'journal_positions.list',
    (sql) => sql<{ partition: number; sequence: number }[]>`select partition, sequence from journal_positions`,
  );
  return new Map(rows.map(({ partition, sequence }) => [String(partition), sequence]));
}

/** The next messages of a partition after `sequence`, at most `limit`: committed in order, so nothing appears behind. */
export async function nextWindow(
  database: Database,
  partition: string,
  sequence: number,
  limit: number,
): Promise<SettledWindow> {
  const [row] = await database.run(
    'transaction_events.follow',
    (sql) => sql<{ last: number | null; chains: string[] }[]>`
      with messages as (
        select e.sequence, e.transaction_id, e.user_id from transaction_events e
        where e.partition = ${Number(partition)} and e.sequence > ${sequence}
        order by e.sequence limit ${limit}
      )
      select (select max(m.sequence) from messages m) as last, array(
        select distinct m.transaction_id from messages m join users u on u.id = m.user_id where u.kind = 'personal'
      ) as chains`,
  );
  return { last: row?.last ?? null, chains: row?.chains ?? [] };
}

type ChainRow = TransactionRow & {
  readonly userId: string;
  readonly spendDay: number;
  readonly events: readonly EventRow[];
  readonly eventCount: number;
  readonly createdAtMs: number;
};

/** A partition's chains as they stand now, ready to be kept. */
export async function readChains(
  database: Database,
  partition: string,
  names: readonly string[],
): Promise<HistoryDocument[]> {
  if (names.length === 0) return [];
  const rows = await database.run(
    'transactions.follow',
    (sql) => sql<ChainRow[]>`
      select ${transactionColumns(sql)}, u.public_id as "userId", ${spendDayColumn(sql)} as "spendDay", h.events, h."eventCount",
        extract(epoch from t.created_at)::float8 * 1000 as "createdAtMs"
      from unnest(${names as string[]}::text[]) n (name)
      join transactions t on t.id = name_id(n.name) and t.partition = ${Number(partition)}
        and t.occurrence = name_occurrence(n.name)
      join accounts a on a.id = t.account_id
      join cards c on c.id = t.card_id
      join users u on u.id = t.user_id and u.kind = 'personal'
      cross join lateral (
        select json_agg(json_build_object(
            'type', e.type, 'amount', e.amount, 'approvedAmount', e.approved_amount, 'approved', e.approved,
            'reason', e.reason, 'requestId', e.request_id,
            'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
          ) order by e.sequence) filter (where e.place <= ${eventsMax}) as events,
          count(*)::integer as "eventCount"
        from (
          select e.*, row_number() over (order by e.sequence desc) as place
          from transaction_history(t.partition, n.name) e where e.account_id = t.account_id
        ) e
      ) h
      where t.type <> ${MessageType.reversal} and h."eventCount" > 0`,
  );
  return rows.map(({ userId, spendDay, events, eventCount, createdAtMs, ...row }) => {
    const { createdAt, updatedAt, ...rest } = transactionOf(row);
    return {
      // An id alone may be another partition's too, or an earlier transaction's; a chain's name changes when its id is
      // opened again, its partition and its beginning never do.
      _id: `${partition}/${createdAtMs}/${row.transactionId}`,
      userId,
      ...rest,
      createdAt: new Date(createdAt),
      updatedAt: new Date(updatedAt),
      spentAmount: rest.heldAmount + rest.postedAmount,
      spendDay,
      events: events.map(eventOf),
      eventCount,
    };
  });
}
