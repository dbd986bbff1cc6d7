/**
 * Accounts for load tests, in USD: `acct_000001` … with cards `card_000001_1` … and one personal user each. Only what
 * is missing is added, so a rerun, also after an interruption, completes the set and never adds anything twice.
 *
 * The rows are made inside the server: nothing to send, so even a stream of COPY data would be slower.
 */
import type postgres from 'postgres';

export interface SeedOptions {
  readonly accounts: number;
  readonly cardsPerAccount: number;
  /** Opening balance of each new account in minor units. */
  readonly balanceMinor: number;
  /** Accounts done so far, of `accounts`. */
  readonly onProgress?: (done: number) => void;
}

export interface SeedResult {
  readonly accountsAdded: number;
  readonly cardsAdded: number;
}

/**
 * Accounts per statement: large enough to be fast, small enough to show progress and to lose little when interrupted.
 */
const chunkAccounts = 10_000;

export async function seedAccounts(sql: postgres.Sql, options: SeedOptions): Promise<SeedResult> {
  let accountsAdded = 0;
  let cardsAdded = 0;
  for (let first = 1; first <= options.accounts; first += chunkAccounts) {
    const last = Math.min(options.accounts, first + chunkAccounts - 1);
    accountsAdded += await addAccounts(sql, first, last, options.balanceMinor);
    cardsAdded += await addCards(sql, first, last, options.cardsPerAccount);
    options.onProgress?.(last);
  }
  // The planner should not have to guess about tables that just grew from nothing.
  if (accountsAdded + cardsAdded > 0) await sql`analyze users, accounts, cards, ledger_adjustments`;
  return { accountsAdded, cardsAdded };
}

/** User, account and opening balance in one statement: all three or none. */
async function addAccounts(sql: postgres.Sql, first: number, last: number, balanceMinor: number): Promise<number> {
  const [row] = await sql<{ added: number }[]>`
    with wanted as (
      select lpad(n::text, greatest(6, length(n::text)), '0') as number
      from generate_series(${first}::integer, ${last}::integer) as n
    ), person as (
      insert into users (public_id, email, name, kind, kyc_status)
      select 'usr_' || number, 'user' || number || '@load.example', 'Load test ' || number, 'personal', 'verified'
      from wanted
      where not exists (select from accounts where public_id = 'acct_' || number)
      order by number
      on conflict do nothing
      returning id, substr(public_id, 5) as number
    ), account as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'acct_' || number, 'personal', id, id * 2, 'USD', ${balanceMinor}::bigint, ${balanceMinor}::bigint
      from person order by number
      returning id, public_id, funds
    ), opening as (
      insert into ledger_adjustments (public_id, account_id, funds_delta, available_delta, external_delta, reason)
      select 'adj_' || public_id, id, funds, funds, -funds, 'opening balance' from account
    )
    select count(*)::integer as added from account`;
  return row?.added ?? 0;
}

async function addCards(sql: postgres.Sql, first: number, last: number, perAccount: number): Promise<number> {
  const [row] = await sql<{ added: number }[]>`
    with wanted as (
      select lpad(n::text, greatest(6, length(n::text)), '0') as number
      from generate_series(${first}::integer, ${last}::integer) as n
    ), card as (
      insert into cards (public_id, token, account_id, user_id, name, expires)
      select token, token, a.id, a.user_id, 'Load test ' || number, date '2099-12-31'
      from wanted
      cross join generate_series(1, ${perAccount}::integer) as k
      cross join lateral (select 'card_' || number || '_' || k as token) as named
      join accounts a on a.public_id = 'acct_' || number
      where not exists (select from cards where cards.token = named.token)
      order by number, k
      on conflict do nothing
      returning id
    )
    select count(*)::integer as added from card`;
  return row?.added ?? 0;
}
