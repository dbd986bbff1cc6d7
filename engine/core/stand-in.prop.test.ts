/** What stand-in approves never comes to more than its caps, whatever is asked, and in whatever order. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { Status } from './accounts.js';
import { CardType } from './card-types.js';
import { packLetters } from './codes.js';
import { Request } from './request.js';
import { compileRules, type Limits } from './rules.js';
import { Exposure, type StandInCard, type StandInRule, standInRefusal } from './stand-in.js';

const usd = packLetters('USD');

function cardOf(token: string, changes: Partial<StandInCard> = {}): StandInCard {
  const rules = { cardRules: null, userRules: null, accountRules: null };
  const active = { status: Status.active, userStatus: Status.active, accountStatus: Status.active };
  return { token, ...active, type: CardType.virtual, currency: usd, expiresDay: 100, day: 99, ...rules, ...changes };
}

function requestOf(amountMinor: number, mcc = 5411): Request {
  const request = new Request();
  request.amountMinor = amountMinor;
  request.currency = usd;
  request.mcc = mcc;
  return request;
}

const ruleOf = (changes: Partial<StandInRule> = {}): StandInRule => ({
  currency: usd,
  perCardMinor: 500,
  perDayMinor: 1200,
  amountMaxMinor: 300,
  mcc: null,
  stateAgeMsMax: 30_000,
  engines: 1,
  ...changes,
});

const asked = fc.record({
  card: fc.constantFrom('a', 'b', 'c', 'd'),
  amount: fc.oneof(fc.integer({ min: -5, max: 400 }), fc.constantFrom(Number.NaN, 0.5, Number.MAX_SAFE_INTEGER)),
  day: fc.integer({ min: 10, max: 13 }),
  engine: fc.integer({ min: 0, max: 2 }),
  restarts: fc.boolean(),
});

t.test('approvals of a day stay within the caps of all engines together', async () => {
  fc.assert(
    fc.property(
      fc.array(asked, { maxLength: 120 }),
      fc.record({ perCardMinor: fc.integer({ min: 3, max: 700 }), perDayMinor: fc.integer({ min: 3, max: 1500 }) }),
      (messages, caps) => {
        const engines = 3;
        const share = (capMinor: number) => Math.floor(capMinor / engines);
        const rule = ruleOf({ perCardMinor: share(caps.perCardMinor), perDayMinor: share(caps.perDayMinor) });
        const exposures = Array.from({ length: engines }, () => new Exposure());
        const approved: { card: string; amount: number; day: number }[] = [];
        for (const { card, amount, day, engine, restarts } of messages) {
          let exposure = exposures[engine]!;
          if (restarts) {
            // As the journal rewrites and reads it.
            const restored = new Exposure();
            restored.begin(exposure.day);
            for (const [token, amountMinor] of exposure.cards) restored.add(token, amountMinor);
            exposures[engine] = restored;
            exposure = restored;
          }
          exposure.begin(day);
          if (standInRefusal(rule, cardOf(card), requestOf(amount), exposure, 0) !== null) continue;
          exposure.add(card, amount);
          approved.push({ card, amount, day });
        }
        for (const { day } of approved) {
          const ofDay = approved.filter((one) => one.day === day);
          const sum = (list: typeof approved) => list.reduce((total, { amount }) => total + amount, 0);
          if (sum(ofDay) > caps.perDayMinor) return false;
          if (ofDay.some(({ card }) => sum(ofDay.filter((one) => one.card === card)) > caps.perCardMinor)) return false;
        }
        return approved.every(({ amount }) => Number.isSafeInteger(amount) && amount > 0 && amount <= 300);
      },
    ),
    runs(300),
  );
});

t.test('each part of the rule refuses by itself', async (t) => {
  const refusal = (changes: {
    rule?: Partial<StandInRule>;
    card?: Partial<StandInCard> | null;
    request?: Request;
    spent?: number;
    ageMs?: number;
  }) => {
    const exposure = new Exposure();
    exposure.add('a', changes.spent ?? 0);
    const card = changes.card === null ? null : cardOf('a', changes.card);
    const { rule, request = requestOf(100), ageMs = 0 } = changes;
    return standInRefusal(ruleOf(rule), card, request, exposure, ageMs);
  };
  const limited = (limits: Limits) => ({ card: { userRules: compileRules(limits) } });
  t.equal(refusal({}), null);
  t.equal(refusal({ ageMs: 30_001 }), 'state_age');
  t.equal(refusal({ ageMs: Number.NaN }), 'state_age');
  t.equal(refusal({ card: null }), 'card_unknown');
  for (const card of [
    { status: Status.frozen },
    { userStatus: Status.closed },
    { accountStatus: Status.frozen },
    { expiresDay: 98 },
    { type: CardType.singleUse },
    { type: CardType.merchantLocked },
  ]) {
    t.equal(refusal({ card }), 'card_state', JSON.stringify(card));
  }
  t.equal(refusal({ card: { currency: packLetters('EUR') } }), 'currency');
  t.equal(refusal({ rule: { currency: packLetters('EUR') } }), 'currency');
  t.equal(refusal({ request: requestOf(301) }), 'amount');
  t.equal(refusal({ request: requestOf(-1) }), 'amount');
  t.equal(refusal({ rule: { mcc: { block: true, members: new Set([5411]) } } }), 'mcc');
  t.equal(refusal({ rule: { mcc: { block: false, members: new Set([5411]) } }, request: requestOf(1, -1) }), 'mcc');
  t.equal(refusal(limited({ perAuthorization: 99 })), 'limits');
  t.equal(refusal(limited({ daily: { amount: 99 } })), 'limits');
  t.equal(refusal(limited({ weekly: { count: 0 } })), 'limits');
  t.equal(refusal(limited({ rolling: [{ hours: 1, amount: 99 }] })), 'limits');
  t.equal(
    refusal(
      limited({
        rolling: [
          { hours: 9, amount: 500 },
          { hours: 1, count: 0 },
        ],
      }),
    ),
    'limits',
  );
  t.equal(refusal(limited({ rolling: [{ hours: 1, amount: 100, count: 1 }] })), null);
  t.equal(refusal(limited({ mcc: { block: ['5411'] } })), 'limits');
  t.equal(refusal(limited({ merchants: { allow: ['m-1'] } })), 'limits');
  t.equal(refusal(limited({ countries: { allow: ['US'] } })), 'limits');
  t.equal(refusal(limited({ channels: { allow: ['chip'] } })), 'limits');
  t.equal(refusal(limited({ verification: { cvv: 'require' } })), 'limits');
  t.equal(refusal(limited({ wallets: { allow: ['apple_pay'] } })), 'limits');
  t.equal(refusal(limited({ daily: { amount: 100, count: 1 } })), null, 'what was spent before is not known');
  t.equal(refusal({ spent: 401 }), 'card_cap');
  t.equal(refusal({ spent: 400 }), null);
  t.equal(refusal({ rule: { perDayMinor: 150 }, spent: 51 }), 'day_cap');
});

t.test('a clock that was set back gives no second cap', async (t) => {
  const exposure = new Exposure();
  exposure.begin(5);
  exposure.add('a', 500);
  exposure.begin(4);
  t.equal(exposure.ofCard('a'), 500);
  exposure.begin(6);
  t.equal(exposure.ofCard('a'), 0);
  t.equal(exposure.totalMinor, 0);
});
