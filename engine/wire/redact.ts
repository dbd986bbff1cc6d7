/**
 * The only place that knows what card data looks like. Three uses: a token field that holds a card number is refused
 * (looksLikePan), a merchant's text is masked in its bytes before it is journaled (maskPans), a log line is masked as a
 * whole (maskCardData).
 *
 * A card number (PAN) here is 13–19 digits of a known network's range with that network's length and a valid Luhn
 * digit, digits grouped at will by single spaces or dashes. About one random 16-digit number in thirty passes all of it:
 * senders must not make tokens of bare digits of those lengths.
 */

const digitZero = 0x30;
const panDigitsMin = 13;
const panDigitsMax = 19;

/** 1: a digit. 2: a separator within a PAN (space, dash). 0: anything else ends one. */
const classes = new Uint8Array(256);
for (let byte = digitZero; byte < digitZero + 10; byte++) classes[byte] = 1;
classes[0x20] = 2;
classes[0x2d] = 2;

/** Digits of the candidate under test; reused, so that detection allocates nothing. */
const digits = new Uint8Array(panDigitsMax);

/** Is digits[0, count) a card number by range, length and check digit? */
function isPan(count: number): boolean {
  return networkTakesLength(count) && luhnValid(count);
}

function prefix(length: number): number {
  let value = 0;
  for (let index = 0; index < length; index++) value = value * 10 + digits[index]!;
  return value;
}

/** Issuer ranges by their first digits, each with the lengths that network issues. */
function networkTakesLength(count: number): boolean {
  const two = prefix(2);
  const three = prefix(3);
  const four = prefix(4);
  if (digits[0] === 4) return count === 13 || count === 16 || count === 19; // Visa
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return count === 16; // Mastercard
  if (two === 34 || two === 37) return count === 15; // American Express
  if (four === 6011 || (three >= 644 && three <= 649) || two === 65) return count >= 16; // Discover
  if (four >= 3528 && four <= 3589) return count >= 16; // JCB
  if ((three >= 300 && three <= 305) || two === 36 || two === 38) return count >= 14; // Diners Club
  if (two === 62) return count >= 16; // UnionPay
  // Maestro: 12 digits exist too, but are too common in references to refuse.
  return two === 50 || (two >= 56 && two <= 58) || two === 63 || two === 67;
}

function luhnValid(count: number): boolean {
  let sum = 0;
  for (let index = 0; index < count; index++) {
    let digit = digits[count - 1 - index]!;
    if ((index & 1) === 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return sum % 10 === 0;
}

/**
 * Cheap refusal: can `bytes[start, end)` hold 13 digits with at most separators between? A PAN covers 13 neighbouring
 * bytes of digits and separators, so looking at every 13th byte and walking back from it is enough; most tokens
 * are cleared after a handful of loads.
 */
function mayHoldPan(bytes: Uint8Array, start: number, end: number): boolean {
  let clear = start; // No candidate starts before this.
  let probe = start + panDigitsMin - 1;
  while (probe < end) {
    let back = probe;
    while (back >= clear && classes[bytes[back]!]! !== 0) back--;
    if (back < clear) return true;
    clear = back + 1;
    probe = back + panDigitsMin;
  }
  return false;
}

/** How the digits of matchPan()'s last find were grouped. */
let matchGroups = 0;
let matchFirstGroup = 0;
let matchGroupLongest = 0;

/**
 * `start` stands at the first digit of a group (no digit before it). End of the longest card number that begins there
 * and ends with a group, or −1.
 */
function matchPan(bytes: Uint8Array, start: number, end: number): number {
  // Every network's numbers begin with 2 … 6.
  const first = bytes[start]! - digitZero;
  if (first < 2 || first > 6) return -1;
  let count = 0;
  let index = start;
  let found = -1;
  let groups = 0;
  let firstGroup = 0;
  let longest = 0;
  for (;;) {
    const groupStart = index;
    while (index < end && classes[bytes[index]!] === 1) {
      if (count === panDigitsMax) return found;
      digits[count++] = bytes[index]! - digitZero;
      index++;
    }
    groups++;
    const length = index - groupStart;
    if (groups === 1) firstGroup = length;
    if (length > longest) longest = length;
    if (count >= panDigitsMin && isPan(count)) {
      found = index;
      matchGroups = groups;
      matchFirstGroup = firstGroup;
      matchGroupLongest = longest;
    }
    // One separator, and a digit right after it.
    if (index + 1 >= end || classes[bytes[index]!] !== 2 || classes[bytes[index + 1]!] !== 1) return found;
    index++;
  }
}

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || byte >= 0x80;
}

/**
 * Does a token field hold a card number? The whole text as one, however grouped, or one that stands apart within it
 * (`auth-4…`, `card 4… x`) in one piece or grouped as cards are printed (4-4-4-4, 4-6-5). Groups of other sizes inside
 * a longer text are not refused: one UUID in some ten thousand would be.
 */
export function looksLikePan(bytes: Uint8Array, start: number, end: number): boolean {
  if (!mayHoldPan(bytes, start, end)) return false;
  for (let index = start; index < end; index++) {
    if (classes[bytes[index]!] !== 1) continue;
    const groupStart = index;
    while (index < end && classes[bytes[index]!] === 1) index++;
    const length = index - groupStart;
    // Only these groups can begin what is refused below; a UUID has few of them.
    if (groupStart > start && length !== 4 && length < panDigitsMin) continue;
    if (groupStart > start && isLetter(bytes[groupStart - 1]!)) continue;
    const matchEnd = matchPan(bytes, groupStart, end);
    if (matchEnd < 0 || (matchEnd < end && isLetter(bytes[matchEnd]!))) continue;
    if (groupStart === start && matchEnd === end) return true;
    if (matchGroups === 1) return true;
    if (matchGroups >= 3 && matchFirstGroup === 4 && matchGroupLongest <= 6) return true;
  }
  return false;
}

const star = 0x2a;
const panDigitsKept = 4;

/**
 * Masks every card number within `bytes[start, end)` in place: all digits but the last four become '*', separators and
 * length stay.
 * @returns true when something was masked
 */
export function maskPans(bytes: Uint8Array, start: number, end: number): boolean {
  if (!mayHoldPan(bytes, start, end)) return false;
  let masked = false;
  let index = start;
  while (index < end) {
    if (classes[bytes[index]!] !== 1) {
      index++;
      continue;
    }
    const matchEnd = matchPan(bytes, index, end);
    if (matchEnd >= 0) {
      maskDigits(bytes, index, matchEnd);
      masked = true;
      index = matchEnd;
    } else while (index < end && classes[bytes[index]!] === 1) index++;
  }
  return masked;
}

function maskDigits(bytes: Uint8Array, start: number, end: number): void {
  let kept = 0;
  for (let index = end - 1; index >= start; index--) {
    if (classes[bytes[index]!] !== 1) continue;
    if (kept < panDigitsKept) kept++;
    else bytes[index] = star;
  }
}

/** Names whose values are card data whatever they look like; matched without case, `_`, `-` or spaces within allowed. */
const secretNames =
  'cvv2?|cvc2?|cvn2?|cid|csc|card[_-]?security[_-]?code|security[_-]?code|pin[_-]?block|pin|track[_-]?[123]|track[_-]?data|track|pan|card[_-]?number|primary[_-]?account[_-]?number';

/** A name, then : or =, then a quoted string (also inside an escaped JSON text) or a bare word. */
const secretPattern = new RegExp(
  `(?<![A-Za-z0-9_-])(${secretNames})((?:\\\\*["'])?\\s{0,8}[:=]\\s{0,8})((\\\\*)"(?:[^"\\\\]|\\\\(?!")|\\\\"(?=[^,}\\]\\s]))*(?:\\\\*")?|'[^']*'?|[^\\s,;&}\\]"']+)`,
  'gi',
);
/** ISO/IEC 7813 track 1: B, PAN, name, discretionary data; with or without sentinels. */
const track1Pattern = /%?[Bb]\d{12,19}\^[^^?\n]{0,64}\^[^?\s"']{0,80}\??/g;
/** Track 2: PAN, separator (= or D), expiry, service code, discretionary data; with or without sentinels. */
const track2Pattern = /;?\d{12,19}[=Dd]\d{4,40}\??/g;

const mask = '[masked]';

/**
 * Masks card data in a text that is about to be logged: card numbers (last four digits stay), track 1 and 2, and the
 * values of names such as cvv, pin, track2. Time is linear in the text. It errs towards masking.
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
  const bytes = new Uint8Array(namesGone.length);
  for (let index = 0; index < bytes.length; index++) {
    const code = namesGone.charCodeAt(index);
    // What is not ASCII only has to end a number; 0x80 does.
    bytes[index] = Math.min(code, 0x80);
  }
  if (!maskPans(bytes, 0, bytes.length)) return namesGone;
  let out = '';
  let copied = 0;
  for (let index = 0; index < bytes.length; index++) {
    if (bytes[index] !== star || namesGone.charCodeAt(index) === star) continue;
    out += `${namesGone.slice(copied, index)}*`;
    copied = index + 1;
  }
  return out + namesGone.slice(copied);
}
