/**
 * Passwords: argon2id hashes with 19 MiB, two passes and one lane (OWASP's minimum, 12 ms of a core each). The only
 * importer of argon2 in the API. Only so many hashes run at once that other routes keep their latency. Callers that
 * wait are bounded, and beyond that bound the answer is "later".
 *
 * A password that was verified is remembered for minutes, so that an app that signs in a hundred times a second costs
 * one hash. Why that is safe: the key of an entry is an HMAC of the stored hash and the password together. The key of
 * that HMAC exists only in this process. An entry exists only after a full verification, and every guess is counted
 * before it is compared with an entry. So guessing is never cheaper than argon2. An entry is bound to the stored hash,
 * so a changed password is refused at once. A hit is faster than a miss, but only the right password hits. The file
 * that keeps hashes for ever, the database, holds nothing but argon2.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { LRUCache } from 'lru-cache';
import type { Guess } from './failures.js';
import { HashQueue } from './hash-queue.js';

/** Algorithm.Argon2id; the package's enum does not exist at run time. */
const argon2id = 2;
const parameters = { algorithm: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
const rememberedMs = 5 * 60_000;
const rememberedMax = 10_000;

/** A password that someone sends for an account. */
export interface SentPassword {
  /** The e-mail address as the database folds it, known or not. */
  readonly account: string;
  /** Where it comes from: the same guess from elsewhere is a guess of its own. */
  readonly network: string;
  /** The account's hash; null: there is no such account, or it has no password. */
  readonly stored: string | null;
  readonly password: string;
  /** Counts the guess before anything is compared. Called once for equal guesses that run at the same time. */
  count(): Promise<Guess>;
}

export class Passwords {
  readonly #queue: HashQueue;
  readonly #key = randomBytes(32);
  readonly #remembered = new LRUCache<string, true>({ max: rememberedMax, ttl: rememberedMs });
  /** Equal guesses that run at the same time share one. Bounded by the requests that wait. */
  readonly #flights = new Map<string, Promise<boolean>>();
  /** Compared where an account has no hash. */
  readonly #spareHash: Promise<string>;
  /** Read by the metrics. */
  hashes = 0;

  /** @param runningMax hashes at once: by default one core stays with everything else */
  constructor(runningMax = Math.max(1, availableParallelism() - 1)) {
    this.#queue = new HashQueue(runningMax);
    this.#spareHash = hash(randomBytes(16), parameters);
  }

  get waiting(): number {
    return this.#queue.waiting;
  }

  get refused(): number {
    return this.#queue.refused;
  }

  /** A new hash for the database. Throws 503 when too many wait. */
  async hash(password: string): Promise<string> {
    return this.#queue.run('registration', () => {
      this.hashes++;
      return hash(normalized(password), parameters);
    });
  }

  /**
   * Whether the password is the one of the hash. Without a hash it takes as long as with one, and is false. Throws 503
   * when too many wait, and whatever `count` throws.
   */
  async matches(sent: SentPassword): Promise<boolean> {
    const text = normalized(sent.password);
    // With account and network: what two requests share must not depend on whether the account exists.
    const flightKey = this.#mac(sent.account, sent.network, text);
    const running = this.#flights.get(flightKey);
    if (running !== undefined) return running;
    const flight = this.#compare(sent, text).finally(() => this.#flights.delete(flightKey));
    this.#flights.set(flightKey, flight);
    return flight;
  }

  async #compare({ stored, count }: SentPassword, text: string): Promise<boolean> {
    const guess = await count();
    let isRight: boolean;
    try {
      isRight = await this.#verify(stored, text);
    } catch (error) {
      await guess.unread();
      throw error;
    }
    if (isRight) await guess.right();
    return isRight;
  }

  async #verify(stored: string | null, text: string): Promise<boolean> {
    const against = stored ?? (await this.#spareHash);
    const key = this.#mac(against, '', text);
    if (stored !== null && this.#remembered.has(key)) return true;
    const isRight = await this.#queue.run('sign-in', () => {
      this.hashes++;
      return verify(against, text);
    });
    if (!isRight || stored === null) return false;
    this.#remembered.set(key, true);
    return true;
  }

  #mac(...parts: readonly string[]): string {
    return createHmac('sha256', this.#key).update(JSON.stringify(parts)).digest('base64');
  }
}

/** The same password typed on another keyboard may arrive in other code points (NIST SP 800-63B, 5.1.1.2). */
function normalized(password: string): string {
  return password.normalize('NFKC');
}
