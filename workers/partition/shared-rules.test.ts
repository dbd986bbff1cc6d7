import t from 'tap';
import { compileRules } from '../../engine/core/rules.js';
import { sharedRules } from './shared-rules.js';

t.test('equal limits share one compiled form, and different limits do not', async (t) => {
  const limits = () => ({ daily: { amount: 5000, count: 3 }, mcc: { block: ['7995'] } });
  const rules = sharedRules(limits());
  t.same(rules, compileRules(limits()));
  t.equal(sharedRules(limits()), rules);
  t.not(sharedRules({ ...limits(), daily: { amount: 5001, count: 3 } }), rules);
  t.equal(sharedRules({ ...limits(), daily: { amount: 5001, count: 3 } })?.amounts[0], 5001);
});

t.test('limits without a bound count as no limits', async (t) => {
  t.equal(sharedRules(null), null);
  t.equal(sharedRules({}), null);
});

t.test('limits beyond the bounds of the memory are compiled too', async (t) => {
  const long = {
    merchants: { allow: Array.from({ length: 40_000 }, (_, index) => `merchant-number-${index}-of-many`) },
  };
  t.equal(sharedRules(long)?.merchants?.members.size, 40_000);
  for (let amount = 1; amount <= 50_000; amount++) {
    if (sharedRules({ perAuthorization: amount })?.perAuthorization !== amount) t.fail(`limit ${amount}`);
  }
});
