/** What users change about themselves. */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';
import { createCompany } from '../testing/tenants.js';

t.test('users change their own name, and people change their metadata', async (t) => {
  const api = await startTestApi(t);
  const customer = await Customer.register(api, 'personal');
  const acme = await createCompany(api.sql, 'acme');
  const member = await api.tokenOf(acme.user('member').id);
  t.match(await customer.change('PATCH', '/api/me', { name: 'Grace Hopper' }), {
    status: 200,
    json: { id: customer.userId, name: 'Grace Hopper', email: customer.email },
  });
  t.equal((await customer.get('/api/me')).json.name, 'Grace Hopper');
  const renamed = await api.request('PATCH', '/api/me', { token: member, body: { name: 'Mia Member' } });
  t.match(renamed, { status: 200, json: { name: 'Mia Member', role: 'member', companyId: 'co_acme' } });
  const metadata = { 'crm-id': '42' };
  t.match(await customer.change('PATCH', '/api/me', { metadata }), { status: 200, json: { metadata } });
  t.match((await customer.get('/api/me')).json, { name: 'Grace Hopper', metadata });
  t.equal((await api.request('PATCH', '/api/me', { token: member, body: { metadata } })).status, 403);
  for (const body of [
    { name: ' ' },
    { metadata: { note: '4111 1111 1111 1111' } },
    { name: '4111 1111 1111 1111' },
    { email: 'x@y.example' },
    { role: 'owner' },
    {},
  ]) {
    t.equal((await customer.change('PATCH', '/api/me', body)).status, 400, JSON.stringify(body));
  }
  t.match(await api.sql`select name, role, version from users where public_id <> 'usr_acme_owner' order by id`, [
    { name: 'Grace Hopper', role: null, version: 3 },
    { name: 'admin', version: 1 },
    { name: 'Mia Member', role: 'member', version: 2 },
  ]);
});
