/** Public ids: opaque, unguessable, and never mistaken for a card number (few digits, no two alike in shape). */
import { createHash, randomBytes } from 'node:crypto';

/** 32 letters, so that five bits of a byte pick one without bias; without those that people confuse. */
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
/** 100 bits: no two ids ever meet, and none is guessed. */
const length = 20;

export type IdPrefix = 'usr' | 'co' | 'acct' | 'card' | 'dep' | 'wd';

/** A new id such as `usr_k3v…`. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${lettersOf(randomBytes(length))}`;
}

/** The id that belongs to a name: the same for the same name. */
export function idOf(prefix: IdPrefix, name: string): string {
  return `${prefix}_${lettersOf(createHash('sha256').update(`${prefix}\0${name}`).digest().subarray(0, length))}`;
}

function lettersOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += alphabet[byte & 31];
  return text;
}
