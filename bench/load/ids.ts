/**
 * Ids of generated questions: `<prefix>t<thread>n<number>`. The engine remembers ids, so no two runs may share them;
 * and the id assigns an answer to its question, so no two questions of a run may share one.
 */

/** Digits of the running number: a billion requests per thread and run. */
export const sequenceDigitCount = 9;
/** Ids are at most 64 characters; the rest is `t01n` and the running number. */
export const idPrefixLengthMax = 64 - 4 - sequenceDigitCount;

/** Ids of two runs never meet: the time, and five random characters for runs of the same millisecond. */
export function newIdPrefix(name: string): string {
  const random = Math.floor(Math.random() * 36 ** 5)
    .toString(36)
    .padStart(5, '0');
  return `${name}-${Date.now().toString(36)}${random}`;
}

/** The part of a thread's ids before the running number. */
export function idOfThread(prefix: string, threadNumber: number): string {
  if (!/^[A-Za-z0-9-]+$/.test(prefix) || prefix.length > idPrefixLengthMax)
    throw new RangeError(`load: idPrefix must be 1–${idPrefixLengthMax} letters, digits or dashes`);
  return `${prefix}t${String(threadNumber).padStart(2, '0')}n`;
}

/** Digits of a card number in its token: six at least, then more, as in `card_000001_1` and `card_1000000_1`. */
export function cardDigits(cardNumber: number): number {
  return Math.max(6, String(cardNumber).length);
}

/**
 * `value` in ASCII decimal with exactly `digitCount` digits; `value` is below 2^31 so that the division stays in
 * integers.
 */
export function writeDigits(bytes: Uint8Array, offset: number, digitCount: number, value: number): void {
  let rest = value | 0;
  for (let index = offset + digitCount - 1; index >= offset; index--) {
    const quotient = (rest / 10) | 0;
    bytes[index] = 48 + rest - quotient * 10;
    rest = quotient;
  }
}
