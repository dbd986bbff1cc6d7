import { testFastPath, testMutations } from '../testing/fuzz-readers.js';
import { marqetaSample } from '../testing/marqeta-sample.js';
import { NumberText, type Random } from '../testing/mutate.js';
import { testMarqetaCodec, testPanKeys } from '../testing/test-codecs.js';
import { methods } from './methods.js';
import { readSlow } from './slow-reader.js';

const pieces = [
  '"pgfs.pindebit"',
  '"pgfs.balanceinquiry"',
  '"pgfs.unheard.of"',
  '"ECOMMERCE"',
  '"ATM"',
  '"CHIP"',
  '"GBR"',
  '"gb"',
  '"country":"DEU"',
  '"country_code":"840"',
  '"country_code":276',
  '"mcc":"5411"',
  '"name":"a\\u202e\\u0000b"',
  '"0000"',
  '"0101"',
  '"address_verification":{"issuer":{"response":{"code":"0201"}}}',
  '"card_security_code_verification":{"response":{"code":"0100"}}',
  '"cardholder_authentication_data":{"verification_result":"failed"}',
  '"digital_wallet_token":{"token_service_provider":{"token_requestor_name":"APPLE_PAY"},"device":{"type":"WATCH"}}',
  '"digital_wallet_token":true',
  '"is_recurring":true',
  '"pin_present":"TRUE"',
  '"transaction_risk_score":-1',
  '"826"',
  '"KWD"',
  '"amount":0.5',
  '"currency_code":"EUR"',
  '"\\u0061mount":7.25',
  '"card_token":"c2"',
  '"gpa_order":{}',
  '"jit_funding":{"token":"t","method":"pgfs.authorization","amount":1}',
];

const likePans = ['4111111111111111', 'auth_4111.1111 1111/1111', 'c0.4546743544545123', '2200700012345676'];

const decimals = ['0', '0.0', '1', '84.2', '84.20', '12.345', '1e2', '0.01', '99999999.99', '5E-1'];

function valid(random: Random): Record<string, unknown> {
  const sample = marqetaSample({
    method: random.pick(methods).name,
    amount: random.oneIn(2) ? amountOf(random) : new NumberText(random.pick(decimals)),
    original_jit_funding_token: random.oneIn(2) ? `first-${random.next()}` : undefined,
    ...(random.oneIn(8) ? { token: random.pick(likePans), user_token: random.pick(likePans) } : {}),
  });
  // Smaller messages put more of the mutations where they matter.
  for (const name of Object.keys(sample)) {
    if (!['card_token', 'gpa_order'].includes(name) && !random.oneIn(3)) delete sample[name];
  }
  return sample;
}

const codec = testMarqetaCodec();
const amountOf = (random: Random): NumberText => new NumberText(`${random.below(10_000)}.${random.below(100)}`);

testFastPath(
  3000,
  0.99,
  (random, round) => marqetaSample({ token: `t-${round}`, amount: amountOf(random) }),
  codec.readFast,
);
testMutations({
  runs: 100_000,
  bytesMax: 32_768,
  pieces,
  message: valid,
  unusualOneIn: 4,
  readers: () => ({
    read: codec.read,
    readSlow: (request, bytes, start, end) => readSlow(request, bytes, start, end, testPanKeys),
  }),
});
