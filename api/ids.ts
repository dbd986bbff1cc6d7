/** Public ids: opaque, unguessable, and never mistaken for a card number (few digits, no two alike in shape). */
import { randomBytes } from 'node:crypto';

/** 32 letters, so that five bits of a byte pick one without bias; without those that people confuse. */
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
/** 100 bits: no two ids ever meet, and none is guessed. */
const length = 20;

export type IdPrefix = 'usr' | 'co' | 'acct' | 'card' | 'dep' | 'wd';

/** A new id such as `usr_k3v…`. */
export function newId(prefix: IdPrefix): string {
  let id = `${prefix}_`;
  for (const byte of randomBytes(length)) id += alphabet[byte & 31];
  return id;
}
