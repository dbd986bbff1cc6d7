/** Writes a message of ISO 8583. */
import { CharacterClass, classesOf, hexDigits } from './characters.js';
import type { IsoMessage } from './message.js';
import { BitmapWire, type Packager, Padding, Prefix, prefixBytesOf, Wire } from './packager.js';
import { type IsoFault, type IsoRefusal, isoRefusal } from './refusal.js';
import { wireBytesOf } from './unpack.js';

/** Where writing is; writing never waits, as reading does not. */
const noBytes: Uint8Array = new Uint8Array(0);
const place = { bytes: noBytes, at: 0 };

/**
 * Writes the message at `into[at…]`. A short value of fixed length is padded: digits with zeros in front, text with
 * spaces behind. What is written was checked as what is read is.
 * @returns bytes written, or what is wrong; then the bytes behind `at` mean nothing
 */
export function pack(packager: Packager, message: IsoMessage, into: Uint8Array, at: number): number | IsoRefusal {
  place.bytes = into;
  place.at = at;
  const refusal = writeMessage(packager, message, at);
  place.bytes = noBytes;
  return refusal ?? place.at - at;
}

function writeMessage(packager: Packager, message: IsoMessage, start: number): IsoRefusal | null {
  const { present } = message;
  const hasSecond = (present[2]! | present[3]!) !== 0;
  const headFault = writeMti(packager, message.mti) ?? writeBitmaps(packager, present, hasSecond);
  if (headFault !== null) return isoRefusal(headFault, place.at === start ? 0 : 1, place.at - start);
  for (let word = 0; word < 4; word++) {
    let rest = present[word]!;
    while (rest !== 0) {
      const bit = Math.clz32(rest);
      rest &= ~(0x80000000 >>> bit);
      const field = word * 32 + bit + 1;
      const before = place.at;
      const fault = writeField(packager, field, message);
      if (fault !== null) return isoRefusal(fault, field, before - start);
    }
  }
  return null;
}

function writeMti(packager: Packager, mti: number): IsoFault | null {
  const { bytes, at } = place;
  if (!Number.isInteger(mti) || mti < 0 || mti > 9999) return 'mti';
  if (Math.floor(mti / 1000) !== packager.versionDigit) return 'version';
  const isPacked = packager.mtiWire === Wire.packed;
  const length = isPacked ? 2 : 4;
  if (bytes.length - at < length) return 'no_room';
  const high = Math.floor(mti / 100);
  const low = mti % 100;
  if (isPacked) {
    bytes[at] = (Math.floor(high / 10) << 4) | (high % 10);
    bytes[at + 1] = (Math.floor(low / 10) << 4) | (low % 10);
  } else {
    const { encode } = packager.mtiCharacters;
    bytes[at] = encode[0x30 + Math.floor(high / 10)]!;
    bytes[at + 1] = encode[0x30 + (high % 10)]!;
    bytes[at + 2] = encode[0x30 + Math.floor(low / 10)]!;
    bytes[at + 3] = encode[0x30 + (low % 10)]!;
  }
  place.at = at + length;
  return null;
}

function writeBitmaps(packager: Packager, present: Int32Array, hasSecond: boolean): IsoFault | null {
  const isHex = packager.bitmapWire === BitmapWire.hex;
  const words = hasSecond ? 4 : 2;
  const length = words * (isHex ? 8 : 4);
  const { bytes, at } = place;
  if (bytes.length - at < length) return 'no_room';
  const { encode } = packager.bitmapCharacters;
  const step = isHex ? 4 : 8;
  let to = at;
  for (let word = 0; word < words; word++) {
    // The bit of the second bitmap.
    const value = present[word]! | (word === 0 && hasSecond ? 0x80000000 : 0);
    for (let shift = 32 - step; shift >= 0; shift -= step) {
      bytes[to++] = isHex ? encode[hexDigits[(value >>> shift) & 15]!]! : (value >>> shift) & 255;
    }
  }
  place.at = to;
  return null;
}

function writeField(packager: Packager, field: number, message: IsoMessage): IsoFault | null {
  const wire = packager.wire[field]!;
  if (wire === Wire.absent) return 'unknown_field';
  const from = message.starts[field]!;
  const given = message.ends[field]! - from;
  const most = packager.length[field]!;
  if (given > most) return 'too_long';
  let padding = 0;
  const digits = packager.prefixDigits[field]!;
  if (digits === 0) {
    padding = most - given;
    if (padding > 0 && wire !== Wire.text && wire !== Wire.packed) return 'too_short';
  }
  const units = given + padding;
  const wireBytes = wireBytesOf(wire, units);
  const encoding = packager.prefixEncoding[field]!;
  const prefixBytes = digits === 0 ? 0 : prefixBytesOf(encoding, digits);
  if (place.bytes.length - place.at < prefixBytes + wireBytes) return 'no_room';
  if (digits !== 0) {
    const counted = packager.countsWire[field] === 1 ? wireBytes : units;
    // Hexadecimal digits of 999 bytes are more than three digits count.
    if (digits === 2 ? counted > 99 : counted > 999) return 'too_long';
    writePrefix(encoding, prefixBytes, counted);
  }
  const at = place.at;
  place.at = at + wireBytes;
  return writeValue(packager, field, wire, message.bytes, from, given, padding, at);
}

function writePrefix(encoding: number, length: number, value: number): void {
  const { bytes, at } = place;
  let rest = value;
  for (let index = at + length - 1; index >= at; index--) {
    if (encoding === Prefix.binary) {
      bytes[index] = rest & 255;
      rest >>= 8;
    } else if (encoding === Prefix.bcd) {
      const pair = rest % 100;
      bytes[index] = (Math.floor(pair / 10) << 4) | (pair % 10);
      rest = Math.floor(rest / 100);
    } else {
      bytes[index] = (encoding === Prefix.ascii ? 0x30 : 0xf0) + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }
  place.at = at + length;
}

function writeValue(
  packager: Packager,
  field: number,
  wire: number,
  source: Uint8Array,
  from: number,
  given: number,
  padding: number,
  at: number,
): IsoFault | null {
  const target = place.bytes;
  switch (wire) {
    case Wire.text: {
      const { encode } = packager.characters[field]!;
      const classes = packager.classes[field]!;
      const isNumeric = packager.isNumeric[field] === 1;
      const pad = encode[isNumeric ? 0x30 : 0x20]!;
      let to = at;
      if (isNumeric) for (let index = 0; index < padding; index++) target[to++] = pad;
      let isRight = true;
      for (let index = from; index < from + given; index++) {
        const code = source[index]!;
        if ((classesOf[code]! & classes) === 0) isRight = false;
        target[to++] = encode[code]!;
      }
      if (!isNumeric) for (let index = 0; index < padding; index++) target[to++] = pad;
      return isRight ? null : 'content';
    }
    case Wire.packed:
      return packDigits(packager, field, source, from, given, padding, at);
    case Wire.bytes:
      for (let index = 0; index < given; index++) target[at + index] = source[from + index]!;
      return null;
    case Wire.hex: {
      const { encode } = packager.characters[field]!;
      for (let index = 0; index < given; index++) {
        const byte = source[from + index]!;
        target[at + 2 * index] = encode[hexDigits[byte >> 4]!]!;
        target[at + 2 * index + 1] = encode[hexDigits[byte & 15]!]!;
      }
      return null;
    }
    default: {
      if (given === 0) return null;
      const sign = source[from]!;
      if (sign !== 0x43 && sign !== 0x44) return 'content';
      const { encode } = packager.characters[field]!;
      target[at] = encode[sign]!;
      if (wire === Wire.signedPacked) return packDigits(packager, field, source, from + 1, given - 1, 0, at + 1);
      for (let index = 1; index < given; index++) {
        const code = source[from + index]!;
        if (code < 0x30 || code > 0x39) return 'content';
        target[at + index] = encode[code]!;
      }
      return null;
    }
  }
}

function packDigits(
  packager: Packager,
  field: number,
  source: Uint8Array,
  from: number,
  given: number,
  padding: number,
  at: number,
): IsoFault | null {
  const target = place.bytes;
  const classes = packager.classes[field]!;
  const units = given + padding;
  const isOdd = (units & 1) === 1;
  const isLeft = packager.bcdPadding[field] === Padding.left;
  const last = at + (units >> 1);
  if (isOdd) target[isLeft ? at : last] = isLeft ? packager.bcdPad[field]! << 4 : packager.bcdPad[field]!;
  const skip = isOdd && isLeft ? 1 : 0;
  for (let index = 0; index < units; index++) {
    let value = 0;
    if (index >= padding) {
      const code = source[from + index - padding]!;
      if ((classesOf[code]! & classes) === 0) return 'content';
      // Half a byte has no letter: the D of a track is the sign "=", 0x3D.
      value = code === 0x44 ? 13 : code - 0x30;
      if (value > 9 && classes !== CharacterClass.track) return 'content';
    }
    const half = index + skip;
    const to = at + (half >> 1);
    if ((half & 1) === 1) target[to] = (target[to]! & 0xf0) | value;
    else target[to] = (isOdd && to === last && !isLeft ? target[to]! & 15 : 0) | (value << 4);
  }
  return null;
}
