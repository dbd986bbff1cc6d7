/**
 * Texts that only this API reads: where a list goes on, and whose session a token is of. They carry internal numbers
 * and sort keys, so they are encrypted, and a changed one is refused. The same text has the same form each time, so
 * that an unchanged answer has an unchanged ETag.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

interface Keys {
  readonly encryption: Buffer;
  /** The nonce is made of the text itself: two different texts have different ones. */
  readonly nonce: Buffer;
}

export class Seal {
  readonly #keys: readonly Keys[];

  /**
   * @param purpose keeps the texts of different uses apart
   * @param secrets newest first: the first seals, all open
   */
  constructor(purpose: string, secrets: readonly string[]) {
    const keyOf = (use: string, secret: string) => createHash('sha256').update(`${purpose} ${use}\0${secret}`).digest();
    this.#keys = secrets.map((secret) => ({ encryption: keyOf('encryption', secret), nonce: keyOf('nonce', secret) }));
  }

  seal(text: Uint8Array): string {
    const { encryption, nonce: nonceKey } = this.#keys[0]!;
    const nonce = createHmac('sha256', nonceKey).update(text).digest().subarray(0, nonceBytes);
    const cipher = createCipheriv(algorithm, encryption, nonce);
    return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  /** The text, null when it was not sealed with one of the secrets. */
  open(sealed: string): Buffer | null {
    const bytes = Buffer.from(sealed, 'base64url');
    if (bytes.length < nonceBytes + tagBytes) return null;
    for (const { encryption } of this.#keys) {
      const decipher = createDecipheriv(algorithm, encryption, bytes.subarray(0, nonceBytes));
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      } catch {
        // Sealed with another secret, or by no API at all.
      }
    }
    return null;
  }
}
