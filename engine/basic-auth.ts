/**
 * Basic authentication (RFC 7617) of the authorization port. The comparison takes the same time whatever is sent.
 */
import { timingSafeEqual } from 'node:crypto';

/** Credentials are bounded by the configuration; this bounds how much an unknown client can make us look at. */
const headerLengthMax = 1024;

export class BasicAuth {
  readonly #expected: Buffer;
  readonly #given: Buffer;

  constructor(user: string, password: string) {
    this.#expected = Buffer.from(Buffer.from(`${user}:${password}`, 'utf8').toString('base64'), 'latin1');
    this.#given = Buffer.alloc(this.#expected.length);
  }

  /** Whether the Authorization header carries the credentials. */
  accepts(header: string): boolean {
    if (header.length > headerLengthMax || !isBasic(header)) return false;
    // Credentials of another length still cost one whole comparison, so their length is all that timing could tell.
    this.#given.fill(0);
    this.#given.write(header.length > schemeLength ? header.slice(schemeLength) : '', 0, 'latin1');
    const isEqual = timingSafeEqual(this.#given, this.#expected);
    return isEqual && header.length === schemeLength + this.#expected.length;
  }
}

const schemeLength = 'Basic '.length;

/** The scheme's name is case-insensitive (RFC 9110, 11.1). */
function isBasic(header: string): boolean {
  return header.startsWith('Basic ') || header.slice(0, schemeLength).toLowerCase() === 'basic ';
}
