/**
 * Basic authentication (RFC 7617) of the authorization port. The comparison takes the same time whatever is sent.
 */
import { timingSafeEqual } from 'node:crypto';

/** Credentials are bounded by the configuration; this bounds how much an unknown client can make us look at. */
const headerLengthMax = 1024;

export class BasicAuth {
  readonly #expected: readonly Buffer[];
  readonly #given: readonly Buffer[];

  /** @param passwords any of them is right: while a password is rotated there are two */
  constructor(user: string, passwords: readonly string[]) {
    this.#expected = passwords.map((password) =>
      Buffer.from(Buffer.from(`${user}:${password}`, 'utf8').toString('base64'), 'latin1'),
    );
    this.#given = this.#expected.map(({ length }) => Buffer.alloc(length));
  }

  /** Whether the Authorization header carries the credentials. */
  accepts(header: string): boolean {
    if (header.length > headerLengthMax || !isBasic(header)) return false;
    const credentials = header.length > schemeLength ? header.slice(schemeLength) : '';
    let isAccepted = false;
    // All are compared, whichever is right, and credentials of another length cost whole comparisons too.
    for (let index = 0; index < this.#expected.length; index++) {
      const expected = this.#expected[index]!;
      const given = this.#given[index]!;
      given.fill(0);
      given.write(credentials, 0, 'latin1');
      const isEqual = timingSafeEqual(given, expected);
      if (isEqual && header.length === schemeLength + expected.length) isAccepted = true;
    }
    return isAccepted;
  }
}

const schemeLength = 'Basic '.length;

/** The scheme's name is case-insensitive (RFC 9110, 11.1). */
function isBasic(header: string): boolean {
  return header.startsWith('Basic ') || header.slice(0, schemeLength).toLowerCase() === 'basic ';
}
