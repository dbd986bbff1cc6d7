/**
 * Basic authentication (RFC 7617) of the authorization port. The comparison takes the same time whatever is sent.
 */
import { timingSafeEqual } from 'node:crypto';

/** Credentials are bounded by the configuration; this bounds what a stranger can make us look at. */
const headerBytesMax = 1024;

export class BasicAuth {
  readonly #expected: Buffer;
  readonly #given: Buffer;

  constructor(user: string, password: string) {
    this.#expected = Buffer.from(`Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`, 'latin1');
    this.#given = Buffer.alloc(this.#expected.length);
  }

  /** Whether the Authorization header carries the credentials. Never allocates in proportion to the header. */
  accepts(header: string): boolean {
    if (header.length > headerBytesMax) return false;
    // A header of another length still costs one whole comparison, so that its length is all that timing tells; the
    // scheme's name is case-insensitive, the rest is not.
    this.#given.fill(0);
    this.#given.write(header, 0, 'latin1');
    if (header.slice(0, 6).toLowerCase() === 'basic ') this.#given.write('Basic', 0, 'latin1');
    const isEqual = timingSafeEqual(this.#given, this.#expected);
    return isEqual && header.length === this.#expected.length;
  }
}
