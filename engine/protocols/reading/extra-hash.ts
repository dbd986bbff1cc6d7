/**
 * Request.extraHash: FNV-1a over the bytes of texts, 0xff (never in UTF-8) after each, so that no two splits of the
 * same bytes meet. It has no key, so texts with card numbers are masked before.
 */
export const hashStart = 0x811c9dc5;

/** @returns 32 bits with a sign, the seed of the next text; `>>> 0` ends it */
export function hashSlice(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return Math.imul(hash ^ 0xff, 0x01000193);
}

/** The same of texts that are masked. Unsigned. */
export function hashOfTexts(texts: readonly string[]): number {
  let hash = hashStart;
  for (const text of texts) {
    const bytes = Buffer.from(text);
    hash = hashSlice(hash, bytes, 0, bytes.length);
  }
  return hash >>> 0;
}
