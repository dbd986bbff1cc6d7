import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { MessageType } from '../../engine/core/codes.js';
import { quietLog, testPostgresConfig } from '../testing/personal-stores.js';
import { type SettledTransaction, settleTransactions } from '../testing/settled-ledger.js';
import { Database } from './postgres.js';
import { type SearchFilter, SearchStore } from './search.js';
import type { TransactionKey } from './transactions.js';

/** Two of three owners in turn; every third pair shares its instant. */
const settled: SettledTransaction[] = Array.from({ length: 60 }, (_, index) => ({
  id: `tx-${String(index * 37).padStart(5, '0')}`,
  owner: 1 + (index % 3),
  amount: 100 + ((index * 7919) % 5000),
  status: 1 + (index % 5),
  createdAt: new Date(Date.UTC(2026, 2, 1) + Math.floor(index / 6) * 3_600_000).toISOString(),
  mcc: 5411,
  spendDay: 20_513,
  merchant: ['Corner Store', 'Bäckerei (50%_off)', 'CORNER bar'][index % 3]!,
}));
const never = { ...settled[2]!, id: 'tx-never', type: MessageType.reversal };

const newestFirst = (one: SettledTransaction, other: SettledTransaction) =>
  other.createdAt.localeCompare(one.createdAt) || (one.id < other.id ? 1 : -1);

t.test('what operators look for is found, whosever it is', async (t) => {
  const { url, sql } = await databaseFor(t, { connections: 2 });
  const database = new Database(testPostgresConfig(url), quietLog);
  t.teardown(() => database.close());
  await database.start();
  await createTestAccounts(sql, 3, 0);
  await sql`update users set name = 'Ada_Łovelace' where id = 2`;
  await sql`insert into companies (public_id, name) values ('co_1', 'ada & Sons'), ('co_2', 'Zebra')`;
  await settleTransactions(sql, [...settled, never]);
  const search = new SearchStore(database);

  t.test('transactions of all, newest first, each once, by any filter and page size', async (t) => {
    const cases: [SearchFilter, (of: SettledTransaction) => boolean][] = [
      [{}, () => true],
      [{ card: 'card_2' }, ({ owner }) => owner === 2],
      [{ account: 'acct_3' }, ({ owner }) => owner === 3],
      [{ customer: 'usr_1' }, ({ owner }) => owner === 1],
      [{ customer: 'co_1' }, () => false],
      [{ customer: 'usr_unknown' }, () => false],
      [{ card: 'card_2', account: 'acct_3' }, () => false],
      [{ card: 'card_2', customer: 'usr_2' }, ({ owner }) => owner === 2],
      [{ card: 'card_2', customer: 'usr_1' }, () => false],
      [{ merchant: 'corner' }, ({ merchant }) => merchant!.toLowerCase().includes('corner')],
      [{ merchant: '%' }, ({ merchant }) => merchant!.includes('%')],
      [{ merchant: 'm-1' }, () => true],
      [{ min: 1000, max: 3000 }, ({ amount }) => amount >= 1000 && amount <= 3000],
      [{ status: 'declined', reason: 'insufficient_funds' }, ({ status }) => status === 5],
      [
        { from: '2026-03-01T03:00:00.000Z', to: '2026-03-01T05:00:00.000Z' },
        ({ createdAt }) => createdAt >= '2026-03-01T03' && createdAt < '2026-03-01T05',
      ],
    ];
    for (const [filter, fits] of cases) {
      const wanted = settled.filter(fits).sort(newestFirst);
      for (const limit of [7, 100]) {
        const ids: string[] = [];
        for (let after: TransactionKey | null = null; ; ) {
          const page = await search.transactions(filter, { after, limit });
          ids.push(...page.map(({ transactionId }) => transactionId));
          const last = page.at(-1);
          if (last === undefined) break;
          after = [last.createdAt, last.transactionId];
        }
        t.same(
          ids,
          wanted.map(({ id }) => id),
          `${JSON.stringify(filter)} by ${limit}`,
        );
      }
    }
    const [first] = await search.transactions({ card: 'card_2' }, { after: null, limit: 1 });
    t.match(first, { cardId: 'card_2', accountId: 'acct_2', userId: 'usr_2', customerId: 'usr_2' });
    t.match(first, { customerKind: 'personal', customerName: 'Ada_Łovelace' });
  });

  t.test('a search ends at its bound, of a customer at the newest place where a share ends', async (t) => {
    const sorted = [...settled, never].sort(newestFirst);
    t.equal((await search.horizon({ merchant: 'x' }, null, 20))?.[1], sorted[19]!.id);
    t.equal(await search.horizon({ merchant: 'x' }, null, 1000), null);
    const ofFirst = sorted.filter(({ owner }) => owner === 1);
    t.equal((await search.horizon({ customer: 'usr_1', min: 5 }, null, 5))?.[1], ofFirst[4]!.id);
  });

  t.test('things are found by an id as a whole, people and companies also by the beginning of a name', async (t) => {
    const kinds = async (text: string) => (await search.hits([text], text)).map(({ kind, id }) => `${kind} ${id}`);
    t.same(await kinds('tx-00037'), ['transaction tx-00037', 'decision tx-00037']);
    t.same(await kinds('card_2'), ['card card_2'], 'by its id and its token, once');
    t.same(await kinds('acct_1'), ['account acct_1']);
    t.same(await kinds('usr_3'), ['user usr_3']);
    t.same(await kinds('co_2'), ['company co_2']);
    t.same(await kinds('User2@example.com'), ['user usr_2']);
    t.same(await kinds('ADA'), ['user usr_2', 'company co_1']);
    t.same(await kinds('ada_ł'), ['user usr_2']);
    t.same(await kinds('ada_&'), [], 'what means something to LIKE means itself');
    t.same(await kinds('%'), []);
    t.same(await kinds('tx-never'), ['decision tx-never'], 'a reversal without an original is no transaction');
    t.match(await search.hits(['tx-00000'], 'tx-00000'), [{ text: 'Corner Store', more: 'pending' }, {}]);
  });

  t.test('a transaction is read with its events and its owner', async (t) => {
    const whole = await search.transaction('tx-00037');
    t.match(whole, {
      transactionId: 'tx-00037',
      customerId: 'usr_2',
      eventCount: 2,
      events: [{ requestId: 'tx-00037' }],
    });
    t.equal(await search.transaction('unknown'), null);
    const page = await search.events('tx-00037', { after: [whole!.createdAt, 1], limit: 10 });
    t.equal(page?.events.length, 1);
    t.equal(await search.events('unknown', { after: null, limit: 1 }), null);
    t.match(await search.parties(2, 2, 2), { cardId: 'card_2', accountId: 'acct_2', customerName: 'Ada_Łovelace' });
    t.match(await search.parties(0, 0, 0), { cardId: null, accountId: null, customerId: null });
  });
});

/** As many as an index is needed for. */
const users = 20_000;
const many = 100_000;
const measured = ['transactions', 'transaction_events', 'users', 'companies', 'cards', 'accounts'];

t.test('every search walks an index', async (t) => {
  const { url, sql } = await databaseFor(t, { connections: 2 });
  await createTestAccounts(sql, users, 0);
  await sql`insert into companies (public_id, name) select 'co_' || n, 'Company ' || n from generate_series(1, 5000) n`;
  await sql`
    insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
      refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
      status, reason, detail, mcc, channel, forced, currency, country, merchant_id, merchant_name)
    select 'tx-' || n, o, o, o, n % 10000, n % 10000, 0, n % 10000, 0, 0, at, at, 0, 20513, 20513, 1, 2, 0, 0, 5411, 1,
      false, 'USD', 'US', 'm-' || n % 500, 'Merchant ' || n % 500
    from generate_series(1, ${many}::integer) n
    cross join lateral (
      select 1 + (n * 7919::bigint) % ${users}::bigint as o, timestamptz '2026-03-01' + n * interval '1 s' as at) x`;
  await sql`
    insert into transaction_events (partition, sequence, account_id, card_id, user_id, amount, approved_amount,
      available_delta, held_delta, posted_delta, external_delta, at, type, protocol, reason, detail, approved,
      transaction_id, request_id, record)
    select 0, n, 1, 1, 1, 1, 1, 0, 0, 0, 0, now(), 1, 1, 0, 0, true, 'tx-' || n, 'tx-' || n, ''
    from generate_series(1, ${many}::integer) n`;
  await sql`analyze`;
  const scans = () => sql`
    select relname, seq_scan::integer from pg_stat_user_tables where relname = any(${measured}) order by relname`;
  const time = async (name: string, run: (search: SearchStore, round: number) => Promise<unknown>) => {
    const before = await scans();
    const database = new Database(testPostgresConfig(url), quietLog);
    await database.start();
    const search = new SearchStore(database);
    const took: number[] = [];
    for (let round = 0; round < 20; round++) {
      const startedMs = performance.now();
      await run(search, 1 + round * 311);
      took.push(performance.now() - startedMs);
    }
    // Its connections end, and what they counted is there.
    await database.close();
    t.same(await scans(), before, `${name}: no table is read as a whole`);
    took.sort((a, b) => a - b);
    t.comment(`${name}: p50 ${took[9]!.toFixed(1)} ms, p95 ${took[18]!.toFixed(1)} ms`);
  };
  const page = { after: null, limit: 50 };
  await time('hits by id', (search, n) => search.hits([`tx-${n}`], `tx-${n}`));
  await time('hits by name', (search, n) => search.hits([`User ${n}`], `User ${n}`));
  await time('transaction', (search, n) => search.transaction(`tx-${n}`));
  await time('parties', (search, n) => search.parties(n, n, n));
  const filters: SearchFilter[] = [
    {},
    { card: 'card_7' },
    { account: 'acct_7' },
    { customer: 'usr_7' },
    { customer: 'co_7' },
    { to: '2026-03-01T10:00:00Z' },
  ];
  for (const filter of filters) await time(JSON.stringify(filter), (search) => search.transactions(filter, page));
  const rare: SearchFilter[] = [{ merchant: 'nowhere' }, { min: 99_999 }, { customer: 'usr_7', merchant: 'nowhere' }];
  for (const filter of rare) {
    await time(JSON.stringify(filter), async (search) => {
      const until = await search.horizon(filter, null, 10_000);
      return search.transactions(filter, { ...page, until });
    });
  }
});
