/** Accounts for tests: numbers 1 … count, each with one user and one card of the same number, in USD. */
import type postgres from 'postgres';

/** @param fundsMinor opening funds of each account, with the double entry that audit asks for */
export async function createTestAccounts(sql: postgres.Sql, count: number, fundsMinor: number): Promise<void> {
  await sql`
    insert into users (public_id, email, name, kind)
    select 'usr_' || n, 'user' || n || '@example.com', 'User ' || n, 'personal'
    from generate_series(1, ${count}::integer) n order by n`;
  await sql`
    with opened as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'acct_' || n, 'personal', n, n * 2, 'USD', ${fundsMinor}::bigint, ${fundsMinor}::bigint
      from generate_series(1, ${count}::integer) n order by n
      returning id, funds
    )
    insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
    select id, funds, funds, -funds, 'opening balance' from opened`;
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select 'card_' || n, 'card_' || n, n, n, 'Card ' || n, date '2099-12-31'
    from generate_series(1, ${count}::integer) n order by n`;
}
