/**
 * Transactions from the settled ledger in Postgres. Every list walks an index in its own order and stops at the page's
 * end; every query carries the owner.
 */
import { MessageType } from '../../engine/core/codes.js';
import type { Principal } from '../http/principal.js';
import type { Database, Sql } from './postgres.js';
import { type Scope, scopeOf } from './tenancy.js';
import {
  type EventRow,
  eventColumns,
  eventOf,
  mccText,
  spendDayColumn,
  statusNumber,
  type TotalRow,
  type TransactionRow,
  totalColumns,
  totalOf,
  transactionColumns,
  transactionOf,
} from './transaction-rows.js';
import {
  type EventPage,
  type EventStore,
  eventsShown,
  type Spending,
  type SpendingKey,
  spendingGroupsMax,
  type Transaction,
  type TransactionEvent,
  type TransactionEvents,
  type TransactionFilter,
  type TransactionPage,
  type TransactionStore,
  type TransactionWithEvents,
} from './transactions.js';

type Fragment = ReturnType<Sql>;

/** Where a transaction's events are. */
interface Place {
  readonly partition: number;
  readonly name: string;
  readonly accountNumber: number;
}

export class PostgresTransactions implements TransactionStore, EventStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]> {
    const scope = scopeOf(principal);
    const rows = await this.#database.run(
      'transactions.list',
      (sql) => sql<TransactionRow[]>`
        select ${transactionColumns(sql)} from (${pageOf(sql, principal, scope, filter, page)}) t
        join accounts a on a.id = t.account_id and a.owner_key = ${scope.ownerKey}
        join cards c on c.id = t.card_id
        order by t.created_at desc, t.id desc`,
    );
    return rows.map(transactionOf);
  }

  async find(principal: Principal, transactionId: string): Promise<TransactionWithEvents | null> {
    const row = await this.#find(principal, transactionId, null);
    if (row === null) return null;
    const { partition, name, accountNumber, ...shown } = row;
    const [events, totals] = await Promise.all([
      this.#eventsAt({ partition, name, accountNumber }, 0, eventsShown),
      this.#database.run(
        'transactions.totals',
        (sql) => sql<TotalRow[]>`
          select ${totalColumns(sql)} from transaction_history(${partition}, ${name}) e
          where e.account_id = ${accountNumber}
          group by e.type order by min(e.sequence)`,
      ),
    ]);
    return {
      ...transactionOf(shown),
      events,
      eventCount: totals.reduce((sum, { count }) => sum + count, 0),
      eventTotals: totals.map(totalOf),
    };
  }

  async events(principal: Principal, transactionId: string, page: EventPage): Promise<TransactionEvents | null> {
    const row = await this.#find(principal, transactionId, page.after?.[0] ?? null);
    if (row === null) return null;
    return { createdAt: row.createdAt, events: await this.#eventsAt(row, page.after?.[1] ?? 0, page.limit) };
  }

  /**
   * An id that came again after it was forgotten names several transactions: the newest of this caller's is meant, unless
   * its beginning says which. MongoDB keeps milliseconds of that.
   */
  async #find(
    principal: Principal,
    transactionId: string,
    createdAt: string | null,
  ): Promise<(TransactionRow & Place) | null> {
    const scope = scopeOf(principal);
    const [row] = await this.#database.run(
      'transactions.find',
      (sql) => sql<(TransactionRow & Place)[]>`
        select ${transactionColumns(sql)}, t.partition, transaction_name(t.id, t.occurrence) as name,
          t.account_id as "accountNumber"
        from transactions t
        join accounts a on a.id = t.account_id and a.owner_key = ${scope.ownerKey}
        join cards c on c.id = t.card_id
        where t.id = ${transactionId} ${isShown(sql)} ${onlyUser(sql, scope)}
          ${
            createdAt === null
              ? sql``
              : sql`and date_trunc('milliseconds', t.created_at) = date_trunc('milliseconds', ${createdAt}::timestamptz)`
          }
        order by t.created_at desc limit 1`,
    );
    return row ?? null;
  }

  async #eventsAt(
    { partition, name, accountNumber }: Place,
    seen: number,
    limit: number,
  ): Promise<readonly TransactionEvent[]> {
    const rows = await this.#database.run(
      'transactions.events',
      (sql) => sql<EventRow[]>`
        select ${eventColumns(sql)} from transaction_history(${partition}, ${name}) e
        where e.account_id = ${accountNumber}
        order by e.sequence offset ${seen} limit ${limit}`,
    );
    return rows.map(eventOf);
  }

  async spending(principal: Principal, by: SpendingKey, from: string, to: string): Promise<readonly Spending[]> {
    const scope = scopeOf(principal);
    const rows = await this.#database.run('transactions.spending', (sql) => {
      const key = { day: spendDayColumn(sql), card: sql`t.card_id`, mcc: sql`t.mcc` }[by];
      const shown = {
        day: sql`(date '1970-01-01' + s.key::integer)::text`,
        card: sql`(select c.public_id from cards c where c.id = s.key)`,
        mcc: sql`s.key::text`,
      }[by];
      return sql<{ key: string | null; currency: string; amount: number; count: number }[]>`
        select ${shown} as key, s.currency, s.amount, s.count from (
          select ${key} as key, a.currency, sum(t.held_amount + t.posted_amount)::bigint as amount, count(*)::bigint as count
          from accounts a join transactions t on t.account_id = a.id
          where a.owner_key = ${scope.ownerKey} ${onlyUser(sql, scope)}
            and t.created_at >= ${from}::timestamptz and t.created_at < ${to}::timestamptz and t.status in (1, 2)
          group by 1, 2
          order by ${by === 'day' ? sql`1` : sql`3 desc, 1`}, 2
          limit ${spendingGroupsMax}
        ) s`;
    });
    return rows.map(({ key, ...rest }) => ({
      ...rest,
      key: by === 'mcc' && key !== null ? mccText(Number(key)) : (key ?? ''),
    }));
  }
}

/** One page of rows. Which index serves it depends on what is asked: a card's, a cardholder's, or each account's in turn. */
function pageOf(
  sql: Sql,
  principal: Principal,
  scope: Scope,
  filter: TransactionFilter,
  page: TransactionPage,
): Fragment {
  const conditions = conditionsOf(sql, filter, page);
  const end = sql`order by t.created_at desc, t.id desc limit ${page.limit}`;
  if (filter.card !== undefined) {
    // The card is looked up once, within what the caller may see.
    return sql`
      select t.* from transactions t
      where t.card_id = (
        select c.id from cards c join accounts a on a.id = c.account_id
        where c.public_id = ${filter.card} and a.owner_key = ${scope.ownerKey}
      ) ${onlyUser(sql, scope)} ${conditions} ${end}`;
  }
  if (principal.companyId === null || scope.onlyUser !== null) {
    return sql`select t.* from transactions t where t.user_id = ${principal.userId} ${conditions} ${end}`;
  }
  return sql`
    select t.* from accounts a cross join lateral (
      select t.* from transactions t where t.account_id = a.id ${conditions} ${end}
    ) t
    where a.owner_key = ${scope.ownerKey} ${end}`;
}

function conditionsOf(
  sql: Sql,
  { status, from, to, min, max }: TransactionFilter,
  { after }: TransactionPage,
): Fragment {
  return sql`
    ${isShown(sql)}
    ${after === null ? sql`` : sql`and (t.created_at, t.id) < (${after[0]}::timestamptz, ${after[1]})`}
    ${status === undefined ? sql`` : sql`and t.status = ${statusNumber(status)}`}
    ${from === undefined ? sql`` : sql`and t.created_at >= ${from}::timestamptz`}
    ${to === undefined ? sql`` : sql`and t.created_at < ${to}::timestamptz`}
    ${min === undefined ? sql`` : sql`and t.amount >= ${min}`}
    ${max === undefined ? sql`` : sql`and t.amount <= ${max}`}`;
}

/** A reversal that came before its authorization keeps a row, which no customer has made. */
function isShown(sql: Sql): Fragment {
  return sql`and t.type <> ${MessageType.reversal}`;
}

function onlyUser(sql: Sql, scope: Scope): Fragment {
  return scope.onlyUser === null ? sql`` : sql`and t.user_id = ${scope.onlyUser}`;
}
