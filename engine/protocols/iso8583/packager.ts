/**
 * The packager of a link: how each field is written, compiled once from the link's settings into tables that reading
 * and writing only look up.
 */
import { ascii, CharacterClass, type CharacterSet, ebcdic } from './characters.js';
import { type FieldFormat, type FieldKind, fields1987, fields1993, parseFieldFormat } from './field-tables.js';
import { fieldMax } from './message.js';

export const encodings = ['ascii', 'ebcdic', 'bcd'] as const;
export const bitmapEncodings = ['binary', 'hex', 'ebcdic_hex'] as const;
export const prefixEncodings = ['ascii', 'ebcdic', 'bcd', 'binary'] as const;
export const fieldEncodings = ['ascii', 'ebcdic', 'bcd', 'binary', 'hex'] as const;
export const prefixCounts = ['value', 'wire'] as const;
export const bcdPaddings = ['left_zero', 'right_zero', 'right_f'] as const;

/** How one field of a link differs from the table of its version. */
export interface FieldSettings {
  /** In the notation of the standard: n6, ans..40. */
  readonly format?: string;
  /** Of the value: `binary` and `hex` are for bytes, `bcd` for digits. */
  readonly encoding?: (typeof fieldEncodings)[number];
  readonly prefix?: (typeof prefixEncodings)[number];
  /** The length counts digits, characters or bytes of the value, or the bytes that the value takes on the wire. */
  readonly prefixCounts?: (typeof prefixCounts)[number];
  /** Where an odd number of packed digits has its unused half byte, and what is in it. */
  readonly bcdPadding?: (typeof bcdPaddings)[number];
}

export interface PackagerSettings {
  readonly version: 1987 | 1993;
  /** Of the message type, the digits and the lengths. With `bcd`, text is in ASCII unless `text` says otherwise. */
  readonly encoding: (typeof encodings)[number];
  /** Of fields that are not digits. */
  readonly text?: 'ascii' | 'ebcdic';
  readonly bitmap?: (typeof bitmapEncodings)[number];
  readonly prefix?: (typeof prefixEncodings)[number];
  /** Of fields of bytes. */
  readonly bytes?: 'binary' | 'hex';
  readonly bcdPadding?: (typeof bcdPaddings)[number];
  /** By field; null: the link does not have the field, and a message with it is refused. */
  readonly overrides?: Readonly<Record<string, FieldSettings | null>>;
}

/** How a value is on the wire. */
export const Wire = { absent: 0, text: 1, packed: 2, bytes: 3, hex: 4, signedPacked: 5, signedText: 6 } as const;
export const Prefix = { ascii: 0, ebcdic: 1, bcd: 2, binary: 3 } as const;
export const BitmapWire = { binary: 0, hex: 1 } as const;
export const Padding = { left: 0, right: 1 } as const;

/** Tables by field number; made by createPackager, read by unpack and pack. */
export class Packager {
  readonly versionDigit: number;
  readonly mtiWire: number;
  readonly mtiCharacters: CharacterSet;
  readonly bitmapWire: number;
  readonly bitmapCharacters: CharacterSet;
  readonly wire = new Uint8Array(fieldMax + 1);
  /** Most digits, characters or bytes of the value; exactly so many where there is no prefix. */
  readonly length = new Uint16Array(fieldMax + 1);
  readonly prefixDigits = new Uint8Array(fieldMax + 1);
  readonly prefixEncoding = new Uint8Array(fieldMax + 1);
  /** 1: the length counts bytes on the wire. */
  readonly countsWire = new Uint8Array(fieldMax + 1);
  /** Classes of characters that the field permits. */
  readonly classes = new Uint8Array(fieldMax + 1);
  /** 1: a short value of fixed length has zeros in front, otherwise spaces behind. */
  readonly isNumeric = new Uint8Array(fieldMax + 1);
  readonly bcdPadding = new Uint8Array(fieldMax + 1);
  /** The half byte that pads. */
  readonly bcdPad = new Uint8Array(fieldMax + 1);
  readonly characters: CharacterSet[] = Array.from({ length: fieldMax + 1 }, () => ascii);

  /** @throws RangeError where the settings contradict each other, with the field's number */
  constructor(settings: PackagerSettings) {
    const { version, encoding, bitmap = encoding === 'ascii' ? 'hex' : 'binary' } = settings;
    this.versionDigit = version === 1987 ? 0 : 1;
    this.mtiWire = encoding === 'bcd' ? Wire.packed : Wire.text;
    this.mtiCharacters = encoding === 'ebcdic' ? ebcdic : ascii;
    this.bitmapWire = bitmap === 'binary' ? BitmapWire.binary : BitmapWire.hex;
    this.bitmapCharacters = bitmap === 'ebcdic_hex' ? ebcdic : ascii;
    for (const [field, format] of version === 1987 ? fields1987 : fields1993) {
      this.#set(field, parseFieldFormat(format), settings, {});
    }
    for (const [key, override] of Object.entries(settings.overrides ?? {})) {
      const field = Number(key);
      if (!Number.isInteger(field) || field < 2 || field > fieldMax || field === 65) {
        throw new RangeError(`there is no field ${key}`);
      }
      if (override === null) this.wire[field] = Wire.absent;
      else this.#override(field, version, settings, override);
    }
  }

  /** True where messages of the link may have the field. */
  has(field: number): boolean {
    return this.wire[field] !== Wire.absent && this.wire[field] !== undefined;
  }

  #override(field: number, version: number, settings: PackagerSettings, override: FieldSettings): void {
    const usual = (version === 1987 ? fields1987 : fields1993).get(field);
    const format = override.format ?? usual;
    if (format === undefined) throw new RangeError(`field ${field} is in no table: give its format`);
    this.#set(field, parseFieldFormat(format), settings, override);
  }

  #set(field: number, format: FieldFormat, settings: PackagerSettings, own: FieldSettings): void {
    const { kind, length, prefixDigits } = format;
    const encoding = own.encoding ?? usualEncoding(kind, settings);
    const wire = wireOf(kind, encoding);
    if (wire === Wire.absent)
      throw new RangeError(`field ${field}: a value of the kind ${kind} is never in ${encoding}`);
    const padding = own.bcdPadding ?? settings.bcdPadding ?? 'left_zero';
    this.wire[field] = wire;
    this.length[field] = length;
    this.prefixDigits[field] = prefixDigits;
    this.prefixEncoding[field] = Prefix[own.prefix ?? settings.prefix ?? settings.encoding];
    this.countsWire[field] = own.prefixCounts === 'wire' ? 1 : 0;
    this.classes[field] = classesOfKind[kind];
    this.isNumeric[field] = kind === 'n' ? 1 : 0;
    this.bcdPadding[field] = padding === 'left_zero' ? Padding.left : Padding.right;
    this.bcdPad[field] = padding === 'right_f' ? 15 : 0;
    // The letter before packed digits and hexadecimal digits are text, as other fields of the link are.
    const text = encoding === 'bcd' || encoding === 'hex' ? usualText(settings) : encoding;
    this.characters[field] = text === 'ebcdic' ? ebcdic : ascii;
  }
}

const { digit, letter, space, special, track } = CharacterClass;
const classesOfKind: Readonly<Record<FieldKind, number>> = {
  n: digit,
  a: letter,
  an: digit | letter,
  anp: digit | letter | space,
  ans: digit | letter | space | special,
  b: 0,
  z: track,
  xn: digit,
};

function usualText(settings: PackagerSettings): 'ascii' | 'ebcdic' {
  return settings.text ?? (settings.encoding === 'ebcdic' ? 'ebcdic' : 'ascii');
}

function usualEncoding(kind: FieldKind, settings: PackagerSettings): (typeof fieldEncodings)[number] {
  if (kind === 'b') return settings.bytes ?? (settings.encoding === 'ascii' ? 'hex' : 'binary');
  if (kind === 'n' || kind === 'z' || kind === 'xn') return settings.encoding;
  return usualText(settings);
}

function wireOf(kind: FieldKind, encoding: (typeof fieldEncodings)[number]): number {
  if (kind === 'b') return encoding === 'binary' ? Wire.bytes : encoding === 'hex' ? Wire.hex : Wire.absent;
  if (encoding === 'binary' || encoding === 'hex') return Wire.absent;
  if (encoding === 'bcd') {
    if (kind === 'xn') return Wire.signedPacked;
    return kind === 'n' || kind === 'z' ? Wire.packed : Wire.absent;
  }
  return kind === 'xn' ? Wire.signedText : Wire.text;
}

/** Bytes of a length before a value, of two or three digits. Binary lengths up to 99 take one byte, longer ones two. */
export function prefixBytesOf(encoding: number, digits: number): number {
  if (encoding === Prefix.ascii || encoding === Prefix.ebcdic) return digits;
  return digits <= 2 ? 1 : 2;
}
