/** Verified customers over HTTP: which callers verify, and that only verified customers get cards. */
import t, { type Test } from 'tap';
import { system } from '../stores/acting.js';
import { addOperator } from '../stores/operators.js';
import { startTestApi } from '../testing/api-inside.js';
import { addColleague } from '../testing/colleague.js';
import { Customer } from '../testing/customer.js';

async function fixture(t: Test, demo = false) {
  const api = await startTestApi(t, { env: { SELF_FUNDING: 'false' } });
  await api.sql`update program set demo = ${demo}`;
  const { operators, apiKeys } = api.api.services;
  const signIn = async (role: 'viewer' | 'support') => {
    await addOperator(api.sql, {
      email: `${role}@example.com`,
      name: role,
      role,
      passwordHash: 'none',
      totpSecret: null,
    });
    const { operator } = await operators.byEmail(`${role}@example.com`);
    const device = { address: '127.0.0.1', network: '127.0.0.1', userAgent: '', requestId: '' };
    return { id: operator!.id, token: await operators.open(operator!.id, device) };
  };
  const support = await signIn('support');
  const viewer = await signIn('viewer');
  const keyOf = async (scope: 'customers:write' | 'funding:write') => {
    const made = await apiKeys.add(system('test'), {
      publicId: `key_${scope}`,
      name: scope,
      scopes: [scope],
      expiresAt: null,
      createdBy: support.id,
    });
    return made!.key;
  };
  const say = (token: string, id: string, kycStatus: string) =>
    api.request('PATCH', `/api/customers/${id}`, { token, body: { kycStatus } });
  const waiting = async (query = '') =>
    (await api.request('GET', `/api/customers${query}`, { token: viewer.token })).json;
  const open = async (kind: 'personal' | 'business') => {
    const customer = await Customer.register(api, kind);
    const { json } = await customer.get('/api/me');
    const [row] = await api.sql<{ id: string }[]>`
      select a.public_id as id from accounts a join users u on a.owner_key = coalesce(u.company_id * 2 + 1, u.id * 2)
      where u.public_id = ${customer.userId}`;
    return { customer, id: (json.companyId ?? json.id) as string, accountId: row!.id };
  };
  return { api, support, viewer, keyOf, say, waiting, open };
}

for (const kind of ['personal', 'business'] as const) {
  t.test(`a ${kind} customer gets cards once verified, and no new ones when rejected`, async (t) => {
    const { api, support, say, open } = await fixture(t);
    const { customer, id, accountId } = await open(kind);
    const order = { accountId, name: 'A card' };
    t.equal((await customer.get('/api/me')).json.kycStatus, 'pending');
    t.match((await customer.post('/api/cards', order)).json, { status: 403, title: 'customer_not_verified' });
    t.match(await say(support.token, id, 'verified'), { status: 200, json: { id, kind, kycStatus: 'verified' } });
    const key = 'one-card';
    const made = await customer.post('/api/cards', order, key);
    t.equal(made.status, 201);
    t.equal((await say(support.token, id, 'rejected')).status, 200);
    t.equal((await customer.post('/api/cards', order)).status, 403);
    t.equal((await customer.post('/api/cards', order, key)).json.id, made.json.id, 'a repeat receives its answer');
    const replaced = await customer.post(`/api/cards/${made.json.id}/replace`, { reason: 'lost' });
    t.match(replaced.json, { status: 403, title: 'customer_not_verified' });
    t.equal((await api.sql`select from cards where status = 'active'`).length, 1, 'existing cards stay');
  });
}

t.test('the status of a company holds for all its users, and none of them is a customer', async (t) => {
  const { api, support, say, open } = await fixture(t);
  const { customer, id, accountId } = await open('business');
  const colleague = await addColleague(api, id, 'admin');
  const admin = new Customer(api, await api.tokenOf(colleague.id), colleague.publicId, colleague.email);
  t.equal((await say(support.token, customer.userId, 'verified')).status, 404);
  t.equal((await admin.post('/api/cards', { accountId, name: 'A card' })).status, 403);
  t.equal((await say(support.token, id, 'verified')).status, 200);
  t.equal((await admin.post('/api/cards', { accountId, name: 'A card' })).status, 201);
  t.equal((await admin.get('/api/me')).json.kycStatus, 'verified');
});

t.test('support and keys with customers:write decide, and viewers, other keys and customers do not', async (t) => {
  const { support, viewer, keyOf, say, open, api } = await fixture(t);
  const { customer, id } = await open('personal');
  for (const token of [viewer.token, await keyOf('funding:write'), customer.token]) {
    t.equal((await say(token, id, 'verified')).status, 403);
  }
  t.equal((await say(await keyOf('customers:write'), id, 'verified')).status, 200);
  t.equal((await say(support.token, id, 'unknown')).status, 400);
  // The statement itself looks, whatever was known when the request came.
  await api.sql`update operators set role = 'viewer' where id = ${support.id}`;
  const origin = { address: '127.0.0.1', requestId: '', callers: ['operator:support'] };
  const [session] = await api.sql`select id::integer from operator_sessions where operator_id = ${support.id}`;
  const stale = { kind: 'operator', operatorId: support.id, sessionId: session!['id'], origin } as never;
  await t.rejects(api.api.services.customers.setKycStatus(stale, id, 'rejected'), { name: 'ActorRefused' });
  t.match(await api.sql`select kyc_status from users where public_id = ${id}`, [{ kyc_status: 'verified' }]);
});

t.test('operators list waiting customers, the longest wait first, a page at a time', async (t) => {
  const { waiting, open, say, support } = await fixture(t);
  const ids: string[] = [];
  for (const kind of ['personal', 'business', 'personal'] as const) ids.push((await open(kind)).id);
  const first = await waiting('?limit=2');
  t.same(
    first.data.map(({ id }: { id: string }) => id),
    ids.slice(0, 2),
  );
  t.match(first.data, [
    { kind: 'personal', email: /@/ },
    { kind: 'business', email: null },
  ]);
  const second = await waiting(`?limit=2&cursor=${first.next}`);
  t.same(
    second.data.map(({ id }: { id: string }) => id),
    ids.slice(2),
  );
  t.equal(second.next, null);
  await say(support.token, ids[1]!, 'verified');
  t.same(
    (await waiting('?kycStatus=verified')).data.map(({ id }: { id: string }) => id),
    [ids[1]],
  );
});

t.test('a demo verifies at once', async (t) => {
  const { open } = await fixture(t, true);
  const { customer, accountId } = await open('business');
  t.equal((await customer.get('/api/me')).json.kycStatus, 'verified');
  t.equal((await customer.post('/api/cards', { accountId, name: 'A card' })).status, 201);
});
