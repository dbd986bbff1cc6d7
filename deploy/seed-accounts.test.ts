import t from 'tap';
import { auditBooks } from './audit/audit-books.js';
import { seedDemo } from './demo.js';
import { seedAccounts } from './seed-accounts.js';
import { databaseFor } from './testing/for-test.js';

t.test('accounts and cards have fixed names, and a rerun adds only missing ones', async (t) => {
  const { sql } = await databaseFor(t, { connections: 4 });
  const options = { accounts: 12, cardsPerAccount: 1, balanceMinor: 500 };
  t.same(await seedAccounts(sql, options), { accountsAdded: 12, cardsAdded: 12 });
  t.same(await seedAccounts(sql, options), { accountsAdded: 0, cardsAdded: 0 });
  t.same(await seedAccounts(sql, { ...options, accounts: 15, cardsPerAccount: 2 }), {
    accountsAdded: 3,
    cardsAdded: 18,
  });
  t.same(
    await seedAccounts(sql, { ...options, accounts: 3 }),
    { accountsAdded: 0, cardsAdded: 0 },
    'a smaller seed removes none',
  );
  const rows = await sql`
    select a.public_id, a.funds, a.available, a.currency, a.kind, a.owner_key = a.user_id * 2 as owned, c.token,
    c.status,
      c.public_id as card, u.public_id as owner
    from accounts a join cards c on c.account_id = a.id join users u on u.id = a.user_id order by a.public_id, c.token`;
  t.equal(rows.length, 30);
  t.match(rows[3], {
    public_id: 'acct_000002',
    funds: '500',
    available: '500',
    currency: 'USD',
    kind: 'personal',
    owned: true,
    token: 'card_000002_2',
    card: 'card_000002_2',
    status: 'active',
    owner: 'usr_000002',
  });
  t.match(await auditBooks(sql), { findingCount: 0, funds: 7500n });
});

t.test('a set with gaps from an interruption is completed', async (t) => {
  const { sql } = await databaseFor(t, { connections: 4 });
  await seedAccounts(sql, { accounts: 5, cardsPerAccount: 2, balanceMinor: 10 });
  await sql`delete from cards where token in ('card_000002_1', 'card_000005_2')`;
  t.same(await seedAccounts(sql, { accounts: 5, cardsPerAccount: 2, balanceMinor: 10 }), {
    accountsAdded: 0,
    cardsAdded: 2,
  });
});

t.test('two concurrent seeds add every account once', async (t) => {
  const { sql } = await databaseFor(t, { connections: 4 });
  const options = { accounts: 200, cardsPerAccount: 1, balanceMinor: 1 };
  await Promise.all([seedAccounts(sql, options), seedAccounts(sql, options)]);
  await seedAccounts(sql, options);
  const [row] = await sql`
    select (select count(*) from accounts)::integer as accounts, (select count(*) from cards)::integer as cards`;
  t.same({ ...row }, { accounts: 200, cards: 200 });
  t.match(await auditBooks(sql), { findingCount: 0, funds: 200n });
});

t.test('numbers above six digits get longer names', async (t) => {
  const { sql } = await databaseFor(t, { connections: 4 });
  const [row] =
    await sql`select lpad(n::text, greatest(6, length(n::text)), '0') as number from (values (1000000)) as v (n)`;
  t.same([...Object.values(row ?? {})], ['1000000']);
});

t.test('the demo is added once and keeps its changes', async (t) => {
  const { sql } = await databaseFor(t, { connections: 4 });
  await seedDemo(sql);
  await sql`update cards set status = 'closed' where token = 'card_demo'`;
  await seedDemo(sql);
  const cards = await sql`
    select c.token, c.status, l.limits is not null as limited from cards c
    left join limits l on l.level = 0 and l.entity_id = c.id order by token`;
  t.same(
    cards.map((card) => ({ ...card })),
    [
      { token: 'card_demo', status: 'closed', limited: false },
      { token: 'card_demo_frozen', status: 'frozen', limited: false },
      { token: 'card_demo_limited', status: 'active', limited: true },
    ],
  );
  t.match(await auditBooks(sql), { accounts: 1, funds: 100_000n, findingCount: 0 });
});
