/** The people of a company narrowed by filters, and the metadata that is kept with them. */
import t from 'tap';
import { startTestApi } from '../testing/api-inside.js';
import { createCompany } from '../testing/tenants.js';

t.test('filters list exactly the people who match, in the order they joined', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  await createCompany(api.sql, 'bolt');
  await api.sql`
    insert into users (public_id, company_id, role, email, name, kind, password_hash, status)
    select 'usr_' || n, company_id, (array['member', 'admin'])[1 + n % 2], 'p' || n || '@sales.example', 'Zoë ' || n,
    'business',
      'none', (array['active', 'frozen', 'closed'])[1 + n % 3]
    from users, generate_series(1, 40) n where public_id = ${acme.user('owner').publicId}`;
  const token = await api.tokenOf(acme.user('owner').id);
  const walk = async (query: string, limit: number) => {
    const people = [];
    for (let next: string | null = ''; next !== null; ) {
      const cursor: string = next === '' ? '' : `&cursor=${next}`;
      const path = `/api/companies/${acme.companyId}/users?limit=${limit}${query}${cursor}`;
      const { status, json, text } = await api.request('GET', path, { token });
      if (status !== 200) throw new Error(text);
      people.push(...json.data);
      next = json.next;
    }
    return people;
  };
  const all = await walk('', 200);
  t.equal(all.length, 43);
  const filters: [string, (person: (typeof all)[number]) => boolean][] = [
    ['role=admin', ({ role }) => role === 'admin'],
    ['status=frozen', ({ status }) => status === 'frozen'],
    ['role=member&status=closed', ({ role, status }) => role === 'member' && status === 'closed'],
    ['email=P1', ({ email }) => email.includes('p1')],
    [`name=${encodeURIComponent('ZOË 3')}`, ({ name }) => name.includes('Zoë 3')],
    ['name=Zo&email=sales&status=active', ({ name, status }) => name.startsWith('Zoë') && status === 'active'],
    ['name=bolt', () => false],
  ];
  for (const [query, matches] of filters) {
    for (const limit of [4, 200])
      t.same(await walk(`&${query}`, limit), all.filter(matches), `${query}, ${limit} a page`);
  }
  for (const query of ['role=king', 'status=', 'email=', 'phone=1']) {
    const path = `/api/companies/${acme.companyId}/users?${query}`;
    t.equal((await api.request('GET', path, { token })).status, 400, query);
  }
});

t.test('a page looks at a bounded number of people, and the next page continues after them', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  await api.sql`
    insert into users (public_id, company_id, role, email, name, kind, password_hash)
    select 'usr_' || n, company_id, 'member', 'p' || n || '@acme.example', case n when 2900 then 'Rare' else 'P' end,
    'business',
      'none'
    from users, generate_series(1, 3000) n where public_id = ${acme.user('owner').publicId}`;
  const token = await api.tokenOf(acme.user('owner').id);
  const path = `/api/companies/${acme.companyId}/users?name=rare`;
  const first = await api.request('GET', path, { token });
  t.match(first.json, { data: [], next: /./ });
  const second = await api.request('GET', `${path}&cursor=${first.json.next}`, { token });
  t.match(second.json, { data: [{ name: 'Rare' }], next: null });
});

t.test('metadata of a person are replaced as a whole and make a new version', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const token = await api.tokenOf(acme.user('owner').id);
  const path = `/api/users/${acme.user('member').publicId}`;
  t.match((await api.request('GET', path, { token })).json, { metadata: {}, version: 1 });
  const change = (metadata: unknown) => api.request('PATCH', path, { token, body: { metadata } });
  const changed = await change({ 'hr.id': '17', team: 'ops' });
  t.match(changed, { status: 200, json: { version: 2, effective: true } });
  t.same((await change({ team: 'sales' })).json.metadata, { team: 'sales' });
  t.same((await api.request('GET', path, { token })).json.metadata, { team: 'sales' });
  const named = await api.request('PATCH', path, { token, body: { name: 'New' } });
  t.match(named.json, { name: 'New', metadata: { team: 'sales' } });
  t.match(await change({ a: 'my card 4111 1111 1111 1111' }), { status: 400, json: { field: 'metadata.a' } });
  t.match(await change({ a: 1 }), { status: 400 });
  const member = await api.tokenOf(acme.user('member').id);
  t.equal((await api.request('PATCH', path, { token: member, body: { metadata: {} } })).status, 403);
});
