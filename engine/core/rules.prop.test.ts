import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { channelNames, packLetters } from './codes.js';
import { windowNames } from './limit-names.js';
import { type AllowOrBlock, compileRules, type Limits, listDeclines, unlimited } from './rules.js';
import { verificationModes, walletNames } from './vocabulary.js';

const amount = fc.integer({ min: 0, max: 1_000_000 });
const mcc = fc.integer({ min: 0, max: 30 }).map((number) => String(number).padStart(4, '0'));
const merchant = fc.constantFrom('m-1', 'm-2', 'Café', '', '0', '__proto__', 'constructor');
const country = fc.constantFrom('US', 'DE', 'FR', 'GB');
const channel = fc.constantFrom(...channelNames.slice(1));

const wallet = fc.constantFrom(...walletNames.slice(1));
const mode = fc.constantFrom(...verificationModes);

function list(member: fc.Arbitrary<string>): fc.Arbitrary<AllowOrBlock> {
  const members = fc.array(member, { maxLength: 4 });
  return fc.oneof(
    members.map((allow) => ({ allow })),
    members.map((block) => ({ block })),
  );
}

const window = fc.record({ amount, count: amount }, { requiredKeys: [] });
const limits: fc.Arbitrary<Limits> = fc.record(
  {
    perAuthorization: amount,
    daily: window,
    weekly: window,
    monthly: window,
    yearly: window,
    lifetime: window,
    mcc: list(mcc),
    merchants: list(merchant),
    countries: list(country),
    channels: list(channel),
    wallets: list(wallet),
    verification: fc.record({ avs: mode, cvv: mode, threeDS: mode }, { requiredKeys: [] }),
    recurring: fc.constantFrom('allow', 'block'),
    rolling: fc.array(fc.record({ hours: fc.integer({ min: 1, max: 2160 }), amount }), { maxLength: 2 }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Limits>;

/** The obvious reading of a list; `value` null when the message does not say. */
function obviousRefusal(rule: AllowOrBlock | undefined, value: string | null): boolean {
  if (rule?.allow !== undefined) return value === null || !rule.allow.includes(value);
  if (rule?.block !== undefined) return value !== null && rule.block.includes(value);
  return false;
}

t.test('a compiled list declines exactly what the written list declines', async () => {
  const absent = fc.constant(null);
  fc.assert(
    fc.property(
      limits,
      fc.oneof(absent, mcc),
      fc.oneof(absent, merchant),
      fc.oneof(absent, country),
      fc.oneof(absent, channel),
      (limits, mcc, merchant, country, channel) => {
        const rules = compileRules(limits);
        const refuses = [
          listDeclines(rules?.mcc ?? null, mcc === null ? -1 : Number(mcc), mcc === null),
          listDeclines(rules?.merchants ?? null, merchant ?? '', merchant === null),
          listDeclines(rules?.countries ?? null, packLetters(country ?? ''), country === null),
          listDeclines(rules?.channels ?? null, channelNames.indexOf(channel ?? ''), channel === null),
        ];
        const expected = [
          obviousRefusal(limits.mcc, mcc),
          obviousRefusal(limits.merchants, merchant),
          obviousRefusal(limits.countries, country),
          obviousRefusal(limits.channels, channel),
        ];
        return refuses.join() === expected.join();
      },
    ),
    runs(2000),
  );
});

t.test('compiled amounts and counts equal the written ones, and an empty limit compiles to none', async () => {
  fc.assert(
    fc.property(limits, (limits) => {
      const rules = compileRules(limits);
      const windows = windowNames.map((name) => limits[name]);
      const limitsWindows = windows.some((window) => window?.amount !== undefined || window?.count !== undefined);
      const lists = [limits.mcc, limits.merchants, limits.countries, limits.channels, limits.wallets];
      const modes = Object.values(limits.verification ?? {});
      const asks =
        limits.recurring === 'block' || (limits.rolling?.length ?? 0) > 0 || modes.some((mode) => mode !== 'allow');
      const limitsAnything =
        limits.perAuthorization !== undefined || limitsWindows || asks || lists.some((list) => list !== undefined);
      if (rules === null) return !limitsAnything;
      return (
        limitsAnything &&
        rules.hasWindows === limitsWindows &&
        rules.perAuthorization === (limits.perAuthorization ?? unlimited) &&
        windows.every((window, index) => rules.amounts[index] === (window?.amount ?? unlimited)) &&
        windows.every((window, index) => rules.counts[index] === (window?.count ?? unlimited))
      );
    }),
    runs(500),
  );
});

t.test('empty limits compile to no rules', async (t) => {
  t.equal(compileRules(null), null);
  t.equal(compileRules(undefined), null);
  t.equal(compileRules({}), null);
  t.equal(compileRules({ daily: {} }), null);
  t.not(compileRules({ mcc: { allow: [] } }), null, 'an empty allow list allows nothing');
});
