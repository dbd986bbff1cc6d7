/**
 * RFC 3339 date-time, twice: over a string for the slow reader, and over bytes for the fast one. The fast one knows
 * only the common spelling (upper case T and Z, no leap second) and says "unsure" to the rest. Both take picoseconds at
 * most: the text is journaled, and thirteen digits may be a card number.
 */

const pattern = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d{1,12})?(?:[Zz]|[+-](\d{2}):(\d{2}))$/;

const fractionDigitsMax = 12;

/** Longest date-time taken, in characters. */
export const dateTimeLengthMax = 40;

/**
 * True for an RFC 3339 date-time of at most dateTimeLengthMax characters. A leap second (60) passes in any minute:
 * offsets move it.
 */
export function isDateTime(text: string): boolean {
  if (text.length > dateTimeLengthMax) return false;
  const match = pattern.exec(text);
  if (match === null) return false;
  const [year, month, day, hour, minute, second, offsetHour, offsetMinute] = match
    .slice(1)
    .map((part) => Number(part ?? 0));
  if (!isDate(year!, month!, day!) || hour! > 23 || minute! > 59) return false;
  if (offsetHour! > 23 || offsetMinute! > 59) return false;
  return second! <= 60;
}

function isDate(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Two digits at `index`, or 100. */
function twoDigits(bytes: Uint8Array, index: number): number {
  const high = bytes[index]! - 0x30;
  const low = bytes[index + 1]! - 0x30;
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : 100;
}

/** True when the bytes surely are a date-time; false when it takes isDateTime() to say. */
export function isCommonDateTime(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  if (length < 20 || length > dateTimeLengthMax) return false;
  const century = twoDigits(bytes, start);
  const yearOfCentury = twoDigits(bytes, start + 2);
  const month = twoDigits(bytes, start + 5);
  const day = twoDigits(bytes, start + 8);
  if (century === 100 || yearOfCentury === 100 || !isDate(century * 100 + yearOfCentury, month, day)) return false;
  if (twoDigits(bytes, start + 11) > 23 || twoDigits(bytes, start + 14) > 59 || twoDigits(bytes, start + 17) > 59)
    return false;
  if (bytes[start + 4] !== 0x2d || bytes[start + 7] !== 0x2d || bytes[start + 10] !== 0x54) return false;
  if (bytes[start + 13] !== 0x3a || bytes[start + 16] !== 0x3a) return false;
  let index = start + 19;
  if (bytes[index] === 0x2e) {
    const fractionStart = ++index;
    while (index < end && bytes[index]! >= 0x30 && bytes[index]! <= 0x39) index++;
    if (index === fractionStart || index - fractionStart > fractionDigitsMax) return false;
  }
  if (index === end - 1) return bytes[index] === 0x5a;
  return (
    index === end - 6 &&
    (bytes[index] === 0x2b || bytes[index] === 0x2d) &&
    twoDigits(bytes, index + 1) <= 23 &&
    bytes[index + 3] === 0x3a &&
    twoDigits(bytes, index + 4) <= 59
  );
}
