/** A random message that a packager can write, for fuzzing and for peers. */
import type { Random } from '../../testing/mutate.js';
import type { IsoMessage } from '../message.js';
import { alphabetOf, isSigned, type TestPackager } from './packagers.js';

const alphabets = new Map<TestPackager, readonly string[]>();

/** Characters of each field, made once for each packager. */
function alphabetsOf(test: TestPackager): readonly string[] {
  let known = alphabets.get(test);
  if (known === undefined) {
    known = Array.from({ length: 129 }, (_, field) => alphabetOf(test.packager, field));
    alphabets.set(test, known);
  }
  return known;
}

/** Fills the message with up to `fieldsMax` fields; long values are rare, so that frames stay below 8 KB. */
export function fillRandomly(message: IsoMessage, random: Random, test: TestPackager, fieldsMax: number): void {
  const { packager, fields } = test;
  message.clear();
  message.mti = packager.versionDigit * 1000 + random.below(1000);
  let rest = 6000;
  for (let count = random.below(fieldsMax + 1); count > 0; count--) {
    const field = random.pick(fields);
    const most = packager.length[field]!;
    const length = packager.prefixDigits[field] === 0 ? most : random.below((random.oneIn(8) ? most : most >> 3) + 1);
    rest -= length;
    if (rest < 0) return;
    message.setText(field, textOf(random, alphabetsOf(test)[field]!, length, isSigned(packager, field)));
  }
}

function textOf(random: Random, alphabet: string, length: number, signed: boolean): string {
  let text = '';
  for (let index = 0; index < length; index++) {
    if (signed && index === 0) text += random.oneIn(2) ? 'C' : 'D';
    else if (alphabet === '') text += String.fromCharCode(random.below(256));
    else text += alphabet[random.below(alphabet.length)];
  }
  return text;
}
