/** Changing and resetting passwords over HTTP with a real mail server. */
import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { linksMax, mailsMax, pairMax, resetsMax } from '../auth/failures.js';
import { startTestApi } from '../testing/api-inside.js';
import { Mailbox } from '../testing/mailbox.js';

const person = { email: 'Ada@Example.com', password: 'correct horse', name: 'Ada', kind: 'personal' };
const newPassword = 'another-long-password';

async function fixture(t: Test) {
  const mailbox = await Mailbox.start(t);
  const api = await startTestApi(t, { env: mailbox.env });
  const post = (path: string, body: unknown, token?: string) =>
    api.request('POST', path, { body, ...(token === undefined ? {} : { token }) });
  const registered = await post('/api/auth/register', person);
  if (registered.status !== 201) throw new Error(registered.text);
  const login = (password: string) => post('/api/auth/login', { email: person.email, password });
  const ask = (email = person.email) => post('/api/auth/password/reset', { email });
  const reset = (token: string, password = newPassword) =>
    post('/api/auth/password/reset', { reset: token, newPassword: password });
  const isIn = async (token: string) => (await api.request('GET', '/api/me', { token })).status === 200;
  return { api, mailbox, post, login, ask, reset, isIn, first: registered.json as Record<string, string> };
}

t.test('a changed password ends every session, and only the new password signs in', async (t) => {
  const { mailbox, post, login, isIn, first } = await fixture(t);
  const second = (await login(person.password)).json;
  const change = (body: object) => post('/api/auth/password', body, first['token']);
  t.match((await change({ password: 'not the password', newPassword })).json, {
    status: 403,
    title: 'wrong_password',
    field: 'password',
  });
  t.match((await change({ password: person.password, newPassword: 'Password1234' })).json, {
    status: 400,
    field: 'newPassword',
  });
  t.match((await change({ password: person.password, newPassword: person.password })).json, { status: 400 });
  t.ok(await isIn(second.token));
  t.equal((await change({ password: person.password, newPassword })).status, 204);
  for (const { token, refreshToken } of [first, second] as { token: string; refreshToken: string }[]) {
    t.notOk(await isIn(token));
    t.equal((await post('/api/auth/refresh', { refreshToken })).status, 401);
  }
  t.equal((await login(person.password)).status, 401);
  t.equal((await login(newPassword)).status, 200);
  t.match((await mailbox.mail('ada@example.com')).subject, /password was changed/);
});

t.test('guesses at the old password of a stolen session count as failed sign-ins', async (t) => {
  const { post, login, first } = await fixture(t);
  const guess = () => post('/api/auth/password', { password: 'not the password', newPassword }, first['token']);
  for (let tries = 0; tries < pairMax; tries++) t.equal((await guess()).status, 403);
  t.equal((await guess()).status, 429);
  t.equal((await login(person.password)).status, 429);
});

t.test('a sign-in under way with the old password opens no session after the change', async (t) => {
  const { api, login } = await fixture(t);
  const { sessions, users } = { sessions: api.api.services.signIn, users: api.api.services.users };
  const { user } = await users.byEmail(person.email);
  const { passwordHash, ...row } = user!;
  await api.sql`update users set password_hash = ${await api.api.services.passwords.hash(newPassword)}`;
  const device = { address: '127.0.0.1', network: '127.0.0.1', userAgent: '', requestId: '' };
  await t.rejects(sessions.open(row, passwordHash!, device), { message: /password is wrong/ });
  t.equal((await login(person.password)).status, 401);
});

t.test('a link sets a new password once, and ends every session and every other link', async (t) => {
  const { api, mailbox, ask, reset, login, isIn, first } = await fixture(t);
  t.match(await ask(), { status: 202, json: { status: 'pending' } });
  const link = await mailbox.token('ada@example.com');
  await ask();
  const other = await mailbox.token('ada@example.com', 2);
  t.notOk(JSON.stringify(await api.sql`select token_hash::text from password_resets`).includes(link));
  t.match((await reset(link, 'short')).json, { status: 400, field: 'newPassword' });
  t.match((await reset(link, 'Password1234')).json, { status: 400, field: 'newPassword' });
  t.ok(await isIn(first['token']!), 'requesting a link ends no session');
  const replies = await Promise.all([reset(link), reset(link), reset(link)]);
  t.same(replies.map(({ status }) => status).sort(), [204, 400, 400]);
  t.notOk(await isIn(first['token']!));
  t.match((await reset(other, 'yet-another-password')).json, { status: 400, field: 'reset' });
  t.equal((await login(person.password)).status, 401);
  t.equal((await login(newPassword)).status, 200);
});

t.test('a link lapses, and has no effect for a blocked user', async (t) => {
  const { api, mailbox, ask, reset } = await fixture(t);
  await ask();
  const link = await mailbox.token('ada@example.com');
  await api.sql`update users set status = 'frozen'`;
  t.equal((await reset(link)).status, 400);
  await api.sql`update users set status = 'active'`;
  await api.sql`update password_resets set expires_at = now() - interval '1 second'`;
  t.equal((await reset(link)).status, 400);
  await api.api.services.housekeeping.run();
  t.equal((await api.sql`select from password_resets`).length, 0);
});

t.test(
  'the answer does not reveal whether an address is registered, and only a registered one gets mail',
  async (t) => {
    const { api, mailbox, ask } = await fixture(t);
    await api.sql`insert into users (public_id, email, name, kind, status)
    values ('usr_x', 'blocked@example.com', 'x', 'personal', 'frozen')`;
    const replies = [];
    for (const email of ['unknown@example.com', 'blocked@example.com', person.email]) replies.push(await ask(email));
    t.same(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size, 1);
    t.same(new Set(replies.map(({ headers }) => [...headers.keys()].sort().join())).size, 1);
    await mailbox.mail('ada@example.com');
    t.equal(mailbox.mails.length, 1);
  },
);

t.test('requests are counted for the address and for the network, known or not', async (t) => {
  const { mailbox, ask, reset } = await fixture(t);
  for (let number = 0; number < mailsMax + 2; number++) t.equal((await ask()).status, 202);
  await mailbox.mail('ada@example.com', mailsMax);
  for (let number = mailsMax + 2; number < resetsMax; number++)
    t.equal((await ask(`u${number}@x.example`)).status, 202);
  const refused = await ask('unknown@example.com');
  t.equal(refused.status, 429);
  t.same({ ...(await ask()).json, requestId: '' }, { ...refused.json, requestId: '' });
  await until('the last request has ended', () => mailbox.mails.length >= mailsMax);
  t.equal(mailbox.mails.length, mailsMax, 'an address gets no more mail than its bound');
  for (let number = 0; number < linksMax; number++) t.equal((await reset(`afr_${number}`)).status, 400);
  t.equal((await reset('afr_more')).status, 429);
});

t.test('a request for a link and its use differ by their fields', async (t) => {
  const { post } = await fixture(t);
  for (const [body, field] of [
    [{}, 'email'],
    [{ reset: 'x' }, 'newPassword'],
    [{ newPassword }, 'email'],
    [{ email: person.email, reset: 'x', newPassword }, 'reset'],
    [{ email: person.email, newPassword }, 'newPassword'],
  ] as const) {
    t.match((await post('/api/auth/password/reset', body)).json, { status: 400, field }, JSON.stringify(body));
  }
});
