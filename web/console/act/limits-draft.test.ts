/** What the console's form for limits sends: a limit that was not edited stays as it was. */
import t from 'tap';
import { draftOf, type Limits, limitsOf } from './limits-draft.js';

t.test('limits that are not edited are sent as they were', async (t) => {
  const all: Limits & Record<string, unknown> = {
    perAuthorization: 123_456,
    daily: { amount: 1000, count: 3 },
    lifetime: { count: 0 },
    mcc: { allow: [] },
    merchants: { block: ['ACME STORE 12', 'a,b'] },
    countries: { allow: ['US', 'CA'] },
    wallets: { block: ['other'] },
    verification: { avs: 'block', cvv: 'require' },
    recurring: 'allow',
    rolling: [{ hours: 24, amount: 1 }],
    later: { than: 'this page' },
  };
  t.same(limitsOf(draftOf(all, 'USD'), 'USD', all), { limits: all, faults: [] });
  const edited = { ...draftOf(all, 'USD'), 'daily.amount': '20.00', 'countries.allow': 'US' };
  const changed = { ...all, daily: { amount: 2000, count: 3 }, countries: { allow: ['US'] } };
  t.same(limitsOf(edited, 'USD', all), { limits: changed, faults: [] });
});

t.test('a list is edited as a whole, unless the form would take its entries apart', async (t) => {
  const before: Limits = { mcc: { block: ['7995'] }, merchants: { allow: ['ACME STORE'] } };
  const draft = draftOf(before, 'USD');
  t.same(limitsOf({ ...draft, 'mcc.block': '' }, 'USD', before).limits, { merchants: before.merchants });
  t.same(limitsOf({ ...draft, 'mcc.allow': '5411 5412', 'mcc.block': '' }, 'USD', before), {
    limits: { ...before, mcc: { allow: ['5411', '5412'] } },
    faults: [],
  });
  t.same(limitsOf({ ...draft, 'mcc.allow': '5411' }, 'USD', before).faults, ['mcc.block']);
  t.same(limitsOf({ ...draft, 'merchants.allow': 'ACME STORE other' }, 'USD', before).faults, ['merchants.block']);
});

t.test('rolling windows are replaced by those of the rows, and leave with the last row', async (t) => {
  const before: Limits = { daily: { count: 3 }, rolling: [{ hours: 24, amount: 1 }] };
  const rolling = [{ hours: 1, count: 3 }];
  t.same(limitsOf(draftOf(before, 'USD'), 'USD', before, rolling).limits, { ...before, rolling });
  t.same(limitsOf(draftOf(before, 'USD'), 'USD', before, []).limits, { daily: before.daily });
});
