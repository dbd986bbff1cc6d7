/** Reads a message of ISO 8583. Bytes from outside never throw: what is wrong with them is a value. */
import { ascii, CharacterClass, type CharacterSet, classesOf, hexValueOf } from './characters.js';
import { type IsoMessage, messageBytesLimit } from './message.js';
import { BitmapWire, type Packager, Padding, Prefix, prefixBytesOf, Wire } from './packager.js';
import { type IsoFault, type IsoRefusal, isoRefusal } from './refusal.js';

/** Where reading is. Reading never waits, so that one is enough for all messages of a thread. */
interface Place {
  bytes: Uint8Array;
  at: number;
  end: number;
}
const place: Place = { bytes: new Uint8Array(0), at: 0, end: 0 };
const noBytes = place.bytes;

/**
 * Reads one message; beyond 8 KB it is refused. A field with wrong characters is left out and reading goes on, so that
 * the message can be answered with what it does have. Everything else ends the reading.
 * @param message is cleared first; after a refusal it has the fields that could be read
 * @returns null, or what is wrong first
 */
export function unpack(
  packager: Packager,
  bytes: Uint8Array,
  start: number,
  end: number,
  message: IsoMessage,
): IsoRefusal | null {
  message.clear();
  if (end - start > messageBytesLimit) return isoRefusal('no_room', 0, messageBytesLimit);
  place.bytes = bytes;
  place.at = start;
  place.end = end;
  const refusal = readMessage(packager, start, message);
  // No reference to the bytes stays behind.
  place.bytes = noBytes;
  return refusal;
}

const bitmap = new Int32Array(4);

function readMessage(packager: Packager, start: number, message: IsoMessage): IsoRefusal | null {
  const mtiFault = readMti(packager, message) ?? readBitmaps(packager);
  if (mtiFault !== null) return isoRefusal(mtiFault, place.at === start ? 0 : 1, place.at - start);
  let first: IsoRefusal | null = null;
  let last = 1;
  for (let word = 0; word < 4; word++) {
    let rest = bitmap[word]!;
    let present = rest;
    while (rest !== 0) {
      const bit = Math.clz32(rest);
      const mask = 0x80000000 >>> bit;
      rest &= ~mask;
      const field = word * 32 + bit + 1;
      const before = place.at;
      const fault = readField(packager, field, message);
      if (fault === null) {
        last = field;
        continue;
      }
      present &= ~mask;
      first ??= isoRefusal(fault, field, before - start);
      if (fault === 'content' || fault === 'padding') continue;
      message.present[word] = present & ~rest;
      return first;
    }
    message.present[word] = present;
  }
  if (first === null && place.at !== place.end) return isoRefusal('trailing', last, place.at - start);
  return first;
}

function readMti(packager: Packager, message: IsoMessage): IsoFault | null {
  const { bytes, at } = place;
  let mti = 0;
  if (packager.mtiWire === Wire.packed) {
    if (place.end - at < 2) return 'truncated';
    for (let index = 0; index < 4; index++) {
      const pair = bytes[at + (index >> 1)]!;
      const digit = index % 2 === 0 ? pair >> 4 : pair & 15;
      if (digit > 9) return 'mti';
      mti = mti * 10 + digit;
    }
  } else {
    if (place.end - at < 4) return 'truncated';
    const { decode } = packager.mtiCharacters;
    for (let index = 0; index < 4; index++) {
      const digit = decode[bytes[at + index]!]! - 0x30;
      if (digit < 0 || digit > 9) return 'mti';
      mti = mti * 10 + digit;
    }
  }
  if (Math.floor(mti / 1000) !== packager.versionDigit) return 'version';
  message.mti = mti;
  place.at = at + (packager.mtiWire === Wire.packed ? 2 : 4);
  return null;
}

/** Leaves the fields that follow in `bitmap`, without the bit that announces the second one. */
function readBitmaps(packager: Packager): IsoFault | null {
  bitmap.fill(0);
  const fault = readBitmap(packager, 0);
  if (fault !== null || bitmap[0]! >= 0) return fault;
  bitmap[0]! &= 0x7fffffff;
  const start = place.at;
  const second = readBitmap(packager, 2);
  if (second !== null || bitmap[2]! >= 0) return second;
  place.at = start;
  return 'third_bitmap';
}

function readBitmap(packager: Packager, word: number): IsoFault | null {
  const { bytes, at } = place;
  const isHex = packager.bitmapWire === BitmapWire.hex;
  const length = isHex ? 16 : 8;
  if (place.end - at < length) return 'truncated';
  const { decode } = packager.bitmapCharacters;
  for (let index = 0; index < length; index++) {
    const value = isHex ? hexValueOf[decode[bytes[at + index]!]!]! : bytes[at + index]!;
    if (isHex && value > 15) return 'bitmap';
    const target = word + (index >= length / 2 ? 1 : 0);
    bitmap[target] = (bitmap[target]! << (isHex ? 4 : 8)) | value;
  }
  place.at = at + length;
  return null;
}

function readField(packager: Packager, field: number, message: IsoMessage): IsoFault | null {
  const wire = packager.wire[field]!;
  if (wire === Wire.absent) return 'unknown_field';
  const most = packager.length[field]!;
  let units = most;
  if (packager.prefixDigits[field] !== 0) {
    const counted = readPrefix(packager.prefixEncoding[field]!, packager.prefixDigits[field]!);
    if (counted === truncatedPrefix) return 'truncated';
    if (counted === noPrefix) return 'length';
    units = packager.countsWire[field] === 1 ? unitsOnWire(packager, field, counted) : counted;
    if (units < 0) return 'length';
    if (units > most) return 'too_long';
  }
  const wireBytes = wireBytesOf(wire, units);
  if (wireBytes > place.end - place.at) return 'truncated';
  const at = place.at;
  place.at = at + wireBytes;
  // The message was cleared, so that each value goes behind the one before; readMessage says which are present.
  const to = message.used;
  message.used = to + units;
  message.starts[field] = to;
  message.ends[field] = to + units;
  return readValue(packager, field, wire, at, units, message.bytes, to);
}

/** Bytes that a value of so many digits, characters or bytes takes. */
export function wireBytesOf(wire: number, units: number): number {
  if (wire === Wire.packed) return (units + 1) >> 1;
  if (wire === Wire.hex) return units * 2;
  // The letter, and the digits behind it in pairs.
  if (wire === Wire.signedPacked) return units === 0 ? 0 : 1 + (units >> 1);
  return units;
}

/** Digits, characters or bytes of a value that takes so many bytes; -1 where none takes so many. */
function unitsOnWire(packager: Packager, field: number, counted: number): number {
  const wire = packager.wire[field]!;
  if (wire === Wire.hex) return (counted & 1) === 1 ? -1 : counted >> 1;
  if (wire === Wire.signedPacked) return counted === 0 ? 0 : counted * 2 - 1;
  if (wire !== Wire.packed || counted === 0) return counted;
  const digits = counted * 2;
  // Padding behind the digits shows itself; zeros do not, unless the last digit would be one too many.
  const last = place.at + counted - 1;
  if (packager.bcdPad[field] === 15 && last < place.end && (place.bytes[last]! & 15) === 15) return digits - 1;
  return digits === packager.length[field]! + 1 ? digits - 1 : digits;
}

const truncatedPrefix = -2;
const noPrefix = -1;

/** @returns the length, noPrefix or truncatedPrefix */
function readPrefix(encoding: number, digits: number): number {
  const { bytes, at } = place;
  const length = prefixBytesOf(encoding, digits);
  if (place.end - at < length) return truncatedPrefix;
  place.at = at + length;
  if (encoding === Prefix.binary) return length === 1 ? bytes[at]! : (bytes[at]! << 8) | bytes[at + 1]!;
  let value = 0;
  for (let index = at; index < at + length; index++) {
    const byte = bytes[index]!;
    if (encoding === Prefix.bcd) {
      if (byte >> 4 > 9 || (byte & 15) > 9) return noPrefix;
      value = value * 100 + (byte >> 4) * 10 + (byte & 15);
    } else {
      const digit = encoding === Prefix.ascii ? byte - 0x30 : byte - 0xf0;
      if (digit < 0 || digit > 9) return noPrefix;
      value = value * 10 + digit;
    }
  }
  return value;
}

function readValue(
  packager: Packager,
  field: number,
  wire: number,
  at: number,
  units: number,
  target: Uint8Array,
  to: number,
): IsoFault | null {
  const source = place.bytes;
  switch (wire) {
    case Wire.text:
      return readText(source, at, units, packager.characters[field]!, packager.classes[field]!, target, to);
    case Wire.packed:
      return unpackDigits(packager, field, at, units, target, to);
    case Wire.bytes:
      for (let index = 0; index < units; index++) target[to + index] = source[at + index]!;
      return null;
    case Wire.hex: {
      const { decode } = packager.characters[field]!;
      for (let index = 0; index < units; index++) {
        const high = hexValueOf[decode[source[at + 2 * index]!]!]!;
        const low = hexValueOf[decode[source[at + 2 * index + 1]!]!]!;
        if ((high | low) > 15) return 'content';
        target[to + index] = (high << 4) | low;
      }
      return null;
    }
    default:
      return readSigned(packager, field, wire, at, units, target, to);
  }
}

function readText(
  source: Uint8Array,
  at: number,
  units: number,
  characters: CharacterSet,
  classes: number,
  target: Uint8Array,
  to: number,
): IsoFault | null {
  let isRight = true;
  if (characters === ascii) {
    // Without a table for each byte: most links are so.
    for (let index = 0; index < units; index++) {
      const code = source[at + index]!;
      target[to + index] = code;
      if ((classesOf[code]! & classes) === 0) isRight = false;
    }
    return isRight ? null : 'content';
  }
  const { decode } = characters;
  for (let index = 0; index < units; index++) {
    const code = decode[source[at + index]!]!;
    target[to + index] = code;
    if ((classesOf[code]! & classes) === 0) isRight = false;
  }
  return isRight ? null : 'content';
}

function unpackDigits(
  packager: Packager,
  field: number,
  at: number,
  units: number,
  target: Uint8Array,
  to: number,
): IsoFault | null {
  const source = place.bytes;
  const isOdd = (units & 1) === 1;
  const isLeft = packager.bcdPadding[field] === Padding.left;
  // The half byte at which the digits begin.
  const skip = isOdd && isLeft ? 1 : 0;
  const valueMax = packager.classes[field] === CharacterClass.track ? 15 : 9;
  for (let index = 0; index < units; index++) {
    const half = index + skip;
    const pair = source[at + (half >> 1)]!;
    const value = (half & 1) === 0 ? pair >> 4 : pair & 15;
    if (value > valueMax) return 'content';
    target[to + index] = 0x30 + value;
  }
  if (isOdd) {
    const pad = isLeft ? source[at]! >> 4 : source[at + (units >> 1)]! & 15;
    if (pad !== packager.bcdPad[field]) return 'padding';
  }
  return null;
}

/** The letter C or D, and digits. */
function readSigned(
  packager: Packager,
  field: number,
  wire: number,
  at: number,
  units: number,
  target: Uint8Array,
  to: number,
): IsoFault | null {
  if (units === 0) return null;
  const source = place.bytes;
  const { decode } = packager.characters[field]!;
  const sign = decode[source[at]!]!;
  if (sign !== 0x43 && sign !== 0x44) return 'content';
  target[to] = sign;
  if (wire === Wire.signedPacked) return unpackDigits(packager, field, at + 1, units - 1, target, to + 1);
  for (let index = 1; index < units; index++) {
    const code = decode[source[at + index]!]!;
    if (code < 0x30 || code > 0x39) return 'content';
    target[to + index] = code;
  }
  return null;
}
