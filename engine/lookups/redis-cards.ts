/**
 * Cards from the cache in Redis, as far as they are current here: the level between a partition's memory and Postgres.
 * Profiles only: what a card spends from is owned state, and only Postgres and the partition have that.
 */
import type { CardCache } from '../../platform/cache/card-cache.js';
import type { ChangeLog } from '../../platform/cache/change-log.js';
import type { CachedCard } from '../../platform/cache/codec.js';
import type { CardPayload } from '../core/feed.js';

/** A start does without a Redis that takes longer. */
const connectMsMax = 500;

export class RedisCards {
  readonly #cache: CardCache;
  readonly #log: ChangeLog;
  /** Found, but a change had overtaken them. For the metrics, as are the cache's own counts. */
  overtaken = 0;

  constructor(cache: CardCache, log: ChangeLog) {
    this.#cache = cache;
    this.#log = log;
  }

  get counts() {
    return { ...this.#cache.counts, overtaken: this.overtaken };
  }

  /** Whether it is worth a look. */
  get isUp(): boolean {
    return this.#cache.isUp;
  }

  /** Resolves once Redis is there, or was waited for long enough. */
  connected(): Promise<void> {
    return this.#cache.connected(connectMsMax);
  }

  /** Cards by token; those that Redis does not have, or not in time, are left out. Never rejects. */
  look(tokens: readonly string[]): Promise<ReadonlyMap<string, CachedCard>> {
    return this.#cache.look(tokens);
  }

  /** True at this moment: to be asked in the same turn in which the card is sent on its way. */
  isCurrent({ card, asOf }: CachedCard): boolean {
    const isCurrent = this.#log.isCurrent('card', card.number, card.version, asOf);
    if (!isCurrent) this.overtaken++;
    return isCurrent;
  }

  /** Keeps cards for the next who misses them, read when everything up to `asOf` was in them. */
  keep(cards: readonly CardPayload[], asOf: number): void {
    this.#cache.keep(cards, asOf);
  }

  close(): void {
    this.#cache.close();
  }
}
