/** Results of checks, wallets and recurrence in the words of each protocol, on a real server and a real Postgres. */
import t, { type Test } from 'tap';
import type { Limits } from '../core/rules.js';
import { lithicAmounts, lithicSample } from '../protocols/testing/lithic-sample.js';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { NumberText } from '../protocols/testing/mutate.js';
import { stripeQuestion } from '../protocols/testing/stripe-sample.js';
import { answerOf, marqetaPath, nativePath } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { opsGet } from '../testing/engine-process.js';
import { lithicHeaders, lithicSecret, stripeHeaders, stripeSecret } from '../testing/signing.js';

/** A card for each of these limits. */
const limits = {
  cvv: { verification: { cvv: 'require' } },
  avs: { verification: { avs: 'block' } },
  threeDS: { verification: { threeDS: 'require' } },
  wallets: { wallets: { block: ['google_pay'] } },
  recurring: { recurring: 'block' },
} as const satisfies Record<string, Limits>;
type Name = keyof typeof limits;

const names = Object.keys(limits) as Name[];
const cardOf = (name: Name) => `card_${String(names.indexOf(name) + 1).padStart(6, '0')}_1`;

async function engineWithLimits(t: Test) {
  const changes = {
    LITHIC_SECRET: lithicSecret,
    STRIPE_SECRET: stripeSecret,
    DEADLINE_MS: '1500',
    FEED_STALE_MS_MAX: '20000',
  };
  const engine = await startTestEngine(t, { accounts: names.length, changes });
  for (const name of names) {
    await engine.sql`insert into limits (level, entity_id, limits)
      select 0, id, ${engine.sql.json(limits[name] as never)} from cards where token = ${cardOf(name)}`;
  }
  // A start reads what is in force, so no feed has to be waited for.
  await engine.restart();
  return engine;
}

const engine = await engineWithLimits(t);
let messages = 0;
const nextId = () => `signals-${++messages}`;

/** Asks by a protocol. @returns the answer's own word for what was decided */
type Ask = (card: string, said: Record<string, unknown>) => Promise<string>;

const native: Ask = async (card, said) => {
  const body = { id: nextId(), type: 'authorization', card, amount: 100, currency: 'USD', ...said };
  return answerOf(await engine.client.ask({ path: nativePath, body: JSON.stringify(body) })).reason;
};

/** @param said members of the message, but `jit` of its JIT funding */
const marqeta: Ask = async (card, { jit = {}, ...said }) => {
  const sample = marqetaSample({ token: nextId(), amount: new NumberText('1.00'), ...(jit as object) });
  const body = sampleText({ ...sample, card_token: card, ...said });
  const reply = await engine.client.ask({ path: marqetaPath, body });
  return reply.status === 200 ? 'approved' : JSON.parse(reply.body).jit_funding.decline_reason;
};

const lithic: Ask = async (card, said) => {
  const sample = lithicSample({ token: nextId(), card: { token: card }, amounts: lithicAmounts(100), ...said });
  const body = JSON.stringify(sample);
  const headers = { authorization: undefined, ...lithicHeaders(body) };
  return JSON.parse((await engine.client.ask({ path: '/lithic/asa', body, headers })).body).result;
};

const stripe: Ask = async (card, said) => {
  const id = nextId();
  const body = JSON.stringify(stripeQuestion(`evt_${id}`, { id, card, asked: 100, changes: said }));
  const headers = { authorization: undefined, ...stripeHeaders(body) };
  return JSON.parse((await engine.client.ask({ path: '/stripe/issuing', body, headers })).body).metadata.decision;
};

async function obeys(t: Test, ask: Ask, cases: readonly (readonly [Name, Record<string, unknown>, string])[]) {
  for (const [name, said, wanted] of cases) {
    t.equal(await ask(cardOf(name), said), wanted, `${name}: ${JSON.stringify(said)}`);
  }
}

t.test('the native form says results in our words', async (t) => {
  const failed = 'verification_failed';
  await obeys(t, native, [
    ['cvv', { verification: { cvv: 'match' } }, 'approved'],
    ['cvv', { verification: { cvv: 'mismatch' } }, failed],
    ['cvv', { verification: { cvv: 'not_checked' } }, failed],
    ['cvv', {}, failed],
    ['avs', { verification: { avs: 'mismatch' } }, failed],
    ['avs', { verification: { avs: 'partial' } }, 'approved'],
    ['threeDS', { verification: { threeDS: 'partial' } }, failed],
    ['wallets', { wallet: { type: 'google_pay', device: 'phone' } }, 'wallet_blocked'],
    ['wallets', { wallet: { type: 'apple_pay' } }, 'approved'],
    ['recurring', { recurring: true }, 'recurring_blocked'],
    ['recurring', { recurring: false, initiator: 'merchant', riskScore: 7 }, 'approved'],
  ]);
});

t.test('Marqeta says results in codes of its own', async (t) => {
  const failed = 'SUSPECTED_FRAUD';
  const code = (value: string) => ({
    card_security_code_verification: { type: 'CVV2', response: { code: value, memo: 'x' } },
  });
  const address = (value: string) => ({ jit: { address_verification: { issuer: { response: { code: value } } } } });
  const wallet = (name: string) => ({
    digital_wallet_token: { token: 'w', token_service_provider: { token_requestor_name: name } },
  });
  const result = (value: string) => ({ cardholder_authentication_data: { verification_result: value } });
  await obeys(t, marqeta, [
    ['cvv', code('0000'), 'approved'],
    ['cvv', code('0100'), failed],
    ['cvv', {}, failed],
    ['avs', address('0101'), failed],
    ['avs', address('0000'), 'approved'],
    ['threeDS', result('verified'), 'approved'],
    ['threeDS', result('failed'), failed],
    ['wallets', wallet('ANDROID_PAY'), 'TRANSACTION_NOT_PERMITTED'],
    ['wallets', wallet('APPLE_PAY'), 'approved'],
    ['recurring', { pos: { is_recurring: true } }, 'TRANSACTION_NOT_PERMITTED'],
    ['recurring', { pos: { is_recurring: false } }, 'approved'],
  ]);
});

t.test('Lithic says results in words of its own', async (t) => {
  const failed = 'SUSPECTED_FRAUD';
  const recurs = (cardholder: string) => ({ pos: { entry_mode: { cardholder, pan: 'CREDENTIAL_ON_FILE' } } });
  await obeys(t, lithic, [
    ['avs', { avs: { address_on_file_match: 'MISMATCH' } }, failed],
    ['avs', { avs: { address_on_file_match: 'MATCH_ZIP_ONLY' } }, 'APPROVED'],
    ['threeDS', { cardholder_authentication: { authentication_result: 'SUCCESS' } }, 'APPROVED'],
    ['threeDS', { cardholder_authentication: { authentication_result: 'ATTEMPTS' } }, failed],
    ['threeDS', { cardholder_authentication: null }, failed],
    ['wallets', { token_info: { wallet_type: 'GOOGLE_PAY' } }, 'WALLET_BLOCKED'],
    ['wallets', { token_info: null }, 'APPROVED'],
    ['recurring', recurs('REOCCURRING'), 'RECURRING_BLOCKED'],
    ['recurring', recurs('PRESENT'), 'APPROVED'],
  ]);
});

t.test('Stripe says results in words of its own', async (t) => {
  const failed = 'verification_failed';
  const data = (said: object) => ({ verification_data: said });
  await obeys(t, stripe, [
    ['cvv', data({ cvc_check: 'match' }), 'approved'],
    ['cvv', data({ cvc_check: 'not_provided' }), failed],
    ['avs', data({ address_line1_check: 'mismatch', address_postal_code_check: 'match' }), 'approved'],
    ['avs', data({ address_line1_check: 'mismatch', address_postal_code_check: 'not_provided' }), failed],
    ['threeDS', data({ three_d_secure: { result: 'authenticated' } }), 'approved'],
    ['threeDS', data({ three_d_secure: null }), failed],
    ['wallets', { wallet: 'google_pay' }, 'wallet_blocked'],
    ['wallets', { wallet: null }, 'approved'],
  ]);
});

t.test('the explanation of a decision shows what was asked and what was said, also after a restart', async (t) => {
  const id = nextId();
  const body = {
    id,
    type: 'authorization',
    card: cardOf('cvv'),
    amount: 100,
    currency: 'USD',
    verification: { cvv: 'mismatch' },
  };
  const ask = async () => (await engine.client.ask({ path: nativePath, body: JSON.stringify(body) })).body;
  const first = JSON.parse(await ask());
  t.match(first, {
    approved: false,
    reason: 'verification_failed',
    detail: 'card.verification.cvv',
    responseCode: '63',
  });
  const explained = async () => JSON.parse((await opsGet(engine.place, `/admin/decisions/${id}`)).text).checks;
  const wanted = { detail: 'card.verification.cvv', passed: false, numbers: { result: 'mismatch', mode: 'require' } };
  const find = (checks: { detail: string }[]) => checks.find(({ detail }) => detail === wanted.detail);
  t.match(find(await explained()), wanted);
  await engine.restart();
  t.match(find(await explained()), wanted);
  t.match(JSON.parse(await ask()), { ...first, responseTimeMs: Number });
  body.verification.cvv = 'match';
  t.match(
    JSON.parse(await ask()),
    { approved: false, reason: 'duplicate_conflict' },
    'another result is another question',
  );
});
