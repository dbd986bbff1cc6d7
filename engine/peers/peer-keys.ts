/**
 * The keys that engines prove themselves with: TLS 1.2 with a pre-shared key and no certificate. ECDHE-PSK keeps what
 * was recorded unreadable where a key is found later. TLS 1.3 has no identity hint, which the rotation needs.
 */
import { constants, createHash, hkdfSync } from 'node:crypto';
import type { CommonConnectionOptions, PSKCallbackNegotation, SecureContextOptions } from 'node:tls';

const pskBytes = 32;
/** OpenSSL takes hints of up to 128 bytes: 14 ids. */
export const peerKeysMax = 14;
const idChars = 8;

export const peerTls = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  // A ticket would let a peer in whose key is no longer in the list.
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions & CommonConnectionOptions;

interface PeerKey {
  /** Names the key on the wire, and says nothing about it. */
  readonly id: string;
  readonly psk: Buffer;
}

export class PeerKeys {
  readonly #keys: readonly PeerKey[];
  /** The ids of all keys, newest first. A server shows it, so that the other end takes a key that both have. */
  readonly hint: string;

  /** @param keys newest first */
  constructor(keys: readonly string[]) {
    if (keys.length === 0 || keys.length > peerKeysMax) {
      throw new Error(`PEER_KEY has ${keys.length} keys: set 1 to ${peerKeysMax}, newest first`);
    }
    this.#keys = keys.map((key) => {
      const psk = Buffer.from(hkdfSync('sha256', key, '', 'atlanticfrewaycard peers', pskBytes));
      return { id: createHash('sha256').update(psk).digest('hex').slice(0, idChars), psk };
    });
    this.hint = this.#keys.map(({ id }) => id).join(',');
  }

  /** The server's side: the key that the other end names, or null. */
  named(identity: string): Buffer | null {
    return this.#keys.find(({ id }) => id === identity)?.psk ?? null;
  }

  /** The asker's side: its newest key that the server has too; null where there is none. */
  shared(hint: string | null): PSKCallbackNegotation | null {
    const ids = (hint ?? '').split(',');
    const key = this.#keys.find(({ id }) => ids.includes(id));
    return key === undefined ? null : { psk: key.psk, identity: key.id };
  }
}
