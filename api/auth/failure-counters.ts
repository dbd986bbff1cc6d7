/** Where failures are counted: in this process, or in Redis for all processes, falling back to this one. */
import { LRUCache } from 'lru-cache';
import type { RedisClient, RedisConnection } from '../stores/redis.js';
import type { FailureCounter, WindowCount } from './failures.js';

/** Keys in memory; an attacker with more addresses than this pushes out others, and meets the account's own bound. */
const keysMax = 100_000;

export class LocalFailureCounter implements FailureCounter {
  readonly #counts: LRUCache<string, { value: number }>;
  readonly #windowS: number;

  constructor(windowS: number) {
    this.#windowS = windowS;
    this.#counts = new LRUCache({ max: keysMax, ttl: windowS * 1000, updateAgeOnGet: false });
  }

  async add(keys: readonly string[]): Promise<readonly WindowCount[]> {
    return keys.map((key) => this.#add(key));
  }

  #add(key: string): WindowCount {
    const count = this.#counts.get(key);
    if (count === undefined) {
      this.#counts.set(key, { value: 1 });
      return { value: 1, leftS: this.#windowS };
    }
    // Changed in place, so that the window goes on.
    count.value++;
    // The cache reads the clock once a millisecond, so it may be a little behind.
    return { value: count.value, leftS: Math.min(this.#windowS, this.#counts.getRemainingTTL(key) / 1000) };
  }

  async takeBack(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const count = this.#counts.get(key);
      if (count !== undefined && count.value > 0) count.value--;
    }
  }

  async clear(key: string): Promise<void> {
    this.#counts.delete(key);
  }
}

const prefix = 'sign-in:failures:';

/** Counts in both places: while Redis is away, each process goes on with what it saw itself. */
export class RedisFailureCounter implements FailureCounter {
  readonly #redis: RedisConnection;
  readonly #local: LocalFailureCounter;
  readonly #windowS: number;

  constructor(redis: RedisConnection, windowS: number) {
    this.#redis = redis;
    this.#local = new LocalFailureCounter(windowS);
    this.#windowS = windowS;
  }

  async add(keys: readonly string[]): Promise<readonly WindowCount[]> {
    const local = await this.#local.add(keys);
    const inRedis = await this.#redis.ask((client) => this.#addInRedis(client, keys, 1), null);
    return local.map((count, index) => {
      const other = inRedis?.[index];
      return other === undefined || other.value < count.value ? count : other;
    });
  }

  async takeBack(keys: readonly string[]): Promise<void> {
    await this.#local.takeBack(keys);
    await this.#redis.ask((client) => this.#addInRedis(client, keys, -1), null);
  }

  async clear(key: string): Promise<void> {
    await this.#local.clear(key);
    await this.#redis.ask((client) => client.del(prefix + key), 0);
  }

  /** One by one: in a Cluster each key stands on a node of its own. */
  async #addInRedis(client: RedisClient, keys: readonly string[], step: 1 | -1): Promise<readonly WindowCount[]> {
    return Promise.all(keys.map((key) => this.#addOne(client, prefix + key, step)));
  }

  async #addOne(client: RedisClient, key: string, step: 1 | -1): Promise<WindowCount> {
    // NX: the window ends when it would have ended, however many failures follow. A count that was taken back after its
    // window had ended begins the next one below zero, until that ends.
    const replies = await client.multi().incrby(key, step).expire(key, this.#windowS, 'NX').ttl(key).exec();
    const [value, , ttlS] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return Number(reply);
    });
    return { value: Math.max(0, value ?? 0), leftS: ttlS ?? this.#windowS };
  }
}
