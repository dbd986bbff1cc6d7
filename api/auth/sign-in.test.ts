/** Sign-in over HTTP on a real Postgres: opening customers, sessions and their tokens, failures, storms. */
import t from 'tap';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { accountMax, pairMax, registrationMax } from './failures.js';

const person = { email: 'Ada@Example.com', password: 'correct horse', name: 'Ada', kind: 'personal' };

async function register(api: TestApi, changes: Record<string, unknown> = {}) {
  const reply = await api.request('POST', '/api/auth/register', { body: { ...person, ...changes } });
  if (reply.status !== 201) throw new Error(`${reply.status} ${reply.text}`);
  return reply.json as { token: string; refreshToken: string; user: Record<string, string> };
}

t.test('a personal customer registers, is signed in, and has one account', async (t) => {
  const api = await startTestApi(t);
  const { token, user } = await register(api, { currency: 'EUR', timeZone: 'Europe/Berlin' });
  t.match(user, { id: /^usr_/, email: 'ada@example.com', name: 'Ada', kind: 'personal' });
  t.same(Object.keys(user).sort(), ['email', 'id', 'kind', 'name']);
  t.same((await api.request('GET', '/api/me', { token })).json, user);
  t.same(await api.sql`select kind, currency, time_zone, funds::integer, user_id is not null as owned from accounts`, [
    { kind: 'personal', currency: 'EUR', time_zone: 'Europe/Berlin', funds: 0, owned: true },
  ]);
  const [row] = await api.sql`select password_hash from users`;
  t.match(row!['password_hash'], /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

t.test('a business registers with its company, its first user is the owner', async (t) => {
  const api = await startTestApi(t);
  const { user } = await register(api, { kind: 'business', company: 'Analytical Engines' });
  t.match(user, { kind: 'business', companyId: /^co_/, role: 'owner' });
  t.match(await api.sql`select kind, company_id is not null as owned, currency, time_zone from accounts`, [
    { kind: 'business', owned: true, currency: 'USD', time_zone: 'UTC' },
  ]);
});

t.test('what a registration needs is named, and nothing is left behind', async (t) => {
  const api = await startTestApi(t);
  const bad: [Record<string, unknown>, string][] = [
    [{ email: 'nobody' }, 'email'],
    [{ email: 'a@b.c\0' }, 'email'],
    [{ password: 'short' }, 'password'],
    [{ kind: 'robot' }, 'kind'],
    [{ kind: 'business' }, 'company'],
    [{ company: 'x' }, 'company'],
    [{ currency: 'XXL' }, 'currency'],
    [{ timeZone: 'Mars/Olympus' }, 'timeZone'],
    [{ timeZone: '+01:00' }, 'timeZone'],
    [{ role: 'owner' }, 'role'],
    [{ name: undefined }, 'name'],
  ];
  for (const [changes, field] of bad) {
    const reply = await api.request('POST', '/api/auth/register', { body: { ...person, ...changes } });
    t.match(reply.json, { status: 400, field }, JSON.stringify(changes));
  }
  t.equal((await api.sql`select from users`).length, 0);
  t.equal((await api.sql`select from companies`).length, 0);
});

t.test('an address registers once, whatever its case, also when two try at once', async (t) => {
  const api = await startTestApi(t);
  const replies = await Promise.all(
    ['ada@example.com', 'ADA@example.com'].map((email) =>
      api.request('POST', '/api/auth/register', { body: { ...person, email, kind: 'business', company: 'x' } }),
    ),
  );
  t.same(replies.map(({ status }) => status).sort(), [201, 409]);
  t.match(replies.find(({ status }) => status === 409)!.json, { title: 'email_taken', field: 'email' });
  t.equal((await api.sql`select from companies`).length, 1, 'the loser leaves no company');
  t.equal((await api.sql`select from accounts`).length, 1);
  let last = 0;
  for (let tries = 0; tries <= registrationMax; tries++) {
    last = (await api.request('POST', '/api/auth/register', { body: person })).status;
  }
  t.equal(last, 429, 'asking for many addresses is limited');
});

t.test('refresh tokens are good once; an old one ends the session and its access tokens', async (t) => {
  const api = await startTestApi(t);
  const first = await register(api);
  const refresh = (refreshToken: string) => api.request('POST', '/api/auth/refresh', { body: { refreshToken } });
  const second = await refresh(first.refreshToken);
  t.equal(second.status, 200);
  t.not(second.json.refreshToken, first.refreshToken);
  t.equal((await api.request('GET', '/api/me', { token: second.json.token })).status, 200);
  const stolen = await refresh(first.refreshToken);
  t.match(stolen.json, { status: 401, title: 'invalid_refresh_token' });
  t.equal((await refresh(second.json.refreshToken)).status, 401, 'the whole chain has ended');
  t.equal((await api.request('GET', '/api/me', { token: second.json.token })).status, 401);
  for (const bad of ['x', 'A'.repeat(64), `${first.refreshToken}x`]) t.equal((await refresh(bad)).status, 401);
  t.match(await api.sql`select end_reason from sessions`, [{ end_reason: 'reuse' }]);
});

t.test('of two refreshes with the same token at once one wins, and the chain ends', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  const refresh = () => api.request('POST', '/api/auth/refresh', { body: { refreshToken } });
  const statuses = (await Promise.all([refresh(), refresh(), refresh()])).map(({ status }) => status);
  t.same(statuses.sort(), [200, 401, 401]);
});

t.test('after a logout neither token is good, and another session goes on', async (t) => {
  const api = await startTestApi(t);
  const one = await register(api);
  const other = (
    await api.request('POST', '/api/auth/login', { body: { email: person.email, password: person.password } })
  ).json;
  const logout = () => api.request('POST', '/api/auth/logout', { body: { refreshToken: one.refreshToken } });
  t.equal((await logout()).status, 204);
  t.equal((await logout()).status, 204, 'again is no error');
  t.equal((await api.request('POST', '/api/auth/refresh', { body: { refreshToken: one.refreshToken } })).status, 401);
  t.equal((await api.request('GET', '/api/me', { token: one.token })).status, 401);
  t.equal((await api.request('GET', '/api/me', { token: other.token })).status, 200);
});

t.test('a wrong password and an unknown address get the same answer', async (t) => {
  const api = await startTestApi(t);
  await register(api);
  await api.sql`insert into users (public_id, email, name, kind) values ('usr_x', 'no-password@example.com', 'x', 'personal')`;
  const texts = new Set<string>();
  for (const email of [person.email, 'nobody@example.com', 'no-password@example.com']) {
    const before = api.api.services.passwords.hashes;
    const reply = await api.request('POST', '/api/auth/login', { body: { email, password: 'not the password' } });
    t.equal(reply.status, 401);
    t.equal(api.api.services.passwords.hashes, before + 1, 'each costs one hash');
    texts.add(reply.text);
  }
  t.equal(texts.size, 1);
  t.match([...texts][0], /invalid_credentials/);
});

t.test('too many failures close an account to its guesser, and to nobody else', async (t) => {
  const api = await startTestApi(t, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  await register(api);
  const login = (password: string, from: string, email = person.email) =>
    api.request('POST', '/api/auth/login', { body: { email, password }, headers: { 'x-forwarded-for': from } });
  t.equal((await login('wrong', '10.0.0.9')).status, 401);
  t.equal((await login(person.password, '10.0.0.9')).status, 200);
  for (let tries = 0; tries < pairMax; tries++) t.equal((await login('wrong', '10.0.0.1')).status, 401);
  const locked = await login(person.password, '10.0.0.1');
  t.equal(locked.status, 429);
  t.match(locked.headers.get('retry-after'), /^\d+$/);
  t.equal((await login(person.password, '10.0.0.2')).status, 200, 'the owner signs in from elsewhere');
  t.equal((await login('wrong', '10.0.0.9')).status, 401, 'a success forgave the failure before it');
  for (let tries = 0; tries < pairMax; tries++) await login('wrong', '10.0.0.1', 'nobody@example.com');
  t.equal((await login('wrong', '10.0.0.1', 'nobody@example.com')).status, 429, 'an unknown address is no different');
  for (let place = 0; place < accountMax / pairMax; place++) {
    await Promise.all(Array.from({ length: pairMax }, () => login('wrong', `10.1.0.${place}`)));
  }
  t.equal((await login(person.password, '10.2.0.1')).status, 429, 'many places together lock the account');
});

t.test('an inactive user is told so only with the right password', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  await api.sql`update users set status = 'frozen'`;
  const login = (password: string) =>
    api.request('POST', '/api/auth/login', { body: { email: person.email, password } });
  t.equal((await login('wrong password')).status, 401);
  t.equal((await login(person.password)).status, 403);
  t.equal((await api.request('POST', '/api/auth/refresh', { body: { refreshToken } })).status, 401);
});

t.test('a storm of sign-ins by one user costs one hash and keeps a bounded number of sessions', async (t) => {
  const api = await startTestApi(t);
  await register(api);
  const { passwords } = api.api.services;
  const before = passwords.hashes;
  const login = () =>
    api.request('POST', '/api/auth/login', { body: { email: person.email, password: person.password } });
  // Fifty at once: more would wait for the database on a busy machine for longer than a request may.
  for (let turn = 0; turn < 6; turn++) {
    const replies = await Promise.all(Array.from({ length: 50 }, login));
    t.ok(replies.every(({ status }) => status === 200));
  }
  t.equal(passwords.hashes, before + 1);
  const [row] = await api.sql`select count(*)::integer as count from sessions`;
  t.ok(row!['count'] <= 110, `${row!['count']} sessions`);
  await api.sql`update users set password_hash = ${await passwords.hash('another password')}`;
  t.equal((await login()).status, 401, 'what was remembered does not outlive the stored hash');
});

t.test('lapsed sessions are swept', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  await api.sql`update sessions set expires_at = now() - interval '1 second'`;
  t.equal((await api.request('POST', '/api/auth/refresh', { body: { refreshToken } })).status, 401);
  await api.api.services.housekeeping.run();
  t.equal((await api.sql`select from sessions`).length, 0);
});
