/** Public ids: opaque, unguessable, and never mistaken for a card number (few digits, no two alike in shape). */
import { createHash, randomBytes } from 'node:crypto';

/** 32 letters, so that five bits of a byte pick one without bias; without those that people confuse. */
const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
/** 100 bits: no two ids ever meet, and none is guessed. */
const length = 20;

export type IdPrefix = 'usr' | 'co' | 'acct' | 'card' | 'dep' | 'wd' | 'rel' | 'fund' | 'ses' | 'op' | 'key' | 'inv';

/** A new id such as `usr_k3v…`. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${lettersOf(randomBytes(length))}`;
}

/** The id that belongs to a name: the same for the same name. */
export function idOf(prefix: IdPrefix, name: string): string {
  return `${prefix}_${lettersOf(createHash('sha256').update(`${prefix}\0${name}`).digest().subarray(0, length))}`;
}

/** Letters only: no person types a token, and none may ever look like a card number. */
const tokenLetters = 24;
/** 128 bits: who has a token can try to pay, so none may be guessed. */
const tokenLength = 28;

/** What the authorization port takes as `card`: drawn, never derived from anything. */
export function newCardToken(): string {
  let token = 'tok_';
  while (token.length < 4 + tokenLength) {
    for (const byte of randomBytes(tokenLength)) {
      const letter = byte & 31;
      if (letter < tokenLetters && token.length < 4 + tokenLength) token += alphabet[letter];
    }
  }
  return token;
}

function lettersOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += alphabet[byte & 31];
  return text;
}
