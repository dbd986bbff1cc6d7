/**
 * Queries about accounts and what was spent on them, for ledger commands and for the ops port. Part of database.ts,
 * which owns the connections and their deadlines.
 */
import type postgres from 'postgres';
import { statusNamed } from '../core/accounts.js';
import { packLetters } from '../core/codes.js';
import type { CardPayload } from '../core/feed.js';
import { Level } from '../core/limit-names.js';
import type { AccountRow, PartitionRows, SpendEntity, SpendRow, UserRow } from '../core/partition-rows.js';
import { storedUserLevel, userSpendNumber } from '../core/spend-key.js';

/** A row of spend_windows as SpendRow, or null where a left join found none. */
export function spendJson(sql: postgres.Sql, alias: string): postgres.PendingQuery<postgres.Row[]> {
  const column = (name: string) => sql(`${alias}.${name}`);
  return sql`case when ${column('entity_id')} is null then null else json_build_object(
      'level', case ${column('level')} when ${sql.unsafe(String(storedUserLevel))}
      then ${sql.unsafe(String(Level.user))}
        else ${column('level')} end, 'number', ${column('entity_id')}, 'day', ${column('spend_day')},
      'amounts', json_build_array(${column('daily_amount')}, ${column('weekly_amount')}, ${column('monthly_amount')},
        ${column('yearly_amount')}, ${column('lifetime_amount')}),
      'counts', json_build_array(${column('daily_count')}, ${column('weekly_count')}, ${column('monthly_count')},
        ${column('yearly_count')}, ${column('lifetime_count')}),
      'use', (select json_build_object('count', used.uses, 'merchant', used.merchant_id) from card_uses used
        where ${column('level')} = ${sql.unsafe(String(Level.card))} and used.card_id = ${column('entity_id')}),
      'rolling', rolling_use(${column('level')}, ${column('entity_id')})) end`;
}

type BooksJson = Omit<AccountRow, 'status'> & { readonly status: string; readonly ownerKey: number };
type UserJson = Omit<UserRow, 'status'> & { readonly status: string };

interface OwnerRow {
  readonly key: string;
  readonly owner: number;
}
const ownerMap = (rows: readonly OwnerRow[]) => new Map(rows.map(({ key, owner }) => [key, owner]));

export async function cardOwners(sql: postgres.Sql, tokens: readonly string[]): Promise<ReadonlyMap<string, number>> {
  return ownerMap(
    await sql<OwnerRow[]>`select c.token as key, a.owner_key::float8 as owner
      from cards c join accounts a on a.id = c.account_id where c.token = any(${tokens as string[]})`,
  );
}

export async function accountOwners(
  sql: postgres.Sql,
  publicIds: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  return ownerMap(
    await sql<OwnerRow[]>`select public_id as key, owner_key::float8 as owner
      from accounts where public_id = any(${publicIds as string[]})`,
  );
}

/**
 * The newest sequence of a partition's journal that is settled, as a column: of the same instant as the rows beside it.
 * What a partition may take over is judged by it (PartitionRows.settled).
 */
export function settledOf(sql: postgres.Sql, partition: number): postgres.PendingQuery<postgres.Row[]> {
  return sql`coalesce((select sequence::float8 from journal_positions where partition = ${partition}), 0) as settled`;
}

/** What a partition needs to decide ledger commands on accounts named by public id. */
export async function readAccounts(
  sql: postgres.Sql,
  publicIds: readonly string[],
  isOurs: (ownerKey: number) => boolean,
  partition: number,
): Promise<{ readonly message: PartitionRows; readonly owners: ReadonlyMap<string, number> }> {
  const rows = await sql<
    {
      settled: number;
      json: Omit<AccountRow, 'status' | 'publicId'> & { status: string; publicId: string; ownerKey: number };
    }[]
  >`
    select ${settledOf(sql, partition)}, json_build_object('number', a.id, 'publicId', a.public_id, 'version',
    a.version, 'status', a.status,
      'currency', a.currency, 'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits', l.limits,
      'funds', a.funds, 'held', a.held, 'posted', a.posted, 'ownerKey', a.owner_key) as json
    from engine_accounts a left join limits l on l.level = 2 and l.entity_id = a.id
    where a.public_id = any(${publicIds as string[]})`;
  const owners = new Map<string, number>();
  const accounts: AccountRow[] = [];
  for (const { json } of rows) {
    const { ownerKey, ...account } = json;
    owners.set(account.publicId, ownerKey);
    if (isOurs(ownerKey)) accounts.push({ ...account, status: statusNamed(account.status) });
  }
  return { message: { settled: rows[0]?.settled ?? 0, accounts }, owners };
}

/** Whose spending counts for a card or a transaction. */
export interface Spenders {
  readonly cardNumber: number;
  /** Keys the card's spend windows; absent: its number. */
  readonly cardSpend?: number;
  readonly userNumber: number;
  readonly accountNumber: number;
}

/**
 * What they have spent: of a user in the currencies of the accounts, whatever other rows there are.
 * @returns their rows, and those of them that have no row
 */
export function spendOf(
  spenders: readonly Spenders[],
  accounts: readonly AccountRow[],
  rows: readonly SpendRow[],
): { readonly spend: SpendRow[]; readonly unspent: SpendEntity[] } {
  const keyOf = ({ level, number }: SpendEntity) => `${level} ${number}`;
  const currencies = new Map(accounts.map(({ number, currency }) => [number, packLetters(currency)]));
  const known = new Map(rows.map((row) => [keyOf(row), row]));
  const wanted = new Map<string, SpendEntity>();
  const want = (entity: SpendEntity) => wanted.set(keyOf(entity), entity);
  for (const { cardNumber, cardSpend = cardNumber, userNumber, accountNumber } of spenders) {
    const currency = currencies.get(accountNumber);
    // Without its account nothing can be taken over.
    if (currency === undefined) continue;
    want({ level: Level.card, number: cardSpend });
    want({ level: Level.user, number: userSpendNumber(userNumber, currency) });
    want({ level: Level.account, number: accountNumber });
  }
  return {
    spend: [...wanted.keys()].flatMap((key) => known.get(key) ?? []),
    unspent: [...wanted].flatMap(([key, entity]) => (known.has(key) ? [] : entity)),
  };
}

/** Spend rows of cards by the numbers that key them, of users in every currency, and of accounts. */
export function spendRows(
  sql: postgres.Sql,
  cards: readonly number[],
  users: readonly number[],
  accounts: readonly number[],
): postgres.PendingQuery<postgres.Row[]> {
  return sql`
    select s.* from spend_windows s where s.level = ${Level.card} and s.entity_id = any(${cards as number[]}::bigint[])
    union all
    select s.* from unnest(${users as number[]}::bigint[]) u (id) join spend_windows s on s.level = ${storedUserLevel}
      and s.entity_id between user_currency(u.id, '') and user_currency(u.id, 'ZZZ')
    union all
    select s.* from spend_windows s
    where s.level = ${Level.account} and s.entity_id = any(${accounts as number[]}::bigint[])`;
}

export interface BooksRead {
  readonly message: PartitionRows;
  /** Owner keys of the accounts that were found. */
  readonly owners: ReadonlyMap<number, number>;
}

/**
 * Accounts with their books, users, and what was spent in the windows of each: all that a card's profile does not have.
 */
export async function readBooks(
  sql: postgres.Sql,
  cards: readonly CardPayload[],
  partition: number,
): Promise<BooksRead> {
  const numbers = (pick: (card: CardPayload) => number) => [...new Set(cards.map(pick))];
  const cardNumbers = numbers(({ number, spendNumber = number }) => spendNumber);
  const userNumbers = numbers((card) => card.userNumber);
  const accountNumbers = numbers((card) => card.accountNumber);
  const [row] = await sql<
    { settled: number; accounts: BooksJson[] | null; users: UserJson[] | null; spend: SpendRow[] | null }[]
  >`
    select ${settledOf(sql, partition)},
      (select json_agg(json_build_object('number', a.id, 'version', a.version, 'status', a.status, 'currency',
      a.currency,
          'timeZone', a.time_zone, 'partialApproval', a.partial_approval, 'limits', l.limits, 'funds', a.funds,
          'held', a.held, 'posted', a.posted, 'ownerKey', a.owner_key))
        from engine_accounts a left join limits l on l.level = 2 and l.entity_id = a.id
        where a.id = any(${accountNumbers}::bigint[])) as accounts,
      (select json_agg(json_build_object('number', u.id, 'version', u.version, 'status', u.status, 'limits', l.limits))
        from users u left join limits l on l.level = 1 and l.entity_id = u.id
        where u.id = any(${userNumbers}::bigint[])) as users,
      (select json_agg(${spendJson(sql, 's')})
        from (${spendRows(sql, cardNumbers, userNumbers, accountNumbers)}) s) as spend`;
  const owners = new Map<number, number>();
  const accounts: AccountRow[] = [];
  for (const { ownerKey, ...account } of row!.accounts ?? []) {
    owners.set(account.number, ownerKey);
    accounts.push({ ...account, status: statusNamed(account.status) });
  }
  const users = (row!.users ?? []).map((user) => ({ ...user, status: statusNamed(user.status) }));
  const spenders = cards.map(({ number, spendNumber = number, userNumber, accountNumber }) => ({
    cardNumber: number,
    cardSpend: spendNumber,
    userNumber,
    accountNumber,
  }));
  const { spend, unspent } = spendOf(spenders, accounts, row!.spend ?? []);
  return { message: { settled: row!.settled, accounts, users, spend, unspent }, owners };
}

export interface AccountSummary {
  readonly publicId: string;
  readonly number: number;
  readonly ownerKey: number;
  readonly currency: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export async function accountSummaries(
  sql: postgres.Sql,
  publicIds: readonly string[],
): Promise<readonly AccountSummary[]> {
  return sql<AccountSummary[]>`
    select public_id as "publicId", id::float8 as number, owner_key::float8 as "ownerKey", currency, funds::float8,
      available::float8, held::float8, posted::float8
    from engine_accounts where public_id = any(${publicIds as string[]})`;
}

/** Internal numbers; null where the query needs none. */
export interface SpendEntities {
  readonly card: number | null;
  readonly user: number | null;
  readonly account: number | null;
}

export interface SpendSummary extends SpendEntity {
  readonly ownerKey: number;
  readonly timeZone: string;
  /** Null: nothing was ever spent, or nothing of it is settled. */
  readonly spend: SpendRow | null;
}

export async function spendSummaries(
  sql: postgres.Sql,
  { card, user, account }: SpendEntities,
): Promise<readonly SpendSummary[]> {
  return sql<SpendSummary[]>`
    with entity as (
      select 0 as level, coalesce(c.spend_of, c.id) as number, a.owner_key, a.time_zone
      from cards c join accounts a on a.id = c.account_id where c.id = ${card}::bigint
      union all
      -- A user has no zone and no currency of their own: those of the account or card asked for with them, else of the
      -- first account of one of their cards, else of their owner's first account.
      select 1, user_currency(u.id, coalesce(a.currency, '')), u.owner_key, coalesce(a.time_zone, 'UTC')
      from (select id, coalesce(company_id * 2 + 1, id * 2) as owner_key from users where id = ${user}::bigint) u
      left join lateral (
        select a.currency, a.time_zone from accounts a where a.owner_key = u.owner_key
        order by a.id = coalesce(${account}::bigint, (select account_id from cards where id = ${card}::bigint)) desc
          nulls last, a.id = (select min(c.account_id) from cards c where c.user_id = u.id) desc nulls last, a.id
        limit 1) a on true
      union all
      select 2, id, owner_key, time_zone from accounts where id = ${account}::bigint)
    select e.level, e.number::float8, e.owner_key::float8 as "ownerKey", e.time_zone as "timeZone",
      ${spendJson(sql, 's')} as spend
    from entity e left join spend_windows s on s.entity_id = e.number
      and s.level = case e.level when ${Level.user} then ${storedUserLevel} else e.level end`;
}
