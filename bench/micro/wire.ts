/**
 * Nanoseconds per message of the protocol codecs, alone: no socket, no journal. Beside each stands JSON.parse or
 * JSON.stringify on the same message in the same run, because the machine is shared and only ratios travel.
 *
 *   node dist/bench/micro/wire.js [rounds]
 */
import { strict as assert } from 'node:assert';
import { packLetters } from '../../engine/core/codes.js';
import { Outcome } from '../../engine/core/outcome.js';
import { Reason } from '../../engine/core/reasons.js';
import { Request } from '../../engine/core/request.js';
import { answerBytesMax, type Codec } from '../../engine/protocols/codec.js';
import { IsoMessage } from '../../engine/protocols/iso8583/message.js';
import { pack } from '../../engine/protocols/iso8583/pack.js';
import { Packager } from '../../engine/protocols/iso8583/packager.js';
import { workedMessages } from '../../engine/protocols/iso8583/testing/worked-messages.js';
import { unpack } from '../../engine/protocols/iso8583/unpack.js';
import { readSlow } from '../../engine/protocols/native/slow-reader.js';
import { lithicSample } from '../../engine/protocols/testing/lithic-sample.js';
import { marqetaSample, sampleText } from '../../engine/protocols/testing/marqeta-sample.js';
import { stripeQuestion } from '../../engine/protocols/testing/stripe-sample.js';
import {
  nativeCodec,
  testLithicCodec,
  testMarqetaCodec,
  testStripeCodec,
} from '../../engine/protocols/testing/test-codecs.js';
import { lithicHeaders, lithicSecret } from '../../engine/testing/signing.js';
import { standardWebhooks } from '../../engine/transports/http/signatures.js';

const messageCount = 256;
const rounds = Number(process.argv[2] ?? 400);
/** Repeats of each measurement; the median counts, and the best shows how far the machine disturbed it. */
const repeats = 7;

interface Batch {
  readonly bytes: Uint8Array;
  readonly starts: Int32Array;
  readonly texts: readonly string[];
}

/** Messages end to end in shared memory, as in a slab. */
function batchOf(texts: readonly string[]): Batch {
  const buffers = texts.map((text) => Buffer.from(text));
  const total = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
  const bytes = new Uint8Array(new SharedArrayBuffer(total));
  const starts = new Int32Array(texts.length + 1);
  let position = 0;
  for (const [index, buffer] of buffers.entries()) {
    bytes.set(buffer, position);
    position += buffer.length;
    starts[index + 1] = position;
  }
  return { bytes, starts, texts };
}

const native = batchOf(
  Array.from({ length: messageCount }, (_, index) =>
    JSON.stringify({
      id: `7d1e4c2a-0f3b-4a00-8c00-a0b1c2${String(index).padStart(6, '0')}`,
      type: 'authorization',
      card: `card_${String(index + 1).padStart(6, '0')}_1`,
      amount: 100 + index * 37,
      currency: 'USD',
      merchant: { id: 'm-000042', name: 'Corner Store', mcc: '5411', country: 'US' },
      channel: 'contactless',
      at: '2026-11-22T18:00:00Z',
    }),
  ),
);
const marqeta = batchOf(
  Array.from({ length: messageCount }, (_, index) => sampleText(marqetaSample({ token: `7d1e4c2a-${index}` }))),
);

/** Measures `work` over all messages; prints nanoseconds per message. */
function measure(name: string, work: (index: number) => number): void {
  const nanos: number[] = [];
  let sink = 0;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const startNs = process.hrtime.bigint();
    for (let round = 0; round < rounds; round++) for (let index = 0; index < messageCount; index++) sink += work(index);
    nanos.push(Number(process.hrtime.bigint() - startNs) / (rounds * messageCount));
  }
  nanos.sort((a, b) => a - b);
  const median = nanos[repeats >> 1]!;
  // The sink keeps the work alive and shows that every run did the same.
  console.log(
    `${name.padEnd(34)} ${median.toFixed(0).padStart(7)} ns median ${nanos[0]!.toFixed(0).padStart(7)} ns best   ` +
      `(sum ${sink})`,
  );
}

const request = new Request();
const target = new Uint8Array(new SharedArrayBuffer(messageCount * answerBytesMax));
const outcome = new Outcome();
outcome.approved = true;
outcome.reason = Reason.approved;
outcome.currency = packLetters('USD');
outcome.approvedAmountMinor = 1250;
outcome.amountMinor = 1250;
outcome.availableMinor = 98_750;

function readAll(codec: Codec, batch: Batch): (index: number) => number {
  return (index) => {
    assert(codec.read(request, batch.bytes, batch.starts[index]!, batch.starts[index + 1]!) === null);
    return request.amountMinor;
  };
}

const marqetaCodec = testMarqetaCodec();
for (let index = 0; index < messageCount; index++) {
  assert(
    nativeCodec.readFast(request, native.bytes, native.starts[index]!, native.starts[index + 1]!),
    'the native sample is common',
  );
  assert(marqetaCodec.readFast(request, marqeta.bytes, marqeta.starts[index]!, marqeta.starts[index + 1]!));
}

console.log(
  `native ${native.texts[0]!.length} bytes, marqeta ${marqeta.texts[0]!.length} bytes, ${rounds * messageCount} ` +
    'messages',
);
measure('native read', readAll(nativeCodec, native));
measure('native read, slow twin', (index) => {
  assert(readSlow(request, native.bytes, native.starts[index]!, native.starts[index + 1]!, nativeCodec.rules) === null);
  return request.amountMinor;
});
const nativeCopies = native.texts.map((text) => Buffer.from(text));
measure('  JSON.parse(buffer.toString())', (index) => JSON.parse(nativeCopies[index]!.toString()).amount);
nativeCodec.read(request, native.bytes, 0, native.starts[1]!);
measure('native write', (index) =>
  nativeCodec.writeAnswer(target, index * answerBytesMax, request, outcome, request.source, request.id),
);
measure('  Buffer.from(JSON.stringify())', (index) => {
  const answer = { id: 'q', approved: true, reason: 'approved', responseCode: '00', authorizationId: 'q' };
  const money = { amount: 1250, approvedAmount: 1250, available: 98_750 + index, currency: 'USD', responseTimeMs: 0.8 };
  return Buffer.from(JSON.stringify({ ...answer, ...money })).length;
});
measure('marqeta read', readAll(marqetaCodec, marqeta));
const marqetaCopies = marqeta.texts.map((text) => Buffer.from(text));
measure('  JSON.parse(buffer.toString())', (index) => JSON.parse(marqetaCopies[index]!.toString()).amount);
marqetaCodec.read(request, marqeta.bytes, 0, marqeta.starts[1]!);
measure('marqeta write', (index) =>
  marqetaCodec.writeAnswer(target, index * answerBytesMax, request, outcome, request.source, request.id),
);

const stripeCard = { card: 'card_000001_1', asked: 1250 };
const processors = [
  ['lithic', testLithicCodec(), (index: number) => lithicSample({ token: `2f0c1d9a-${index}` })],
  [
    'stripe',
    testStripeCodec(),
    (index: number) => stripeQuestion(`evt_${index}`, { ...stripeCard, id: `iauth_${index}` }),
  ],
] as const;
for (const [name, codec, sample] of processors) {
  const batch = batchOf(Array.from({ length: messageCount }, (_, index) => JSON.stringify(sample(index))));
  assert(codec.readFast(request, batch.bytes, 0, batch.starts[1]!), 'the sample is common');
  measure(`${name} read (${batch.texts[0]!.length} bytes)`, readAll(codec, batch));
}
const signed = lithicHeaders(native.texts[0]!);
const check = standardWebhooks([lithicSecret]);
measure('signature', (index) => {
  const proof = check.proofOf({ getHeader: (name) => signed[String(name)] ?? '' });
  return check.accepts(proof!, nativeCopies[index]!, Date.now()) ? 1 : 0;
});

// A request of 16 fields is read, and the answer of 12 fields is written, which takes most of them over.
const [isoRequest, isoAnswer] = workedMessages;
for (const encoding of ['ascii', 'bcd', 'ebcdic'] as const) {
  const packager = new Packager({ version: 1987, encoding });
  const [question, answer] = [new IsoMessage(), new IsoMessage()];
  question.mti = isoRequest!.mti;
  for (const [field, text] of Object.entries(isoRequest!.fields)) question.setText(Number(field), text);
  const packed = new Uint8Array(1024);
  const into = new Uint8Array(1024);
  const length = Number(pack(packager, question, packed, 0));
  const added = [38, 39, 54] as const;
  const echoed = [2, 3, 4, 7, 11, 37, 41, 42, 49] as const;
  const writeAnswer = (): number => {
    answer.clear();
    answer.mti = isoAnswer!.mti;
    for (const field of echoed) answer.copy(field, question);
    for (const field of added) answer.setText(field, isoAnswer!.fields[field]!);
    return Number(pack(packager, answer, into, 0));
  };
  measure(`iso8583 ${encoding} read (${length} bytes)`, () => {
    assert(unpack(packager, packed, 0, length, question) === null);
    return question.mti;
  });
  measure(`iso8583 ${encoding} write (${writeAnswer()} bytes)`, writeAnswer);
  measure(`iso8583 ${encoding} read and write`, () => {
    assert(unpack(packager, packed, 0, length, question) === null);
    return writeAnswer();
  });
}
