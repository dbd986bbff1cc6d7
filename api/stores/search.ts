/**
 * What operators look for, whosever it is: things by an id or the beginning of a name, and the transactions of all
 * customers. Read from Postgres alone, which has everything. Each query walks an index and stops at its bound.
 */
import { MessageType } from '../../engine/core/codes.js';
import { reasonEntry } from '../../engine/core/reasons.js';
import { folded } from './folded.js';
import type { Database, Sql } from './postgres.js';
import {
  type EventRow,
  eventColumns,
  eventOf,
  reasonNumber,
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
  eventsShown,
  type Transaction,
  type TransactionEvents,
  type TransactionFilter,
  type TransactionKey,
  type TransactionPage,
  type TransactionWithEvents,
  transactionStatuses,
} from './transactions.js';

type Fragment = ReturnType<Sql>;

export const hitKinds = ['transaction', 'decision', 'card', 'account', 'user', 'company'] as const;
export type HitKind = (typeof hitKinds)[number];

export interface Hit {
  readonly kind: HitKind;
  readonly id: string;
  /** A name: of the merchant, the card, the person or the company; a currency of an account. */
  readonly text: string | null;
  /** What else tells it from others: a status, a reason, an e-mail address. */
  readonly more: string | null;
  readonly at: string | null;
}

/** Of each kind. */
export const hitsMax = 10;
/** Transactions that one page of a search looks at. */
export const looksMax = 10_000;

/** Whose it is. Null: no card was found, or its account is not there. */
export interface Owner {
  readonly userId: string | null;
  /** A company, or a person on their own. */
  readonly customerId: string | null;
  readonly customerKind: 'personal' | 'business' | null;
  readonly customerName: string | null;
}
export type FoundTransaction = Omit<Transaction, 'cardId' | 'accountId'> &
  Owner & { readonly cardId: string | null; readonly accountId: string | null };
export type FoundWhole = FoundTransaction & Pick<TransactionWithEvents, 'events' | 'eventCount' | 'eventTotals'>;

export interface SearchFilter extends TransactionFilter {
  /** Public id of a company, or of a person on their own. */
  readonly customer?: string;
}

/** Public ids of what a decision names by numbers; null: there is none. */
export interface Parties extends Owner {
  readonly cardId: string | null;
  readonly cardName: string | null;
  readonly cardStatus: string | null;
  readonly accountId: string | null;
  readonly accountCurrency: string | null;
}

interface Place {
  readonly partition: number;
  readonly name: string;
}
type FoundRow = TransactionRow & Owner;

export class SearchStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @param ids what was typed, as it may be kept
   * @param prefix what was typed, as the beginning of a name
   */
  async hits(ids: readonly string[], prefix: string): Promise<readonly Hit[]> {
    const any = ids as string[];
    const beginning = `${likeText(prefix)}%`;
    const rows = await this.#database.run(
      'search.hits',
      (sql) => sql<Hit[]>`
        (select 'transaction' as kind, id, merchant_name as text, status::text as more, created_at as at
          from transactions where id = any(${any}) and type <> ${MessageType.reversal}
          order by created_at desc limit ${hitsMax})
        union all
        (select 'decision', e.* from unnest(${any}::text[]) k (id)
          -- One by one: the index is by hash, which looks no list up.
          cross join lateral (
            select request_id, null::text, reason::text, at from transaction_events
            where request_id = k.id order by at desc limit 1) e)
        union all
        (select 'card', public_id, name, status, created_at from cards where public_id = any(${any}))
        union all
        (select 'card', public_id, name, status, created_at from cards
          where token = any(${any}) and public_id <> all(${any}))
        union all
        (select 'account', public_id, currency, status, created_at from accounts where public_id = any(${any}))
        union all
        (select 'user', public_id, name, email, created_at from users where public_id = any(${any}))
        union all
        (select 'user', public_id, name, email, created_at from users where email = lower(${prefix}))
        union all
        (select 'company', public_id, name, null, created_at from companies where public_id = any(${any}))
        union all
        (select 'user', public_id, name, email, created_at from users
          where ${folded(sql, sql`name`)} like ${folded(sql, sql`${beginning}::text`)}
          order by ${folded(sql, sql`name`)} using ~<~ limit ${hitsMax})
        union all
        (select 'company', public_id, name, null, created_at from companies
          where ${folded(sql, sql`name`)} like ${folded(sql, sql`${beginning}::text`)}
          order by ${folded(sql, sql`name`)} using ~<~ limit ${hitsMax})`,
    );
    const known = new Set<string>();
    return rows.map(shown).filter(({ kind, id }) => {
      const isNew = !known.has(`${kind} ${id}`);
      known.add(`${kind} ${id}`);
      return isNew;
    });
  }

  /** How far a search may look: see TransactionStore. */
  async horizon(filter: SearchFilter, after: TransactionKey | null, count: number): Promise<TransactionKey | null> {
    const [row] = await this.#database.run(
      'search.horizon',
      (sql) => sql<{ createdAt: string; id: string }[]>`
        select created_at as "createdAt", id from (${walked(
          sql,
          filter,
          (where) => sql`
            select t.created_at, t.id from transactions t where ${where} ${between(sql, filter, after)}
            order by t.created_at desc, t.id desc offset ${shareOf(sql, filter, count)} - 1 limit 1`,
        )}) t order by created_at desc, id desc limit 1`,
    );
    return row === undefined ? null : [row.createdAt, row.id];
  }

  /** Newest first. */
  async transactions(filter: SearchFilter, page: TransactionPage): Promise<readonly FoundTransaction[]> {
    const { until = null } = page;
    const rows = await this.#database.run('search.transactions', (sql) => {
      const end = sql`order by t.created_at desc, t.id desc limit ${page.limit}`;
      // Bounded twice: without the inner limit the planner sorts the whole table where it expects that few rows fit.
      const found = walked(
        sql,
        filter,
        (where) => sql`
          select * from (
            select t.* from transactions t where ${where} ${between(sql, filter, page.after)}
            order by t.created_at desc, t.id desc ${until === null ? sql`` : sql`limit ${looksMax}`}
          ) t
          where ${until === null ? sql`true` : sql`(t.created_at, t.id) >= (${until[0]}::timestamptz, ${until[1]})`}
            ${conditionsOf(sql, filter)} ${end}`,
      );
      return sql<FoundRow[]>`
        select ${foundColumns(sql)} from (select * from (${found}) t ${end}) t ${ownersOf(sql)}
        order by t.created_at desc, t.id desc`;
    });
    return rows.map(foundOf);
  }

  /** The newest transaction of that id, with its beginning. */
  async transaction(id: string): Promise<FoundWhole | null> {
    const row = await this.#place(id, null);
    if (row === null) return null;
    const { partition, name, ...found } = row;
    const [events, totals] = await Promise.all([
      this.#eventsAt(row, 0, eventsShown),
      this.#database.run(
        'search.totals',
        (sql) => sql<TotalRow[]>`
          select ${totalColumns(sql)} from transaction_history(${partition}, ${name}) e
          group by e.type order by min(e.sequence)`,
      ),
    ]);
    return {
      ...foundOf(found),
      events,
      eventCount: totals.reduce((sum, { count }) => sum + count, 0),
      eventTotals: totals.map(totalOf),
    };
  }

  async events(id: string, { after, limit }: EventPage): Promise<TransactionEvents | null> {
    const row = await this.#place(id, after?.[0] ?? null);
    if (row === null) return null;
    return { createdAt: row.createdAt, events: await this.#eventsAt(row, after?.[1] ?? 0, limit) };
  }

  async #place(id: string, createdAt: string | null): Promise<(FoundRow & Place) | null> {
    const [row] = await this.#database.run(
      'search.transaction',
      (sql) => sql<(FoundRow & Place)[]>`
        select ${foundColumns(sql)}, t.partition, transaction_name(t.id, t.occurrence) as name
        from (
          select * from transactions where id = ${id} and type <> ${MessageType.reversal}
            ${createdAt === null ? sql`` : sql`and created_at = ${createdAt}::timestamptz`}
          order by created_at desc limit 1
        ) t ${ownersOf(sql)}`,
    );
    return row ?? null;
  }

  async #eventsAt({ partition, name }: Place, seen: number, limit: number) {
    const rows = await this.#database.run(
      'search.events',
      (sql) => sql<EventRow[]>`
        select ${eventColumns(sql)} from transaction_history(${partition}, ${name}) e
        order by e.sequence offset ${seen} limit ${limit}`,
    );
    return rows.map(eventOf);
  }

  /** By the numbers that a record has; 0: it has none. */
  async parties(cardNumber: number, accountNumber: number, userNumber: number): Promise<Parties> {
    const [row] = await this.#database.run(
      'search.parties',
      (sql) => sql<Parties[]>`
        select c.public_id as "cardId", c.name as "cardName", c.status as "cardStatus", a.public_id as "accountId",
          a.currency as "accountCurrency", ${ownerColumns(sql)}
        from (select ${cardNumber}::bigint as card_id, ${accountNumber}::bigint as account_id,
          ${userNumber}::bigint as user_id) t ${ownersOf(sql)}`,
    );
    return row!;
  }
}

/** What the database has as a number, by its name. */
function shown(hit: Hit): Hit {
  if (hit.kind === 'transaction') return { ...hit, more: transactionStatuses[Number(hit.more) - 1] ?? null };
  return hit.kind === 'decision' ? { ...hit, more: reasonEntry(Number(hit.more)).name } : hit;
}

/** Texts of a person that mean themselves in LIKE. */
function likeText(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}

/** Transactions as `t`, with their cards, accounts, users and customers, where there are any. */
function ownersOf(sql: Sql): Fragment {
  return sql`
    left join cards c on c.id = t.card_id
    left join accounts a on a.id = t.account_id
    left join users u on u.id = t.user_id
    left join companies o on o.id = a.company_id
    left join users p on p.id = a.user_id`;
}

function ownerColumns(sql: Sql): Fragment {
  return sql`u.public_id as "userId", coalesce(o.public_id, p.public_id) as "customerId", a.kind as "customerKind",
    coalesce(o.name, p.name) as "customerName"`;
}

function foundColumns(sql: Sql): Fragment {
  return sql`${transactionColumns(sql)}, ${ownerColumns(sql)}`;
}

/**
 * The rows that a list walks, before it judges them: a card's, an account's, a customer's accounts in turn, or all.
 * `walk` selects from transactions as `t`, and sorts and limits.
 */
function walked(sql: Sql, { card, account, customer }: SearchFilter, walk: (where: Fragment) => Fragment): Fragment {
  if (card !== undefined) return walk(sql`t.card_id = (select id from cards where public_id = ${card})`);
  if (account !== undefined) return walk(sql`t.account_id = (select id from accounts where public_id = ${account})`);
  if (customer === undefined) return walk(sql`true`);
  return sql`
    select t.* from accounts a cross join lateral (${walk(sql`t.account_id = a.id`)}) t
    where a.owner_key = ${ownerKeyOf(sql, customer)}`;
}

/** Of several accounts each has a share: the newest place at which one of them ends is where the search ends. */
function shareOf(sql: Sql, { card, account, customer }: SearchFilter, count: number): Fragment {
  if (card !== undefined || account !== undefined || customer === undefined) return sql`${count}::bigint`;
  return sql`(
    select greatest(1, ${count}::bigint / greatest(1, count(*))) from accounts s
    where s.owner_key = ${ownerKeyOf(sql, customer)})`;
}

function ownerKeyOf(sql: Sql, customer: string): Fragment {
  return sql`coalesce(
    (select id * 2 from users where public_id = ${customer} and company_id is null),
    (select id * 2 + 1 from companies where public_id = ${customer}))`;
}

function between(sql: Sql, { from, to }: SearchFilter, after: TransactionKey | null): Fragment {
  return sql`
    ${after === null ? sql`` : sql`and (t.created_at, t.id) < (${after[0]}::timestamptz, ${after[1]})`}
    ${from === undefined ? sql`` : sql`and t.created_at >= ${from}::timestamptz`}
    ${to === undefined ? sql`` : sql`and t.created_at < ${to}::timestamptz`}`;
}

/** Of a card or an account that both were named, both must be right. */
function conditionsOf(sql: Sql, filter: SearchFilter): Fragment {
  const { card, account, customer, status, type, reason, merchant, min, max } = filter;
  const isAlsoAccount = card !== undefined && account !== undefined;
  const isAlsoCustomer = customer !== undefined && (card !== undefined || account !== undefined);
  return sql`
    and t.type <> ${MessageType.reversal}
    ${isAlsoAccount ? sql`and t.account_id = (select id from accounts where public_id = ${account})` : sql``}
    ${
      isAlsoCustomer
        ? sql`and exists (
            select from accounts a where a.id = t.account_id and a.owner_key = ${ownerKeyOf(sql, customer)})`
        : sql``
    }
    ${status === undefined ? sql`` : sql`and t.status = ${statusNumber(status)}`}
    ${type === undefined ? sql`` : sql`and t.type = ${MessageType[type]}`}
    ${reason === undefined ? sql`` : sql`and t.reason = ${reasonNumber(reason)}`}
    ${
      merchant === undefined
        ? sql``
        : sql`and (t.merchant_id = ${merchant} or position(lower(${merchant}) in lower(t.merchant_name)) > 0)`
    }
    ${min === undefined ? sql`` : sql`and t.amount >= ${min}`}
    ${max === undefined ? sql`` : sql`and t.amount <= ${max}`}`;
}

function foundOf({ userId, customerId, customerKind, customerName, ...row }: FoundRow): FoundTransaction {
  return { ...transactionOf(row), userId, customerId, customerKind, customerName };
}
