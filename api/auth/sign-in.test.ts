/** Sign-in over HTTP on a real Postgres: opening customers, sessions and their tokens, failures, storms. */
import t from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { until } from '../../engine/testing/engine-process.js';
import { createLog } from '../../platform/log.js';
import { startApi } from '../api.js';
import { readApiConfig } from '../config.js';
import { graceS } from '../stores/sessions.js';
import { request, startTestApi, type TestApi } from '../testing/api-inside.js';
import { addColleague } from '../testing/colleague.js';
import { accountMax, pairMax, takenMax } from './failures.js';

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
  t.same(Object.keys(user).sort(), ['email', 'id', 'kind', 'kycStatus', 'metadata', 'name']);
  t.same((await api.request('GET', '/api/me', { token })).json, user);
  t.same(await api.sql`select kind, currency, time_zone, funds::integer, user_id is not null as owned from accounts`, [
    { kind: 'personal', currency: 'EUR', time_zone: 'Europe/Berlin', funds: 0, owned: true },
  ]);
  const [row] = await api.sql`select password_hash from users`;
  t.match(row!['password_hash'], /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
});

t.test('a business registers with its company, and its first user is the owner', async (t) => {
  const api = await startTestApi(t);
  const { user } = await register(api, { kind: 'business', company: 'Analytical Engines' });
  t.match(user, { kind: 'business', companyId: /^co_/, role: 'owner' });
  t.match(await api.sql`select kind, company_id is not null as owned, currency, time_zone from accounts`, [
    { kind: 'business', owned: true, currency: 'USD', time_zone: 'UTC' },
  ]);
});

t.test('a registration names its missing fields and leaves no rows behind', async (t) => {
  const api = await startTestApi(t);
  const bad: [Record<string, unknown>, string][] = [
    [{ email: 'no-address' }, 'email'],
    [{ email: 'a@b.c\0' }, 'email'],
    [{ email: 'pay.4111.1111.1111.1111@example.com' }, 'email'],
    [{ name: 'Ada 4111\u00a01111\u20131111 1111' }, 'name'],
    [{ password: 'eleven char' }, 'password'],
    [{ password: 'Password1234!' }, 'password'],
    [{ email: 'lovelace@example.com', password: 'lovelace-1815' }, 'password'],
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

t.test('an address registers once in any letter case, even when two requests try at once', async (t) => {
  const api = await startTestApi(t);
  const replies = await Promise.all(
    ['ada@example.com', 'ADA@example.com'].map((email) =>
      api.request('POST', '/api/auth/register', { body: { ...person, email, kind: 'business', company: 'x' } }),
    ),
  );
  t.same(replies.map(({ status }) => status).sort(), [201, 409]);
  t.match(replies.find(({ status }) => status === 409)!.json, { title: 'email_taken', field: 'email' });
  t.equal((await api.sql`select from companies`).length, 1, 'the failed registration leaves no company');
  t.equal((await api.sql`select from accounts`).length, 1);
  let last = 0;
  for (let tries = 0; tries <= takenMax; tries++) {
    last = (await api.request('POST', '/api/auth/register', { body: person })).status;
  }
  t.equal(last, 429, 'registrations for many addresses are limited');
});

const refresh = (api: TestApi, refreshToken: string) =>
  api.request('POST', '/api/auth/refresh', { body: { refreshToken } });
const endGrace = (api: TestApi) =>
  api.sql`update sessions set replaced_at = replaced_at - make_interval(secs => ${graceS}),
    replaced_before = (
      select coalesce(jsonb_object_agg(key, value::timestamptz - make_interval(secs => ${graceS})), '{}')
      from jsonb_each_text(replaced_before))`;

t.test('an old refresh token ends the session and its access tokens', async (t) => {
  const api = await startTestApi(t);
  const first = await register(api);
  const second = await refresh(api, first.refreshToken);
  t.equal(second.status, 200);
  t.not(second.json.refreshToken, first.refreshToken);
  t.equal((await api.request('GET', '/api/me', { token: second.json.token })).status, 200);
  await endGrace(api);
  const stolen = await refresh(api, first.refreshToken);
  t.match(stolen.json, { status: 401, title: 'invalid_refresh_token' });
  t.equal((await refresh(api, second.json.refreshToken)).status, 401, 'every token of the session has ended');
  t.equal((await api.request('GET', '/api/me', { token: second.json.token })).status, 401);
  for (const bad of ['x', 'A'.repeat(64), `${first.refreshToken}x`]) t.equal((await refresh(api, bad)).status, 401);
  t.match(await api.sql`select end_reason from sessions`, [{ end_reason: 'reuse' }]);
});

t.test('parallel refreshes with one token get the same successor, which works', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  const replies = await Promise.all(Array.from({ length: 8 }, () => refresh(api, refreshToken)));
  t.same(new Set(replies.map(({ status }) => status)), new Set([200]));
  const successors = new Set(replies.map(({ json }) => json.refreshToken));
  t.equal(successors.size, 1);
  const [successor] = [...successors];
  t.equal(
    (await refresh(api, refreshToken)).json.refreshToken,
    successor,
    'the refresh can be repeated after a lost answer',
  );
  t.equal((await refresh(api, successor)).status, 200);
});

t.test('within its grace a token leads to the newest one, however many have replaced it', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken: first } = await register(api);
  const chain: string[] = [first];
  for (let turn = 0; turn < 5; turn++) chain.push((await refresh(api, chain.at(-1)!)).json.refreshToken);
  t.equal(new Set(chain).size, 6);
  for (const token of chain.slice(0, -1)) t.equal((await refresh(api, token)).json.refreshToken, chain.at(-1));
  await endGrace(api);
  const newest = (await refresh(api, chain.at(-1)!)).json.refreshToken;
  t.match(
    await api.sql`select replaced_before from sessions`,
    [{ replaced_before: {} }],
    'only tokens with grace are kept',
  );
  t.equal((await refresh(api, chain.at(-1)!)).json.refreshToken, newest);
  t.equal((await refresh(api, first)).status, 401);
  t.equal((await refresh(api, newest)).status, 401, 'after its grace an old token ends the session');
});

t.test('each replaced token has a grace of its own', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken: first } = await register(api);
  const second = (await refresh(api, first)).json.refreshToken;
  const third = (await refresh(api, second)).json.refreshToken;
  await api.sql`update sessions set replaced_before = (
    select jsonb_object_agg(key, value::timestamptz - make_interval(secs => ${graceS}))
    from jsonb_each_text(replaced_before))`;
  t.equal((await refresh(api, second)).json.refreshToken, third);
  t.equal((await refresh(api, first)).status, 401);
  t.equal((await refresh(api, third)).status, 401, 'the session has ended');
});

t.test('of many replaced tokens the oldest has no grace', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken: first } = await register(api);
  let newest = first;
  for (let turn = 0; turn < 6; turn++) newest = (await refresh(api, newest)).json.refreshToken;
  t.equal((await refresh(api, first)).status, 401);
  t.equal((await refresh(api, newest)).status, 401);
});

t.test('a session ends after its longest lifetime, however often it is refreshed', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  await api.sql`update sessions set created_at = now() - interval '89 days'`;
  const { status, json } = await refresh(api, refreshToken);
  t.equal(status, 200);
  t.match(await api.sql`select expires_at <= created_at + interval '90 days' as bounded from sessions`, [
    { bounded: true },
  ]);
  await api.sql`update sessions
    set created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days'`;
  t.equal((await refresh(api, json.refreshToken)).status, 401);
});

t.test('a user sees where their sessions come from and ends one of them', async (t) => {
  const api = await startTestApi(t, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const { token } = await register(api);
  const phone = await api.request('POST', '/api/auth/login', {
    body: { email: person.email, password: person.password },
    headers: { 'user-agent': 'Phone/1', 'x-forwarded-for': '10.0.0.7' },
  });
  const list = async () => (await api.request('GET', '/api/sessions', { token })).json.data;
  const sessions = await list();
  t.match(sessions, [
    { id: /^ses_/, current: false, device: 'Phone/1', address: '10.0.0.7' },
    { id: /^ses_/, current: true, address: '127.0.0.1' },
  ]);
  const end = (id: string) => api.request('DELETE', `/api/sessions/${id}`, { token });
  t.equal((await end(sessions[0].id)).status, 204);
  t.equal((await end(sessions[0].id)).status, 404, 'the session has ended already');
  t.equal((await api.request('GET', '/api/me', { token: phone.json.token })).status, 401);
  t.equal((await refresh(api, phone.json.refreshToken)).status, 401);
  t.match(await list(), [{ current: true }]);
});

/** Without a notice from the other process, a status is believed for five seconds. */
const withoutNoticeMs = 4500;

t.test('a session ended at one process is refused at another within moments', async (t) => {
  const one = await startTestApi(t);
  const other = await startApi(
    readApiConfig({
      DATABASE_URL: processUrl(one.databaseUrl, 'api'),
      API_PORT: String(await findFreePort()),
      API_OPS_PORT: '0',
      JWT_SECRET: one.api.services.config.jwtSecrets.join(','),
      ENGINE_TOKEN: 'unused-by-this-test',
      PAN_KEY: 'unused-by-this-test',
      LOG_LEVEL: 'silent',
    }),
    createLog('silent', 'api'),
  );
  t.teardown(() => other.stop());
  const { services } = other;
  await until('the other process listens', () => services.invalidations.isListening);
  const at = (token: string) => request(other.url, 'GET', '/api/me', { token });
  const { token, refreshToken } = await register(one, { kind: 'business', company: 'x' });
  t.equal((await at(token)).status, 200);
  await one.request('POST', '/api/auth/logout', { body: { refreshToken } });
  await until('the sign-out is in force there', async () => (await at(token)).status === 401, withoutNoticeMs);
  const owner = await one.request('POST', '/api/auth/login', {
    body: { email: person.email, password: person.password },
  });
  const { id } = owner.json.user;
  const companyId = owner.json.user.companyId;
  const { email, password } = await addColleague(one, companyId, 'admin');
  const admin = await one.request('POST', '/api/auth/login', { body: { email, password } });
  t.equal((await at(admin.json.token)).status, 200);
  t.ok(id);
  const blocked = await one.request('PATCH', `/api/users/${admin.json.user.id}`, {
    token: owner.json.token,
    body: { status: 'frozen' },
  });
  t.match(blocked.json, { status: 'frozen' });
  await until('the block is in force there', async () => (await at(admin.json.token)).status === 401, withoutNoticeMs);
});

t.test('after a logout both tokens are refused, and another session continues', async (t) => {
  const api = await startTestApi(t);
  const one = await register(api);
  const login = () =>
    api.request('POST', '/api/auth/login', { body: { email: person.email, password: person.password } });
  const other = (await login()).json;
  const logout = () => api.request('POST', '/api/auth/logout', { body: { refreshToken: one.refreshToken } });
  t.equal((await logout()).status, 204);
  t.equal((await logout()).status, 204, 'a second logout is no error');
  const { refreshToken: old } = (await login()).json;
  const renewed = (await refresh(api, old)).json;
  await api.request('POST', '/api/auth/logout', { body: { refreshToken: old } });
  t.equal((await refresh(api, renewed.refreshToken)).status, 401, 'the previous token ends the session too');
  t.equal((await api.request('POST', '/api/auth/refresh', { body: { refreshToken: one.refreshToken } })).status, 401);
  t.equal((await api.request('GET', '/api/me', { token: one.token })).status, 401);
  t.equal((await api.request('GET', '/api/me', { token: other.token })).status, 200);
});

t.test('a wrong password and an unknown address get the same answer', async (t) => {
  const api = await startTestApi(t);
  await register(api);
  await api.sql`insert into users (public_id, email, name, kind)
    values ('usr_x', 'no-password@example.com', 'x', 'personal')`;
  const texts = new Set<string>();
  for (const email of [person.email, 'unknown@example.com', 'no-password@example.com']) {
    const before = api.api.services.passwords.hashes;
    const reply = await api.request('POST', '/api/auth/login', { body: { email, password: 'not the password' } });
    t.equal(reply.status, 401);
    t.equal(api.api.services.passwords.hashes, before + 1, 'each attempt costs one hash');
    const { requestId, ...rest } = reply.json;
    t.ok(requestId);
    texts.add(JSON.stringify(rest));
  }
  t.equal(texts.size, 1);
  t.match([...texts][0], /invalid_credentials/);
});

t.test('too many failures close an account to the guesser and to no other address', async (t) => {
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
  t.equal((await login(person.password, '10.0.0.2')).status, 200, 'the owner signs in from another address');
  t.equal((await login('wrong', '10.0.0.9')).status, 401, 'a success forgives the earlier failure');
  for (let tries = 0; tries < pairMax; tries++) await login('wrong', '10.0.0.1', 'unknown@example.com');
  t.equal(
    (await login('wrong', '10.0.0.1', 'unknown@example.com')).status,
    429,
    'an unknown address gets the same answers',
  );
  for (let place = 0; place < accountMax / pairMax; place++) {
    await Promise.all(Array.from({ length: pairMax }, (_, number) => login(`wrong ${number}`, `10.1.0.${place}`)));
  }
  t.equal((await login(person.password, '10.2.0.1')).status, 429, 'many networks together lock the account');
  t.equal((await login(person.password, '10.0.0.9')).status, 200, 'the lock spares networks that the owner has used');
});

t.test('parallel guesses from one network count, and lock out no other network', async (t) => {
  const api = await startTestApi(t, { env: { TRUSTED_PROXIES: '127.0.0.1' } });
  await register(api);
  const login = (password: string, from: string) =>
    api.request('POST', '/api/auth/login', {
      body: { email: person.email, password },
      headers: { 'x-forwarded-for': from },
    });
  const { passwords } = api.api.services;
  const before = passwords.hashes;
  const guesses = await Promise.all(Array.from({ length: 130 }, (_, number) => login(`guess ${number}`, '10.0.0.1')));
  t.equal(guesses.filter(({ status }) => status === 401).length, pairMax);
  t.equal(guesses.filter(({ status }) => status === 429).length, 130 - pairMax);
  t.equal(passwords.hashes - before, pairMax, 'a refused guess is not compared');
  t.equal((await login(person.password, '10.0.0.2')).status, 200, 'the owner signs in from a new network');
  const [row] = guesses.filter(({ status }) => status === 429);
  const leftS = Number(row!.headers.get('retry-after'));
  t.ok(leftS > 0 && leftS <= 900);
});

t.test('a user learns of being inactive only with the right password', async (t) => {
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
  // A hundred are kept; of fifty at once each may count before the others have trimmed.
  t.ok(row!['count'] <= 150, `${row!['count']} sessions`);
  await api.sql`update users set password_hash = ${await passwords.hash('another password')}`;
  t.equal((await login()).status, 401, 'a remembered password ends with its stored hash');
});

t.test('lapsed sessions are removed', async (t) => {
  const api = await startTestApi(t);
  const { refreshToken } = await register(api);
  await api.sql`update sessions set expires_at = now() - interval '1 second'`;
  t.equal((await api.request('POST', '/api/auth/refresh', { body: { refreshToken } })).status, 401);
  await api.api.services.housekeeping.run();
  t.equal((await api.sql`select from sessions`).length, 0);
});
