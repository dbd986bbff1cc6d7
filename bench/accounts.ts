/**
 * Accounts for load, straight into the tables: one personal user, one funded USD account and one card each, named like
 * the seed's (`acct_000001`, `card_000001_1`), with the opening balance in the ledger so that the books balance. Only
 * for databases of a benchmark: it goes past the outbox, so engines learn of the cards when they are first used.
 */
import postgres from 'postgres';

export interface AccountsOptions {
  readonly databaseUrl: string;
  /** Numbers `first` … `first + count − 1`. */
  readonly first: number;
  readonly count: number;
  readonly balanceMinor: number;
  readonly onProgress?: (addedCount: number) => void;
}

/** Rows per statement: keeps progress visible and one statement's memory small. */
const chunkCount = 50_000;

export async function addAccounts(options: AccountsOptions): Promise<void> {
  const sql = postgres(options.databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    for (let added = 0; added < options.count; added += chunkCount) {
      const first = options.first + added;
      const last = Math.min(first + chunkCount, options.first + options.count) - 1;
      await addChunk(sql, first, last, options.balanceMinor);
      options.onProgress?.(last - options.first + 1);
    }
    // Without statistics the look-ups of the engine would be planned for empty tables.
    await sql.unsafe('analyze users, accounts, cards').simple();
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function addChunk(sql: postgres.Sql, first: number, last: number, balanceMinor: number): Promise<void> {
  // lpad would cut numbers of more than six digits; to_char keeps them with FM and enough places.
  await sql`
    with numbers as (
      select lpad(n::text, greatest(6, length(n::text)), '0') as name from generate_series(${first}::bigint, ${last}::bigint) as n
    ), new_users as (
      insert into users (public_id, email, name, kind)
      select 'user_' || name, 'load-' || name || '@example.com', 'Load ' || name, 'personal' from numbers
      returning id, public_id
    ), new_accounts as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'acct_' || substr(public_id, 6), 'personal', id, id * 2, 'USD', ${balanceMinor}::bigint, ${balanceMinor}::bigint
      from new_users
      returning id, public_id, user_id
    ), new_adjustments as (
      insert into ledger_adjustments (public_id, account_id, funds_delta, available_delta, external_delta, reason)
      select 'open_' || substr(public_id, 6), id, ${balanceMinor}::bigint, ${balanceMinor}::bigint, -${balanceMinor}::bigint, 'opening balance'
      from new_accounts
    )
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select 'card_' || substr(public_id, 6) || '_1', 'card_' || substr(public_id, 6) || '_1', id, user_id, 'Load', date '2099-12-31'
    from new_accounts`;
}
