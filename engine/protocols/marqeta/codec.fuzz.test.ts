/** Differential fuzzing of the JIT Funding readers, as in native/codec.fuzz.test.ts. */
import t from 'tap';
import { Request } from '../../core/request.js';
import { runs, testSeed } from '../../testing/runs.js';
import { marqetaSample } from '../testing/marqeta-sample.js';
import { jsonText, Message, NumberText, Random } from '../testing/mutate.js';
import { difference, sameRefusal } from '../testing/same-request.js';
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
    amount: new NumberText(random.oneIn(2) ? `${random.below(10_000)}.${random.below(100)}` : random.pick(decimals)),
    original_jit_funding_token: random.oneIn(2) ? `first-${random.next()}` : undefined,
    ...(random.oneIn(8) ? { token: random.pick(likePans), user_token: random.pick(likePans) } : {}),
  });
  // Smaller messages put more of the mutations where they matter.
  for (const name of Object.keys(sample)) {
    if (!['card_token', 'gpa_order'].includes(name) && !random.oneIn(3)) delete sample[name];
  }
  return sample;
}

// FUZZ_RUNS decides how long this takes.
t.setTimeout(0);

t.test('plain messages take the fast path', (t) => {
  const random = new Random(7);
  const codec = testMarqetaCodec();
  const request = new Request();
  let fast = 0;
  const count = 3000;
  for (let round = 0; round < count; round++) {
    const sample = marqetaSample({
      token: `t-${round}`,
      amount: new NumberText(`${random.below(10_000)}.${random.below(100)}`),
    });
    const bytes = Uint8Array.from(Buffer.from(jsonText(random, sample, random.oneIn(2))));
    if (codec.readFast(request, bytes, 0, bytes.length)) fast++;
  }
  t.ok(fast >= count * 0.99, `${fast} of ${count}`);
  t.end();
});

t.test('both readers agree on every mutated message', (t) => {
  const { numRuns } = runs(100_000);
  const random = new Random(testSeed);
  const codec = testMarqetaCodec();
  const message = new Message(32_768, pieces);
  const slab = new Uint8Array(new SharedArrayBuffer(65_536));
  const fast = new Request();
  const slow = new Request();
  let accepted = 0;
  let inPlace = 0;
  for (let run = 0; run < numRuns; run++) {
    if (run % 3 === 0) message.set(jsonText(random, valid(random), random.oneIn(4)));
    for (let edits = random.oneIn(3) ? 1 : 0; edits >= 0; edits--) message.mutate(random);
    const start = random.below(64);
    const end = start + message.length;
    slab.set(message.bytes.subarray(0, message.length), start);
    slab[end] = random.pick([0x7d, 0x22, 0x30, 0x2c, 0x20]);
    const slowVerdict = readSlow(slow, slab, start, end, testPanKeys);
    const verdict = codec.read(fast, slab, start, end);
    const filled = verdict === null || 'unsupported' in verdict;
    const different = sameRefusal(verdict, slowVerdict) ? (filled ? difference(fast, slow) : null) : 'verdict';
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
