/** Ids of messages. None looks like a card number, which the engine would keep as a hash. */
import { randomBytes } from 'node:crypto';

/** Letters alone, so that no run of digits is ever long. */
export function letters(count: number): string {
  return Array.from(randomBytes(count), (byte) => 'abcdef'[byte % 6]).join('');
}

/** Shaped as a UUID of version 4. */
export function newToken(): string {
  return `${letters(8)}-${letters(4)}-4${letters(3)}-a${letters(3)}-${letters(12)}`;
}
