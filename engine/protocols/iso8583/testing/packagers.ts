/** Packagers that tests try everything with: each encoding, each length before a value, each padding. */
import { classesOf } from '../characters.js';
import { Packager, type PackagerSettings, Wire } from '../packager.js';

const settings: Readonly<Record<string, PackagerSettings>> = {
  ascii: { version: 1987, encoding: 'ascii' },
  'ascii with bytes': { version: 1987, encoding: 'ascii', bitmap: 'binary', bytes: 'binary' },
  ebcdic: { version: 1987, encoding: 'ebcdic' },
  'ebcdic with hexadecimal digits': { version: 1987, encoding: 'ebcdic', bitmap: 'ebcdic_hex', bytes: 'hex' },
  bcd: { version: 1987, encoding: 'bcd' },
  'bcd with ebcdic text': { version: 1987, encoding: 'bcd', text: 'ebcdic', prefix: 'binary' },
  'bcd padded with F': { version: 1987, encoding: 'bcd', bcdPadding: 'right_f', bitmap: 'hex' },
  'bcd padded behind': { version: 1987, encoding: 'bcd', bcdPadding: 'right_zero', prefix: 'ascii', bytes: 'hex' },
  'ascii of 1993': { version: 1993, encoding: 'ascii' },
  'ebcdic of 1993': { version: 1993, encoding: 'ebcdic', prefix: 'binary' },
  'bcd of 1993': { version: 1993, encoding: 'bcd' },
  'with overrides': {
    version: 1987,
    encoding: 'bcd',
    overrides: {
      2: { bcdPadding: 'right_f', prefixCounts: 'wire' },
      35: { encoding: 'ascii', prefix: 'ascii' },
      28: { encoding: 'ebcdic' },
      43: { format: 'ans..99', encoding: 'ebcdic', prefix: 'ebcdic' },
      48: { format: 'b...400', encoding: 'hex', prefixCounts: 'wire' },
      60: { format: 'b...999', encoding: 'binary', prefix: 'binary' },
      63: { format: 'n...99', prefix: 'binary' },
      127: null,
    },
  },
};

export interface TestPackager {
  readonly name: string;
  readonly packager: Packager;
  /** Fields that messages may have. */
  readonly fields: readonly number[];
}

export const testPackagers: readonly TestPackager[] = Object.entries(settings).map(([name, each]) => {
  const packager = new Packager(each);
  const fields = Array.from({ length: 129 }, (_, field) => field).filter((field) => packager.has(field));
  return { name, packager, fields };
});

/** Characters that a field takes, in Latin-1; '' for bytes. */
export function alphabetOf(packager: Packager, field: number): string {
  const wire = packager.wire[field]!;
  if (wire === Wire.bytes || wire === Wire.hex) return '';
  let alphabet = '';
  for (let code = 0; code < 256; code++) {
    if ((classesOf[code]! & packager.classes[field]!) !== 0) alphabet += String.fromCharCode(code);
  }
  // Half a byte has no letter: a track's D comes back as the sign "=".
  return wire === Wire.packed ? alphabet.replace('D', '') : alphabet;
}

export function isSigned(packager: Packager, field: number): boolean {
  return packager.wire[field] === Wire.signedPacked || packager.wire[field] === Wire.signedText;
}
