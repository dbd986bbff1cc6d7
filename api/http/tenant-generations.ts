/**
 * A number per tenant that changes with each of the tenant's writes: what was kept under an older one is stale. Kept in
 * Redis for all processes, or in each process, which tells the others of its writes.
 */
import { LRUCache } from 'lru-cache';
import type { RedisConnection } from '../stores/redis.js';

export interface TenantGenerations {
  /** Null: not known right now, so nothing that is kept may be used. */
  current(tenant: string): Promise<string | null> | string | null;
  /** Resolves once this process sees a new one, and with Redis every process. */
  advance(tenant: string): Promise<void>;
}

/** How processes tell each other that a tenant wrote something. */
export interface WriteMessages {
  wrote(tenant: string): void;
  onWrite(onWriter: (tenant: string) => void): void;
}

/** Tenants that wrote lately. */
const tenantsMax = 50_000;

export class LocalGenerations implements TenantGenerations {
  #last = 0;
  /** For tenants without an entry: changes when one was pushed out, so that it never gets an old number back. */
  #floor = 0;
  readonly #numbers: LRUCache<string, number>;
  readonly #messages: WriteMessages;

  constructor(messages: WriteMessages) {
    this.#messages = messages;
    messages.onWrite((tenant) => this.#renew(tenant));
    this.#numbers = new LRUCache({
      max: tenantsMax,
      dispose: (_number, _tenant, reason) => {
        if (reason === 'evict') this.#floor = ++this.#last;
      },
    });
  }

  current(tenant: string): string {
    return String(this.#numbers.get(tenant) ?? this.#floor);
  }

  /** Others see it some milliseconds later. */
  async advance(tenant: string): Promise<void> {
    this.#renew(tenant);
    this.#messages.wrote(tenant);
  }

  #renew(tenant: string): void {
    this.#numbers.set(tenant, ++this.#last);
  }
}

const prefix = 'tenant-generation:';
const generationPattern = /^([0-9a-f-]{36}|none)$/;
/** Far longer than any answer is kept: an expired number only makes kept answers stale. */
const keptS = 3600;

export class RedisGenerations implements TenantGenerations {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async current(tenant: string): Promise<string | null> {
    return this.#redis.ask(async (client) => {
      const generation = (await client.get(prefix + tenant)) ?? 'none';
      return generationPattern.test(generation) ? generation : null;
    }, null);
  }

  async advance(tenant: string): Promise<void> {
    const key = prefix + tenant;
    // Random, not counted: a number that expired and began again must not meet an answer of its first life.
    await this.#redis.ask((client) => client.set(key, crypto.randomUUID(), 'EX', keptS), null);
  }
}
