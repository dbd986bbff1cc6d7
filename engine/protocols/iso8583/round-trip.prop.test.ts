/** What is written is read back, in every packager; what is cut, longer or of another kind is refused. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../../testing/runs.js';
import { IsoMessage } from './message.js';
import { pack } from './pack.js';
import type { Packager } from './packager.js';
import { alphabetOf, isSigned, type TestPackager, testPackagers } from './testing/packagers.js';
import { unpack } from './unpack.js';

const valuesBytesMax = 8000;

/** A value that the field takes. */
function valueFor(packager: Packager, field: number): fc.Arbitrary<string> {
  const most = packager.length[field]!;
  const isVariable = packager.prefixDigits[field]! > 0;
  if (isSigned(packager, field)) {
    return fc.integer({ min: 0, max: 10 ** Math.min(most - 1, 15) - 1 }).map((amount) => {
      return (amount % 2 === 0 ? 'C' : 'D') + String(amount).padStart(most - 1, '0');
    });
  }
  const alphabet = alphabetOf(packager, field);
  const unit =
    alphabet === ''
      ? fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
      : fc.constantFrom(...alphabet);
  const sizes = isVariable ? { minLength: 0, maxLength: most } : { minLength: most, maxLength: most };
  return fc.string({ unit, ...sizes, size: 'max' });
}

interface Built {
  readonly mti: number;
  readonly values: Readonly<Record<string, string>>;
}

function messageOf({ packager, fields }: TestPackager): fc.Arbitrary<Built> {
  return fc
    .uniqueArray(fc.constantFrom(...fields), { maxLength: 24 })
    .chain((chosen) =>
      fc.record({
        mti: fc.integer({ min: 0, max: 999 }).map((rest) => packager.versionDigit * 1000 + rest),
        values: fc.record(Object.fromEntries(chosen.map((field) => [field, valueFor(packager, field)]))),
      }),
    )
    .filter(({ values }) => Object.values(values).reduce((sum, text) => sum + text.length, 0) < valuesBytesMax);
}

const message = new IsoMessage();
const again = new IsoMessage();
const into = new Uint8Array(32_768);

function write(packager: Packager, { mti, values }: Built): number {
  message.clear();
  message.mti = mti;
  for (const [field, text] of Object.entries(values)) message.setText(Number(field), text);
  const length = pack(packager, message, into, 0);
  if (typeof length !== 'number') throw new Error(JSON.stringify(length));
  return length;
}

for (const test of testPackagers) {
  const { name, packager, fields } = test;
  t.test(`a message is read back as it was written: ${name}`, async () => {
    fc.assert(
      fc.property(messageOf(test), (built) => {
        const length = write(packager, built);
        const refusal = unpack(packager, into, 0, length, again);
        if (refusal !== null) throw new Error(JSON.stringify(refusal));
        if (again.mti !== built.mti) throw new Error(`type ${again.mtiText}`);
        for (const field of fields) {
          const text = built.values[field];
          if (again.has(field) !== (text !== undefined)) throw new Error(`presence of field ${field}`);
          if (text !== undefined && again.text(field) !== text) throw new Error(`field ${field}`);
        }
      }),
      runs(60),
    );
  });

  t.test(`a message that is cut anywhere, or has a byte more, is refused: ${name}`, async () => {
    fc.assert(
      fc.property(messageOf(test), fc.nat(), (built, random) => {
        const length = write(packager, built);
        const cut = random % length;
        if (unpack(packager, into, 0, cut, again) === null) throw new Error(`cut at ${cut} of ${length}`);
        const longer = unpack(packager, into, 0, length + 1, again);
        if (longer?.fault !== 'trailing' || longer.offset !== length) throw new Error(JSON.stringify(longer));
      }),
      runs(60),
    );
  });
}

t.test('short values of fixed length are padded, digits in front and text behind', async (t) => {
  for (const { name, packager } of testPackagers.filter((test) => test.packager.versionDigit === 0)) {
    const length = write(packager, { mti: 100, values: { 4: '8000', 24: '7', 41: 'TERM' } });
    t.equal(unpack(packager, into, 0, length, again), null, name);
    t.equal(again.text(4), '000000008000', name);
    t.equal(again.text(24), '007', name);
    t.equal(again.text(41), 'TERM    ', name);
  }
});
