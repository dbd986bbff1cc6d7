/**
 * The cache of the API in two levels: this process, then Redis, then the loader. Values belong to groups (all cards of
 * an owner, say), and a change forgets its group. It does so here at once and in Redis before and after the change.
 * Other processes receive a message (invalidations.ts), which Postgres sends when the change is committed.
 *
 * Nothing depends on it. Without Redis there is one level; while no messages arrive, this process keeps nothing of
 * its own.
 */
import type { CacheConfig } from '../config.js';
import { LocalCache } from './local-cache.js';
import { Owed } from './owed.js';
import type { RedisCache } from './redis-cache.js';

export type CacheKind = 'user' | 'card' | 'transactions';

/** Lifetimes end at different moments, so that what was filled together is not missed together. */
const jitter = 0.1;
/** Names of cards among those of groups, which have no blank. */
const cardPrefix = 'card ';
export interface CacheCounts {
  localHits: number;
  redisHits: number;
  misses: number;
  /** Of them, those whose value in Redis has another shape: a program of another release wrote it. */
  malformed: number;
}

interface Load<T> {
  readonly kind: CacheKind;
  readonly group: string;
  readonly field: string;
  readonly mark: number;
  readonly isValid: (value: unknown) => boolean;
  readonly load: () => Promise<T>;
}

export class Cache {
  readonly #config: CacheConfig;
  readonly #local: LocalCache;
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #owed: Owed;
  #redis: RedisCache | null = null;
  /** Until then Redis may have values that no process remembers to be old. */
  #blindUntilMs = Number.NEGATIVE_INFINITY;
  /** Whether changes of other processes arrive. */
  #isListening = false;
  readonly counts: CacheCounts = { localHits: 0, redisHits: 0, misses: 0, malformed: 0 };

  constructor(config: CacheConfig) {
    this.#config = config;
    this.#local = new LocalCache(config.localS * 1000);
    this.#owed = new Owed(
      (name) => this.#updateRedis(name),
      () => {
        const longestS = Math.max(config.userS, config.cardS, config.transactionsS);
        this.#blindUntilMs = performance.now() + longestS * 1000;
      },
    );
  }

  get localSize(): number {
    return this.#local.size;
  }

  /** The level in Redis, once it is known whose values it holds. */
  useRedis(redis: RedisCache): void {
    this.#redis = redis;
  }

  /** Messages arrive from now on, or not: what was missed in between is unknown, so nothing is left. */
  listening(isListening: boolean): void {
    this.#isListening = isListening;
    this.#local.clear();
  }

  /**
   * The value of a field, from the nearest level that has it; one load at a time per field in this process.
   * @param isValid whether a value from Redis has the shape that it should have; without that it is loaded
   */
  async get<T>(
    kind: CacheKind,
    group: string,
    field: string,
    isValid: (value: unknown) => boolean,
    load: () => Promise<T>,
  ): Promise<T> {
    if (this.#isListening) {
      const entry = this.#local.get(group, field);
      if (entry !== undefined) {
        this.counts.localHits++;
        return entry.value as T;
      }
    }
    const mark = this.#local.mark(group);
    // With the mark: a request after a change must not get what was being read before it.
    const key = `${group}\n${mark}\n${field}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running as Promise<T>;
    const started = this.#load({ kind, group, field, mark, isValid, load }).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }

  /** Runs a change of what `group` holds; afterwards no reader finds what was there before. */
  async change<T>(group: string, work: () => Promise<T>): Promise<T> {
    await this.#redis?.changing(group);
    try {
      return await work();
    } finally {
      await this.forget(group);
    }
  }

  /** Something in the group has changed here. */
  async forget(group: string): Promise<void> {
    this.#local.forget(group);
    if (this.#redis === null) return;
    if (!(await this.#redis.changed(group))) this.#owed.add(group);
    // Again: until now another process may have read from Redis what was there before.
    this.#local.forget(group);
  }

  /** Another process has changed something in the group. */
  groupChanged(group: string): void {
    this.#local.forget(group);
    if (this.#redis !== null) this.#owed.add(group);
  }

  /** A card has changed, whose profile is cached for the engines. */
  cardChanged(token: string): void {
    if (this.#redis !== null) this.#owed.add(cardPrefix + token);
  }

  /** Changes that Redis does not have yet. */
  get owed(): number {
    return this.#owed.size;
  }

  stop(): void {
    this.#owed.stop();
  }

  async #updateRedis(name: string): Promise<boolean> {
    if (name.startsWith(cardPrefix)) return this.#redis!.forgetCard(name.slice(cardPrefix.length));
    return this.#redis!.changed(name);
  }

  async #load<T>({ kind, group, field, mark, isValid, load }: Load<T>): Promise<T> {
    const isCurrent = !this.#owed.has(group) && performance.now() >= this.#blindUntilMs;
    const redis = isCurrent ? this.#redis : null;
    const look = await redis?.get(group, field);
    if (look?.found === true && !isValid(look.value)) this.counts.malformed++;
    else if (look?.found === true) {
      this.counts.redisHits++;
      this.#keep(kind, group, field, mark, look.value);
      return look.value as T;
    }
    this.counts.misses++;
    const value = await load();
    this.#keep(kind, group, field, mark, value);
    const generation = look?.generation ?? null;
    if (redis !== null && generation !== null) {
      const lifetimeMs = spread(this.#lifetimeS(kind) * 1000);
      // No request waits for it.
      void redis.set(group, field, generation, value, lifetimeMs);
    }
    return value;
  }

  #keep(kind: CacheKind, group: string, field: string, mark: number, value: unknown): void {
    if (!this.#isListening) return;
    const lifetimeS = Math.min(this.#config.localS, this.#lifetimeS(kind));
    this.#local.set(group, field, mark, value, spread(lifetimeS * 1000));
  }

  #lifetimeS(kind: CacheKind): number {
    const { userS, cardS, transactionsS } = this.#config;
    return { user: userS, card: cardS, transactions: transactionsS }[kind];
  }
}

/** Up to a tenth less. */
function spread(lifetimeMs: number): number {
  return Math.max(1, Math.round(lifetimeMs * (1 - jitter * Math.random())));
}
