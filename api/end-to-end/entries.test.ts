/** What moved an account's money, against the books that a real engine has settled. */
import fc from 'fast-check';
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { runs } from '../../engine/testing/runs.js';
import { startTestApi } from '../testing/api-inside.js';
import { Customer, fresh, pay } from '../testing/customer.js';

t.setTimeout(120_000);

interface Entry {
  readonly id: string | null;
  readonly kind: string;
  readonly amount: number;
  readonly transactionId: string | null;
  readonly at: string;
}

async function walk(customer: Customer, accountId: string, limit: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let cursor = ''; ; ) {
    const reply = await customer.get(`/api/accounts/${accountId}/entries?limit=${limit}${cursor}`);
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
    entries.push(...reply.json.data);
    if (reply.json.next === null) return entries;
    cursor = `&cursor=${reply.json.next}`;
  }
}

t.test('the sum of all entries is funds − posted after any history', async (t) => {
  const api = await startTestApi(t, { engine: true });
  const operation = fc.record({
    kind: fc.constantFrom(
      'deposit',
      'withdrawal',
      'hold',
      'clearing',
      'partial',
      'capture',
      'refund',
      'lone',
      'reversal',
    ),
    amount: fc.integer({ min: 1, max: 900 }),
  });
  for (const kind of ['business', 'personal'] as const) {
    const customer = await Customer.register(api, kind);
    const accountId = await customer.accountId();
    const path = `/api/accounts/${accountId}`;
    const deposit = await customer.post(`${path}/deposits`, { amount: 50_000 });
    const card = await customer.card(accountId);
    await api.sql`
      insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
      select id, 0, 0, 0, 'none' from accounts where public_id = ${accountId}`;
    let original = '';
    let moved = 1;
    for (const { kind: what, amount } of fc.sample(operation, runs(60))) {
      if (what === 'deposit' || what === 'withdrawal') {
        if ((await customer.post(`${path}/${what}s`, { amount })).status === 201) moved++;
        continue;
      }
      const message = {
        hold: { type: 'authorization', amount },
        capture: { type: 'clearing', amount },
        clearing: { type: 'clearing', amount, original },
        partial: { type: 'clearing', amount, original, final: false },
        refund: { type: 'refund', amount, original },
        lone: { type: 'refund', amount },
        reversal: { type: 'reversal', original },
      }[what];
      const decision = await pay(api, card.token, { id: fresh('m'), ...message });
      if (what === 'hold') original = decision.authorizationId;
      if (decision.approved && what !== 'hold' && what !== 'reversal') moved++;
    }
    await until('all of it is settled', async () => (await walk(customer, accountId, 200)).length >= moved + 1);
    const { funds, posted } = (await customer.get(path)).json;
    const entries = await walk(customer, accountId, 200);
    t.equal(entries.length, moved + 1, 'every movement has one entry, and holds and reversals have none');
    t.equal(
      entries.reduce((sum, { amount }) => sum + amount, 0),
      funds - posted,
    );
    t.same(
      entries.map(({ at }) => at),
      entries.map(({ at }) => at).sort((a, b) => Date.parse(b) - Date.parse(a)),
      'the newest comes first',
    );
    const first = entries.find(({ id }) => id === deposit.json.id);
    t.match(first, { kind: 'deposit', amount: 50_000, currency: 'USD', transactionId: null });
    for (const { kind: what, amount, transactionId } of entries) {
      const isIn = what === 'deposit' || what === 'refund';
      if (what !== 'adjustment') t.equal(amount > 0, isIn, what);
      t.equal(transactionId !== null, what === 'posting' || what === 'refund', what);
    }
    t.same(new Set(entries.map(({ kind: what }) => what)).size, 5);
    // Several of one instant, across pages of every size.
    await api.sql`update transaction_events set at = date_trunc('minute', at)`;
    const instants = await walk(customer, accountId, 200);
    for (const limit of [1, 3, 7])
      t.same(await walk(customer, accountId, limit), instants, `the list in pages of ${limit}`);
    t.equal(new Set(instants.map(({ id }) => id)).size, instants.length);
  }
});

t.test('a cursor of another list is refused', async (t) => {
  const api = await startTestApi(t, { engine: true });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  const cursor = Buffer.from(JSON.stringify(['entries', '2026-01-01T00:00:00Z', -1])).toString('base64url');
  const reply = await customer.get(`/api/accounts/${accountId}/entries?cursor=${cursor}`);
  t.match(reply, { status: 400, json: { field: 'cursor' } });
});
