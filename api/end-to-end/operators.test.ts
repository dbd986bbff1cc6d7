/** Operators and API keys: signing in, what they may do, and that only they put money into accounts. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import { startApi } from '../api.js';
import { pairMax } from '../auth/failures.js';
import { newTotp, totpCode } from '../auth/operator-sign-in.js';
import { type ApiConfig, readApiConfig } from '../config.js';
import { addOperator } from '../stores/operators.js';
import { startTestApi, type TestApi, type TestApiOptions } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';

const password = 'correct horse battery';
const email = 'Grace@Example.com';

async function withOperator(t: Test, options: TestApiOptions = {}, totpSecret: string | null = null) {
  const api = await startTestApi(t, options);
  const passwordHash = await api.api.services.passwords.hash(password);
  await addOperator(api.sql, { email, name: 'Grace', role: 'admin', passwordHash, totpSecret });
  return api;
}

const login = (api: TestApi, body: Record<string, unknown> = {}) =>
  api.request('POST', '/api/operators/login', { body: { email, password, ...body } });

t.test('an operator signs in, is recognized, and signs out', async (t) => {
  const api = await withOperator(t);
  const { status, json } = await login(api);
  t.equal(status, 200);
  t.match(json.operator, { id: /^op_/, email: 'grace@example.com', name: 'Grace', role: 'admin' });
  const me = () => api.request('GET', '/api/operators/me', { token: json.token });
  t.same((await me()).json, json.operator);
  t.equal((await api.request('GET', '/api/me', { token: json.token })).status, 403, 'an operator is no customer');
  t.equal((await api.request('POST', '/api/operators/logout', { token: json.token })).status, 204);
  t.equal((await me()).status, 401);
});

t.test('a closed operator, an idle session and a lapsed session are refused at once', async (t) => {
  const api = await withOperator(t);
  const session = async () => (await login(api)).json.token as string;
  const me = async (token: string) => (await api.request('GET', '/api/operators/me', { token })).status;
  const idle = await session();
  await api.sql`update operator_sessions set last_seen_at = now() - interval '61 minutes'`;
  t.equal(await me(idle), 401);
  const lapsed = await session();
  await api.sql`update operator_sessions set expires_at = now()`;
  t.equal(await me(lapsed), 401);
  const closed = await session();
  t.equal(await me(closed), 200);
  await api.sql`update operators set status = 'closed'`;
  t.equal(await me(closed), 401);
  t.equal((await login(api)).status, 401);
});

/** Codes change every 30 seconds of the clock: the one before must not become the second one before in a login. */
async function awayFromTheEndOfACode(): Promise<void> {
  const leftMs = 30_000 - (Date.now() % 30_000);
  if (leftMs < 5000) await delay(leftMs + 10);
}

t.test('a sign-in needs a code, which works once and for half a minute longer', async (t) => {
  const { secret } = newTotp(email);
  const api = await withOperator(t, {}, secret);
  t.match((await login(api)).json, { status: 401, title: 'invalid_credentials' });
  await awayFromTheEndOfACode();
  const code = totpCode(secret, Date.now() - 30_000);
  t.equal((await login(api, { totp: code })).status, 200);
  t.equal((await login(api, { totp: code })).status, 401, 'a used code is refused');
  t.equal((await login(api, { totp: totpCode(secret, Date.now() - 120_000) })).status, 401, 'an old code is refused');
  const next = totpCode(secret, Date.now() + 30_000);
  t.equal((await login(api, { totp: next, password: 'wrong' })).status, 401);
  t.equal((await login(api, { totp: next })).status, 200, 'a wrong password uses up no code');
});

t.test('guesses at codes are limited like guesses at passwords', async (t) => {
  const { secret } = newTotp(email);
  const api = await withOperator(t, {}, secret);
  const statuses = new Set<number>();
  for (let tries = 0; tries <= pairMax; tries++) statuses.add((await login(api, { totp: '000000' })).status);
  t.ok(statuses.has(429), `the statuses were ${[...statuses].join(', ')}`);
});

t.test('a key is shown once, acts within its scopes, and is refused once revoked or lapsed', async (t) => {
  const api = await withOperator(t, { engine: true });
  const { token } = (await login(api)).json;
  const make = (body: Record<string, unknown>) => api.request('POST', '/api/keys', { token, body });
  const made = await make({ name: 'Treasury', scopes: ['funding:write'] });
  t.equal(made.status, 201);
  t.match(made.json, { id: /^key_/, key: /^afc_test_[\w-]{43}$/, hint: made.json.key.slice(0, 13), lastUsedAt: null });
  t.notMatch((await api.sql`select to_jsonb(k)::text as row from api_keys k`)[0]!['row'], made.json.key);
  const customer = await Customer.register(api, 'personal');
  const deposits = `/api/accounts/${await customer.accountId()}/deposits`;
  const deposit = (key: string) => api.request('POST', deposits, { token: key, body: { amount: 500 } });
  t.match((await deposit(made.json.key)).json, { amount: 500, account: { funds: 500 } });
  t.match((await api.request('GET', '/api/keys', { token })).json.data, [
    { id: made.json.id, name: 'Treasury', lastUsedAt: /^20/ },
  ]);
  t.equal((await api.request('GET', '/api/keys', { token: made.json.key })).status, 403);
  const lapsing = await make({ name: 'Short', scopes: ['funding:write'], expiresAt: '2099-01-01T00:00:00Z' });
  await api.sql`update api_keys set expires_at = now() where name = 'Short'`;
  t.equal((await deposit(lapsing.json.key)).status, 401);
  t.equal((await api.request('DELETE', `/api/keys/${made.json.id}`, { token })).status, 204);
  t.equal((await deposit(made.json.key)).status, 401);
  t.equal((await api.request('DELETE', `/api/keys/${made.json.id}`, { token })).status, 404);
  for (const [body, field] of [
    [{ name: 'x', scopes: [] }, 'scopes'],
    [{ name: 'x', scopes: ['everything'] }, 'scopes.0'],
    [{ name: 'x', scopes: ['funding:write'], expiresAt: '2020-01-01T00:00:00Z' }, 'expiresAt'],
  ] as const) {
    t.match((await make(body)).json, { status: 400, field }, JSON.stringify(body));
  }
});

t.test('where customers may not fund themselves, operators fund them', async (t) => {
  const api = await withOperator(t, { engine: true, env: { SELF_FUNDING: 'false' } });
  const customer = await Customer.register(api, 'business');
  const account = `/api/accounts/${await customer.accountId()}`;
  for (const direction of ['deposits', 'withdrawals']) {
    const reply = await customer.post(`${account}/${direction}`, { amount: 900_000_000_000 });
    t.match(reply.json, { status: 403, title: 'forbidden' }, direction);
  }
  t.match((await customer.get(account)).json, { funds: 0 });
  const { token } = (await login(api)).json;
  const headers = { 'idempotency-key': 'once' };
  const deposit = () => api.request('POST', `${account}/deposits`, { token, body: { amount: 700 }, headers });
  t.match((await deposit()).json, { amount: 700, account: { funds: 700 } });
  t.match((await deposit()).json, { account: { funds: 700 } }, 'the same key moves money once');
  t.match((await api.request('POST', '/api/accounts/acct_none/deposits', { token, body: { amount: 1 } })).status, 404);
});

t.test("an API with the engine's database role does not start, and names the role that it needs", async (t) => {
  const database = await databaseFor(t);
  const config = await configOf(processUrl(database.url, 'engine'));
  const starting = startApi(config, createLog('silent', 'api'));
  await t.rejects(starting, { message: /^the database role \S+ lacks the account API's rights: give DATABASE_URL/ });
});

t.test('an API of a database without demo data does not start with SELF_FUNDING', async (t) => {
  const api = await startTestApi(t);
  await api.sql`update program set demo = false`;
  const config = await configOf(processUrl(api.databaseUrl, 'api'));
  await t.rejects(startApi(config, createLog('silent', 'api')), { message: /SELF_FUNDING/ });
});

async function configOf(databaseUrl: string): Promise<ApiConfig> {
  return readApiConfig({
    DATABASE_URL: databaseUrl,
    API_PORT: String(await findFreePort()),
    API_OPS_PORT: '0',
    JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
    ENGINE_TOKEN: 'unused-by-this-test',
    PAN_KEY: 'unused-by-this-test',
    LOG_LEVEL: 'silent',
    SELF_FUNDING: 'true',
  });
}
