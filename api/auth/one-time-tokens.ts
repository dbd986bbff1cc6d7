/**
 * Tokens of one-time links: shown once, in a mail, and kept as hashes. They have 256 bits, so a plain hash is enough.
 */
import { createHash, randomBytes } from 'node:crypto';

const secretBytes = 32;

/** The prefix says what a token is for, so that one is never taken for the other. */
export type LinkPrefix = 'afi' | 'afr';

export function newLinkToken(prefix: LinkPrefix): string {
  return `${prefix}_${randomBytes(secretBytes).toString('base64url')}`;
}

export function linkTokenHash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
