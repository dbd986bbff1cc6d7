/**
 * Fills Redis with cards that are older than they should be. So does a process that is held up between reading a card
 * and writing it, and a Redis that comes back with earlier values.
 */
import type postgres from 'postgres';
import type { CardPayload } from '../../../engine/core/feed.js';
import { testSeals } from '../../../engine/testing/engine-process.js';
import { type CachedCard, packCard } from '../../../platform/cache/codec.js';
import { cardKey } from '../../../platform/cache/keys.js';
import { connectRedis, type RedisClient } from '../../../platform/redis/client.js';

const lifetimeS = 900;
/** Writers that are held up at a time. */
const lateMax = 200;

export class OldCards {
  readonly #sql: postgres.Sql;
  readonly #client: RedisClient;
  readonly #random: () => number;
  readonly #space: Promise<string>;
  #late = 0;
  written = 0;
  restored = 0;

  constructor(sql: postgres.Sql, redisUrl: string, random: () => number) {
    this.#sql = sql;
    this.#random = random;
    this.#client = connectRedis(redisUrl, { name: 'old cards' });
    this.#client.on('error', () => undefined);
    this.#space = sql<{ space: string }[]>`select cache_space() as space`.then(([row]) => row!.space);
  }

  /** Reads the card now, says truly as of when, and writes it after `delayMs`. */
  async writeLate(token: string, delayMs: number): Promise<void> {
    if (this.#late >= lateMax) return;
    this.#late++;
    try {
      const [row] = await this.#sql<{ card: CardPayload; asOf: number }[]>`
        select card_profile(c) as card, (select newest::float8 from feed_position) as "asOf"
        from cards c where token = ${token}`;
      const cached: CachedCard = row!;
      await new Promise((resolve) => setTimeout(resolve, delayMs * this.#random()));
      const key = cardKey(await this.#space, token);
      await this.#client.set(key, testSeals().seal(key, packCard(cached)!), 'EX', lifetimeS);
      this.written++;
    } catch {
      // Redis is away: that is what the others see to.
    } finally {
      this.#late--;
    }
  }

  /** All cards that are there. */
  async dump(): Promise<ReadonlyMap<string, Buffer>> {
    const kept = new Map<string, Buffer>();
    try {
      for (const key of await this.#client.keys(cardKey(await this.#space, '*'))) {
        const bytes = await this.#client.getBuffer(key);
        if (bytes !== null) kept.set(key, bytes);
      }
    } catch {
      // Redis is away.
    }
    return kept;
  }

  async restore(kept: ReadonlyMap<string, Buffer>): Promise<void> {
    try {
      for (const [key, bytes] of kept) {
        await this.#client.set(key, bytes, 'EX', lifetimeS);
        this.restored++;
      }
    } catch {
      // Redis is away.
    }
  }

  stop(): void {
    this.#client.disconnect();
  }
}
