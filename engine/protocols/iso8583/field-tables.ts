/**
 * The fields of ISO 8583 in the notation of the standard: a kind and a length. `n12` has 12 digits, `n..19` up to 19
 * behind a length of two digits, `ans...999` up to 999 behind a length of three. Networks differ from these tables; the
 * overrides of a link say where.
 * Sources: jPOS (ISO87APackager, ISO93APackager) and moov-io/iso8583 (spec87ascii), where they agree.
 */

/**
 * n digits, a letters, an both, anp with spaces, ans with special characters, b bytes, z track data, xn the letter C or
 * D before digits.
 */
export const fieldKinds = ['n', 'a', 'an', 'anp', 'ans', 'b', 'z', 'xn'] as const;
export type FieldKind = (typeof fieldKinds)[number];

export interface FieldFormat {
  readonly kind: FieldKind;
  /** Digits, characters or bytes: exactly so many, or at most where there is a prefix. */
  readonly length: number;
  /** Digits of the length before the value; 0: the length is fixed. */
  readonly prefixDigits: 0 | 2 | 3;
}

export const fieldFormatPattern = '^(n|a|an|anp|ans|b|z|xn)([.]{2,3})?([1-9][0-9]{0,2})$';

/** @throws RangeError where the text is not of the notation */
export function parseFieldFormat(text: string): FieldFormat {
  const [, kind, dots = '', length] = new RegExp(fieldFormatPattern).exec(text) ?? [];
  if (kind === undefined) throw new RangeError(`"${text}" is no format of a field, as n..19 is`);
  const prefixDigits = dots.length === 0 ? 0 : dots.length === 2 ? 2 : 3;
  if (prefixDigits === 2 && Number(length) > 99) throw new RangeError(`"${text}" needs a length of three digits`);
  return { kind: kind as FieldKind, length: Number(length), prefixDigits };
}

type FieldTable = ReadonlyMap<number, string>;

/** Reads rows as `3 n6` or `74-81 n10`, separated by commas. */
function tableOf(...rows: readonly string[]): FieldTable {
  const table = new Map<number, string>();
  for (const entry of rows.join(', ').split(', ')) {
    const [fields = '', format = ''] = entry.split(' ');
    const [first = 0, last = first] = fields.split('-').map(Number);
    for (let field = first; field <= last; field++) table.set(field, format);
  }
  return table;
}

/** Format by field. DE37 and DE38 permit spaces, because senders pad them; DE55 is bytes, as EMV data is. */
export const fields1987: FieldTable = tableOf(
  '2 n..19, 3 n6, 4-6 n12, 7 n10, 8-10 n8, 11-12 n6, 13-18 n4, 19-24 n3, 25-26 n2, 27 n1, 28-31 xn9',
  '32-33 n..11, 34 ans..28, 35 z..37, 36 z...104, 37 anp12, 38 anp6, 39 an2, 40 an3, 41 ans8, 42 ans15, 43 ans40',
  '44 ans..25, 45 ans..76, 46-48 ans...999, 49-51 an3, 52 b8, 53 n16, 54 an...120, 55 b...999, 56-63 ans...999',
  '64 b8, 66 n1, 67 n2, 68-70 n3, 71-72 n4, 73 n6, 74-81 n10, 82-85 n12, 86-89 n16, 90 n42, 91 an1, 92 an2',
  '93 an6, 94 an7, 95 an42, 96 b8, 97 xn17, 98 ans25, 99-100 n..11, 101 ans..17, 102-103 ans..28, 104 ans...100',
  '105-127 ans...999, 128 b8',
);

/** The version of 1993: the fields of 1987 and, behind them, those that differ. */
export const fields1993: FieldTable = new Map([
  ...fields1987,
  ...tableOf(
    '12 n12, 15 n6, 22 an12, 25-26 n4, 28 n6, 29 n3, 30 n24, 31 ans..99, 39-40 n3, 43-44 ans..99, 46 ans...204',
    '53 b..48, 55 b...255, 56 n..35, 57 n3, 58 n..11, 66 ans...204, 71 n8, 72 ans...999, 82-85 n10, 90 n10, 91-92 n3',
    '93-94 n..11, 95 ans..99, 96 b...999, 99 an..11, 105-106 n16, 107-108 n10, 109-110 ans..84',
  ),
]);
