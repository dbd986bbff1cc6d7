/**
 * The only place that knows what card data looks like. Free text is masked before it is kept (maskPans,
 * maskPansInText). Identifiers that hold a card number are kept as keyed hashes (holdsPan, textHoldsPan, see
 * hidden-ids.ts). A card token that is a card number is refused (isCardNumber), and a log line is masked as a whole
 * (maskCardData).
 *
 * A card number (PAN) here is any 13–19 neighbouring digits that begin like a network's number, have a length which
 * that network issues, and a valid Luhn digit. Whatever is neither letter nor digit may stand between the digits. Of
 * numbers that pass by chance there are many (one in twenty of 16 digits): being masked or hashed costs them nothing,
 * and no purchase is declined for it.
 *
 * Masking twice changes nothing: every such window of digits is masked at once, down to its last four digits, and a
 * masked digit parts the rest. So digits that are still neighbours afterwards were a window before, and not one.
 */
import type { TextSlice } from '../../engine/core/request.js';
import { lengthsByPrefix, panDigitsMax, panDigitsMin } from './issuers.js';

const digitZero = 0x30;
const star = 0x2a;
const panDigitsKept = 4;

/** Classes of bytes. Letters, the mask's star and everything beyond ASCII part the digits. */
const parts = 0;
const digit = 1;
const separator = 2;

function classesWithout(breaking: string): Uint8Array {
  const classes = new Uint8Array(256);
  for (let byte = 0; byte < 0x80; byte++) {
    const text = String.fromCharCode(byte);
    if (/[0-9]/.test(text)) classes[byte] = digit;
    else if (!/[A-Za-z*]/.test(text) && !breaking.includes(text)) classes[byte] = separator;
  }
  return classes;
}

const textClasses = classesWithout('');
/** What JSON is built of parts the digits of a log line: its numbers are no card number together. */
const logClasses = classesWithout(',:;"\'[]{}()\\');

/** The digits since the last thing that parted them. One instance is reused, so that detection allocates nothing. */
class DigitRun {
  readonly #digits = new Uint8Array(128);
  readonly #at = new Int32Array(128);
  #count = 0;
  /** Gets a star wherever a digit is to be masked; null: it is enough to know that there is a card number. */
  #target: Uint8Array | null = null;
  #found = false;

  start(target: Uint8Array | null): void {
    this.#target = target;
    this.#count = 0;
    this.#found = false;
  }

  add(value: number, at: number): void {
    if (this.#count === this.#digits.length) {
      this.#search();
      // A window that ends behind the run's memory begins in what stays.
      const kept = panDigitsMax - 1;
      this.#digits.copyWithin(0, this.#count - kept, this.#count);
      this.#at.copyWithin(0, this.#count - kept, this.#count);
      this.#count = kept;
    }
    this.#digits[this.#count] = value;
    this.#at[this.#count] = at;
    this.#count++;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Something parts the digits. @returns whether a card number was found since start() */
  end(): boolean {
    if (this.#count >= panDigitsMin) this.#search();
    this.#count = 0;
    return this.#found;
  }

  #search(): void {
    const digits = this.#digits;
    for (let first = 0; first + panDigitsMin <= this.#count; first++) {
      const lengths =
        lengthsByPrefix[
          digits[first]! * 1000 + digits[first + 1]! * 100 + digits[first + 2]! * 10 + digits[first + 3]!
        ]!;
      if (lengths === 0) continue;
      const longest = Math.min(panDigitsMax, this.#count - first);
      for (let length = panDigitsMin; length <= longest; length++) {
        if (((lengths >> (length - panDigitsMin)) & 1) === 0 || !this.#passesLuhn(first, length)) continue;
        this.#found = true;
        if (this.#target === null) return;
        for (let index = first; index < first + length - panDigitsKept; index++) this.#target[this.#at[index]!] = star;
      }
    }
  }

  #passesLuhn(first: number, length: number): boolean {
    let sum = 0;
    for (let index = 0; index < length; index++) {
      let value = this.#digits[first + length - 1 - index]!;
      if ((index & 1) === 1) {
        value *= 2;
        if (value > 9) value -= 9;
      }
      sum += value;
    }
    return sum % 10 === 0;
  }
}

const run = new DigitRun();

/**
 * Cheap refusal: can `bytes[start, end)` hold 13 digits with only separators between? A PAN covers 13 neighbouring
 * bytes of digits and separators, so looking at every 13th byte and walking back from it is enough. Most texts are
 * cleared after a handful of loads.
 */
function mayHoldPan(bytes: Uint8Array, start: number, end: number): boolean {
  let clear = start; // No candidate starts before this.
  let probe = start + panDigitsMin - 1;
  while (probe < end) {
    let back = probe;
    while (back >= clear && textClasses[bytes[back]!]! !== parts) back--;
    if (back < clear) return true;
    clear = back + 1;
    probe = back + panDigitsMin;
  }
  return false;
}

function search(bytes: Uint8Array, start: number, end: number, target: Uint8Array | null): boolean {
  run.start(target);
  let found = false;
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!;
    const kind = textClasses[byte];
    if (kind === digit) run.add(byte - digitZero, index);
    else if (kind === parts) found = run.end();
  }
  return run.end() || found;
}

/** Is there a card number in `bytes[start, end)`, which are ASCII? */
export function holdsPan(bytes: Uint8Array, start: number, end: number): boolean {
  return mayHoldPan(bytes, start, end) && search(bytes, start, end, null);
}

/**
 * Masks every card number within the ASCII of `bytes[start, end)` in place: its digits but the last four become '*',
 * separators and length stay.
 * @returns true when something was masked
 */
export function maskPans(bytes: Uint8Array, start: number, end: number): boolean {
  return mayHoldPan(bytes, start, end) && search(bytes, start, end, bytes);
}

// --- texts beyond ASCII ----------------------------------------------------------------------------------------------

const decimalDigit = /\p{Nd}/u;
const letter = /[\p{L}\p{M}]/u;

/** Value of a decimal digit of any script, −1 for anything else. Unicode has them in runs of ten, zero first. */
function digitValue(code: number): number {
  if (code < 0x80) return code >= digitZero && code < digitZero + 10 ? code - digitZero : -1;
  if (!decimalDigit.test(String.fromCodePoint(code))) return -1;
  let first = code;
  while (decimalDigit.test(String.fromCodePoint(first - 1))) first--;
  return (code - first) % 10;
}

/**
 * Looks through a text of any characters.
 * @param skipped positions that part the digits whatever stands there
 * @returns a star for each UTF-16 unit at which a masked digit begins, or null when there is no card number
 */
function starsIn(text: string, classes: Uint8Array, skipped: Uint8Array | null = null): Uint8Array | null {
  const stars = new Uint8Array(text.length);
  run.start(stars);
  let found = false;
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index);
    const at = index;
    let kind = code < 0x80 ? classes[code]! : parts;
    let value = code - digitZero;
    if (code >= 0x80) {
      code = text.codePointAt(index)!;
      if (code > 0xffff) index++;
      value = digitValue(code);
      if (value >= 0) kind = digit;
      else if (!run.isEmpty && !letter.test(String.fromCodePoint(code))) kind = separator;
    }
    if (skipped !== null && skipped[at] !== 0) kind = parts;
    if (kind === digit) run.add(value, at);
    else if (kind === parts && !run.isEmpty) found = run.end();
  }
  return run.end() || found ? stars : null;
}

function masked(text: string, stars: Uint8Array): string {
  let out = '';
  let copied = 0;
  for (let index = 0; index < stars.length; index++) {
    if (stars[index] === 0) continue;
    out += `${text.slice(copied, index)}*`;
    copied = index + (text.codePointAt(index)! > 0xffff ? 2 : 1);
  }
  return out + text.slice(copied);
}

/** Is there a card number in the text? */
export function textHoldsPan(text: string): boolean {
  return text.length >= panDigitsMin && starsIn(text, textClasses) !== null;
}

/** The text with every card number masked down to its last four digits. */
export function maskPansInText(text: string): string {
  if (text.length < panDigitsMin) return text;
  const stars = starsIn(text, textClasses);
  return stars === null ? text : masked(text, stars);
}

/** An expiry: month and year in either order, the year in two or four digits or left out. */
const expiry = /^(0[1-9]|1[0-2])((20)?\d\d)?$|^(20)?\d\d(0[1-9]|1[0-2])$/;

/**
 * Is a card token a card number? All of its digits are one, however they are written, zeros may stand before it and an
 * expiry behind it. A token with letters, or that only holds a card number's digits somewhere, is a token.
 */
export function isCardNumber(token: string): boolean {
  let digits = '';
  for (const character of token) {
    const value = digitValue(character.codePointAt(0)!);
    if (value >= 0) digits += value;
    // The star is the mask's: it parts digits here as it does in texts.
    else if (character === '*' || letter.test(character)) return false;
  }
  digits = digits.replace(/^0+/, '');
  for (let length = panDigitsMin; length <= Math.min(panDigitsMax, digits.length); length++) {
    const behind = digits.slice(length);
    if (behind !== '' && !expiry.test(behind)) continue;
    if (((lengthsByPrefix[Number(digits.slice(0, 4))]! >> (length - panDigitsMin)) & 1) === 0) continue;
    if (luhnOf(digits.slice(0, length))) return true;
  }
  return false;
}

/** isCardNumber() of a token in ASCII. */
export function isCardNumberInBytes(bytes: Uint8Array, { start, end }: TextSlice): boolean {
  return holdsPan(bytes, start, end) && isCardNumber(String.fromCharCode(...bytes.subarray(start, end)));
}

function luhnOf(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index++) {
    const value = Number(digits[digits.length - 1 - index]);
    const doubled = value * 2 > 9 ? value * 2 - 9 : value * 2;
    sum += index % 2 === 1 ? doubled : value;
  }
  return sum % 10 === 0;
}

// --- log lines -------------------------------------------------------------------------------------------------------

/**
 * Names whose values are card data whatever they look like; matched without case, `_`, `-` or spaces within allowed.
 */
const secretNames =
  'cvv2?|cvc2?|cvn2?|cid|csc|card[_-]?security[_-]?code|security[_-]?code|pin[_-]?block|pin|track[_-]?[123]|' +
  'track[_-]?data|track|pan|card[_-]?number|primary[_-]?account[_-]?number';

/** A name, then : or =, then a quoted string (also inside an escaped JSON text) or a bare word. */
const secretPattern = new RegExp(
  `(?<![A-Za-z0-9_-])(${secretNames})((?:\\\\*["'])?\\s{0,8}[:=]\\s{0,8})` +
    `((\\\\*)"(?:[^"\\\\]|\\\\(?!")|\\\\"(?=[^,}\\]\\s]))*(?:\\\\*")?|'[^']*'?|[^\\s,;&}\\]"']+)`,
  'gi',
);
/** ISO/IEC 7813 track 1: B, PAN, name, discretionary data; with or without sentinels. */
const track1Pattern = /%?[Bb]\d{12,19}\^[^^?\n]{0,64}\^[^?\s"']{0,80}\??/g;
/** Track 2: PAN, separator (= or D), expiry, service code, discretionary data; with or without sentinels. */
const track2Pattern = /;?\d{12,19}[=Dd]\d{4,40}\??/g;
/** A number with a fraction, as JSON has it: a duration or a share, and stars would make the line no JSON any more. */
const fractionPattern = /(?<=[:,[])-?\d{1,19}\.\d{1,25}(?:[eE][+-]?\d{1,3})?(?=[,}\]])/g;

const mask = '[masked]';

/**
 * Masks card data in a text before it is logged. It masks card numbers (the last four digits stay), track 1 and 2, and
 * the values of names such as cvv, pin, track2. Time is linear in the text. It errs towards masking.
 */
export function maskCardData(text: string): string {
  const tracksGone = text.replace(track1Pattern, mask).replace(track2Pattern, mask);
  const namesGone = tracksGone.replace(
    secretPattern,
    (_match, name: string, join: string, value: string, slashes = '') =>
      value.startsWith('"') || value.startsWith('\\')
        ? `${name}${join}${slashes}"${mask}${slashes}"`
        : `${name}${join}${mask}`,
  );
  if (namesGone.length < panDigitsMin) return namesGone;
  const skipped = new Uint8Array(namesGone.length);
  for (const { index, 0: number } of namesGone.matchAll(fractionPattern)) skipped.fill(1, index, index + number.length);
  const stars = starsIn(namesGone, logClasses, skipped);
  return stars === null ? namesGone : masked(namesGone, stars);
}

/** The start of a text, masked whole before it is cut: half of a card number would not be recognized. */
export function maskedStart(text: string, lengthMax: number): string {
  return maskCardData(text).slice(0, lengthMax);
}
