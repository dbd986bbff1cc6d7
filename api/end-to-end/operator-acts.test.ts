/** What operators do to cards, accounts and people of customers: by role, with its effect, and in the audit trail. */
import t, { type Test } from 'tap';
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
    return { id, send };
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

t.test('an operator replaces a lost card, which its owner sees', async (t) => {
  const { api, customer, card, as } = await stage(t);
  const support = await as('support');
  const replaced = await support.send('POST', `/api/cards/${card.id}/replace`, { reason: 'lost' });
  t.match(replaced, { status: 201, json: { replaces: card.id, effective: true } });
  t.match((await customer.get('/api/cards')).json.data, [{ id: replaced.json.id }, { id: card.id, status: 'closed' }]);
  t.match(await pay(api, replaced.json.token), { approved: true });
});
