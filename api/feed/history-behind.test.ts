/**
 * The history of a customer with many transactions is copied to a slow MongoDB-protocol server (the tests' FerretDB).
 * Meanwhile lists are answered and freezes are in force.
 */
import { MongoClient } from 'mongodb';
import t, { type Test } from 'tap';
import { mongoFor } from '../../deploy/testing/for-test.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';
import { settleClearing, settleTransactions } from '../testing/settled-ledger.js';

t.setTimeout(300_000);

const count = 300;
/** A change of a document costs this server a walk through all of them. */
const changed = 20;

t.test('300 authorizations by one customer delay neither lists nor freezes', async (t) => {
  const mongo = await mongoFor(t);
  const client = new MongoClient(mongo.uri);
  t.teardown(() => client.close());
  const history = client.db().collection('personalTransactions');
  const api = await startTestApi(t, { env: { MONGODB_URI: mongo.uri } });
  // The first account, card and user have number 1, as settleTransactions() takes them.
  const customer = await Customer.register(api, 'personal');
  const [account] = await api.sql<{ id: string }[]>`select public_id as id from accounts`;
  const card = await customer.card(account!.id);

  /** Asks for everything again and again until the history has that many of that status. */
  const useWhileCopied = async (t: Test, status: string, wantedCount: number): Promise<void> => {
    const refused: string[] = [];
    let rounds = 0;
    let slowestMs = 0;
    const ask = async (method: string, path: string, body?: object) => {
      const startedMs = performance.now();
      const reply = await api.request(method, path, { token: customer.token, body });
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      if (reply.status !== 200) refused.push(`${method} ${path}: ${reply.status} ${reply.text}`);
      return reply;
    };
    while ((await history.countDocuments({ status })) < wantedCount) {
      rounds++;
      // A bound of its own each time: no answer comes from a cache.
      await ask('GET', `/api/transactions?min=1&max=${1_000_000 + rounds}`);
      await ask(
        'GET',
        `/api/stats/spending?by=card&from=2026-01-01T00:00:00.${String(rounds % 1000).padStart(3, '0')}Z`,
      );
      await ask('GET', '/api/cards');
      const wanted = rounds % 2 === 0 ? 'active' : 'frozen';
      const change = await ask('PATCH', `/api/cards/${card.id}`, { status: wanted });
      if (change.json.status !== wanted || !change.json.effective) refused.push(change.text);
    }
    t.same(refused, []);
    t.ok(rounds > 0);
    t.comment(
      `${rounds} rounds while ${wantedCount} became ${status}, the slowest answer took ${Math.round(slowestMs)} ms`,
    );
    const { components } = await api.api.services.health.report();
    t.equal(components['mongodb']?.status, 'healthy');
  };

  await settleTransactions(
    api.sql,
    Array.from({ length: count }, (_, n) => ({
      id: `tx-${n}`,
      owner: 1,
      amount: 100 + n,
      status: 1,
      createdAt: new Date(Date.UTC(2026, 2, 1) + n * 1000).toISOString(),
      mcc: 5411,
      spendDay: 20_513,
    })),
  );
  await useWhileCopied(t, 'pending', count);
  for (let n = 0; n < changed; n++) await settleClearing(api.sql, `tx-${n}`);
  await useWhileCopied(t, 'completed', changed);
});
