import { testFastPath, testMutations } from '../testing/fuzz-readers.js';
import { lithicAmounts, lithicMerchant, lithicSample } from '../testing/lithic-sample.js';
import type { Random } from '../testing/mutate.js';
import { testLithicCodec, testPanKeys } from '../testing/test-codecs.js';
import { readSlow } from './slow-reader.js';
import { statuses } from './statuses.js';

const pieces = [
  '"FINANCIAL_AUTHORIZATION"',
  '"CREDIT_AUTHORIZATION"',
  '"BALANCE_INQUIRY"',
  '"UNHEARD_OF"',
  '"ATM"',
  '"ICC"',
  '"GBR"',
  '"gb"',
  '"840"',
  '"KWD"',
  '"xyz"',
  'null',
  '-0',
  '-5',
  '12.5',
  '1e2',
  '"MISMATCH"',
  '"MATCH"',
  '"APPLE_PAY"',
  '"SUCCESS"',
  '"REOCCURRING"',
  '"token_info":{"wallet_type":"OTHER"}',
  '"token_info":7',
  '"avs":[]',
  '"pin_entered":true',
  '"pin_entered":"true"',
  '"network_risk_score":1000',
  '"network_risk_score":5.0',
  '"hold":null',
  '"hold":{}',
  '"hold":{"amount":7,"currency":"EUR"}',
  '"event_token":"e-1"',
  '"\\u0061mount":7',
  '"country":276',
  '"mcc":"5411"',
  '"partial_approval_capable":"true"',
  '"descriptor":"a\\u202e\\u0000b"',
  '"card":{"token":"c2"}',
  '"amounts":{"cardholder":{"amount":1,"currency":"USD"}}',
];

const likePans = ['4111111111111111', 'auth_4111.1111 1111/1111', 'c0.4546743544545123', '2200700012345676'];

function valid(random: Random): Record<string, unknown> {
  const isPan = random.oneIn(8);
  const sample = lithicSample({
    token: isPan ? random.pick(likePans) : `t-${random.next()}`,
    status: random.pick(statuses).name,
    amounts: lithicAmounts(amountOf(random), random.oneIn(3) ? amountOf(random) : null),
    merchant: { ...lithicMerchant, ...(isPan ? { descriptor: random.pick(likePans) } : {}) },
    ...(random.oneIn(3) ? { event_token: isPan ? random.pick(likePans) : `e-${random.next()}` } : {}),
  });
  // Smaller messages put more of the mutations where they matter.
  for (const name of Object.keys(sample)) {
    if (!['token', 'status', 'amounts', 'card', 'event_token'].includes(name) && !random.oneIn(3)) delete sample[name];
  }
  return sample;
}

const codec = testLithicCodec();
/** Some beyond 32 bits. */
const amountOf = (random: Random): number => random.below(10_000) * (random.oneIn(4) ? 10_000_000_019 : 1);

testFastPath(
  3000,
  0.99,
  (random, round) =>
    lithicSample({ token: `t-${round}`, amounts: lithicAmounts(amountOf(random), random.oneIn(2) ? 100 : null) }),
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
