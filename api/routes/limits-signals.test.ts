/** Limits on what purchases say of themselves, and rolling ones: taken, shown, obeyed, refused with the reason. */
import t from 'tap';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer, pay } from '../testing/customer.js';

async function accountOf(api: TestApi, customer: Customer): Promise<string> {
  const [row] = await api.sql<{ id: string }[]>`
    select a.public_id as id from accounts a join users u on a.owner_key = u.company_id * 2 + 1
    where u.public_id = ${customer.userId}`;
  return row!.id;
}

const limits = {
  verification: { avs: 'block', cvv: 'require', threeDS: 'allow' },
  wallets: { allow: ['apple_pay', 'other'] },
  recurring: 'block',
  rolling: [
    { hours: 1, count: 3 },
    { hours: 720, amount: 100_000 },
  ],
};

t.test('limits on verification, wallets and recurrence are taken and given back', async (t) => {
  const api = await startTestApi(t);
  const customer = await Customer.register(api, 'business');
  const { id } = await customer.card(await accountOf(api, customer));
  const path = `/api/cards/${id}/limits`;
  const put = await customer.change('PUT', path, limits);
  t.ok([200, 202].includes(put.status), put.text);
  t.same((await customer.get(`/api/cards/${id}`)).json.limits, limits);
  for (const wrong of [
    { verification: { cvv: 'maybe' } },
    { verification: {} },
    { verification: { pin: 'require' } },
    { wallets: { allow: ['paypal'] } },
    { recurring: true },
    { rolling: [] },
    { rolling: [{ hours: 24 }] },
    { rolling: [{ hours: 0, count: 1 }] },
    { rolling: [{ hours: 2161, count: 1 }] },
    { rolling: Array(3).fill({ hours: 1, count: 1 }) },
  ]) {
    t.equal((await customer.change('PUT', path, wrong)).status, 400, JSON.stringify(wrong));
  }
});

t.test('a limit that needs what a protocol does not carry is refused with the reason', async (t) => {
  const api = await startTestApi(t, { env: { CARD_PROTOCOLS: 'lithic,stripe' } });
  const customer = await Customer.register(api, 'business');
  const accountId = await accountOf(api, customer);
  const { id } = await customer.card(accountId);
  const path = `/api/cards/${id}/limits`;
  const refused = await customer.change('PUT', path, limits);
  t.equal(refused.status, 400);
  t.match(refused.json.errors[0], { field: 'verification.cvv', detail: /questions by lithic do not carry/ });
  const recurring = await customer.change('PUT', path, { recurring: 'block' });
  t.match(recurring.json.errors[0], { field: 'recurring', detail: /questions by stripe do not carry/ });
  const made = await customer.post('/api/cards', { accountId, name: 'Groceries', limits: { recurring: 'block' } });
  t.match(made.json.errors[0], { field: 'limits.recurring' });
  const both = { verification: { avs: 'require', cvv: 'allow' }, wallets: { block: ['other'] }, recurring: 'allow' };
  t.ok([200, 202].includes((await customer.change('PUT', path, both)).status), 'what asks nothing needs nothing');
});

t.test('what is used of rolling windows is shown, and they decline', async (t) => {
  const api = await startTestApi(t, { engine: true });
  const customer = await Customer.register(api, 'business');
  const accountId = await accountOf(api, customer);
  const funded = await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 100_000 });
  t.equal(funded.status, 201);
  const rolling = [
    { hours: 2, amount: 2000 },
    { hours: 48, count: 5 },
  ];
  const { id, token } = await customer.card(accountId, { rolling });
  t.match(await pay(api, token, { amount: 1500 }), { approved: true });
  t.match(await pay(api, token, { amount: 501 }), { approved: false, detail: 'card.rolling.0.amount' });
  t.match(await pay(api, token, { amount: 500 }), { approved: true });
  const { json } = await customer.get(`/api/cards/${id}/limits`);
  t.same(json.used.rolling, [
    { hours: 2, amount: 2000, count: 2 },
    { hours: 48, amount: 2000, count: 2 },
  ]);
  t.same(json.limits, { rolling });
});
