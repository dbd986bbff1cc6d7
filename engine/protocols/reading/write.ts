/**
 * Small pieces of an answer written as bytes. Each returns the position after what it wrote. Loops instead of
 * TypedArray.set: the pieces are short, and subarray() allocates.
 */

// Constants of this file rather than imports: the engine folds only these into the loops.
const backslash = 0x5c;
const quote = 0x22;

export function copyBytes(target: Uint8Array, position: number, source: Uint8Array): number {
  const length = source.length;
  for (let index = 0; index < length; index++) target[position + index] = source[index]!;
  return position + length;
}

/** UTF-8 text as the inside of a JSON string. Kept texts hold no control characters, so two escapes are enough. */
export function writeEscaped(
  target: Uint8Array,
  position: number,
  source: Uint8Array,
  start: number,
  end: number,
): number {
  let at = position;
  for (let index = start; index < end; index++) {
    const byte = source[index]!;
    if (byte === quote || byte === backslash) target[at++] = backslash;
    target[at++] = byte;
  }
  return at;
}

/** The three letters of a packed currency code. */
export function writeLetters(target: Uint8Array, position: number, packed: number): number {
  target[position] = 0x40 + ((packed / 729) | 0);
  target[position + 1] = 0x40 + (((packed / 27) | 0) % 27);
  target[position + 2] = 0x40 + (packed % 27);
  return position + 3;
}
