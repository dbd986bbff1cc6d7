/**
 * Forward scanning of JSON bytes without allocating. Every function takes a position and returns the position after
 * what it read, or −1 when it is not sure. The caller then hands the whole message to JSON.parse. So these functions
 * may refuse what JSON.parse takes, and must never take what JSON.parse (after a strict UTF-8 decode) refuses.
 *
 * `end` bounds every read: the bytes behind it belong to the next message in the slab.
 */
// Local names: an exported binding is loaded from its module cell each time, a constant of the file is folded in.
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const comma = 0x2c;
const braceOpen = 0x7b;
const braceClose = 0x7d;
const bracketOpen = 0x5b;
const bracketClose = 0x5d;
const zero = 0x30;
const nine = 0x39;
const minus = 0x2d;
const point = 0x2e;

/** 1 for ASCII that may stand in a string as it is: 0x20–0x7E without the quote and the backslash. DEL is left out
 * although JSON takes it, because no kept text may hold it. */
const plain = new Uint8Array(256);
for (let byte = 0x20; byte < 0x7f; byte++) plain[byte] = 1;
plain[quote] = 0;
plain[backslash] = 0;

/** First position at or after `index` that is not JSON whitespace; `end` when there is none. */
export function skipWhitespace(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  while (position < end) {
    const byte = bytes[position]!;
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return position;
    position++;
  }
  return position;
}

/** `index` stands after the opening quote. Position of the closing quote of a string of plain ASCII, or −1. */
export function plainStringEnd(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  while (position < end && plain[bytes[position]!] === 1) position++;
  return position < end && bytes[position] === quote ? position : -1;
}

/** True when `bytes[start, end)` are exactly the ASCII of `text`. */
export function equalsAscii(bytes: Uint8Array, start: number, end: number, text: Uint8Array): boolean {
  const length = text.length;
  if (end - start !== length) return false;
  for (let index = 0; index < length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}

/** Sixteen digits may pass 2^53; fifteen cannot. */
const integerDigitsMax = 15;

/**
 * Reads digits as an integer without leading zeros; the caller checks what follows.
 * @returns 0 … 10^15 − 1, or −1 (no digit, a leading zero, too long)
 */
export function integerValue(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length < 1 || length > integerDigitsMax) return -1;
  if (length > 1 && bytes[start] === zero) return -1;
  let value = 0;
  for (let index = start; index < end; index++) value = value * 10 + (bytes[index]! - zero);
  return value;
}

/** First position at or after `index` that is not a digit. */
export function digitsEnd(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  while (position < end) {
    const byte = bytes[position]!;
    if (byte < zero || byte > nine) return position;
    position++;
  }
  return position;
}

/** Position after a JSON number (RFC 8259) that starts at `index`, or −1. */
export function numberEnd(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  if (position < end && bytes[position] === minus) position++;
  const integerStart = position;
  position = digitsEnd(bytes, position, end);
  if (position === integerStart) return -1;
  if (bytes[integerStart] === zero && position - integerStart > 1) return -1;
  if (position < end && bytes[position] === point) {
    const fractionStart = position + 1;
    position = digitsEnd(bytes, fractionStart, end);
    if (position === fractionStart) return -1;
  }
  if (position < end && (bytes[position]! | 0x20) === 0x65) {
    position++;
    if (position < end && (bytes[position] === 0x2b || bytes[position] === minus)) position++;
    const exponentStart = position;
    position = digitsEnd(bytes, exponentStart, end);
    if (position === exponentStart) return -1;
  }
  return position;
}

/** Position after `true`, or −1. */
export function trueEnd(bytes: Uint8Array, index: number, end: number): number {
  return index + 4 <= end &&
    bytes[index] === 0x74 &&
    bytes[index + 1] === 0x72 &&
    bytes[index + 2] === 0x75 &&
    bytes[index + 3] === 0x65
    ? index + 4
    : -1;
}

/** Position after `false`, or −1. */
export function falseEnd(bytes: Uint8Array, index: number, end: number): number {
  return index + 5 <= end &&
    bytes[index] === 0x66 &&
    bytes[index + 1] === 0x61 &&
    bytes[index + 2] === 0x6c &&
    bytes[index + 3] === 0x73 &&
    bytes[index + 4] === 0x65
    ? index + 5
    : -1;
}

/** Position after `null`, or −1. */
export function nullEnd(bytes: Uint8Array, index: number, end: number): number {
  return index + 4 <= end &&
    bytes[index] === 0x6e &&
    bytes[index + 1] === 0x75 &&
    bytes[index + 2] === 0x6c &&
    bytes[index + 3] === 0x6c
    ? index + 4
    : -1;
}

/** `index` stands after the opening quote. Position after the closing quote of any valid string, or −1. */
export function skipString(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  while (position < end) {
    const byte = bytes[position]!;
    if (plain[byte] === 1) position++;
    else if (byte === quote) return position + 1;
    else if (byte === backslash) {
      position = escapeEnd(bytes, position + 1, end);
      if (position < 0) return -1;
    } else if (byte >= 0x80) {
      position = utf8End(bytes, position, end);
      if (position < 0) return -1;
    } else if (byte === 0x7f) position++;
    else return -1;
  }
  return -1;
}

/** `index` stands after the backslash. */
function escapeEnd(bytes: Uint8Array, index: number, end: number): number {
  if (index >= end) return -1;
  switch (bytes[index]) {
    case quote:
    case backslash:
    case 0x2f: // /
    case 0x62: // b
    case 0x66: // f
    case 0x6e: // n
    case 0x72: // r
    case 0x74: // t
      return index + 1;
    case 0x75: // u: any four hex digits; JSON.parse takes a lone surrogate
      if (index + 5 > end) return -1;
      for (let digit = index + 1; digit < index + 5; digit++) if (!isHex(bytes[digit]!)) return -1;
      return index + 5;
    default:
      return -1;
  }
}

function isHex(byte: number): boolean {
  const lower = byte | 0x20;
  return (byte >= zero && byte <= nine) || (lower >= 0x61 && lower <= 0x66);
}

/** Position after one multi-byte UTF-8 sequence, well-formed by Unicode table 3-7, or −1. */
function utf8End(bytes: Uint8Array, index: number, end: number): number {
  const lead = bytes[index]!;
  let length = 2;
  let secondMin = 0x80;
  let secondMax = 0xbf;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  if (lead >= 0xf0) {
    length = 4;
    if (lead === 0xf0) secondMin = 0x90;
    else if (lead === 0xf4) secondMax = 0x8f;
  } else if (lead >= 0xe0) {
    length = 3;
    if (lead === 0xe0) secondMin = 0xa0;
    else if (lead === 0xed) secondMax = 0x9f;
  }
  if (index + length > end) return -1;
  const second = bytes[index + 1]!;
  if (second < secondMin || second > secondMax) return -1;
  for (let next = index + 2; next < index + length; next++) if ((bytes[next]! & 0xc0) !== 0x80) return -1;
  return index + length;
}

/** Containers within containers that skipValue follows: one bit each in a 32-bit stack. Processors send five or six. */
export const depthMax = 30;

/**
 * Position after the JSON value that starts at `index` (no whitespace before it), or −1. Iterative: depth is bounded.
 */
export function skipValue(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  let depth = 0;
  // Bit 0 is the innermost container: 1 an object, 0 an array.
  let stack = 0;
  for (;;) {
    if (position >= end) return -1;
    // A value starts here.
    const byte = bytes[position]!;
    let opened = false;
    if (byte === quote) position = skipString(bytes, position + 1, end);
    else if (byte === braceOpen || byte === bracketOpen) {
      if (depth === depthMax) return -1;
      position = skipWhitespace(bytes, position + 1, end);
      if (position >= end) return -1;
      const isObject = byte === braceOpen;
      if (bytes[position] === (isObject ? braceClose : bracketClose)) position++;
      else {
        depth++;
        stack = (stack << 1) | (isObject ? 1 : 0);
        opened = true;
      }
    } else if (byte === minus || (byte >= zero && byte <= nine)) {
      position = numberEnd(bytes, position, end);
    } else if (byte === 0x74) position = trueEnd(bytes, position, end);
    else if (byte === 0x66) position = falseEnd(bytes, position, end);
    else if (byte === 0x6e) position = nullEnd(bytes, position, end);
    else return -1;
    if (position < 0) return -1;

    // A value ended (or a container opened): close what closes, then go to the next value.
    if (!opened) {
      for (;;) {
        if (depth === 0) return position;
        position = skipWhitespace(bytes, position, end);
        if (position >= end) return -1;
        const next = bytes[position]!;
        if (next === comma) {
          position = skipWhitespace(bytes, position + 1, end);
          break;
        }
        if (next !== ((stack & 1) === 1 ? braceClose : bracketClose)) return -1;
        position++;
        depth--;
        stack >>>= 1;
      }
    }
    if ((stack & 1) === 1) {
      position = keyEnd(bytes, position, end);
      if (position < 0) return -1;
    }
  }
}

/** `index` stands at a key's opening quote. Position of the value after `"key" :`, or −1. */
function keyEnd(bytes: Uint8Array, index: number, end: number): number {
  if (index >= end || bytes[index] !== quote) return -1;
  const afterKey = skipString(bytes, index + 1, end);
  if (afterKey < 0) return -1;
  return afterColon(bytes, afterKey, end);
}

/** `index` stands after a key's closing quote. Position of the value after the colon, or −1. */
export function afterColon(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  // The colon nearly always follows at once; so does a single space or the value.
  if (position < end && bytes[position] !== colon) position = skipWhitespace(bytes, position, end);
  if (position >= end || bytes[position] !== colon) return -1;
  position++;
  if (position < end && bytes[position]! <= 0x20) position = skipWhitespace(bytes, position, end);
  return position < end ? position : -1;
}

/** What nextMember() answers at the end of the object: bit 30 set over the position. */
const closedBit = 0x40000000;

/**
 * `index` stands after a member's value. Position of the next key's opening quote; the position after the closing brace
 * with objectClosed() true; or −1.
 */
export function nextMember(bytes: Uint8Array, index: number, end: number): number {
  let position = index;
  if (position < end && bytes[position]! <= 0x20) position = skipWhitespace(bytes, position, end);
  if (position >= end) return -1;
  const byte = bytes[position]!;
  if (byte === comma) {
    position++;
    if (position < end && bytes[position]! <= 0x20) position = skipWhitespace(bytes, position, end);
    return position < end && bytes[position] === quote ? position : -1;
  }
  return byte === braceClose ? (position + 1) | closedBit : -1;
}

/** True when nextMember() met the end of the object. */
export function objectClosed(member: number): boolean {
  return member >= closedBit;
}

/** The position inside what nextMember() returned at the end of the object. */
export function closedPosition(member: number): number {
  return member & ~closedBit;
}

/**
 * `index` stands at a value. Position of the first key's quote of a non-empty object, or −1 (an empty one is unusual).
 */
export function firstMember(bytes: Uint8Array, index: number, end: number): number {
  if (index >= end || bytes[index] !== braceOpen) return -1;
  const position = skipWhitespace(bytes, index + 1, end);
  return position < end && bytes[position] === quote ? position : -1;
}

/** The ASCII bytes of a constant, for equalsAscii(). */
export function ascii(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
