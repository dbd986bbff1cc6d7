/** Cards and limits beyond the usual way: who may do what, versions, and everything that is refused by name. */
import t from 'tap';
import { demoCardToken, demoEmail, demoPassword, seedDemo } from '../../deploy/demo.js';
import { mongoFor } from '../../deploy/testing/for-test.js';
import type { Role } from '../auth/principal.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { addColleague } from '../testing/colleague.js';
import { Customer, fresh, pay } from '../testing/customer.js';

async function accountOf(api: TestApi, customer: Customer): Promise<string> {
  const [row] = await api.sql<{ id: string }[]>`
    select a.public_id as id from accounts a join users u on a.owner_key = coalesce(u.company_id * 2 + 1, u.id * 2)
    where u.public_id = ${customer.userId}`;
  return row!.id;
}

/** A new person in the owner's company. */
async function colleague(api: TestApi, owner: Customer, role: Role): Promise<Customer> {
  const me = await owner.get('/api/me');
  const { id, publicId, email } = await addColleague(api, me.json.companyId, role);
  return new Customer(api, await api.tokenOf(id), publicId, email);
}

for (const kind of ['business', 'personal'] as const) {
  t.test(`cards of a ${kind} customer`, async (t) => {
    const api = await startTestApi(t);
    const customer = await Customer.register(api, kind);
    const accountId = await accountOf(api, customer);

    t.test('one key makes one card, and its token is unique and contains no number', async (t) => {
      const body = { accountId, name: 'Groceries', limits: { daily: { amount: 5000 }, channels: { block: ['atm'] } } };
      const key = fresh('card');
      const made = await Promise.all([1, 2, 3].map(() => customer.post('/api/cards', body, key)));
      t.same([...new Set(made.map(({ status }) => status))], [201]);
      t.equal(new Set(made.map(({ json }) => json.id)).size, 1);
      const card = made[0]!.json;
      t.match(card, { ...body, userId: customer.userId, status: 'active', version: 1, token: /^tok_[a-z]{28}$/ });
      t.match(card.expires, /^\d{4}-\d{2}-(28|29|30|31)$/);
      t.equal((await customer.get('/api/cards')).json.data.length, 1);
      const other = await customer.post('/api/cards', body);
      t.not(other.json.token, card.token);
    });

    t.test('lists come a page at a time, newest first', async (t) => {
      for (let n = 0; n < 3; n++) await customer.card(accountId);
      const seen: string[] = [];
      let next: string | null = '';
      while (next !== null) {
        const page = await customer.get(`/api/cards?limit=2${next === '' ? '' : `&cursor=${next}`}`);
        seen.push(...page.json.data.map(({ id }: { id: string }) => id));
        next = page.json.next;
      }
      t.equal(seen.length, 5);
      t.equal(new Set(seen).size, 5);
    });

    t.test('a change that names an older version is refused', async (t) => {
      const { id } = await customer.card(accountId);
      const path = `/api/cards/${id}`;
      const shown = await customer.get(path);
      t.match(shown.headers.get('etag'), /^"1-/);
      const renamed = await customer.change('PATCH', path, { name: 'New' }, { 'if-match': '"1"' });
      t.match(renamed.json, { name: 'New', version: 2, effective: true });
      t.equal(renamed.headers.get('etag'), '"2"');
      const late = await customer.change('PATCH', path, { status: 'closed' }, { 'if-match': '"1"' });
      t.match(late, { status: 412, json: { title: 'version_changed' } });
      t.match((await customer.get(path)).json, { status: 'active', name: 'New' }, 'the next read has the change');
      const limits = await customer.change('PUT', `${path}/limits`, { daily: { count: 1 } }, { 'if-match': '"1"' });
      t.equal(limits.status, 412);
    });

    t.test('limits are checked to the last value and refused by name', async (t) => {
      const { id } = await customer.card(accountId);
      const refused: [object, string][] = [
        [{ daily: {} }, 'daily'],
        [{ daily: { amount: -1 } }, 'daily.amount'],
        [{ daily: { amount: 1.5 } }, 'daily.amount'],
        [{ daily: { amount: '5' } }, 'daily.amount'],
        [{ daily: { total: 5 } }, 'daily.total'],
        [{ hourly: { amount: 5 } }, 'hourly'],
        [{ mcc: { allow: ['541'] } }, 'mcc.allow.0'],
        [{ mcc: { allow: ['5411'], block: ['7995'] } }, 'mcc'],
        [{ mcc: { allow: ['5411', '5411'] } }, 'mcc.allow'],
        [{ countries: { block: ['US', 'XX'] } }, 'countries.block.1'],
        [{ channels: { allow: ['fax'] } }, 'channels.allow.0'],
        [{ merchants: { block: ['4111111111111111'] } }, 'merchants.block.0'],
        [{ merchants: { block: Array.from({ length: 501 }, (_, n) => `m-${n}`) } }, 'merchants.block'],
      ];
      for (const [body, field] of refused) {
        const reply = await customer.change('PUT', `/api/cards/${id}/limits`, body);
        t.match(reply, { status: 400, json: { field } }, JSON.stringify(body).slice(0, 60));
        const made = await customer.post('/api/cards', { accountId, name: 'x', limits: body });
        t.match(made, { status: 400, json: { field: `limits.${field}` } });
      }
      t.match((await customer.get(`/api/cards/${id}`)).json, { version: 1, limits: {} });
    });

    t.test('no name hides a card number, and unknown properties are refused', async (t) => {
      const body = { accountId, name: 'My 4111 1111 1111 1111' };
      t.match(await customer.post('/api/cards', body), { status: 400, json: { field: 'name' } });
      t.match(await customer.post('/api/cards', { accountId, name: 'x', token: 'tok_mine' }), { status: 400 });
      t.match(await customer.post('/api/cards', { accountId: 'acct_none', name: 'x' }), { status: 404 });
      const { id } = await customer.card(accountId);
      t.match(await customer.change('PATCH', `/api/cards/${id}`, { version: 9 }), { status: 400 });
      t.match(await customer.change('PATCH', `/api/cards/${id}`, {}), { status: 400 });
    });

    t.test('the use of limits needs the engine, and the error says so', async (t) => {
      const { id } = await customer.card(accountId);
      const reply = await api.request('GET', `/api/cards/${id}/limits`, { token: customer.token });
      t.match(reply, { status: 503, json: { title: 'engine_unavailable' } });
    });
  });
}

t.test('in a company', async (t) => {
  const api = await startTestApi(t);
  const owner = await Customer.register(api, 'business');
  const admin = await colleague(api, owner, 'admin');
  const member = await colleague(api, owner, 'member');
  const accountId = await accountOf(api, owner);

  t.test('a member sees and freezes a card of theirs, and others unfreeze it', async (t) => {
    const made = await admin.post('/api/cards', { accountId, name: 'For them', userId: member.userId });
    t.match(made, { status: 201, json: { userId: member.userId } });
    await owner.card(accountId);
    const path = `/api/cards/${made.json.id}`;
    t.same(
      (await member.get('/api/cards')).json.data.map(({ id }: { id: string }) => id),
      [made.json.id],
    );
    t.equal((await owner.get('/api/cards')).json.data.length, 2);
    t.match(await member.change('PATCH', path, { status: 'frozen' }), { status: 200, json: { status: 'frozen' } });
    t.equal((await member.change('PATCH', path, { status: 'active' })).status, 403);
    t.equal((await member.change('PATCH', path, { name: 'Mine' })).status, 403);
    t.equal((await member.change('PUT', `${path}/limits`, {})).status, 403);
    t.match(await owner.get(path), { json: { status: 'frozen' } }, 'the owner sees the freeze at once');
    t.match(await owner.change('PATCH', path, { status: 'active' }), { status: 200 });
    t.match(await member.get(path), { json: { status: 'active' } });
  });

  t.test('a card cannot go to a user of another company', async (t) => {
    const outsider = await Customer.register(api, 'business');
    const reply = await owner.post('/api/cards', { accountId, name: 'x', userId: outsider.userId });
    t.match(reply, { status: 404, json: { field: 'userId' } });
    t.equal((await member.post('/api/cards', { accountId, name: 'x' })).status, 403);
  });

  t.test('an administrator adds no card for an owner', async (t) => {
    const limits = { daily: { amount: 1 } };
    t.equal((await admin.change('PUT', `/api/users/${owner.userId}/limits`, limits)).status, 403);
    t.equal((await admin.change('PUT', `/api/users/${member.userId}/limits`, limits)).status, 200);
    t.equal((await owner.change('PUT', `/api/users/${admin.userId}/limits`, limits)).status, 200);
    t.equal((await member.change('PUT', `/api/users/${member.userId}/limits`, {})).status, 403);
  });
});

for (const withMongo of [false, true]) {
  t.test(`the demo user has the demo cards, ${withMongo ? 'in MongoDB' : 'in Postgres'}`, async (t) => {
    const mongo = withMongo ? await mongoFor(t) : null;
    const api = await startTestApi(t, mongo === null ? {} : { env: { MONGODB_URI: mongo.uri } });
    await seedDemo(api.sql);
    const body = { email: demoEmail, password: demoPassword };
    const { json } = await api.request('POST', '/api/auth/login', { body });
    const demo = new Customer(api, json.token, json.user.id, demoEmail);
    const cards = (await demo.get('/api/cards')).json.data;
    t.equal(cards.length, 3);
    t.ok(cards.some(({ token }: { token: string }) => token === demoCardToken));
    t.match(cards.map(({ status }: { status: string }) => status).sort(), ['active', 'active', 'frozen']);
    t.equal(cards.filter(({ limits }: { limits: object }) => Object.keys(limits).length > 0).length, 1);
    await seedDemo(api.sql);
    t.equal((await demo.get('/api/cards')).json.data.length, 3);
    const frozen = cards.find(({ status }: { status: string }) => status === 'frozen');
    t.match(await demo.change('PATCH', `/api/cards/${frozen.id}`, { status: 'active' }), {
      status: 200,
      json: { status: 'active', effective: true },
    });
  });
}

t.test('the tag of limits changes with the spending, and If-Match stays on the version', async (t) => {
  const api = await startTestApi(t, { engine: true, env: { SELF_FUNDING: 'true' } });
  const customer = await Customer.register(api, 'personal');
  const accountId = await accountOf(api, customer);
  t.equal((await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 1000 })).status, 201);
  const card = await customer.card(accountId);
  const path = `/api/cards/${card.id}/limits`;
  const etag = (await customer.get(path)).headers.get('etag')!;
  const unchanged = () => api.request('GET', path, { token: customer.token, headers: { 'if-none-match': etag } });
  t.equal((await unchanged()).status, 304);
  t.match(await pay(api, card.token, { amount: 10, currency: 'USD' }), { approved: true });
  const spent = await unchanged();
  t.match(spent, { status: 200, json: { used: { daily: { amount: 10, count: 1 } } } });
  t.not(spent.headers.get('etag'), etag);
  t.match(spent.headers.get('etag'), /^"1-/, 'the tag has the same version');
  t.equal((await customer.change('PUT', path, { daily: { count: 5 } }, { 'if-match': etag })).status, 200);
});
