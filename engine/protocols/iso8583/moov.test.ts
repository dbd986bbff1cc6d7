/**
 * A second opinion: moov-io/iso8583 reads what this codec writes, and writes what this codec reads, over a socket. Its
 * tables of fields, encodings and lengths are its own.
 */
import t from 'tap';
import { runs, testSeed } from '../../testing/runs.js';
import { Random } from '../testing/mutate.js';
import { IsoMessage } from './message.js';
import { pack } from './pack.js';
import { type FieldSettings, Packager, type PackagerSettings, Wire } from './packager.js';
import { type MoovKind, startMoovPeer } from './testing/moov-peer.js';
import type { TestPackager } from './testing/packagers.js';
import { fillRandomly } from './testing/random-message.js';
import { unpack } from './unpack.js';

t.setTimeout(0);

/** Moov reads signed amounts and tracks as text. */
const asText: Readonly<Record<string, FieldSettings>> = Object.fromEntries(
  [28, 29, 30, 31, 35, 36].map((field) => [field, { encoding: 'ascii' }]),
);

const links: Readonly<Record<MoovKind, PackagerSettings>> = {
  // Moov counts the hexadecimal digits of DE55.
  ascii: { version: 1987, encoding: 'ascii', overrides: { 55: { format: 'b...400', prefixCounts: 'wire' } } },
  bcd: { version: 1987, encoding: 'bcd', overrides: asText },
  ebcdic: { version: 1987, encoding: 'ebcdic' },
};

/** Fields that the peer has. */
const peerFields = [...Array.from({ length: 63 }, (_, index) => index + 2), 70, 90, 95, 100, 102, 127, 128];

interface Values {
  readonly mti: string;
  readonly fields: Record<string, string>;
}

/** The values as the peer shows them: bytes in hexadecimal. */
function valuesOf(message: IsoMessage, { packager, fields }: TestPackager): Values {
  const values: Record<string, string> = {};
  for (const field of fields.filter((each) => message.has(each))) {
    const isText = packager.wire[field] !== Wire.bytes && packager.wire[field] !== Wire.hex;
    const text = message.text(field);
    values[field] = isText ? text : Buffer.from(text, 'latin1').toString('hex').toUpperCase();
  }
  return { mti: message.mtiText, fields: values };
}

t.test('moov reads what is written, and its messages are read, in each encoding', async (t) => {
  const peer = await startMoovPeer((line) => t.comment(line));
  t.teardown(() => peer.close());
  for (const [kind, settings] of Object.entries(links) as [MoovKind, PackagerSettings][]) {
    const packager = new Packager(settings);
    const test = { name: kind, packager, fields: peerFields };
    const random = new Random(testSeed);
    const message = new IsoMessage();
    const into = Buffer.alloc(16_384);
    const link = await peer.connect(kind);
    const rounds = Math.ceil(runs(400).numRuns / 20);
    for (let round = 0; round < rounds; round++) {
      const packed: Buffer[] = [];
      const values: Values[] = [];
      for (let count = 0; count < 20; count++) {
        fillRandomly(message, random, test, 24);
        keepAscii(message, test);
        const length = pack(packager, message, into, 0);
        if (typeof length !== 'number') throw new Error(`${kind}: ${JSON.stringify(length)}`);
        packed.push(Buffer.from(into.subarray(0, length)));
        values.push(valuesOf(message, test));
      }
      const read = await link.exchange(packed, 1 + random.below(2000));
      const texts = values.map((each) => Buffer.from(JSON.stringify(each)));
      const written = await link.exchange(texts, 1 + random.below(2000));
      for (const [index, each] of values.entries()) {
        t.same(JSON.parse(read[index]!.toString()), each, `${kind}: moov reads the values`);
        const theirs = written[index]!;
        t.equal(theirs.toString('hex'), packed[index]!.toString('hex'), `${kind}: moov writes the same bytes`);
        t.equal(unpack(packager, theirs, 0, theirs.length, message), null, `${kind}: what moov writes is read`);
        t.same(valuesOf(message, test), each, `${kind}: with the same values`);
      }
    }
    link.close();
  }
});

/** Moov counts the bytes of UTF-8, so that text stays within ASCII. */
function keepAscii(message: IsoMessage, { packager, fields }: TestPackager): void {
  for (const field of fields) {
    if (packager.wire[field] === Wire.text && message.has(field)) {
      message.setText(field, message.text(field).replace(/[^ -~]/g, '.'));
    }
  }
}
