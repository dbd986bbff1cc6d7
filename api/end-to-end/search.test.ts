/** What operators look for, and why a decision was made: by role, in the audit trail, and of all customers. */
import t, { type Test } from 'tap';
import { Client } from '../../engine/testing/client.js';
import { until } from '../../engine/testing/engine-process.js';
import { operatorRoles } from '../auth/principal.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';
import { signedIn } from '../testing/operators.js';

const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };

async function stage(t: Test) {
  const api = await startTestApi(t, { engine: true });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
  const card = await customer.card(accountId);
  const client = new Client(api.engine!.authPort);
  t.teardown(() => client.close());
  const { token } = await signedIn(api, 'viewer');
  const get = async (path: string) => api.request('GET', path, { token });
  return { api, customer, accountId, card, client, get };
}

t.test('an operator learns why a decision was made, with the numbers of that instant', async (t) => {
  const { api, customer, accountId, card, client, get } = await stage(t);
  await customer.change('PUT', `/api/cards/${card.id}/limits`, { daily: { amount: 10_000 } });
  await client.authorize('first', card.token, 6000, { merchant });
  await client.authorize('second', card.token, 5000, { merchant });
  await customer.change('PUT', `/api/cards/${card.id}/limits`, {});
  await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'frozen' });

  const { status, json, text } = await get('/api/decisions/second');
  t.equal(status, 200);
  t.match(json, { id: 'second', approved: false, reason: 'limit_exceeded', detail: 'card.daily.amount' });
  t.match(json, { cardId: card.id, accountId, userId: customer.userId, customerId: customer.userId, merchant });
  t.match(json, { amount: 5000, currency: 'USD', channel: null, revokedAt: null, numbersKept: true });
  t.match(json.hopsMs, { wait: Number, decide: Number, journal: Number, send: Number });
  const failed = json.checks.filter(({ passed }: { passed: boolean | null }) => passed === false);
  t.match(failed, [{ detail: 'card.daily.amount', numbers: { used: 6000, added: 5000, limit: 10_000 } }]);
  t.match(json.checks[1], { reason: 'card_inactive', passed: true, numbers: { status: 'active' } });
  t.match(json.checks.at(-1), { reason: 'insufficient_funds', passed: null, numbers: { available: 94_000 } });
  t.notOk(text.includes(card.token), 'the whole token is never shown');
  t.equal(json.cardShown, `…${card.token.slice(-4)}`);
  t.match(await get('/api/decisions/unknown'), { status: 404 });
  t.match((await get('/api/decisions/first')).json, { approved: true, available: 94_000 });

  await until('both are settled', async () => (await api.sql`select from transactions`).length === 2);
  const { hopsMs: _, ...settled } = (await get('/api/decisions/second')).json;
  const { hopsMs: __, ...unsettled } = json;
  t.same(settled, unsettled);
});

t.test('an id that no database takes is refused, and no card number of an id is recorded', async (t) => {
  const { api, get } = await stage(t);
  const pan = '4111111111111111';
  for (const path of ['/api/decisions', '/api/search/transactions']) {
    t.match(await get(`${path}/%00`), { status: 400 }, path);
    t.match(await get(`${path}/${pan}`), { status: 404 }, path);
  }
  const ids = await api.sql`
    select object_id as id from (
      select action, object_id from audit_fresh union all select action, object_id from audit_trail) entries
    where action = 'operator.looked' and object_id is not null`;
  t.equal(ids.length, 2);
  for (const { id } of ids) t.match(id, /^hidden_/);
});

t.test('operators of every role find what they look for, others are refused, and each look is recorded', async (t) => {
  const { api, customer, card, accountId, client, get } = await stage(t);
  await client.authorize('found', card.token, 6000, { merchant });
  await client.authorize('lost', 'no-such-card', 100, { merchant });
  await until('both are settled', async () => (await api.sql`select from transactions`).length === 2);
  const hits = async (q: string) => {
    const { json } = await get(`/api/search?q=${encodeURIComponent(q)}`);
    return json.data.map(({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`);
  };
  t.same(await hits('found'), ['transaction found', 'decision found']);
  t.same(await hits(card.token), [`card ${card.id}`]);
  t.same(await hits(` ${accountId} `), [`account ${accountId}`]);
  t.same(await hits(customer.email), [`user ${customer.userId}`]);
  t.same(await hits('  '), []);

  const listed = async (query: string) => (await get(`/api/search/transactions?${query}`)).json;
  t.match(await listed(''), { data: [{ id: 'lost', cardId: null, customerId: null }, { id: 'found' }], next: null });
  t.match((await listed(`customer=${customer.userId}&merchant=corner&min=6000`)).data, [
    { id: 'found', cardId: card.id, accountId, customerId: customer.userId, customerKind: 'personal' },
  ]);
  t.same((await listed('min=6001')).data, []);
  const page = await listed('limit=1');
  t.match((await listed(`limit=1&cursor=${page.next}`)).data, [{ id: 'found' }]);
  t.match(await get('/api/search/transactions?min=5&max=4'), { status: 400 });
  t.match((await get('/api/search/transactions/found')).json, { eventCount: 1, events: [{ requestId: 'found' }] });
  t.match((await get('/api/search/transactions/found/events')).json.data, [{ type: 'authorization' }]);
  t.match(await get('/api/search/transactions/unknown'), { status: 404 });

  const paths = [
    '/api/search?q=x',
    '/api/search/transactions',
    '/api/search/transactions/found',
    '/api/decisions/found',
  ];
  for (const path of paths) {
    for (const role of operatorRoles) {
      const { token } = await signedIn(api, role);
      t.equal((await api.request('GET', path, { token })).status, 200, `${role} ${path}`);
    }
    t.equal((await customer.get(path)).status, 403, `a customer ${path}`);
    t.equal((await api.request('GET', path)).status, 401, `without a token ${path}`);
  }
  const looks = await api.sql`
    select distinct after ->> 'route' as route from (
      select action, after from audit_fresh union all select action, after from audit_trail) entries
    where action = 'operator.looked' order by 1`;
  t.same(
    looks.map(({ route }) => route),
    ['/api/decisions/:id', '/api/search', '/api/search/transactions', '/api/search/transactions/:id'].concat(
      '/api/search/transactions/:id/events',
    ),
  );
});
