import { testFastPath, testMutations } from '../testing/fuzz-readers.js';
import type { Random } from '../testing/mutate.js';
import { stripeMerchant, stripeQuestion } from '../testing/stripe-sample.js';
import { testPanKeys, testStripeCodec } from '../testing/test-codecs.js';
import { readSlow } from './slow-reader.js';

const pieces = [
  '"issuing_authorization.request"',
  '"issuing_authorization.created"',
  '"chip"',
  '"keyed_in"',
  '"unheard_of"',
  '"USD"',
  '"kwd"',
  '"xyz"',
  '"6011"',
  'null',
  '-0',
  '-5',
  '12.5',
  '1e2',
  '"match"',
  '"mismatch"',
  '"apple_pay"',
  '"wallet":"google_pay"',
  '"three_d_secure":{"result":"failed"}',
  '"verification_data":"x"',
  '"network_risk_score":99',
  '"network_risk_score":null',
  '"amount":0',
  '"amount":250',
  '"is_amount_controllable":"true"',
  '"is_amount_controllable":true',
  '"\\u0061mount":7',
  '"country":276',
  '"name":"a\\u202e\\u0000b"',
  '"card":{"id":"c2"}',
  '"pending_request":{"amount":1,"currency":"usd"}',
  '"merchant_data":null',
];

const likePans = ['4111111111111111', 'iauth_4111.1111 1111/1111', 'c0.4546743544545123', '2200700012345676'];

function valid(random: Random): Record<string, unknown> {
  const isPan = random.oneIn(8);
  const id = isPan ? random.pick(likePans) : `iauth_${random.next()}`;
  const event = isPan ? random.pick(likePans) : `evt_${random.next()}`;
  const question = stripeQuestion(event, {
    id,
    card: 'ic_1',
    amount: random.oneIn(3) ? amountOf(random) : 0,
    asked: random.oneIn(8) ? 0 : amountOf(random),
    isControllable: random.oneIn(2),
    currency: random.pick(['usd', 'jpy', 'kwd']),
    changes: {
      authorization_method: random.pick(['online', 'chip', 'contactless', 'swipe', 'keyed_in']),
      merchant_data: { ...stripeMerchant, ...(isPan ? { name: random.pick(likePans) } : {}) },
    },
  });
  const object = (question['data'] as { object: Record<string, unknown> }).object;
  const needed = ['id', 'amount', 'card', 'pending_request'];
  // Smaller messages put more of the mutations where they matter.
  for (const name of Object.keys(object)) if (!needed.includes(name) && !random.oneIn(3)) delete object[name];
  object['card'] = { id: 'ic_1', last4: '0014' };
  return question;
}

const codec = testStripeCodec();
const amountOf = (random: Random): number => 1 + random.below(10_000);

testFastPath(
  3000,
  0.99,
  (random, round) =>
    stripeQuestion(`evt_${round}`, { id: `iauth_${round}`, card: 'ic_1', asked: amountOf(random), amount: round % 2 }),
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
