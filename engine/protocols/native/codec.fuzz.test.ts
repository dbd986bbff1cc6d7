/**
 * Differential fuzzing: for any bytes, the codec (byte reader first) and the slow reader alone give the same verdict
 * and the same request.
 */
import t from 'tap';
import { Request } from '../../core/request.js';
import { runs, testSeed } from '../../testing/runs.js';
import { jsonText, Message, Random } from '../testing/mutate.js';
import { difference, sameRefusal } from '../testing/same-request.js';
import { nativeCodec, testPanKeys } from '../testing/test-codecs.js';
import { createNativeCodec } from './codec.js';
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
];
const strictCodec = createNativeCodec({ panKeys: testPanKeys, strictFields: true });

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
    extra: random.oneIn(4) ? { nested: [1, 2.5, 'x', { deep: null }], text: 'é\n"' } : undefined,
  };
}

// FUZZ_RUNS decides how long this takes.
t.setTimeout(0);

t.test('plain messages take the fast path', (t) => {
  const random = new Random(7);
  const request = new Request();
  let fast = 0;
  const count = 20_000;
  for (let round = 0; round < count; round++) {
    const bytes = Uint8Array.from(Buffer.from(jsonText(random, valid(random), random.oneIn(2))));
    if (nativeCodec.readFast(request, bytes, 0, bytes.length)) fast++;
  }
  t.ok(fast >= count * 0.95, `${fast} of ${count}`);
  t.end();
});

t.test('both readers agree on every mutated message', (t) => {
  const { numRuns } = runs(200_000);
  const random = new Random(testSeed);
  const message = new Message(16_384, keyTexts);
  const slab = new Uint8Array(new SharedArrayBuffer(32_768));
  const fast = new Request();
  const slow = new Request();
  let accepted = 0;
  let inPlace = 0;
  for (let run = 0; run < numRuns; run++) {
    // A few generations of edits on the same message reach deeper than one edit on a fresh one.
    if (run % 3 === 0) message.set(jsonText(random, valid(random), random.oneIn(3)));
    for (let edits = random.oneIn(3) ? 1 : 0; edits >= 0; edits--) message.mutate(random);
    const start = random.below(64);
    const end = start + message.length;
    slab.set(message.bytes.subarray(0, message.length), start);
    // What stands behind a message must not matter.
    slab[end] = random.pick([0x7d, 0x22, 0x30, 0x2c, 0x20]);
    const codec = random.oneIn(3) ? strictCodec : nativeCodec;
    const slowVerdict = readSlow(slow, slab, start, end, codec.rules);
    const verdict = codec.read(fast, slab, start, end);
    const different = sameRefusal(verdict, slowVerdict)
      ? verdict === null
        ? difference(fast, slow)
        : null
      : 'verdict';
    if (different !== null) {
      const text = Buffer.from(message.bytes.subarray(0, message.length)).toString('latin1');
      t.fail(`${different} differs`, { run, text, verdict, slowVerdict });
      break;
    }
    if (verdict === null) accepted++;
    if (verdict === null && fast.source === slab) inPlace++;
  }
  t.comment(`${numRuns} messages, ${accepted} accepted, ${inPlace} of them in place`);
  t.ok(accepted > numRuns / 20, 'enough messages survive their mutations to compare requests');
  t.ok(inPlace > accepted / 4, 'enough of them by the byte reader');
  t.end();
});
