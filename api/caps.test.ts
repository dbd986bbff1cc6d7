/** How many cards and users one customer may have. */
import t from 'tap';
import { startTestApi } from './testing/api-inside.js';
import { createCompany, createPerson } from './testing/tenants.js';

t.test('a person has so many cards that are not closed', async (t) => {
  const api = await startTestApi(t, { env: { CARDS_PER_PERSON_MAX: '3', CARDS_PER_COMPANY_MAX: '1' } });
  const ada = await createPerson(api.sql, 'ada');
  const bob = await createPerson(api.sql, 'bob');
  const token = await api.tokenOf(ada.users[0]!.id);
  const add = (key: string, of = token, accountId = ada.accountId) =>
    api.request('POST', '/api/cards', {
      token: of,
      body: { accountId, name: 'Card' },
      headers: { 'idempotency-key': key },
    });
  t.equal((await add('second')).status, 201);
  const third = await add('third');
  t.equal(third.status, 201);
  t.match(await add('fourth'), { status: 409, json: { title: 'too_many_cards', detail: /3 cards/ } });
  t.same((await add('third')).json, third.json, 'a repeat is answered as before');
  t.equal((await add('other', await api.tokenOf(bob.users[0]!.id), bob.accountId)).status, 201, 'another person');
  const path = `/api/cards/${third.json.id}`;
  const replaced = await api.request('POST', `${path}/replace`, { token, body: { reason: 'lost' } });
  t.equal(replaced.status, 201, 'a replacement takes the place of the old card');
  t.equal((await add('fifth')).status, 409);
  await api.request('PATCH', `/api/cards/${replaced.json.id}`, { token, body: { status: 'closed' } });
  t.equal((await add('sixth')).status, 201, 'a closed card makes room');
  t.equal((await add('seventh')).status, 409);
});

t.test('a company has so many cards, whichever user adds them', async (t) => {
  const api = await startTestApi(t, { env: { CARDS_PER_PERSON_MAX: '1', CARDS_PER_COMPANY_MAX: '4' } });
  const acme = await createCompany(api.sql, 'acme');
  const add = async (role: 'owner' | 'admin') =>
    api.request('POST', '/api/cards', {
      token: await api.tokenOf(acme.user(role).id),
      body: { accountId: acme.accountId, name: 'Card' },
    });
  t.equal((await add('owner')).status, 201, 'the fourth');
  t.match(await add('admin'), { status: 409, json: { title: 'too_many_cards', detail: /4 cards/ } });
});

t.test('a company has so many users, with those that are invited', async (t) => {
  const api = await startTestApi(t, { env: { USERS_PER_COMPANY_MAX: '5' } });
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const invite = (name: string) =>
    api.request('POST', `/api/companies/${acme.companyId}/invitations`, {
      token,
      body: { email: `${name}@example.com`, name, role: 'member' },
    });
  t.equal((await invite('one')).status, 202);
  t.equal((await invite('two')).status, 202);
  t.match(await invite('three'), { status: 409, json: { title: 'too_many_users', detail: /5 users/ } });
  t.equal((await invite('two')).status, 202, 'an invitation is sent again');
  t.match(await invite('owner'), { status: 409 }, 'whatever the address');
  await api.sql`update users set status = 'closed' where role = 'member'`;
  t.equal((await invite('three')).status, 202, 'a closed user makes room');
});
