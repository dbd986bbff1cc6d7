/**
 * Until when the certificate is valid that people see at PUBLIC_URL: asked of the server that answers there, so that a
 * renewed file that was not loaded is noticed too.
 */
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { Rounds } from './rounds.js';

const everyMs = 3_600_000;
/** After a look that failed: a proxy may start later than the API. */
const retryMs = 60_000;
const answerMs = 5_000;
const portDefault = 443;

export class CertificateWatch {
  /** Null: PUBLIC_URL has no TLS. */
  readonly #server: URL | null;
  readonly #rounds = new Rounds(() => this.look().then((isKnown) => (isKnown ? everyMs : retryMs)));
  /** Unix milliseconds; null: not known. */
  notAfterMs: number | null = null;
  failures = 0;

  constructor(publicUrl: string) {
    const url = new URL(publicUrl);
    this.#server = url.protocol === 'https:' ? url : null;
  }

  get server(): string {
    return this.#server?.host ?? '';
  }

  start(): void {
    if (this.#server !== null) this.#rounds.start(0);
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** @returns whether the server answered */
  async look(): Promise<boolean> {
    try {
      this.notAfterMs = await notAfterOf(this.#server!);
      return true;
    } catch {
      this.failures++;
      return false;
    }
  }
}

function notAfterOf({ hostname, port }: URL): Promise<number> {
  const host = hostname.replace(/^\[|\]$/g, '');
  // A name in the handshake must be no address (RFC 6066).
  const name = isIP(host) === 0 ? { servername: host } : {};
  return new Promise((resolve, reject) => {
    // A certificate that is not trusted here has an end too; nothing is sent over this connection.
    const socket = connect({ host, port: Number(port || portDefault), rejectUnauthorized: false, ...name });
    socket.setTimeout(answerMs, () => socket.destroy(new Error(`no answer within ${answerMs} ms`)));
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(Date.parse(socket.getPeerCertificate().valid_to));
      socket.destroy();
    });
  });
}
