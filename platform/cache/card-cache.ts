/**
 * Profiles of cards in Redis, for all engines: they look here first and keep what they load. Every API process that
 * hears of a change takes the card out (api/cache/redis-cache.ts). Nothing depends on that, nor on Redis: one that is
 * away or slow is as good as an empty one, and costs a few milliseconds at first and then nothing.
 *
 * What comes out may be of any age; who uses it must know whether it is current (change-log.ts).
 */
import type { CardPayload } from '../../engine/core/feed.js';
import { getMany, type RedisClient, setMany } from '../redis/client.js';
import type { Seals } from '../redis/seal.js';
import { Breaker } from './breaker.js';
import { type CachedCard, packCard, readCard } from './codec.js';
import { cardKey } from './keys.js';

/** Writes on their way: what comes on top is not kept, for Redis is slower than what fills it. */
const writesMax = 8;

export interface CardCacheOptions {
  /** Names the database whose cards these are; '' while that is not known, and the cache is not used. */
  readonly space: () => string;
  readonly lifetimeS: number;
  readonly seals: Seals;
  /** Longest that a look may take: far below what the one who waits has. */
  readonly lookMsMax: number;
}

export class CardCache {
  readonly #client: RedisClient;
  readonly #options: CardCacheOptions;
  readonly #breaker = new Breaker();
  #writes = 0;
  readonly counts = { hits: 0, misses: 0, failures: 0, malformed: 0, written: 0, unwritten: 0 };

  constructor(client: RedisClient, options: CardCacheOptions) {
    this.#client = client;
    this.#options = options;
    // Each command that fails says so to its caller.
    client.on('error', () => undefined);
  }

  /** Whether it is worth a look. */
  get isUp(): boolean {
    return this.#client.status === 'ready' && this.#options.space() !== '' && !this.#breaker.isResting;
  }

  /** Resolves once Redis is there, or was waited for long enough. */
  async connected(waitMsMax: number): Promise<void> {
    if (this.#client.status === 'ready') return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, waitMsMax);
      this.#client.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Cards by token, as far as Redis has them and answers in time. Never rejects. */
  async look(tokens: readonly string[]): Promise<ReadonlyMap<string, CachedCard>> {
    const found = new Map<string, CachedCard>();
    if (tokens.length === 0 || !this.isUp || !this.#breaker.tryPass()) return found;
    let values: readonly (Buffer | null)[];
    try {
      const keys = tokens.map((token) => cardKey(this.#options.space(), token));
      values = await getMany(this.#client, keys, this.#options.lookMsMax);
      this.#breaker.succeeded();
    } catch {
      this.#breaker.failed();
      this.counts.failures++;
      return found;
    }
    for (const [index, token] of tokens.entries()) {
      const bytes = values[index] ?? null;
      const opened = bytes === null ? null : this.#options.seals.open(cardKey(this.#options.space(), token), bytes);
      const cached = opened === null ? null : readCard(opened, token);
      if (cached !== null) {
        this.counts.hits++;
        found.set(token, cached);
        continue;
      }
      this.counts.misses++;
      if (bytes !== null) this.counts.malformed++;
    }
    return found;
  }

  /** Keeps cards that were read when everything up to `asOf` was in them. No message waits for it. */
  keep(cards: readonly CardPayload[], asOf: number): void {
    if (cards.length === 0) return;
    if (this.#writes >= writesMax || !this.isUp) {
      this.counts.unwritten += cards.length;
      return;
    }
    this.#writes++;
    void this.#write(cards, asOf).finally(() => {
      this.#writes--;
    });
  }

  close(): void {
    this.#client.disconnect();
  }

  async #write(cards: readonly CardPayload[], asOf: number): Promise<void> {
    const values: [key: string, value: Buffer][] = [];
    for (const card of cards) {
      const bytes = packCard({ card, asOf });
      const key = cardKey(this.#options.space(), card.token);
      if (bytes !== null) values.push([key, this.#options.seals.seal(key, bytes)]);
    }
    try {
      await setMany(this.#client, values, this.#options.lifetimeS);
      this.counts.written += values.length;
    } catch {
      this.#breaker.failed();
      this.counts.unwritten += values.length;
    }
  }
}
