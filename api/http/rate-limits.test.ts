/** Limits of requests, before authentication: whose requests count together, and what a refusal says. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { until } from '../../engine/testing/engine-process.js';
import { system } from '../stores/acting.js';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

/** Windows are minutes of the clock: a test must not meet the end of one. */
async function awayFromTheEndOfAMinute(): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000);
  if (leftMs < 10_000) await delay(leftMs + 10);
}

async function fixture(t: Test, env: Record<string, string>) {
  const api = await startTestApi(t, { env: { TRUSTED_PROXIES: '127.0.0.1', ...env } });
  await createTestAccounts(api.sql, 10, 0);
  await awayFromTheEndOfAMinute();
  const get = (path: string, token?: string, address = '192.0.2.1') =>
    api.request('GET', path, { ...(token === undefined ? {} : { token }), headers: { 'x-forwarded-for': address } });
  /** Statuses of so many requests, one after the other. */
  const statuses = async (count: number, ask: (index: number) => Promise<{ status: number }>) => {
    const seen: number[] = [];
    for (let index = 0; index < count; index++) seen.push((await ask(index)).status);
    return seen.join(' ');
  };
  return { api, get, statuses };
}

t.test('a person is limited over all sessions and addresses, and no other person with them', async (t) => {
  const { api, get, statuses } = await fixture(t, { RATE_LIMIT_PERSON_PER_MINUTE: '4' });
  const sessions = [await api.tokenOf(1), await api.api.services.tokens.sign(1, 7)];
  const first = await get('/api/me', sessions[0]);
  t.equal(first.headers.get('ratelimit-limit'), '4');
  t.equal(first.headers.get('ratelimit-remaining'), '3');
  t.match(first.headers.get('ratelimit-reset'), /^([1-9]|[1-5]\d|60)$/);
  t.equal(await statuses(5, (index) => get('/api/me', sessions[index % 2], `192.0.2.${index}`)), '200 200 200 429 429');
  const refused = await get('/api/nothing', sessions[1], '198.51.100.1');
  t.equal(refused.status, 429, 'the limit holds for every route');
  t.match(refused.json, { status: 429, title: 'too_many_requests', detail: /more than 4 requests in a minute/ });
  t.match(refused.headers.get('content-type'), /problem\+json/);
  t.match(refused.headers.get('retry-after'), /^([1-9]|[1-5]\d|60)$/);
  t.equal(refused.headers.get('ratelimit-remaining'), '0');
  t.equal((await get('/api/me', await api.tokenOf(2))).status, 200, 'another person at the same address is served');
  t.equal((await get('/readyz', sessions[0])).status, 200, 'operations are never limited');
});

t.test('a 401 or 404 counts for its address before any lookup', async (t) => {
  const { api, get, statuses } = await fixture(t, { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '6' });
  const { database } = api.api.services;
  const known = await api.tokenOf(1);
  t.equal((await get('/api/me', known)).status, 200);
  const garbage = ['afc_live_x', 'afo_x', 'a.b.c'];
  t.equal(await statuses(3, (index) => get('/api/me', `${garbage[index]}${index}`)), '401 401 401');
  t.equal(await statuses(3, (index) => get(`/api/nothing/${index}`)), '404 404 404');
  const queries = database.queries;
  t.equal(await statuses(3, (index) => get('/api/me', `${garbage[index]}again`)), '429 429 429');
  t.equal((await get('/api/nothing')).status, 429);
  t.equal((await get('/api/docs/')).status, 429);
  t.equal(database.queries, queries, 'a refused request reads nothing');
  t.equal((await get('/api/me', 'x', '192.0.2.2')).status, 401, 'another address is served');
  t.equal((await get('/api/me', known)).status, 200, 'a known person at the same address is served');
});

t.test('an IPv6 client is its /64 network', async (t) => {
  const { get, statuses } = await fixture(t, { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3' });
  const ask = (host: number) => get('/api/me', 'x', `2001:db8:1:2::${host}`);
  t.equal(await statuses(5, ask), '401 401 401 429 429');
  t.equal((await get('/api/me', 'x', '2001:db8:1:3::1')).status, 401);
});

t.test('a request with a valid token counts for its person alone', async (t) => {
  const { api, get, statuses } = await fixture(t, { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3' });
  t.equal(
    await statuses(10, async (index) => get('/api/me', await api.tokenOf(index + 1))),
    Array(10).fill(200).join(' '),
  );
});

t.test('all requests of one address together have a bound', async (t) => {
  const { api, get, statuses } = await fixture(t, { RATE_LIMIT_ADDRESS_PER_MINUTE: '5' });
  const ask = async (index: number) => get('/api/me', await api.tokenOf((index % 10) + 1));
  t.equal(await statuses(7, ask), '200 200 200 200 200 429 429');
});

t.test('a key has a limit of its own, and an operator that of a person', async (t) => {
  const { api, get, statuses } = await fixture(t, {
    RATE_LIMIT_KEY_PER_MINUTE: '4',
    RATE_LIMIT_PERSON_PER_MINUTE: '2',
    RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3',
  });
  const { apiKeys } = api.api.services;
  const [operator] = await api.sql<{ id: number }[]>`
    insert into operators (public_id, email, name, role, password_hash)
    values ('op_1', 'op@example.com', 'Op', 'admin', 'x') returning id::integer`;
  const keyOptions = { publicId: 'key_1', name: 'K', expiresAt: null, createdBy: operator!.id };
  const added = await apiKeys.add(system('test'), { ...keyOptions, scopes: ['funding:write'] });
  // A key may not read a customer's profile: that it was refused for this counts for it as well.
  t.equal(await statuses(6, () => get('/api/me', added!.key)), '403 403 403 403 429 429');
});

t.test('successful sign-ins are not limited with other requests of their address', async (t) => {
  const { api, statuses } = await fixture(t, { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3' });
  const passwordHash = await api.api.services.passwords.hash('password123');
  await api.sql`update users set password_hash = ${passwordHash}`;
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const post = (path: string, body: object) => api.request('POST', path, { body, headers });
  const login = () => post('/api/auth/login', { email: 'user1@example.com', password: 'password123' });
  t.equal(await statuses(5, () => api.request('GET', '/api/me', { token: 'x', headers })), '401 401 401 429 429');
  t.equal(await statuses(10, login), Array(10).fill(200).join(' '));
  let { token, refreshToken } = (await login()).json;
  const refreshed = async () => {
    const reply = await post('/api/auth/refresh', { refreshToken });
    ({ token, refreshToken } = reply.json);
    return reply;
  };
  t.equal(await statuses(10, refreshed), Array(10).fill(200).join(' '), 'refreshes are not limited');
  t.equal(
    (await api.request('GET', '/api/me', { token, headers })).status,
    200,
    'requests with their tokens are not limited',
  );
  const wrong = () => post('/api/auth/refresh', { refreshToken: 'x'.repeat(64) });
  t.equal(await statuses(5, wrong), '401 401 401 401 401');
  const unknown = { email: 'unknown@example.com', password: 'password123' };
  t.equal((await post('/api/operators/login', unknown)).status, 401);
  t.equal((await post('/api/auth/logout', { refreshToken })).status, 204);
  t.equal((await api.request('GET', '/api/me', { token: 'x', headers })).status, 429, 'invalid requests are refused');
});

t.test('invalid requests from their address do not keep out a person with a valid new token', async (t) => {
  const limits = { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3', RATE_LIMIT_PERSON_PER_MINUTE: '2' };
  const { api, get, statuses } = await fixture(t, limits);
  t.equal(await statuses(4, () => get('/api/me', 'a.b.c')), '401 401 401 429');
  // Each token is a new one.
  const signed = async (user: number) => get('/api/me', await api.api.services.tokens.sign(user, 100 + user));
  t.equal(await statuses(4, (index) => signed(index + 1)), '200 200 200 200');
  const again = async (index: number) => get('/api/me', await api.api.services.tokens.sign(1, 200 + index));
  t.equal(await statuses(2, again), '200 429', 'the requests count for their person');
  const forged = `${(await api.api.services.tokens.sign(5, 1)).slice(0, -4)}AAAA`;
  t.equal((await get('/api/me', forged)).status, 429);
});

t.test('one tenant has a maximum of requests and reports under way, and no other tenant waits', async (t) => {
  const api = await startTestApi(t, { env: { TENANT_REQUESTS_MAX: '3', TENANT_REPORTS_MAX: '1' } });
  const acme = await createCompany(api.sql, 'acme');
  const other = await createCompany(api.sql, 'other');
  const token = await api.tokenOf(acme.user('owner').id);
  const colleague = await api.tokenOf(acme.user('admin').id);
  const otherToken = await api.tokenOf(other.user('owner').id);
  const { tenants } = api.api.services;

  // Bodies that are held back.
  const { port } = new URL(api.url);
  const slow = Array.from({ length: 3 }, () => {
    const socket = connect(Number(port), '127.0.0.1');
    const head = `POST /api/cards HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n`;
    socket.on('error', () => undefined);
    socket.write(`${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{`);
    return socket;
  });
  const me = (of: string) => api.request('GET', '/api/me', { token: of });
  await until('the company is at its bound', async () => (await me(colleague)).status === 429);
  const refused = await me(token);
  t.match(refused.json, { status: 429, title: 'too_many_at_once', detail: /3 requests of yours/ });
  t.equal(refused.headers.get('retry-after'), '1');
  t.equal((await me(otherToken)).status, 200);
  for (const socket of slow) socket.destroy();
  await until('their places are free again', async () => (await me(colleague)).status === 200);

  const lock = await api.sql.reserve();
  await lock`begin`;
  await lock`lock table transactions in access exclusive mode`;
  const spending = (of: string) => api.request('GET', '/api/stats/spending?by=day', { token: of });
  const running = spending(token);
  await until('a report runs', () => tenants.tenants === 1);
  const second = await api.request('GET', '/api/transactions', { token: colleague });
  t.match(second.json, { status: 429, title: 'too_many_at_once', detail: /1 reports/ });
  t.equal((await me(colleague)).status, 200, 'other requests are served');
  const others = spending(otherToken);
  await until('another tenant has its own', () => tenants.tenants === 2);
  await lock`rollback`;
  lock.release();
  t.equal((await running).status, 200);
  t.equal((await others).status, 200);
  await until('all have left', () => tenants.tenants === 0);
  t.equal((await spending(colleague)).status, 200);
});

t.test('a connection that is cut during the lookup of its caller leaves no request under way', async (t) => {
  const api = await startTestApi(t);
  await createTestAccounts(api.sql, 1, 0);
  const token = await api.tokenOf(1);
  const { tenants } = api.api.services;
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.write(`GET /api/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`, () => socket.destroy());
  await once(socket, 'close');
  await until('the request has ended', async () => tenants.tenants === 0);
  t.equal((await api.request('GET', '/api/me', { token })).status, 200);
  await until('no request is under way', () => tenants.tenants === 0);
});

t.test('the files of the pages count for the wide bound of their address alone', async (t) => {
  const limits = { RATE_LIMIT_ANONYMOUS_PER_MINUTE: '3', RATE_LIMIT_ADDRESS_PER_MINUTE: '20' };
  const { get, statuses } = await fixture(t, limits);
  const page = await get('/app', undefined, '192.0.2.7');
  const [, file] = /(\/assets\/[^"]+\.js)/.exec(page.text)!;
  t.equal(await statuses(10, () => get(file!, undefined, '192.0.2.7')), Array(10).fill(200).join(' '));
  t.equal(await statuses(3, () => get('/app', undefined, '192.0.2.7')), '200 200 429', 'the page itself counts');
  t.equal(await statuses(7, () => get(file!, undefined, '192.0.2.7')), '200 200 200 200 200 200 429');
});
