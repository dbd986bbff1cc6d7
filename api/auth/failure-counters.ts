/** Where failures are counted: in this process, or in Redis for all processes, falling back to this one. */
import { LRUCache } from 'lru-cache';
import type { RedisClient, RedisConnection } from '../stores/redis.js';
import type { FailureCounter } from './failures.js';

/** Keys in memory; an attacker with more addresses than this pushes out others, and meets the account's own bound. */
const keysMax = 100_000;

export class LocalFailureCounter implements FailureCounter {
  readonly #counts: LRUCache<string, { value: number }>;

  constructor(windowS: number) {
    this.#counts = new LRUCache({ max: keysMax, ttl: windowS * 1000, updateAgeOnGet: false });
  }

  async counts(keys: readonly string[]): Promise<number[]> {
    return keys.map((key) => this.#counts.get(key)?.value ?? 0);
  }

  async add(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const count = this.#counts.get(key);
      // Changed in place, so that the window goes on and does not begin anew.
      if (count === undefined) this.#counts.set(key, { value: 1 });
      else count.value++;
    }
  }

  async clear(key: string): Promise<void> {
    this.#counts.delete(key);
  }
}

const prefix = 'sign-in:failures:';

/** Counts in both places: while Redis is away, each process goes on with what it saw itself. */
export class SharedFailureCounter implements FailureCounter {
  readonly #redis: RedisConnection;
  readonly #local: LocalFailureCounter;
  readonly #windowS: number;

  constructor(redis: RedisConnection, windowS: number) {
    this.#redis = redis;
    this.#local = new LocalFailureCounter(windowS);
    this.#windowS = windowS;
  }

  async counts(keys: readonly string[]): Promise<number[]> {
    const local = await this.#local.counts(keys);
    // One by one: in a Cluster each stands on a node of its own.
    const shared = await this.#redis.ask((client) => Promise.all(keys.map((key) => client.get(prefix + key))), null);
    return local.map((count, index) => Math.max(count, Number(shared?.[index] ?? 0)));
  }

  async add(keys: readonly string[]): Promise<void> {
    await this.#local.add(keys);
    await this.#redis.ask((client) => this.#addShared(client, keys), null);
  }

  async clear(key: string): Promise<void> {
    await this.#local.clear(key);
    await this.#redis.ask((client) => client.del(prefix + key), 0);
  }

  async #addShared(client: RedisClient, keys: readonly string[]): Promise<unknown> {
    // NX: the window ends when it would have ended, however many failures follow.
    const count = (key: string) => client.multi().incr(key).expire(key, this.#windowS, 'NX').exec();
    return Promise.all(keys.map((key) => count(prefix + key)));
  }
}
