/** What operators do to cards, accounts and people of customers: by role, with its effect, and in the audit trail. */
import t, { type Test } from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import type { OperatorRole } from '../auth/principal.js';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer, pay } from '../testing/customer.js';
import { signedIn } from '../testing/operators.js';

async function stage(t: Test) {
  const api = await startTestApi(t, { engine: true });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
  const card = await customer.card(accountId);
  const as = async (role: OperatorRole) => {
    const { token, id } = await signedIn(api, role);
    const send = (method: string, path: string, body?: unknown) =>
      api.request(method, path, { token, ...(body === undefined ? {} : { body }) });
    return { id, token, send };
  };
  return { api, customer, accountId, card, as };
}

/** Newest first. */
async function trailOf({ sql }: TestApi, objectId: string) {
  return sql`
    select action, actor_id as actor, before, after, outcome from (
      select * from audit_fresh union all select id, at, actor_kind, actor_id, address, request_id, action, object_kind,
        object_id, before, after, outcome from audit_trail) entries
    where object_id = ${objectId} and action <> 'operator.looked' order by id desc`;
}

t.test('an operator freezes a card of any customer, and the answer counts the engines', async (t) => {
  const { api, customer, card, as } = await stage(t);
  const path = `/api/cards/${card.id}`;
  const support = await as('support');
  const frozen = await support.send('PATCH', path, { status: 'frozen' });
  t.match(frozen, { status: 200, json: { status: 'frozen', effective: true } });
  t.same(frozen.json.engines, { inForce: 1, of: 1, waiting: [] });
  t.ok(frozen.json.afterMs > 0 && frozen.json.afterMs < 1000, `after ${frozen.json.afterMs} ms`);
  t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
  t.equal((await customer.get(path)).json.status, 'frozen', 'the customer sees it at once');
  t.match((await support.send('PATCH', path, { status: 'active' })).json, { status: 403, title: 'forbidden' });

  const risk = await as('risk');
  t.match(await risk.send('PATCH', path, { status: 'active', name: 'Mine' }), { status: 403 });
  t.match((await risk.send('PATCH', path, { status: 'active' })).json, { status: 'active', effective: true });
  t.match(await pay(api, card.token), { approved: true });
  t.match(await trailOf(api, card.id), [
    { action: 'card.unfrozen', actor: risk.id, before: { status: 'frozen' }, after: { status: 'active' } },
    { action: 'card.frozen', actor: support.id, before: { status: 'active' }, after: { status: 'frozen' } },
    { action: 'card.created' },
  ]);
});

t.test('a customer learns how many engines obey, and not which ones', async (t) => {
  const { customer, card } = await stage(t);
  const { json } = await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'frozen' });
  t.same(json.engines, { inForce: 1, of: 1 });
});

t.test('an operator of the role risk replaces the limits of card, user and account', async (t) => {
  const { api, customer, accountId, card, as } = await stage(t);
  const risk = await as('risk');
  const support = await as('support');
  for (const path of [`/api/cards/${card.id}`, `/api/users/${customer.userId}`, `/api/accounts/${accountId}`]) {
    const limits = { daily: { amount: 100 } };
    t.match(await support.send('PUT', `${path}/limits`, limits), { status: 403 }, path);
    const replaced = await risk.send('PUT', `${path}/limits`, limits);
    t.match(replaced, { status: 200, json: { limits, effective: true, engines: { inForce: 1, of: 1 } } }, path);
    t.match((await support.send('GET', `${path}/limits`)).json, { limits, used: { daily: { amount: 0 } } }, path);
    t.match(await pay(api, card.token), { approved: false, reason: 'limit_exceeded' }, path);
    t.match(await risk.send('PUT', `${path}/limits`, {}), { status: 200 });
  }
  t.match(await risk.send('PUT', '/api/cards/card_none/limits', {}), { status: 404 });
});

t.test('new limits tell before they are made which open holds they would refuse', async (t) => {
  const { customer, api, accountId, card, as } = await stage(t);
  const risk = await as('risk');
  await pay(api, card.token, { amount: 5000 });
  await pay(api, card.token, { amount: 700, merchant: { id: 'm-2', name: 'Casino', mcc: '7995', country: 'US' } });
  await pay(api, card.token, { amount: 300 });
  await until('the holds are settled', async () => (await customer.get('/api/transactions')).json.data.length === 3);
  const limits = { perAuthorization: 1000, mcc: { block: ['7995'] }, daily: { count: 3 }, weekly: { count: 4 } };
  for (const path of [`/api/cards/${card.id}`, `/api/users/${customer.userId}`, `/api/accounts/${accountId}`]) {
    const { status, json } = await risk.send('POST', `${path}/limits/effect`, limits);
    t.equal(status, 200, path);
    t.same(json.open, { count: 3, amount: 6000 }, path);
    t.same(json.over, { count: 2, amount: 5700 }, path);
    t.match(json.holds, [
      { merchant: 'Casino', because: ['mcc'] },
      { heldAmount: 5000, because: ['perAuthorization'] },
    ]);
    t.same(json.usedUp, ['daily'], path);
    t.same(json.usedUpRolling, [], path);
    t.same((await customer.post(`${path}/limits/effect`, limits)).json, json, 'its owner learns the same');
  }
  t.same((await customer.get(`/api/cards/${card.id}/limits`)).json.limits, {}, 'nothing has changed');
  // A rolling window counts from when there is one.
  const path = `/api/cards/${card.id}/limits`;
  t.equal((await risk.send('PUT', path, { rolling: [{ hours: 6, amount: 1_000_000 }] })).json.effective, true);
  await pay(api, card.token, { amount: 900 });
  const rolling = [
    { hours: 48, amount: 901 },
    { hours: 6, amount: 5000, count: 1 },
  ];
  const { json } = await risk.send('POST', `${path}/effect`, { rolling });
  t.match(json, { usedUp: [], usedUpRolling: [6] });
});

t.test('an orphan hold is released once, for a reason, and what was cleared stays', async (t) => {
  const { api, customer, accountId, card, as } = await stage(t);
  const risk = await as('risk');
  const paid = await pay(api, card.token, { amount: 5000 });
  const original = paid.authorizationId;
  const path = `/api/transactions/${original}/release`;
  const release = (body: object, key = 'once') =>
    api.request('POST', path, { token: risk.token, body, headers: { 'idempotency-key': key } });
  await pay(api, card.token, { type: 'clearing', original, amount: 2000, final: false });
  const support = await as('support');
  t.equal((await support.send('POST', path, { reason: 'x' })).status, 403);
  const released = await release({ reason: 'no clearing will come' });
  t.match(released, { status: 200, json: { transactionId: original, released: 3000, currency: 'USD' } });
  t.equal(released.json.available, 98_000);
  t.same((await release({ reason: 'no clearing will come' })).json, released.json, 'the same key');
  t.match(await customer.get(`/api/accounts/${accountId}`), { json: { held: 0, posted: 2000, available: 98_000 } });
  await until('it is settled', async () => (await customer.get(`/api/transactions/${original}`)).status === 200);
  t.match((await release({ reason: 'again' }, 'other')).json, { status: 409, title: 'nothing_held' });
  t.match(await trailOf(api, original), [
    { action: 'transaction.release', outcome: 'refused', actor: risk.id },
    { action: 'transaction.release', outcome: 'asked' },
    { outcome: 'done', actor: risk.id, after: { released: 3000, reason: 'no clearing will come' } },
    { outcome: 'asked', actor: risk.id, after: { reason: 'no clearing will come' } },
  ]);
  t.equal((await risk.send('POST', '/api/transactions/nothing/release', { reason: 'x' })).status, 404);
});

t.test('releases, clearings and reversals at once never release twice nor below zero', async (t) => {
  const { api, customer, accountId, card, as } = await stage(t);
  const operators = [await as('risk'), await as('admin')];
  for (let round = 0; round < 8; round++) {
    const before = (await customer.get(`/api/accounts/${accountId}`)).json;
    const { authorizationId: original } = await pay(api, card.token, { amount: 1000 });
    const body = { reason: 'race' };
    const race = [
      ...operators.map(
        ({ send }) =>
          () =>
            send('POST', `/api/transactions/${original}/release`, body),
      ),
      () => pay(api, card.token, { type: 'clearing', original, amount: 400, final: false }),
      () => pay(api, card.token, { type: 'reversal', original, amount: 300 }),
    ];
    const order = race.map((start, index) => ({ start, at: (index * 7 + round * 3) % race.length }));
    order.sort((left, right) => left.at - right.at);
    await Promise.all(order.map(({ start }) => start()));
    const after = (await customer.get(`/api/accounts/${accountId}`)).json;
    t.equal(after.held, 0, `round ${round}: nothing is held`);
    t.equal(after.posted - before.posted, 400, `round ${round}: the clearing is posted once`);
    t.equal(after.funds, after.available + after.posted, `round ${round}: what was released is available once`);
  }
});

t.test('an operator replaces a lost card, which its owner sees', async (t) => {
  const { api, customer, card, as } = await stage(t);
  const support = await as('support');
  const replaced = await support.send('POST', `/api/cards/${card.id}/replace`, { reason: 'lost' });
  t.match(replaced, { status: 201, json: { replaces: card.id, effective: true } });
  t.match((await customer.get('/api/cards')).json.data, [{ id: replaced.json.id }, { id: card.id, status: 'closed' }]);
  t.match(await pay(api, replaced.json.token), { approved: true });
});

t.test('an operator sees what a customer has, and ends a session of theirs', async (t) => {
  const { api, customer, accountId, card, as } = await stage(t);
  const support = await as('support');
  const path = `/api/customers/${customer.userId}`;
  const list = async (what: string) => (await support.send('GET', `${path}/${what}`)).json;
  t.match(await list('users'), { data: [{ id: customer.userId, role: null, status: 'active' }], next: null });
  t.match(await list('accounts'), { data: [{ id: accountId, funds: 100_000 }], next: null });
  t.match(await list('cards'), { data: [{ id: card.id, status: 'active' }], next: null });
  const { data } = await list('sessions');
  t.match(data, [{ userId: customer.userId }]);
  t.equal((await support.send('GET', '/api/customers/usr_none/cards')).status, 404);
  const viewer = await as('viewer');
  t.equal((await viewer.send('DELETE', `/api/sessions/${data[0].id}`)).status, 403);
  t.equal((await support.send('DELETE', `/api/sessions/${data[0].id}`)).status, 204);
  t.equal((await customer.get('/api/me')).status, 401, 'the customer is signed out at once');
  t.match((await trailOf(api, customer.userId))[0], { action: 'user.session_ended', actor: support.id });
  t.same((await (await as('risk')).send('GET', '/api/quarantine')).json, { data: [], next: null });
});

t.test(
  'an operator freezes a user, who is signed out and whose cards decline, until they are let in again',
  async (t) => {
    const { api, customer, card, as } = await stage(t);
    const path = `/api/users/${customer.userId}/status`;
    const support = await as('support');
    t.equal((await (await as('viewer')).send('PUT', path, { status: 'frozen' })).status, 403);
    const frozen = await support.send('PUT', path, { status: 'frozen' });
    t.match(frozen, { status: 200, json: { status: 'frozen', effective: true, engines: { inForce: 1, of: 1 } } });
    t.match(await pay(api, card.token), { approved: false, reason: 'user_inactive' });
    t.equal((await customer.get('/api/me')).status, 401, 'the customer is signed out at once');
    t.equal((await support.send('PUT', path, { status: 'active' })).status, 403);
    const risk = await as('risk');
    t.match(await risk.send('PUT', path, { status: 'active' }), { status: 200, json: { status: 'active' } });
    const { version } = (await risk.send('PUT', path, { status: 'active' })).json;
    t.equal(version, frozen.json.version + 1, 'the same again changes nothing');
    t.match(await pay(api, card.token), { approved: true });
    t.equal((await risk.send('PUT', '/api/users/usr_none/status', { status: 'frozen' })).status, 404);
    t.match(await trailOf(api, customer.userId), [
      { action: 'user.unfrozen', actor: risk.id, before: { status: 'frozen' }, after: { status: 'active' } },
      { action: 'user.frozen', actor: support.id },
    ]);
    await api.sql`update users set status = 'closed', version = version + 1 where public_id = ${customer.userId}`;
    t.match((await risk.send('PUT', path, { status: 'active' })).json, { status: 409, title: 'user_closed' });
  },
);

t.test('an operator has a quarantined record settled once its cause is gone', async (t) => {
  const { api, accountId, card, as } = await stage(t);
  const { sql } = api;
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const merchant = { id: 'm-1', name: 'poison', mcc: '5411', country: 'US' };
  const { authorizationId } = await pay(api, card.token, { merchant, amount: 700 });
  const risk = await as('risk');
  const list = async () => (await risk.send('GET', '/api/quarantine')).json.data;
  await until('the record is quarantined', async () => (await list()).length === 1);
  const [record] = await list();
  t.match(record, { accountId, currency: 'USD', heldDelta: 700, booksKept: true, error: /no_poison/ });
  const place = { partition: record.partition, sequence: record.sequence };
  const retry = (by: typeof risk) => by.send('POST', '/api/quarantine/retry', place);
  t.equal((await retry(await as('support'))).status, 403);
  t.match(await retry(risk), { status: 200, json: { settled: false, error: /no_poison/ } });
  t.equal((await list()).length, 1);
  await sql`alter table transactions drop constraint no_poison`;
  t.same((await retry(risk)).json, { settled: true, error: null });
  t.same(await list(), []);
  t.equal((await retry(risk)).status, 404, 'a record is settled once');
  t.match(await sql`select held_amount::int as held from transactions where id = ${authorizationId}`, [{ held: 700 }]);
  const entries = await trailOf(api, `${place.partition}/${place.sequence}`);
  t.match(
    entries.map(({ action, outcome }) => `${action} ${outcome}`),
    ['refused', 'asked', 'done', 'asked', 'refused', 'asked'].map((outcome) => `quarantine.retry ${outcome}`),
  );
  t.ok(entries.every(({ actor }) => actor === risk.id));
});
