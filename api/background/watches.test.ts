/** What an API watches: books that do not balance, the certificate that people see, servers of DATABASE_URL. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import t from 'tap';
import { createTestCertificates } from '../../deploy/testing/certificates.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { BooksCheck } from '../stores/books-check.js';
import { BooksStateStore } from '../stores/books-state.js';
import { startTestApi } from '../testing/api-inside.js';
import { settleTransactions, transactionsOf } from '../testing/settled-ledger.js';
import { BooksWatch } from './books-watch.js';
import { CertificateWatch } from './certificate-watch.js';
import { ReplicaWatch } from './replica-watch.js';

const quiet = { error: () => undefined, debug: () => undefined };

t.test('accounts whose books differ from their postings are found, and forgotten once they balance', async (t) => {
  const { api, sql, ops } = await startTestApi(t);
  await createTestAccounts(sql, 120, 10_000);
  await settleTransactions(sql, transactionsOf('watched', 6));
  await sql`update accounts a set held = h.held, available = funds - h.held
    from (select account_id, sum(held_amount) as held from transactions group by account_id) h
    where h.account_id = a.id`;
  let isOurs = true;
  const check = new BooksCheck(api.services.database);
  const state = new BooksStateStore(api.services.database);
  const watch = new BooksWatch({ check, state, lease: async () => isOurs, log: quiet });
  const shown = async () => {
    await api.services.ledgerWatch.look();
    return api.services.ledgerWatch.books!;
  };
  t.match(await shown(), { checkedAtMs: null, accounts: 0, unbalanced: 0 }, 'not checked yet');
  const pass = async () => {
    const before = watch.passes;
    while (watch.passes === before) t.ok((await watch.step()) >= 200, 'it rests between its steps');
  };
  await pass();
  t.same([watch.checked, watch.wrong], [120, []]);
  await sql`update accounts set funds = funds + 1, available = available + 1 where id = 77`;
  await sql`update accounts set held = held + 5, available = available - 5 where id = 2`;
  await pass();
  t.same(watch.wrong, ['acct_2', 'acct_77']);
  t.match(await shown(), { checkedAtMs: Number, accounts: 120, unbalanced: 2, firstUnbalanced: 'acct_2' });
  const alerts = () => api.services.ledgerWatch.alerts([], 0, Date.now());
  t.match(alerts(), [{ name: 'BooksDoNotBalance', severity: 'page', what: 'acct_2' }]);
  await sql`update accounts set funds = funds - 1, available = available - 1 where id = 77`;
  await pass();
  t.same(watch.wrong, ['acct_2']);
  await sql`update accounts set held = held - 5, available = available + 5 where id = 2`;
  await pass();
  t.match(await shown(), { accounts: 120, unchecked: 0, unbalanced: 0, firstUnbalanced: null });
  t.same(alerts(), []);
  await sql`update accounts set held = held + 5, available = available - 5 where id = 2`;
  await pass();
  isOurs = false;
  await watch.step();
  t.same(watch.wrong, [], 'another process knows better');
  // The API's own watch, by its lease.
  await api.services.watches.books.step();
  t.match((await ops('/metrics')).text, /^books_unbalanced_accounts 1$/m);
  const { books } = (await ops('/health')).json.components;
  t.match(books, { status: 'unhealthy', detail: /1 accounts do not balance, the first is acct_2 .*runbook.md#audit/ });
});

t.test('an account that no statement can add up is passed over', async (t) => {
  const asked: [number, number][] = [];
  const check = {
    next: async (after: number, limit: number) => {
      asked.push([after, limit]);
      if (after < 3) throw new Error('canceling statement due to statement timeout');
      return [];
    },
  };
  const walks: [number, number][] = [];
  const state = {
    found: async () => undefined,
    walked: async (...walk: [number, number]) => void walks.push(walk),
  };
  const watch = new BooksWatch({ check, state, lease: async () => true, log: quiet });
  while (watch.passes === 0) await watch.step();
  t.match(asked.at(-1), [3, 1]);
  t.equal(watch.failures, asked.length - 1);
  t.same(walks, [[0, 3]], 'and is said to be unchecked');
});

t.test('the end of the certificate at PUBLIC_URL is known, and a server without TLS has none', async (t) => {
  const files = await createTestCertificates();
  t.teardown(() => files.remove());
  const server = createServer({ cert: readFileSync(files.certificate), key: readFileSync(files.key) });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const watch = new CertificateWatch(`https://127.0.0.1:${port}`);
  t.equal(await watch.look(), true);
  t.equal(watch.notAfterMs, Date.UTC(2049, 11, 31, 23, 59, 59));
  const away = new CertificateWatch('https://127.0.0.1:1');
  t.equal(await away.look(), false);
  t.same([away.notAfterMs, away.failures], [null, 1]);
  const plain = new CertificateWatch('http://127.0.0.1:3000');
  plain.start();
  t.equal(plain.server, '');
  await plain.stop();
});

t.test('each server of DATABASE_URL is asked, and one that does not answer is down', async (t) => {
  const { databaseUrl } = await startTestApi(t);
  const { hostname, port } = new URL(databaseUrl);
  const watch = new ReplicaWatch(databaseUrl.replace(`${hostname}:${port}`, `${hostname}:${port},127.0.0.1:1`));
  t.teardown(() => watch.stop());
  await watch.look();
  t.match(watch.states, [
    { server: `${hostname}:${port}`, isUp: true, isPrimary: true, lagBytes: 0, lagSeconds: 0 },
    { server: '127.0.0.1:1', isUp: false, isPrimary: false, lagBytes: null, lagSeconds: null },
  ]);
  const alone = new ReplicaWatch(databaseUrl);
  t.teardown(() => alone.stop());
  alone.start();
  await alone.look();
  t.same(alone.states, [], 'with one server there is nothing to compare');
});
