/** Types of cards, replacements and metadata, through the API and with a real engine. */
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer, fresh, pay } from '../testing/customer.js';
import { createCompany } from '../testing/tenants.js';

const merchant = (id: string) => ({ merchant: { id, name: 'A shop' } });

/** A customer with money, and their account. */
async function funded(api: TestApi, kind: 'personal' | 'business') {
  const customer = await Customer.register(api, kind);
  const accountId = await customer.accountId();
  const { status } = await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 1_000_000 });
  if (status !== 201) throw new Error(`no deposit: ${status}`);
  const make = async (more: object = {}) => {
    const reply = await customer.post('/api/cards', { accountId, name: 'A card', ...more });
    if (reply.status !== 201) throw new Error(`no card: ${reply.text}`);
    return reply.json;
  };
  const replace = (id: string, reason = 'lost', key = fresh('replace')) =>
    customer.post(`/api/cards/${id}/replace`, { reason }, key);
  return { customer, accountId, make, replace };
}

for (const kind of ['business', 'personal'] as const) {
  t.test(`cards of a ${kind} customer`, async (t) => {
    const api = await startTestApi(t, { engine: true });
    const { customer, accountId, make, replace } = await funded(api, kind);

    t.test('a card has the type given at its creation, and is virtual otherwise', async (t) => {
      t.equal((await make()).type, 'virtual');
      const single = await make({ type: 'single_use' });
      t.equal(single.type, 'single_use');
      t.equal((await customer.get(`/api/cards/${single.id}`)).json.type, 'single_use');
      const refused = await customer.post('/api/cards', { accountId, name: 'x', type: 'physical' });
      t.match(refused, { status: 400, json: { field: 'type' } });
      const changed = await customer.change('PATCH', `/api/cards/${single.id}`, { type: 'virtual' });
      t.match(changed, { status: 400, json: { field: 'type' } });
    });

    t.test('a single-use card pays once, and a locked card pays one merchant', async (t) => {
      const single = await make({ type: 'single_use' });
      t.match(await pay(api, single.token), { approved: true });
      t.match(await pay(api, single.token), { reason: 'limit_exceeded', detail: 'card.lifetime.count' });
      const locked = await make({ type: 'merchant_locked' });
      t.match(await pay(api, locked.token, merchant('m-7')), { approved: true });
      t.match(await pay(api, locked.token, merchant('m-8')), { reason: 'merchant_blocked' });
      t.match(await pay(api, locked.token, merchant('m-7')), { approved: true });
    });

    t.test('a replacement closes the old card at once and takes over its limits and spending', async (t) => {
      const limits = { daily: { amount: 5000 }, channels: { block: ['atm'] } };
      const metadata = { team: 'ops' };
      const old = await make({ limits, metadata, type: 'merchant_locked' });
      const first = await pay(api, old.token, { amount: 3000, ...merchant('m-1') });
      t.ok(first.approved);
      const key = fresh('replace');
      const reply = await replace(old.id, 'stolen', key);
      t.equal(reply.status, 201);
      t.match(reply.json, { accountId, userId: customer.userId, name: 'A card', type: 'merchant_locked', version: 1 });
      t.match(reply.json, { status: 'active', limits, metadata, replaces: old.id, effective: true });
      t.equal(reply.headers.get('etag'), '"1"');
      t.not(reply.json.id, old.id);
      t.not(reply.json.token, old.token);
      t.equal((await replace(old.id, 'stolen', key)).text, reply.text, 'one key makes one replacement');
      t.match(await replace(old.id), { status: 409, json: { title: 'card_closed' } });
      const gone = await customer.get(`/api/cards/${old.id}`);
      t.match(gone.json, { status: 'closed', version: 2, replacedBy: reply.json.id, replacedFor: 'stolen' });
      t.match(await pay(api, old.token, { amount: 1, ...merchant('m-1') }), { reason: 'card_inactive' });

      const { token, id } = reply.json;
      t.match(await pay(api, token, { amount: 2001, ...merchant('m-1') }), { detail: 'card.daily.amount' });
      t.match(await pay(api, token, { amount: 1, ...merchant('m-2') }), { reason: 'merchant_blocked' });
      t.match((await customer.get(`/api/cards/${id}/limits`)).json, { used: { daily: { amount: 3000, count: 1 } } });
      t.match(await pay(api, token, { amount: 2000, ...merchant('m-1') }), { approved: true });
      t.match((await customer.get(`/api/cards/${id}/limits`)).json, { used: { daily: { amount: 5000, count: 2 } } });
      // What the old card holds goes on, and gives back what it took.
      const released = { type: 'reversal', amount: 1000, original: first.authorizationId };
      t.match(await pay(api, old.token, released), { approved: true });
      t.match(await pay(api, token, { amount: 1000, ...merchant('m-1') }), { approved: true });
      const cleared = { type: 'clearing', amount: 2000, original: first.authorizationId };
      t.match(await pay(api, old.token, cleared), { approved: true });
      await until('it is listed as the old card’s', async () => {
        const { json } = await customer.get(`/api/transactions/${first.authorizationId}`);
        return json.cardId === old.id && json.postedAmount === 2000;
      });

      const again = await replace(id, 'damaged');
      t.match(again, { status: 201, json: { replaces: id, metadata, limits } });
      t.match(await pay(api, again.json.token, { amount: 1, ...merchant('m-1') }), { detail: 'card.daily.amount' });
    });

    t.test('one of many concurrent replacements succeeds, whatever else changes the card', async (t) => {
      const old = await make();
      const replies = await Promise.all([
        ...Array.from({ length: 8 }, () => replace(old.id)),
        customer.change('PATCH', `/api/cards/${old.id}`, { name: 'Renamed' }),
        customer.change('PATCH', `/api/cards/${old.id}`, { status: 'frozen' }),
      ]);
      const made = replies.slice(0, 8).filter(({ status }) => status === 201);
      t.equal(made.length, 1);
      t.ok(replies.every(({ status }) => [200, 201, 409].includes(status)));
      t.match((await customer.get(`/api/cards/${old.id}`)).json, { status: 'closed', replacedBy: made[0]!.json.id });
    });

    t.test('a closed card has no replacement, and the reason is one of three', async (t) => {
      const { id } = await make();
      t.match(await replace(id, 'bored'), { status: 400, json: { field: 'reason' } });
      t.match(await replace('card_none'), { status: 404 });
      await customer.change('PATCH', `/api/cards/${id}`, { status: 'closed' });
      t.match(await replace(id), { status: 409, json: { title: 'card_closed' } });
    });

    t.test('metadata are kept as they are, replaced as a whole, and bounded', async (t) => {
      const made = await make({ metadata: { team: 'ops', 'cost.center': '42 € — Köln' } });
      t.same(made.metadata, { team: 'ops', 'cost.center': '42 € — Köln' });
      const path = `/api/cards/${made.id}`;
      const changed = await customer.change('PATCH', path, { metadata: { team: 'sales' } });
      t.match(changed, { status: 200, json: { version: 2, effective: true } });
      t.same(changed.json.metadata, { team: 'sales' });
      t.same((await customer.get(path)).json.metadata, { team: 'sales' });
      t.match(await customer.change('PATCH', path, { metadata: { team: 'sales' } }), { json: { version: 2 } });
      t.same((await customer.change('PATCH', path, { metadata: {} })).json.metadata, {});
      t.same((await make()).metadata, {});
      const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, 'v']));
      t.equal((await customer.change('PATCH', path, { metadata: keys(20) })).status, 200);
      const refused = [
        keys(21),
        { a: '' },
        { a: 'x'.repeat(501) },
        { a: 5 },
        { a: null },
        { a: ['x'] },
        { 'a b': 'x' },
        { '': 'x' },
        { ['k'.repeat(41)]: 'x' },
        { a: 'line\nline' },
        { a: 'my card 4111 1111 1111 1111' },
        { '4111111111111111': 'x' },
        'text',
        [],
      ];
      for (const metadata of refused) {
        const reply = await customer.change('PATCH', path, { metadata });
        t.match(reply, { status: 400, json: { field: /^metadata/ } }, JSON.stringify(metadata).slice(0, 60));
        t.notMatch(reply.text, /4111/);
      }
      t.same((await customer.get(path)).json.metadata, keys(20));
    });
  });
}

t.test('members replace no cards, and no customer replaces those of another', async (t) => {
  const api = await startTestApi(t);
  const acme = await createCompany(api.sql, 'acme');
  const bolt = await createCompany(api.sql, 'bolt');
  const path = `/api/cards/${acme.cardId}/replace`;
  const ask = async (userId: number) => {
    const token = await api.tokenOf(userId);
    return (await api.request('POST', path, { token, body: { reason: 'lost' } })).status;
  };
  t.equal(await ask(acme.user('member').id), 403);
  t.equal(await ask(bolt.user('owner').id), 404);
  t.equal(await ask(acme.user('admin').id), 201);
});
