/**
 * Passwords: argon2id hashes (19 MiB, two passes, one lane: OWASP's minimum, 12 ms of a core each), and the only
 * importer of argon2 in the API. Only so many hashes run at once that other routes keep their latency; those that wait
 * are bounded, beyond that the answer is "later".
 *
 * A password that was verified is remembered for minutes, so that an app that signs in a hundred times a second costs
 * one hash. Why that is safe: the key of an entry is an HMAC, under a key that lives only in this process, of the stored
 * hash and the password together. It exists only after a full verification, so guessing is never cheaper than argon2;
 * it is bound to the stored hash, so a changed password is refused at once; and who can read this process' memory reads
 * passwords as they arrive. A hit is faster than a miss, but only the right password hits, and its sender is let in
 * anyway. The file that keeps hashes for ever, the database, holds nothing but argon2.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { LRUCache } from 'lru-cache';
import { unavailable } from '../http/problem.js';

/** Algorithm.Argon2id; the package's enum does not exist at run time. */
const argon2id = 2;
const parameters = { algorithm: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
const rememberedMs = 5 * 60_000;
const rememberedMax = 10_000;
/** Callers that wait for a hash: two seconds' worth on one core. */
const waitingMax = 160;

export class Passwords {
  readonly #runningMax: number;
  readonly #key = randomBytes(32);
  readonly #remembered = new LRUCache<string, true>({ max: rememberedMax, ttl: rememberedMs });
  /** Verifications of the same password against the same hash share one. */
  readonly #flights = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  readonly #nobodysHash: Promise<string>;
  #running = 0;
  /** Read by the metrics. */
  hashes = 0;
  refused = 0;

  /** @param runningMax hashes at once: by default one core stays with everything else */
  constructor(runningMax = Math.max(1, availableParallelism() - 1)) {
    this.#runningMax = runningMax;
    this.#nobodysHash = hash(randomBytes(16), parameters);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** A new hash for the database. Throws 503 when too many wait. */
  async hash(password: string): Promise<string> {
    return this.#run(() => hash(normalized(password), parameters));
  }

  /**
   * Whether the password is the one of the hash. Without a hash (nobody has that e-mail address, or no password) it
   * takes as long as with one, and is false. Throws 503 when too many wait.
   */
  async matches(stored: string | null, password: string): Promise<boolean> {
    const against = stored ?? (await this.#nobodysHash);
    const text = normalized(password);
    const key = createHmac('sha256', this.#key).update(against).update('\0').update(text).digest('base64');
    if (this.#remembered.has(key)) return stored !== null;
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = this.#run(() => verify(against, text)).finally(() => this.#flights.delete(key));
      this.#flights.set(key, flight);
    }
    const isRight = (await flight) && stored !== null;
    if (isRight) this.#remembered.set(key, true);
    return isRight;
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#runningMax) this.#running++;
    else {
      if (this.#waiting.length >= waitingMax) {
        this.refused++;
        throw unavailable('too many sign-ins at once; try again', 2, 'overloaded');
      }
      // Whoever finishes hands its place over.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      this.hashes++;
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** The same password typed on another keyboard may arrive in other code points (NIST SP 800-63B, 5.1.1.2). */
function normalized(password: string): string {
  return password.normalize('NFKC');
}
