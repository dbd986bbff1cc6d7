/**
 * A settled ledger of a year for measuring queries: companies of very different sizes and personal customers, written
 * by Postgres itself in a few statements.
 */
import type postgres from 'postgres';

export interface SqlDataSize {
  readonly transactions: number;
  readonly companies: number;
  readonly people: number;
}

export const fullSize: SqlDataSize = { transactions: 1_000_000, companies: 200, people: 5_000 };
/** Enough for every query to find something. */
export const smokeSize: SqlDataSize = { transactions: 3_000, companies: 5, people: 20 };

/** Users and cards of each company. */
const staff = 10;
/** Share of the transactions that the first company has: the customer that every list must be fast for. */
const largestShare = 0.2;

/** Numbers: companies 1 …; people are the users after all staff. */
export async function loadSqlData(sql: postgres.Sql, size: SqlDataSize, log: (line: string) => void): Promise<void> {
  const { companies, people, transactions } = size;
  await sql`insert into companies (public_id, name) select 'co_' || n, 'Company ' || n
    from generate_series(1, ${companies}::int) n order by n`;
  await sql`
    insert into users (public_id, company_id, role, email, name, kind)
    select 'usr_' || n, (n - 1) / ${staff}::int + 1, case when n % ${staff}::int = 1 then 'owner' else 'member' end,
      'user' || n || '@example.com', 'User ' || n, 'business'
    from generate_series(1, ${companies * staff}::int) n order by n`;
  await sql`
    insert into users (public_id, email, name, kind)
    select 'usr_' || n, 'user' || n || '@example.com', 'User ' || n, 'personal'
    from generate_series(${companies * staff + 1}::int, ${companies * staff + people}::int) n order by n`;
  await sql`
    insert into accounts (public_id, kind, company_id, owner_key, currency)
    select 'acct_' || n, 'business', n, n * 2 + 1, 'USD' from generate_series(1, ${companies}::int) n order by n`;
  await sql`
    insert into accounts (public_id, kind, user_id, owner_key, currency)
    select 'acct_' || n, 'personal', u.id, u.id * 2, 'USD'
    from generate_series(1, ${people}::int) k, lateral (select ${companies}::int + k as n,
    ${companies * staff}::int + k as user_number) s
    join users u on u.id = s.user_number order by n`;
  // A card for each user, of the same number.
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires, created_at)
    select 'card_' || u.id, 'tok_' || u.id, a.id, u.id, 'Card ' || u.id, date '2099-12-31',
    now() - u.id * interval '1 minute'
    from users u join accounts a on a.owner_key = coalesce(u.company_id * 2 + 1, u.id * 2) order by u.id`;
  log(`writing ${transactions} transactions`);
  await sql`
    insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
      refunded_amount, newest_spend_amount, expires_at, created_at, updated_at, partition, spend_day, newest_spend_day,
      type,
      status, reason, detail, mcc, channel, forced, currency, country, merchant_id, merchant_name)
    select 'tx-' || n, a.id, u.id, u.id, x.amount, case when x.status = 5 then 0 else x.amount end,
      case when x.status = 1 then x.amount else 0 end, case when x.status = 2 then x.amount else 0 end, 0, 0, null,
      x.at, x.at, 0,
      x.at::date - date '1970-01-01', x.at::date - date '1970-01-01', 1, x.status, case when x.status = 5 then 3
      else 0 end, 0,
      5000 + (n * 7) % 1000, 1 + n % 6, false, 'USD', 'US', 'm-' || n % 5000, 'Merchant ' || n % 5000
    from generate_series(1, ${transactions}::int) n
    cross join lateral (
      select timestamptz '2026-01-01' + n * (interval '365 days' / ${transactions}::int) as at,
        100 + (n::bigint * 7919) % 50000 as amount,
        -- 2 % pending, 85 % completed, 4 % reversed, 2 % expired, 7 % declined
        case when n % 100 < 85 then 2 when n % 100 < 92 then 5 when n % 100 < 96 then 3 when n % 100 < 98 then 4
        else 1 end as status,
        case when (n::bigint * 40503) % 1000 < ${largestShare * 1000}::int then 1 + n % ${staff}::int
          else 1 + (n::bigint * 48271) % ${companies * staff + people}::int end as user_number
    ) x
    join users u on u.id = x.user_number
    join accounts a on a.owner_key = coalesce(u.company_id * 2 + 1, u.id * 2)`;
  log('writing their messages');
  await sql`
    insert into transaction_events (sequence, account_id, card_id, user_id, amount, approved_amount, available_delta,
      held_delta, posted_delta, external_delta, at, partition, type, protocol, reason, detail, approved, transaction_id,
      request_id, record)
    select row_number() over (), account_id, card_id, user_id, amount, approved_amount, 0, 0, 0, 0, created_at, 0, 1, 1,
    reason,
      0, reason = 0, id, id, '\\x00'
    from transactions`;
  await sql`insert into journal_positions (partition, partition_count, sequence) values (0, 1, ${transactions})`;
  log('gathering statistics');
  for (const table of ['transactions', 'transaction_events', 'cards', 'accounts', 'users']) {
    await sql.unsafe(`vacuum analyze ${table}`);
  }
}
