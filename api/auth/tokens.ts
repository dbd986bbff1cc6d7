/**
 * Access tokens: short-lived JWTs, HS256, and the only importer of jose. Each key is named by an id derived from its
 * secret. To rotate, put a new secret in front of JWT_SECRET and take the old one out once its tokens have lapsed. A
 * token that was verified once is remembered until it lapses: clients send the same one again and again.
 */
import { createHash } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { Seal } from '../http/sealed.js';

/** What a token says. Status and role are looked up: they may change while the token lives. */
export interface AccessClaims {
  readonly userId: number;
  readonly sessionId: number;
  readonly expiresAtS: number;
}

const issuer = 'atlanticfrewaycard';
const audience = 'api';
const algorithm = 'HS256';
/** Ours have about 300 characters; a longer one is not worth a hash. */
const tokenLengthMax = 1024;
/** Verified tokens in memory: at some 600 bytes each, 12 MiB when full. */
const verifiedMax = 20_000;

interface Key {
  readonly id: string;
  readonly key: Uint8Array;
}

export class Tokens {
  readonly #signer: Key;
  readonly #keys: ReadonlyMap<string, Uint8Array>;
  readonly #lifetimeS: number;
  /** Which user and session: numbers of the database, which leave it in no readable form. */
  readonly #subjects: Seal;
  readonly #verified = new LRUCache<string, AccessClaims>({ max: verifiedMax });

  /** @param secrets newest first */
  constructor(secrets: readonly string[], lifetimeS: number) {
    const keys = secrets.map(keyOf);
    this.#signer = keys[0]!;
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
    this.#lifetimeS = lifetimeS;
    this.#subjects = new Seal('access-token subject', secrets);
  }

  async sign(userId: number, sessionId: number): Promise<string> {
    return new SignJWT()
      .setProtectedHeader({ alg: algorithm, kid: this.#signer.id, typ: 'JWT' })
      .setSubject(this.#subjects.seal(subjectOf(userId, sessionId)))
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${this.#lifetimeS}s`)
      .sign(this.#signer.key);
  }

  /** The claims of a token that we signed and that has not lapsed, else null. */
  verify(token: string): AccessClaims | null | Promise<AccessClaims | null> {
    const known = this.#verified.get(token);
    if (known !== undefined) return known.expiresAtS * 1000 > Date.now() ? known : null;
    return token.length > tokenLengthMax ? null : this.#verifyNew(token);
  }

  async #verifyNew(token: string): Promise<AccessClaims | null> {
    try {
      const { payload } = await jwtVerify(token, ({ kid }) => this.#keyNamed(kid), {
        algorithms: [algorithm],
        issuer,
        audience,
        requiredClaims: ['exp', 'sub'],
      });
      const subject = this.#subjects.open(payload.sub!);
      if (subject?.length !== subjectBytes) return null;
      const claims: AccessClaims = {
        userId: subject.readDoubleBE(0),
        sessionId: subject.readDoubleBE(8),
        expiresAtS: payload.exp!,
      };
      this.#verified.set(token, claims);
      return claims;
    } catch {
      // Whatever is wrong with it: the caller has no valid token.
      return null;
    }
  }

  #keyNamed(id: string | undefined): Uint8Array {
    const key = id === undefined ? undefined : this.#keys.get(id);
    if (key === undefined) throw new Error('unknown key id');
    return key;
  }
}

const subjectBytes = 16;

function subjectOf(userId: number, sessionId: number): Buffer {
  const subject = Buffer.alloc(subjectBytes);
  subject.writeDoubleBE(userId, 0);
  subject.writeDoubleBE(sessionId, 8);
  return subject;
}

/** A secret of any length gives a key of the algorithm's full length; its id tells nothing that a token does not. */
function keyOf(secret: string): Key {
  const key = createHash('sha256').update('access-token key\0').update(secret).digest();
  const id = createHash('sha256').update('access-token key id\0').update(key).digest('base64url').slice(0, 8);
  return { id, key };
}
