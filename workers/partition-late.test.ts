/** The answer to a question whose approval came too late and was taken back: the one that its repeat gets, in every protocol. */
import t from 'tap';
import { Protocol } from '../engine/core/codes.js';
import { EntryKind, Slab } from '../engine/core/slab.js';
import { policyDefault } from '../engine/testing/world.js';
import { createMarqetaCodec } from '../engine/wire/marqeta.js';
import { nativeCodec } from '../engine/wire/native.js';
import { marqetaSample, sampleText } from '../engine/wire/testing/marqeta-sample.js';
import { Partition } from './partition.js';
import { journalFixture } from './testing/journal-fixture.js';
import { MemoryStorage } from './testing/memory-storage.js';
import { oneCard, tinySize } from './testing/one-card.js';

function partitionWithCard(): Partition {
  const sizes = { segmentBytes: 64 * 1024, frameBytesMax: 32 * 1024 };
  const { writer } = journalFixture(new MemoryStorage(), '/journal', { sizes }).open();
  const codecs = [];
  codecs[Protocol.native] = nativeCodec;
  codecs[Protocol.marqeta] = createMarqetaCodec();
  const partition = new Partition(tinySize, policyDefault, writer, codecs, () => 0);
  partition.load({ ...oneCard('card-77', 100_000), seenComplete: true });
  return partition;
}

const slab = new Slab({ entries: 4, requestBytes: 16_384 });

function run(partition: Partition, kind: number, bytes: Uint8Array): { status: number; text: string } {
  slab.clear();
  slab.add(kind, 0, 1000, bytes);
  slab.seal(1000, 100);
  partition.run(slab);
  return { status: slab.status[0]!, text: slab.answer.toString('utf8', slab.answerStart[0], slab.answerEnd[0]) };
}

const questions = {
  marqeta: { kind: EntryKind.marqeta, text: sampleText(marqetaSample()) },
  native: {
    kind: EntryKind.native,
    text: '{"id":"q","type":"authorization","card":"card-77","amount":10,"currency":"USD"}',
  },
} as const;

for (const [protocol, { kind, text }] of Object.entries(questions)) {
  t.test(`${protocol}: taken back, it is answered as its repeat is`, (t) => {
    const partition = partitionWithCard();
    const question = Buffer.from(text);
    t.equal(run(partition, kind, question).status, 200);
    const location = new Uint8Array(new Float64Array([slab.location[0]!]).buffer);
    const takenBack = run(partition, EntryKind.late, Buffer.concat([location, question]));
    t.same(takenBack, run(partition, kind, question));
    t.match(takenBack.text, protocol === 'native' ? '"reason":"system_error"' : '"method":"pgfs.authorization"');
    t.equal(partition.books.accounts.held(0), 0);
    t.end();
  });
}
