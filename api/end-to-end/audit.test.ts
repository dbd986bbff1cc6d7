/** The audit trail: what each change, sign-in and look leaves there, and what it keeps to itself. */

import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { addOperator } from '../stores/operators.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';
import { createCompany } from '../testing/tenants.js';

const password = 'correct horse battery';

interface Entry {
  readonly action: string;
  readonly actor: { readonly kind: string; readonly id: string | null; readonly address: string | null };
  readonly requestId: string | null;
  readonly object: { readonly kind: string | null; readonly id: string | null };
  readonly before: string | null;
  readonly after: string | null;
  readonly outcome: string;
  readonly place: number | null;
}

async function withOperator(t: Test, role: 'viewer' | 'support' | 'risk' | 'admin', engine = false) {
  const api = await startTestApi(t, { engine });
  const passwordHash = await api.api.services.passwords.hash(password);
  const email = `${role}@example.com`;
  await addOperator(api.sql, { email, name: role, role, passwordHash, totpSecret: null });
  const { json } = await api.request('POST', '/api/operators/login', { body: { email, password } });
  return { api, token: json.token as string, operatorId: json.operator.id as string };
}

const trail = async (api: TestApi, token: string, query = ''): Promise<Entry[]> => {
  const { status, json, text } = await api.request('GET', `/api/audit?limit=200${query}`, { token });
  if (status !== 200) throw new Error(`no trail: ${status} ${text}`);
  return json.data;
};

t.test('a change of a user is recorded with actor, origin, before, after and request id', async (t) => {
  const { api, token } = await withOperator(t, 'risk');
  await createCompany(api.sql, 'acme');
  const owner = await api.tokenOf(1);
  const change = (body: object) => api.request('PATCH', '/api/users/usr_acme_member', { token: owner, body });
  t.equal((await change({ status: 'frozen' })).status, 200);
  t.equal((await change({ role: 'admin' })).status, 200);
  t.equal((await change({ name: 'Another' })).status, 200);
  const [renamed, promoted, frozen] = await trail(api, token, '&object=usr_acme_member');
  t.match(frozen, {
    action: 'user.frozen',
    actor: { kind: 'user', id: 'usr_acme_owner', address: '127.0.0.1' },
    requestId: String,
    object: { kind: 'user', id: 'usr_acme_member' },
    before: '{"status":"active"}',
    after: '{"status":"frozen"}',
    outcome: 'done',
  });
  t.match(promoted, { action: 'user.role_changed', before: '{"role":"member"}', after: '{"role":"admin"}' });
  t.match(renamed, { action: 'user.changed', before: '{}', after: '{"name":"(changed)"}' }, 'the entry shows no names');
});

t.test('limits, keys and company names are recorded, and secrets are not', async (t) => {
  const { api, token, operatorId } = await withOperator(t, 'admin');
  await createCompany(api.sql, 'acme');
  const owner = await api.tokenOf(1);
  const options = { token: owner, body: { daily: { amount: 500 } } };
  t.equal((await api.request('PUT', '/api/users/usr_acme_member/limits', options)).status, 200);
  t.equal((await api.request('PUT', '/api/accounts/acct_acme/limits', options)).status, 200);
  await api.request('PATCH', '/api/companies/co_acme', { token: owner, body: { name: 'Renamed' } });
  const { json: key } = await api.request('POST', '/api/keys', {
    token,
    body: { name: 'K', scopes: ['funding:write'] },
  });
  t.equal((await api.request('DELETE', `/api/keys/${key.id}`, { token })).status, 204);
  const entries = await trail(api, token);
  const of = (action: string) => entries.find((entry) => entry.action === action);
  t.match(of('user.limits_changed'), { after: '{"daily":{"amount":500}}', object: { id: 'usr_acme_member' } });
  t.match(of('account.limits_changed'), { after: '{"daily":{"amount":500}}', object: { id: 'acct_acme' } });
  t.match(of('company.changed'), { before: '{"name":"acme"}', after: '{"name":"Renamed"}' });
  t.match(of('key.created'), { before: null, actor: { kind: 'operator', id: operatorId }, object: { id: key.id } });
  t.match(of('key.revoked'), { actor: { kind: 'operator', id: operatorId }, object: { id: key.id } });
  const all = JSON.stringify(entries);
  const [hashed] = await api.sql`select encode(key_hash, 'hex') as hash from api_keys`;
  for (const secret of [key.key, key.key.slice(9), hashed!['hash'], token]) t.notOk(all.includes(secret));
});

t.test('sign-ins and sign-outs of customers and operators are recorded', async (t) => {
  const { api, token, operatorId } = await withOperator(t, 'risk');
  const customer = await Customer.register(api, 'personal');
  const { email, userId } = customer;
  const signedIn = await api.request('POST', '/api/auth/login', { body: { email, password: 'a-password-of-tests' } });
  await api.request('POST', '/api/auth/logout', { body: { refreshToken: signedIn.json.refreshToken } });
  const actions = (await trail(api, token, `&object=${userId}`)).map(({ action }) => action);
  t.same(actions, ['user.signed_out', 'user.signed_in', 'user.signed_in', 'user.created']);
  const [signOut, signIn] = await trail(api, token, `&object=${userId}`);
  t.match(signIn, { actor: { kind: 'user', id: userId, address: '127.0.0.1' } });
  t.match(signOut, { actor: { kind: 'user', id: userId }, after: /"reason":"logout"/ });
  t.match(await trail(api, token, `&object=${operatorId}&action=operator.signed_in`), [
    { actor: { kind: 'operator', id: operatorId } },
  ]);
  t.notOk(JSON.stringify(await trail(api, token)).includes(email), 'the entry has no e-mail address');
});

t.test("an operator's reads are recorded, including those of the trail", async (t) => {
  const { api, token, operatorId } = await withOperator(t, 'admin');
  await api.request('GET', '/api/keys', { token });
  const [audit, keys] = await trail(api, token, `&actor=${operatorId}&action=operator.looked`);
  t.match(audit, { after: '{"route":"/api/audit"}' });
  t.match(keys, { after: '{"route":"/api/keys"}', actor: { kind: 'operator', id: operatorId } });
});

t.test('funding is recorded before it is requested, and again with its outcome', async (t) => {
  const { api, token } = await withOperator(t, 'admin', true);
  const customer = await Customer.register(api, 'personal');
  const account = await customer.accountId();
  t.equal((await customer.post(`/api/accounts/${account}/deposits`, { amount: 500 })).status, 201);
  t.equal((await customer.post(`/api/accounts/${account}/withdrawals`, { amount: 501 })).status, 409);
  const entries = await trail(api, token, `&object=${account}`);
  t.same(
    entries.map(({ action, outcome }) => `${action} ${outcome}`),
    [
      'account.withdrawal refused',
      'account.withdrawal asked',
      'account.deposit done',
      'account.deposit asked',
      'account.created done',
    ],
  );
  t.match(entries[2], { actor: { kind: 'user', id: customer.userId }, after: /"amount":500/ });
  t.match(entries[0], { after: /insufficient_funds/ });
  const { id } = JSON.parse(entries[2]!.after!) as { id: string };
  const story = await trail(api, token, `&object=${account}&movement=${id}`);
  t.same(
    story.map(({ action, outcome }) => `${action} ${outcome}`),
    ['account.deposit done', 'account.deposit asked'],
    'both entries of a movement have its id',
  );
  t.equal(new Set(story.map(({ requestId }) => requestId)).size, 1, 'and the id of the request');
  const alone = await api.request('GET', `/api/audit?movement=${id}`, { token });
  t.match(alone, { status: 400, text: /movement needs its account/ });
});

t.test('the list has pages and filters, and only risk and admin may read it', async (t) => {
  const { api, token } = await withOperator(t, 'risk');
  for (const role of ['viewer', 'support'] as const) {
    const other = await withOperator(t, role);
    t.equal((await other.api.request('GET', '/api/audit', { token: other.token })).status, 403);
  }
  // It would seal the fresh entries too, about a second after they came.
  await api.api.services.sealer.stop();
  await api.sql`insert into companies (public_id, name) select 'co_' || n, n::text from generate_series(1, 5) n`;
  await api.api.services.trail.seal();
  await api.sql`insert into companies (public_id, name) select 'co_' || n, n::text from generate_series(6, 9) n`;
  const all: Entry[] = [];
  let cursor: string | null = null;
  do {
    const query: string = `?action=company.created&limit=2${cursor === null ? '' : `&cursor=${cursor}`}`;
    const { json } = await api.request('GET', `/api/audit${query}`, { token });
    all.push(...json.data);
    cursor = json.next;
  } while (cursor !== null);
  t.same(
    all.map(({ object, place }) => [object.id, place !== null]),
    [9, 8, 7, 6, 5, 4, 3, 2, 1].map((n) => [`co_${n}`, n < 6]),
    'sealed and unsealed entries are one list',
  );
  const after = new Date(Date.now() + 60_000).toISOString();
  t.same(await trail(api, token, `&from=${after}`), []);
  t.equal((await trail(api, token, `&to=${after}&action=company.created`)).length, 9);
  t.match((await api.request('GET', `/api/audit?from=${after}&to=2020-01-01T00:00:00Z`, { token })).json, {
    field: 'from',
  });
});

t.test('a failed sign-in is an entry, its repeats are one more, and no entry has an address', async (t) => {
  const { api, token, operatorId } = await withOperator(t, 'risk');
  const customer = await Customer.register(api, 'personal');
  const { email, userId } = customer;
  const login = (body: object) => api.request('POST', '/api/auth/login', { body });
  for (let time = 0; time < 4; time++) t.equal((await login({ email, password: 'wrong' })).status, 401);
  t.equal((await login({ email: 'unknown@example.com', password: 'wrong' })).status, 401);
  await api.request('POST', '/api/operators/login', { body: { email: 'risk@example.com', password: 'wrong' } });
  await api.api.services.failedSignIns.flush();
  const failed = await trail(api, token, '&action=user.sign_in_failed');
  t.match(failed, [
    { object: { id: userId }, after: /"repeats":3/, outcome: 'refused' },
    { object: { id: null } },
    {
      actor: { kind: 'visitor', id: null, address: '127.0.0.1' },
      object: { id: userId },
      after: /invalid_credentials/,
    },
  ]);
  t.match(await trail(api, token, '&action=operator.sign_in_failed'), [{ object: { id: operatorId } }]);
  const { token: session } = customer;
  const body = { password: 'a wrong old one', newPassword: 'a long new password 7' };
  t.equal((await api.request('POST', '/api/auth/password', { token: session, body })).status, 403);
  t.match(await trail(api, token, '&action=user.password_change_failed'), [
    { actor: { kind: 'user', id: userId }, object: { id: userId }, after: /wrong_password/, outcome: 'refused' },
  ]);
  await api.request('POST', '/api/auth/password/reset', { body: { email } });
  await until(
    'the request for a link is in the trail',
    async () => (await trail(api, token, '&action=user.password_reset_requested')).length === 1,
  );
  t.notMatch(JSON.stringify(await trail(api, token)), /@example/);
});

t.test('a change of many rows by one statement is one entry', async (t) => {
  const { api, token } = await withOperator(t, 'risk');
  await api.sql`insert into companies (public_id, name) select 'co_' || n, n::text from generate_series(1, 101) n`;
  t.match(await trail(api, token, '&action=company.created'), [{ actor: { kind: 'database' }, after: '{"rows":101}' }]);
});

t.test('a change that is refused leaves no entry', async (t) => {
  const { api, token } = await withOperator(t, 'risk');
  await createCompany(api.sql, 'acme');
  await t.rejects(api.sql`update users set status = 'frozen', version = 0 where public_id = 'usr_acme_owner'`);
  t.same(await trail(api, token, '&object=usr_acme_owner&action=user.frozen'), []);
});
