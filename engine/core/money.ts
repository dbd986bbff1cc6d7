/**
 * Money is a safe integer of minor units (cents for USD). This file owns the ways in and out: exact decimal text to
 * minor units, and minor units to text. No amount ever passes through a fractional double.
 */
import currencyCodes from 'currency-codes';
import { packLetters } from './codes.js';
import { assert } from './invariant.js';

/** Size of a table indexed by packLetters() of three letters. */
const packedCodeCount = 27 ** 3;

// One byte per possible code: a lookup on the hot path is one load, and an unknown code is −1 like an absent one.
const exponents = new Int8Array(packedCodeCount).fill(-1);
/** ISO 4217 has three digits for each currency too. */
const numberCount = 1000;
const byNumber = new Uint16Array(numberCount);
const numbers = new Uint16Array(packedCodeCount);
for (const record of currencyCodes.data) {
  const packed = packLetters(record.code);
  if (packed > 0 && record.digits >= 0 && record.digits <= 4) {
    exponents[packed] = record.digits;
    byNumber[Number(record.number)] = packed;
    numbers[packed] = Number(record.number);
  }
}

/** packLetters() of the currency with that ISO 4217 number; 0 when there is none. */
export function currencyOfNumber(number: number): number {
  return byNumber[number] ?? 0;
}

/** The ISO 4217 number of a currency (packLetters form); 0 when the code is not in the standard. */
export function numberOfCurrency(currencyPacked: number): number {
  return numbers[currencyPacked] ?? 0;
}

/**
 * Number of fraction digits of an ISO 4217 currency (packLetters form), 0 … 4; −1 when the code is not in the standard.
 */
export function exponentOf(currencyPacked: number): number {
  return exponents[currencyPacked] ?? -1;
}

/** What decimalToMinor() returns instead of an amount; all negative. */
export const DecimalError = {
  /** Not a JSON number. */
  malformed: -1,
  /** A minus sign, whatever follows. */
  negative: -2,
  /** A non-zero digit below the currency's smallest unit. */
  fractionTooLong: -3,
  /** Above 2^53 − 1 minor units. */
  tooLarge: -4,
} as const;

const digitZero = 0x30;
const point = 0x2e;
const minus = 0x2d;

/** Fifteen digits are below 2^53, so the fast loop can neither round nor overflow. */
const digitsFastMax = 15;

/**
 * Reads a JSON number (RFC 8259 grammar) as minor units, exactly.
 * @param exponent fraction digits of the currency, 0 … 4
 * @returns minor units 0 … 2^53 − 1, or a DecimalError. `12.500` is 1250 cents; `12.505` is refused, never rounded.
 */
export function decimalToMinor(bytes: Uint8Array, start: number, end: number, exponent: number): number {
  const length = end - start;
  if (length > digitsFastMax - exponent || length === 0) return decimalToMinorSlow(bytes, start, end, exponent);
  let value = 0;
  let index = start;
  while (index < end) {
    const digit = bytes[index]! - digitZero;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
    index++;
  }
  const integerDigits = index - start;
  if (integerDigits === 0 || (integerDigits > 1 && bytes[start] === digitZero)) {
    return decimalToMinorSlow(bytes, start, end, exponent);
  }
  let fractionDigits = 0;
  if (index < end) {
    if (bytes[index] !== point || index + 1 === end) return decimalToMinorSlow(bytes, start, end, exponent);
    for (index++; index < end; index++) {
      const digit = bytes[index]! - digitZero;
      if (digit < 0 || digit > 9) return decimalToMinorSlow(bytes, start, end, exponent);
      if (fractionDigits < exponent) {
        value = value * 10 + digit;
        fractionDigits++;
      } else if (digit !== 0) return decimalToMinorSlow(bytes, start, end, exponent); // An exponent may follow.
    }
  }
  for (; fractionDigits < exponent; fractionDigits++) value *= 10;
  return value;
}

/** JSON allows exponents of any size; beyond this one they only say "zero", "too small" or "too large". */
const powerMax = 1_000_000;

/** The whole grammar: signs, exponents, any number of digits. Linear in the text, allocates. */
function decimalToMinorSlow(bytes: Uint8Array, start: number, end: number, exponent: number): number {
  let text = '';
  for (let index = start; index < end; index++) text += String.fromCharCode(bytes[index]!);
  const match = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(text);
  if (match === null) return DecimalError.malformed;
  if (match[1] === '-') return DecimalError.negative;
  const integer = match[2]!;
  const digits = integer + (match[3] ?? '');
  const power = Math.min(powerMax, Math.max(-powerMax, Number(match[4] ?? '0')));
  // The decimal point, counted in digits from the left, once the value is in minor units.
  const pointAt = integer.length + power + exponent;
  let first = 0;
  while (first < digits.length && digits.charCodeAt(first) === digitZero) first++;
  if (first === digits.length) return 0;
  let last = digits.length - 1;
  while (digits.charCodeAt(last) === digitZero) last--;
  if (last >= pointAt) return DecimalError.fractionTooLong;
  // 2^53 − 1 has 16 digits.
  if (pointAt - first > 16) return DecimalError.tooLarge;
  const minor = BigInt(digits.slice(first, last + 1).padEnd(pointAt - first, '0'));
  return minor > BigInt(Number.MAX_SAFE_INTEGER) ? DecimalError.tooLarge : Number(minor);
}

const chunk = 1_000_000_000;

/**
 * Writes a safe integer as decimal digits with a leading minus when negative.
 * @returns number of bytes written, at most 17
 */
export function writeInteger(target: Uint8Array, offset: number, value: number): number {
  assert(Number.isSafeInteger(value), 'an amount is not a safe integer');
  let position = offset;
  let rest = value;
  if (rest < 0) {
    target[position++] = minus;
    rest = -rest;
  }
  if (rest < chunk) return writeSmall(target, position, rest | 0) - offset;
  // The remainder of two safe integers is exact, and so is the division of a multiple; a plain floor(x / 1e9) is not.
  const low = rest % chunk;
  position = writeSmall(target, position, (rest - low) / chunk);
  writePadded(target, position, low | 0, 9);
  return position + 9 - offset;
}

/** Writes 0 ≤ value < 2^31 without padding; returns the position after it. */
function writeSmall(target: Uint8Array, position: number, value: number): number {
  let digits = 1;
  for (let bound = 10; digits < 10 && value >= bound; bound *= 10) digits++;
  writePadded(target, position, value, digits);
  return position + digits;
}

/** Writes exactly `digits` digits of 0 ≤ value < 2^31. */
function writePadded(target: Uint8Array, position: number, value: number, digits: number): void {
  let rest = value;
  for (let index = position + digits - 1; index >= position; index--) {
    const quotient = (rest / 10) | 0;
    target[index] = digitZero + (rest - quotient * 10);
    rest = quotient;
  }
}

/**
 * Writes minor units as a decimal number with exactly the currency's fraction digits: 8420 with exponent 2 is `84.20`.
 * @returns number of bytes written, at most 19
 */
export function writeDecimal(target: Uint8Array, offset: number, amountMinor: number, exponent: number): number {
  if (exponent <= 0) return writeInteger(target, offset, amountMinor);
  assert(Number.isSafeInteger(amountMinor), 'an amount is not a safe integer');
  let position = offset;
  let rest = amountMinor;
  if (rest < 0) {
    target[position++] = minus;
    rest = -rest;
  }
  let scale = 1;
  for (let index = 0; index < exponent; index++) scale *= 10;
  const fraction = rest % scale;
  position += writeInteger(target, position, (rest - fraction) / scale);
  target[position++] = point;
  writePadded(target, position, fraction, exponent);
  return position + exponent - offset;
}
