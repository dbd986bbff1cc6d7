/** Companies and their people over HTTP: roles, versions, pages, and that a company is never left without an owner. */
import t, { type Test } from 'tap';
import type { Caller } from '../auth/principal.js';
import { startTestApi } from '../testing/api-inside.js';
import { addColleague } from '../testing/colleague.js';
import { createCompany } from '../testing/tenants.js';

async function fixture(t: Test) {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const tokens: Record<string, string> = {};
  for (const { caller, id } of acme.users) tokens[caller] = await api.tokenOf(id);
  const as =
    (caller: Caller) =>
    (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      api.request(method, path, { token: tokens[caller]!, headers, ...(body === undefined ? {} : { body }) });
  return { api, acme, owner: as('owner'), admin: as('admin'), member: as('member') };
}

t.test('every user reads the company, and owners and admins rename it, one change at a time', async (t) => {
  const { owner, admin, member } = await fixture(t);
  const read = await member('GET', '/api/companies/co_acme');
  t.match(read.json, { id: 'co_acme', name: 'acme', version: 1, createdAt: /Z$/ });
  t.match(read.headers.get('etag'), /^"1-/);
  t.equal((await member('PATCH', '/api/companies/co_acme', { name: 'x' })).status, 403);
  t.match((await admin('PATCH', '/api/companies/co_acme', { name: 'Acme Inc.' })).json, {
    name: 'Acme Inc.',
    version: 2,
  });
  const stale = await owner('PATCH', '/api/companies/co_acme', { name: 'Late' }, { 'if-match': '"1"' });
  t.match(stale.json, { status: 412, title: 'version_changed' });
  t.equal(stale.headers.get('etag'), '"2"');
  t.equal((await owner('PATCH', '/api/companies/co_acme', { name: 'Third' }, { 'if-match': '"2"' })).status, 200);
  t.match((await owner('PATCH', '/api/companies/co_acme', { name: 'x' }, { 'if-match': '"three"' })).json, {
    status: 400,
    field: 'if-match',
  });
  t.match((await owner('PATCH', '/api/companies/co_acme', {})).json, { status: 400 });
});

t.test('people are listed in pages', async (t) => {
  const { api, owner, member } = await fixture(t);
  for (let number = 0; number < 4; number++) await addColleague(api, 'co_acme', 'member');
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = (await owner('GET', `/api/companies/co_acme/users?limit=3${cursor}`)).json;
    t.ok(page.data.length <= 3);
    for (const row of page.data) {
      seen.push(row.email);
      t.notOk('password' in row || 'passwordHash' in row);
    }
    cursor = page.next === null ? '' : `&cursor=${page.next}`;
  } while (cursor !== '');
  t.equal(seen.length, 7);
  t.equal(new Set(seen).size, 7);
  t.equal((await member('GET', '/api/companies/co_acme/users')).status, 403);
});

t.test('only owners make and change owners', async (t) => {
  const { owner, admin } = await fixture(t);
  t.equal((await admin('PATCH', '/api/users/usr_acme_member', { role: 'owner' })).status, 403);
  t.equal((await admin('PATCH', '/api/users/usr_acme_owner', { status: 'frozen' })).status, 403);
  t.equal((await owner('PATCH', '/api/users/usr_acme_member', { role: 'owner' })).json.role, 'owner');
});

t.test('a company keeps an active owner, even when two leave at once', async (t) => {
  const { owner, api } = await fixture(t);
  t.match((await owner('PATCH', '/api/users/usr_acme_owner', { role: 'admin' })).json, {
    status: 409,
    title: 'last_owner',
  });
  t.match((await owner('PATCH', '/api/users/usr_acme_owner', { status: 'frozen' })).json, {
    status: 409,
    title: 'last_owner',
  });
  await owner('PATCH', '/api/users/usr_acme_admin', { role: 'owner' });
  const statuses = await Promise.all(
    ['usr_acme_owner', 'usr_acme_admin'].map(
      async (id) => (await owner('PATCH', `/api/users/${id}`, { role: 'member' })).status,
    ),
  );
  t.ok(statuses.includes(200), String(statuses));
  const [row] = await api.sql`select count(*)::integer as owners from users where role = 'owner'`;
  t.equal(row!['owners'], 1);
});

t.test('a frozen user is signed out at once, and a closed user stays closed', async (t) => {
  const { owner, member } = await fixture(t);
  t.equal((await member('GET', '/api/me')).status, 200);
  const frozen = await owner('PATCH', '/api/users/usr_acme_member', { status: 'frozen' });
  t.match(frozen.json, { status: 'frozen', version: 2 });
  t.equal((await member('GET', '/api/me')).status, 401);
  t.equal((await owner('PATCH', '/api/users/usr_acme_member', { status: 'active' })).status, 200);
  t.equal((await member('GET', '/api/me')).status, 200);
  t.match((await owner('PATCH', '/api/users/usr_acme_member', { name: 'x' }, { 'if-match': '"1"' })).json, {
    status: 412,
  });
  await owner('PATCH', '/api/users/usr_acme_member', { status: 'closed' });
  t.match((await owner('PATCH', '/api/users/usr_acme_member', { status: 'active' })).json, {
    status: 409,
    title: 'user_closed',
  });
});
