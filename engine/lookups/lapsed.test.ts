/** Which transactions Postgres names as lapsed, and by which index it finds them. */
import t from 'tap';
import { ensureAccounts } from '../../bench/accounts.js';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { type LapsePlace, lapsed } from './lapsed.js';

const columns = `(id, account_id, amount, approved_amount, held_amount, posted_amount, refunded_amount,
  newest_spend_amount, created_at, updated_at, expires_at, partition, spend_day, newest_spend_day, type, status, reason,
  detail, channel, forced)`;

/** Open transactions. @param expiresAt of number n, in SQL */
const insert = (ids: string, partition: number, expiresAt: string, count: number) => `
  insert into transactions ${columns}
  select '${ids}' || n, 1, 1, 1, 1, 0, 0, 0, now(), now(), ${expiresAt}, ${partition}, 0, 0, 1, 1, 0, 0, 0, false
  from generate_series(1, ${count}) n`;

t.test('pages name every lapsed transaction of the partition once, oldest first, also of one instant', async (t) => {
  const { url, sql } = await databaseFor(t);
  await ensureAccounts({ databaseUrl: url, count: 1, balanceMinor: 1 });
  await sql.unsafe(insert('old-', 2, "now() - (n / 5) * interval '1 hour'", 23));
  await sql.unsafe(insert('open-', 2, "now() + interval '1 hour'", 5));
  await sql.unsafe(insert('other-', 3, "now() - interval '1 hour'", 5));
  const names: string[] = [];
  let after: LapsePlace | null = null;
  do {
    const page = await lapsed(sql, 2, Date.now() + 60_000, after, 4);
    names.push(...page.names);
    after = page.last;
  } while (after !== null);
  const expected = await sql<{ id: string }[]>`
    select id from transactions where id like 'old-%' order by expires_at, id, occurrence`;
  t.same(
    names,
    expected.map(({ id }) => id),
  );
});

t.test('a plan that was made while the table was empty reads no transaction that is not due', async (t) => {
  const { url, sql } = await databaseFor(t);
  await ensureAccounts({ databaseUrl: url, count: 1, balanceMinor: 1 });
  await lapsed(sql, 2, Date.now(), null, 200);
  await sql.unsafe(insert('open-', 2, "now() + interval '1 hour'", 3000));
  await sql.unsafe(insert('due-', 2, "now() - interval '1 hour'", 3));
  const read = async (): Promise<number> => {
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql<{ read: number }[]>`
      select sum(idx_tup_read)::integer as read from pg_stat_user_indexes where relname = 'transactions'`;
    return row!.read;
  };
  const before = await read();
  t.equal((await lapsed(sql, 2, Date.now(), null, 200)).names.length, 3);
  t.equal((await read()) - before, 3);
});
