/**
 * 64-bit hash of a byte range, as two unsigned 32-bit halves. Used to find seen ids and transactions; whatever it finds
 * is confirmed against stored bytes, so a collision costs a lookup and never an answer. Not keyed and not
 * cryptographic: stored hashes must mean the same after a restart. Two multiply-xor lanes with a final avalanche (the
 * well-known cyrb53 construction widened to its full 64 bits).
 */

/** Lower half of the hash computed last. Module state instead of a returned pair: nothing is allocated per message. */
export let hashLow = 0;
/** Upper half of the hash computed last. */
export let hashHigh = 0;

/** Hashes `bytes[start, end)` into hashLow and hashHigh. */
export function hash64(bytes: Uint8Array, start: number, end: number): void {
  let low = 0x9e3779b1;
  let high = 0x85ebca77;
  for (let index = start; index < end; index++) {
    const byte = bytes[index]!;
    low = Math.imul(low ^ byte, 0x9e3779b1);
    high = Math.imul(high ^ byte, 0x5f356495);
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  hashLow = low >>> 0;
  hashHigh = high >>> 0;
}

/** The hash computed last as a signed 64-bit number: the form of the id_hash column (PostgreSQL bigint). */
export function hashAsBigInt(): bigint {
  return BigInt.asIntN(64, (BigInt(hashHigh) << 32n) | BigInt(hashLow));
}

/** Mixes a non-negative safe integer into 32 unsigned bits, for tables keyed by numbers. */
export function hashNumber(value: number): number {
  const low = value | 0;
  const high = (value / 0x1_0000_0000) | 0;
  let mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  mixed ^= mixed >>> 15;
  return Math.imul(mixed, 0x85ebca6b) >>> 0;
}
