/** A customer's way through the whole product, with a real engine: both kinds of customer, both personal stores. */
import t from 'tap';
import { mongoFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer, fresh, pay } from '../testing/customer.js';

const settings = [
  { name: 'a company', kind: 'business', withMongo: false },
  { name: 'a person, data in Postgres', kind: 'personal', withMongo: false },
  { name: 'a person, data in MongoDB', kind: 'personal', withMongo: true },
] as const;

for (const { name, kind, withMongo } of settings) {
  t.test(name, async (t) => {
    const mongo = withMongo ? await mongoFor(t) : null;
    const api = await startTestApi(t, { engine: true, ...(mongo === null ? {} : { env: { MONGODB_URI: mongo.uri } }) });
    const customer = await Customer.register(api, kind);
    const accountId = await customer.accountId();
    let card = { id: '', token: '', version: 0 };

    t.test('a deposit is booked once, however often the same key is sent', async (t) => {
      const key = fresh('deposit');
      const deposit = await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 }, key);
      t.equal(deposit.status, 201);
      t.match(deposit.json, { amount: 100_000, account: { id: accountId, funds: 100_000, available: 100_000 } });
      const again = await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 }, key);
      t.equal(again.json.id, deposit.json.id);
      const account = await customer.get(`/api/accounts/${accountId}`);
      t.match(account.json, { kind, currency: 'USD', funds: 100_000, available: 100_000, held: 0, posted: 0 });
    });

    t.test('a new card can pay at once', async (t) => {
      card = await customer.card(accountId);
      t.match(card, { version: 1, status: 'active', limits: {} });
      t.match(await pay(api, card.token), { approved: true, available: 98_750 });
      t.match((await customer.get(`/api/accounts/${accountId}`)).json, { available: 98_750, held: 1250 });
    });

    t.test('a transaction appears with all of its messages', async (t) => {
      const decision = await pay(api, card.token, { amount: 2000 });
      await pay(api, card.token, { type: 'clearing', amount: 1500, original: decision.authorizationId });
      await until('the clearing is listed', async () => {
        const { json } = await customer.get(`/api/transactions?card=${card.id}&status=completed`);
        return json.data.length === 1;
      });
      const found = await customer.get(`/api/transactions/${decision.authorizationId}`);
      t.match(found.json, {
        id: decision.authorizationId,
        cardId: card.id,
        accountId,
        type: 'authorization',
        status: 'completed',
        amount: 2000,
        postedAmount: 1500,
        heldAmount: 0,
        merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
        channel: 'chip',
        events: [
          { type: 'authorization', amount: 2000, approved: true },
          { type: 'clearing', amount: 1500, approved: true },
        ],
      });
      const list = await customer.get('/api/transactions?limit=1');
      t.equal(list.json.data[0].id, decision.authorizationId, 'the newest comes first');
      const next = await customer.get(`/api/transactions?limit=1&cursor=${list.json.next}`);
      t.match(next.json, { data: [{ status: 'pending', amount: 1250 }], next: null });
    });

    t.test('spending is reported by day, card and category', async (t) => {
      const byCard = await customer.get('/api/stats/spending?by=card');
      t.same(byCard.json.data, [{ key: card.id, amount: 2750, count: 2, currency: 'USD' }]);
      t.match((await customer.get('/api/stats/spending?by=mcc')).json.data, [{ key: '5411', amount: 2750, count: 2 }]);
      const byDay = await customer.get('/api/stats/spending?by=day');
      t.match(byDay.json.data, [{ key: /^\d{4}-\d{2}-\d{2}$/, amount: 2750, count: 2 }]);
      const { json } = await customer.get(`/api/cards/${card.id}/limits`);
      t.match(json, { limits: {}, used: { daily: { amount: 2750, count: 2 }, lifetime: { resetsAt: null } } });
      t.ok(Date.parse(json.used.daily.resetsAt) > Date.now());
    });

    t.test('a freeze holds from its answer on, and so does every other change', async (t) => {
      const patch = async (body: object) => {
        const reply = await customer.change('PATCH', `/api/cards/${card.id}`, body);
        t.match(reply.json, { ...body, effective: true });
        t.equal(reply.status, 200);
        return reply;
      };
      await patch({ status: 'frozen' });
      t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
      t.match((await customer.get(`/api/cards/${card.id}`)).json, { status: 'frozen', version: 2 });
      t.match((await customer.get('/api/cards')).json.data, [{ id: card.id, status: 'frozen' }]);
      await patch({ status: 'active' });
      t.match(await pay(api, card.token), { approved: true });

      const limited = await customer.change('PUT', `/api/cards/${card.id}/limits`, { perAuthorization: 100 });
      t.match(limited.json, { limits: { perAuthorization: 100 }, version: 4, effective: true });
      t.match(await pay(api, card.token), {
        approved: false,
        reason: 'limit_exceeded',
        detail: 'card.perAuthorization',
      });
      t.equal((await customer.change('PUT', `/api/cards/${card.id}/limits`, {})).json.effective, true);

      const account = `/api/accounts/${accountId}/limits`;
      t.equal((await customer.change('PUT', account, { mcc: { block: ['5411'] } })).json.effective, true);
      t.match(await pay(api, card.token), { approved: false, reason: 'mcc_blocked' });
      t.equal((await customer.change('PUT', account, {})).json.effective, true);

      const user = `/api/users/${customer.userId}/limits`;
      t.equal((await customer.change('PUT', user, { channels: { allow: ['atm'] } })).json.effective, true);
      t.match(await pay(api, card.token), { approved: false, reason: 'channel_blocked' });
      t.equal((await customer.change('PUT', user, {})).json.effective, true);
      t.match(await pay(api, card.token), { approved: true });
      t.match((await customer.get(`/api/cards/${card.id}/effective`)).json, {
        version: 5,
        effective: true,
        engines: { inForce: 1, of: 1 },
      });
    });

    t.test('declines are listed with their reasons', async (t) => {
      await until('the declines are listed', async () => {
        const { json } = await customer.get('/api/transactions?status=declined');
        return json.data.length === 4;
      });
      const { json } = await customer.get('/api/transactions?status=declined');
      t.same(
        json.data.map(({ reason, detail }: { reason: string; detail?: string }) => detail ?? reason),
        ['channel_blocked', 'mcc_blocked', 'card.perAuthorization', 'card_inactive'],
      );
    });

    t.test('a withdrawal is limited to the available money', async (t) => {
      const { available } = (await customer.get(`/api/accounts/${accountId}`)).json;
      const path = `/api/accounts/${accountId}/withdrawals`;
      t.match(await customer.post(path, { amount: available + 1 }), {
        status: 409,
        json: { title: 'insufficient_funds' },
      });
      t.match(await customer.post(path, { amount: available }), { status: 201, json: { account: { available: 0 } } });
      t.match(await pay(api, card.token), { approved: false, reason: 'insufficient_funds' });
    });

    t.test('the use of a user is shown in the currency of the first account with a card of theirs', async (t) => {
      const [yen] = await api.sql<{ token: string; id: string }[]>`
        with opened as (
          insert into accounts (public_id, kind, company_id, user_id, owner_key, currency, funds, available)
          select 'acct_yen', kind, company_id, user_id, owner_key, 'JPY', 9900, 9900 from accounts
          where public_id = ${accountId} returning id)
        insert into cards (public_id, token, account_id, user_id, name, expires)
        select 'card_yen', 'tok_yen', o.id, u.id, 'Yen', date '2099-12-31'
        from opened o, users u where u.public_id = ${customer.userId}
        returning token, public_id as id`;
      const used = async (path: string) => (await customer.get(`${path}/limits`)).json.used.daily;
      const before = await used(`/api/users/${customer.userId}`);
      t.ok(before.amount > 0 && before.amount < 9900);
      t.match(await pay(api, yen!.token, { amount: 9900, currency: 'JPY' }), { approved: true });
      t.same(await used(`/api/users/${customer.userId}`), before, 'yen are not added to dollars');
    });

    t.test('a closed card never opens again', async (t) => {
      const closed = await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'closed' });
      t.match(closed.json, { status: 'closed', effective: true });
      const again = await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'active' });
      t.match(again, { status: 409, json: { title: 'card_closed', field: 'status' } });
      t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
    });
  });
}
