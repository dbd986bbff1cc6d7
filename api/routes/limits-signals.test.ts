/** Limits on what purchases say of themselves: taken, shown, refused where the cards' protocols do not say it. */
import t from 'tap';
import { startTestApi, type TestApi } from '../testing/api-inside.js';
import { Customer } from '../testing/customer.js';

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
