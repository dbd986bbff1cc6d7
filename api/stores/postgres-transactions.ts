/**
 * Transactions from the settled ledger in Postgres. Every list walks an index in its own order and stops at the page's
 * end; every query carries the owner.
 */
import { MessageType } from '../../engine/core/codes.js';
import type { Principal } from '../auth/principal.js';
import type { Database, Sql } from './postgres.js';
import { type Scope, scopeOf } from './tenancy.js';
import {
  type EventRow,
  eventColumns,
  eventOf,
  mccText,
  reasonNumber,
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
  type TransactionKey,
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

  async horizon(
    principal: Principal,
    filter: TransactionFilter,
    after: TransactionKey | null,
    count: number,
  ): Promise<TransactionKey | null> {
    const scope = scopeOf(principal);
    // Of several walks each has a share: the newest place at which one of them ends is where the search ends.
    const [row] = await this.#database.run('transactions.horizon', (sql) => {
      const share = sql`(
        select greatest(1, ${count}::bigint / greatest(1, count(*))) from ${walkers(sql, scope, filter)} w)`;
      const rows = rowsOf(
        sql,
        scope,
        filter,
        (where) => sql`
          select t.created_at, t.id from transactions t where ${where} ${between(sql, filter, after)}
          order by t.created_at desc, t.id desc
          offset ${filter.card === undefined ? sql`${share} - 1` : sql`${count - 1}`} limit 1`,
      );
      return sql<{ createdAt: string; id: string }[]>`
        select t.created_at as "createdAt", t.id from (${rows}) t order by t.created_at desc, t.id desc limit 1`;
    });
    return row === undefined ? null : [row.createdAt, row.id];
  }

  async list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]> {
    const scope = scopeOf(principal);
    const rows = await this.#database.run('transactions.list', (sql) => {
      const end = sql`order by t.created_at desc, t.id desc limit ${page.limit}`;
      const found = rowsOf(
        sql,
        scope,
        filter,
        (where) => sql`select t.* from transactions t where ${where} ${conditionsOf(sql, scope, filter, page)} ${end}`,
      );
      return sql<TransactionRow[]>`
        select ${transactionColumns(sql)} from (${found} ${filter.card === undefined ? end : sql``}) t
        join accounts a on a.id = t.account_id and a.owner_key = ${scope.ownerKey}
        join cards c on c.id = t.card_id
        order by t.created_at desc, t.id desc`;
    });
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
   * An id that came again after it was forgotten names several transactions: the newest of this caller's is meant,
   * unless its beginning says which. MongoDB keeps milliseconds of that.
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
              : sql`and date_trunc('milliseconds', t.created_at) =
                  date_trunc('milliseconds', ${createdAt}::timestamptz)`
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
          select ${key} as key, a.currency, sum(t.held_amount + t.posted_amount)::bigint as amount,
          count(*)::bigint as count
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

/**
 * The rows that a list walks, before it judges them: a card's, or those of each account or card of the caller in turn.
 * `walk` selects from transactions as `t`, and sorts and limits.
 */
function rowsOf(sql: Sql, scope: Scope, filter: TransactionFilter, walk: (where: Fragment) => Fragment): Fragment {
  if (filter.card !== undefined) {
    // The card is looked up once, within what the caller may see.
    return walk(sql`
      t.card_id = (
        select c.id from cards c join accounts a on a.id = c.account_id
        where c.public_id = ${filter.card} and a.owner_key = ${scope.ownerKey}
      ) ${onlyUser(sql, scope)}`);
  }
  const column = scope.onlyUser === null ? sql`t.account_id` : sql`t.card_id`;
  return sql`
    select t.* from ${walkers(sql, scope, filter)} w cross join lateral (${walk(sql`${column} = w.id`)}) t`;
}

/** All accounts of the owner; of those who see only what is their own, their cards: a card never changes its user. */
function walkers(sql: Sql, { ownerKey, onlyUser }: Scope, { account }: TransactionFilter): Fragment {
  const within = sql`
    a.owner_key = ${ownerKey} ${account === undefined ? sql`` : sql`and a.public_id = ${account}`}`;
  if (onlyUser === null) return sql`(select a.id from accounts a where ${within})`;
  return sql`(
    select c.id from cards c join accounts a on a.id = c.account_id where c.user_id = ${onlyUser} and ${within})`;
}

function between(sql: Sql, { from, to }: TransactionFilter, after: TransactionKey | null): Fragment {
  return sql`
    ${after === null ? sql`` : sql`and (t.created_at, t.id) < (${after[0]}::timestamptz, ${after[1]})`}
    ${from === undefined ? sql`` : sql`and t.created_at >= ${from}::timestamptz`}
    ${to === undefined ? sql`` : sql`and t.created_at < ${to}::timestamptz`}`;
}

function conditionsOf(
  sql: Sql,
  scope: Scope,
  filter: TransactionFilter,
  { after, until = null }: TransactionPage,
): Fragment {
  const { account, status, type, reason, merchant, min, max } = filter;
  return sql`
    ${isShown(sql)} ${between(sql, filter, after)}
    ${until === null ? sql`` : sql`and (t.created_at, t.id) >= (${until[0]}::timestamptz, ${until[1]})`}
    ${
      account === undefined
        ? sql``
        : sql`and t.account_id = (
            select a.id from accounts a where a.public_id = ${account} and a.owner_key = ${scope.ownerKey})`
    }
    ${status === undefined ? sql`` : sql`and t.status = ${statusNumber(status)}`}
    ${type === undefined ? sql`` : sql`and t.type = ${MessageType[type]}`}
    ${reason === undefined ? sql`` : sql`and t.reason = ${reasonNumber(reason)}`}
    ${merchant === undefined ? sql`` : sql`and position(lower(${merchant}) in lower(t.merchant_name)) > 0`}
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
