/**
 * Inviting people over HTTP with a real mail server: what inviters see, what links are good for, and what bounds both.
 */
import t, { type Test } from 'tap';
import { invitationsMax, linksMax, mailsMax } from '../auth/failures.js';
import type { Role } from '../auth/principal.js';
import { startTestApi } from '../testing/api-inside.js';
import { Mailbox } from '../testing/mailbox.js';
import { createCompany, createPerson } from '../testing/tenants.js';

const password = 'a-password-of-tests';
const eve = { email: 'Eve@guest.example', name: 'Eve', role: 'member' };

async function fixture(t: Test) {
  const mailbox = await Mailbox.start(t);
  const api = await startTestApi(t, { env: mailbox.env });
  const acme = await createCompany(api.sql, 'acme');
  const tokens = { owner: '', admin: '', member: '' };
  for (const { caller, id } of acme.users) tokens[caller as Role] = await api.tokenOf(id);
  const invite = (body: unknown, role: Role = 'owner') =>
    api.request('POST', '/api/companies/co_acme/invitations', { token: tokens[role], body });
  const accept = (invitation: string, changes: Record<string, unknown> = {}) =>
    api.request('POST', '/api/auth/accept', { body: { invitation, password, ...changes } });
  const pending = async () =>
    (await api.request('GET', '/api/companies/co_acme/invitations', { token: tokens.owner })).json.data;
  return { api, mailbox, acme, tokens, invite, accept, pending };
}

t.test('an invited person sets the password and works for the company', async (t) => {
  const { api, mailbox, invite, accept, pending, tokens } = await fixture(t);
  t.match(await invite(eve), { status: 202, json: { status: 'pending' } });
  t.match(await pending(), [{ id: /^inv_/, email: 'eve@guest.example', name: 'Eve', role: 'member' }]);
  const token = await mailbox.token('eve@guest.example');
  const [row] = await api.sql`select token_hash from invitations`;
  t.notOk(row!['token_hash'].toString('latin1').includes(token), 'the database has no link');
  t.match((await accept(token, { password: 'Password1234' })).json, { status: 400, field: 'password' });
  const joined = await accept(token);
  t.match(joined, {
    status: 200,
    json: { token: /./, refreshToken: /./, user: { email: 'eve@guest.example', role: 'member', companyId: 'co_acme' } },
  });
  t.equal((await api.request('GET', '/api/me', { token: joined.json.token })).status, 200);
  const login = await api.request('POST', '/api/auth/login', { body: { email: eve.email, password } });
  t.equal(login.status, 200);
  t.same(await pending(), []);
  const users = await api.request('GET', '/api/companies/co_acme/users', { token: tokens.owner });
  t.equal(users.json.data.length, 4);
});

t.test('a link works once, also for two concurrent requests', async (t) => {
  const { api, mailbox, invite, accept } = await fixture(t);
  await invite(eve);
  const token = await mailbox.token('eve@guest.example');
  const replies = await Promise.all([accept(token), accept(token), accept(token)]);
  t.same(replies.map(({ status }) => status).sort(), [200, 400, 400]);
  t.equal((await accept(token)).status, 400);
  t.equal((await api.sql`select from users where email = 'eve@guest.example'`).length, 1);
});

t.test('the inviter sees no difference between a free and a taken address', async (t) => {
  const { api, mailbox, invite, pending } = await fixture(t);
  await createPerson(api.sql, 'taken');
  const free = await invite({ ...eve, email: 'free@person.example' });
  const taken = await invite({ ...eve, email: 'Taken@person.example' });
  t.equal(taken.status, free.status);
  t.equal(taken.text, free.text);
  const names = (headers: Headers) => [...headers.keys()].sort();
  t.same(names(taken.headers), names(free.headers));
  t.match(await pending(), [{ email: 'taken@person.example' }, { email: 'free@person.example' }]);
  t.match((await mailbox.mail('free@person.example')).text, /#invitation=afi_/);
  const notice = await mailbox.mail('taken@person.example');
  t.notMatch(notice.text, /afi_/, 'the owner of the address gets a notice without a link');
  t.match(notice.text, /has a user already/);
});

t.test('an address that registers meanwhile keeps its user', async (t) => {
  const { api, mailbox, invite, accept } = await fixture(t);
  await invite(eve);
  const token = await mailbox.token('eve@guest.example');
  const body = { email: 'eve@guest.example', password, name: 'Eve', kind: 'personal' };
  t.equal((await api.request('POST', '/api/auth/register', { body })).status, 201);
  t.match((await accept(token, { password: 'another-password' })).json, { status: 409, title: 'email_taken' });
  t.equal((await api.request('POST', '/api/auth/login', { body: { email: eve.email, password } })).status, 200);
});

t.test('a link ends when it lapses, is replaced or withdrawn, or its inviter loses the right', async (t) => {
  const { api, mailbox, invite, accept, pending, tokens } = await fixture(t);
  await invite(eve);
  const first = await mailbox.token('eve@guest.example');
  await invite({ ...eve, role: 'admin' });
  const second = await mailbox.token('eve@guest.example', 2);
  t.equal((await pending()).length, 1, 'a repeated invitation replaces the first');
  t.match((await accept(first)).json, { status: 400, field: 'invitation' });
  const [{ id }] = await pending();
  const withdraw = (token: string) => api.request('DELETE', `/api/invitations/${id}`, { token });
  t.equal((await withdraw(tokens.member)).status, 403);
  t.equal((await withdraw(tokens.admin)).status, 204);
  t.equal((await withdraw(tokens.admin)).status, 404);
  t.equal((await accept(second)).status, 400);
  await invite(eve);
  await api.sql`update invitations set expires_at = now() - interval '1 second'`;
  t.equal((await accept(await mailbox.token('eve@guest.example', 3))).status, 400);
  t.same(await pending(), []);
  await invite(eve, 'admin');
  const last = await mailbox.token('eve@guest.example', 4);
  for (const change of [{ status: 'frozen' }, { status: 'active', role: 'member' }]) {
    await api.request('PATCH', '/api/users/usr_acme_admin', { token: tokens.owner, body: change });
    t.equal((await accept(last)).status, 400, JSON.stringify(change));
  }
  await api.request('PATCH', '/api/users/usr_acme_admin', { token: tokens.owner, body: { role: 'admin' } });
  t.equal((await accept(last)).status, 200, 'a refusal uses up nothing');
});

t.test('no inviter gives a role above their own', async (t) => {
  const { invite, pending } = await fixture(t);
  t.equal((await invite({ ...eve, role: 'owner' }, 'admin')).status, 403);
  t.equal((await invite(eve, 'member')).status, 403);
  t.same(await pending(), []);
  t.equal((await invite({ ...eve, role: 'owner' }, 'owner')).status, 202);
});

t.test('an admin who was demoted meanwhile invites no one', async (t) => {
  const { api, acme } = await fixture(t);
  const { id } = acme.user('admin');
  await api.sql`update users set role = 'member' where id = ${id}`;
  // The statement itself looks: a request that was let in a moment ago still writes nothing.
  const { invitations } = api.api.services;
  const origin = { address: '127.0.0.1', requestId: '', callers: ['admin'] };
  const stale = { userId: id, companyId: 1, role: 'admin', sessionId: 0, origin } as never;
  await t.rejects(invitations.invite(stale, { ...eve, role: 'member' }), { name: 'ActorRefused' });
  t.equal((await api.sql`select from invitations`).length, 0);
});

t.test('invitations are limited by company, mails by address, and attempts at links by network', async (t) => {
  const { api, mailbox, invite, accept } = await fixture(t);
  const answers = new Set<string>();
  for (let number = 0; number < mailsMax + 3; number++) answers.add((await invite(eve)).text);
  t.equal(answers.size, 1, 'the inviter does not learn how much mail an address had');
  await mailbox.mail('eve@guest.example', mailsMax);
  for (let number = mailsMax + 3; number < invitationsMax; number++) {
    t.equal((await invite({ ...eve, email: `e${number}@guest.example` })).status, 202);
  }
  const refused = await invite({ ...eve, email: 'one.more@guest.example' });
  t.equal(refused.status, 429);
  t.match(refused.headers.get('retry-after'), /^\d+$/);
  t.equal(mailbox.mails.filter(({ to }) => to === 'eve@guest.example').length, mailsMax);
  for (let number = 0; number < linksMax; number++) t.equal((await accept(`afi_${number}`)).status, 400);
  t.equal((await accept('afi_more')).status, 429);
  t.equal((await api.sql`select from users where kind = 'business'`).length, 3);
});

t.test('without a way to send mail an invitation is refused, and the answer says why', async (t) => {
  const api = await startTestApi(t, { env: { SELF_FUNDING: 'false' } });
  await api.sql`update program set demo = false`;
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  // The API asked the database at its start, when it was a demo's: another one asks now.
  const other = await startTestApi(t, { env: { SELF_FUNDING: 'false', DATABASE_URL: api.databaseUrl } });
  const reply = await other.request('POST', '/api/companies/co_acme/invitations', { token, body: eve });
  t.match(reply.json, { status: 503, title: 'mail_unavailable', detail: /SMTP_URL/ });
  t.equal((await api.sql`select from invitations`).length, 0);
  const reset = { body: { email: eve.email } };
  t.equal((await other.request('POST', '/api/auth/password/reset', reset)).status, 503);
});
