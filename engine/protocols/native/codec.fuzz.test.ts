import { type Readers, testFastPath, testMutations } from '../testing/fuzz-readers.js';
import type { Random } from '../testing/mutate.js';
import { nativeCodec, testPanKeys } from '../testing/test-codecs.js';
import { createNativeCodec, type NativeCodec } from './codec.js';
import { readSlow } from './slow-reader.js';

const types = [
  'authorization',
  'authorization',
  'authorization',
  'incremental',
  'reversal',
  'clearing',
  'refund',
  'verification',
  'balance_inquiry',
  'advice',
];
const keyTexts = [
  '"id":',
  '"type":"reversal"',
  '"card":"c"',
  '"amount":7',
  '"currency":"EUR"',
  '"original":"o"',
  '"merchant":{"mcc":"5999"}',
  '"\\u0069d":"z"',
  '"orginal":"o"',
  '"x":1',
  '"x":{"x":1,"x":2}',
  '"name":"a\\u202e\\u0000b"',
  '"id":"4111.1111.1111.1111"',
  '"card":"4111 1111 1111 1111"',
  '"verification":{"avs":"partial"}',
  '"cvv":"partial"',
  '"pin":"entered"',
  '"wallet":{"type":"apple_pay"}',
  '"recurring":true',
  '"riskScore":1000',
  '"riskScore":999',
];

function token(random: Random): string {
  if (random.oneIn(150)) return random.pick(likePans);
  const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. :/';
  let text = '';
  for (let length = 1 + random.below(random.oneIn(8) ? 64 : 36); length > 0; length--)
    text += alphabet[random.below(alphabet.length)];
  return text;
}

const likePans = [
  'auth4111111111111111',
  '0004111111111111111',
  '4111.1111.1111.1111',
  '41111111111111111226',
  'c0.4546743544545123',
  '4111111111111111',
];

function merchantName(random: Random): string {
  if (random.oneIn(40)) return random.pick(['n'.repeat(129), '']);
  return random.pick(['Corner Store', 'CAFE 4111 1111 1111 1111', 'A & B', token(random)]);
}

const maybe = <T>(random: Random, value: T): T | undefined => (random.oneIn(3) ? undefined : value);

/** A message of the common shape. */
function valid(random: Random): Record<string, unknown> {
  const type = random.pick(types);
  return {
    id: token(random),
    type,
    card: token(random),
    original: type === 'incremental' || type === 'reversal' ? token(random) : maybe(random, token(random)),
    amount: random.oneIn(2) ? random.below(100_000) : random.next() * random.below(100_000),
    currency: random.pick(['USD', 'EUR', 'JPY', 'KWD', 'XTS']),
    merchant: maybe(random, {
      id: token(random),
      name: maybe(random, merchantName(random)),
      mcc: maybe(random, String(1000 + random.below(9000))),
      country: maybe(random, random.pick(['US', 'GB', 'DE'])),
    }),
    channel: maybe(random, random.pick(['chip', 'contactless', 'magstripe', 'ecommerce', 'manual', 'atm'])),
    partialAllowed: maybe(random, random.oneIn(2)),
    final: maybe(random, random.oneIn(2)),
    at: maybe(
      random,
      random.pick(['2026-11-22T18:00:00Z', '2024-02-29T00:00:00.123456+05:30', '1999-12-31T23:59:59-12:00']),
    ),
    verification: maybe(random, {
      avs: maybe(random, random.pick(['match', 'partial', 'mismatch', 'not_checked'])),
      cvv: maybe(random, random.pick(['match', 'mismatch', 'not_checked'])),
      threeDS: maybe(random, random.pick(['match', 'partial', 'mismatch', 'not_checked'])),
      pin: maybe(random, random.pick(['entered', 'not_entered'])),
    }),
    wallet: maybe(random, { type: 'google_pay', device: maybe(random, random.pick(['phone', 'watch'])) }),
    recurring: maybe(random, random.oneIn(2)),
    initiator: maybe(random, random.pick(['cardholder', 'merchant'])),
    riskScore: maybe(random, random.below(1000)),
    extra: random.oneIn(4) ? { nested: [1, 2.5, 'x', { deep: null }], text: 'é\n"' } : undefined,
  };
}

const readersOf = (codec: NativeCodec): Readers => ({
  read: codec.read,
  readSlow: (request, bytes, start, end) => readSlow(request, bytes, start, end, codec.rules),
});
const usualReaders = readersOf(nativeCodec);
const strictReaders = readersOf(createNativeCodec({ panKeys: testPanKeys, strictFields: true }));

testFastPath(20_000, 0.95, valid, nativeCodec.readFast);
testMutations({
  runs: 200_000,
  bytesMax: 16_384,
  pieces: keyTexts,
  message: valid,
  unusualOneIn: 3,
  readers: (random) => (random.oneIn(3) ? strictReaders : usualReaders),
});
