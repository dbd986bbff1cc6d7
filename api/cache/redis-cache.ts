/**
 * The level that API processes share, in Redis: one hash per group, forgotten as a whole and by its exact name. Redis
 * may come and go: then the cache works without it, and nothing waits for it.
 *
 * A value that was read before a change must not be written after it. So a group has a generation that every change
 * raises. A value is only written under the generation that was seen before it was read, and during a change nothing is
 * written at all. A process that dies during its change leaves no stale value.
 *
 * A value is sealed for its group and field (seal.ts) and says how long it is valid. A program that writes to Redis can
 * neither invent one, nor show one owner's to another, nor keep one alive.
 */
import { pack, unpack } from '../../platform/cache/codec.js';
import { cardKey, groupKey } from '../../platform/cache/keys.js';
import type { Seals } from '../../platform/redis/seal.js';
import type { RedisConnection } from '../stores/redis.js';

/** Longer than a write takes; a process that dies in the middle keeps the group out of the cache for as long. */
const writingMs = 10_000;
/** Generations outlive every value. */
const generationS = 2 * 86_400;
/** Pages and cards of one owner; a group that is full begins again. */
const fieldsMax = 500;

const fillScript = `
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1`;

export interface RedisLook {
  readonly found: boolean;
  readonly value: unknown;
  /** To be given back when the value is kept; null: nothing can be kept now. */
  readonly generation: string | null;
}

const nothing: RedisLook = { found: false, value: undefined, generation: null };

export class RedisCache {
  readonly #redis: RedisConnection;
  readonly #space: string;
  readonly #seals: Seals;

  /** @param space names the database whose values these are: others may share the Redis */
  constructor(redis: RedisConnection, space: string, seals: Seals) {
    this.#redis = redis;
    this.#seals = seals;
    this.#space = space;
  }

  async get(group: string, field: string): Promise<RedisLook> {
    const [values, generationKey] = this.#keys(group);
    const answers = await this.#redis.ask<[Buffer | null, string | null] | null>(async (client) => {
      const [value, generation] = await Promise.all([client.hgetBuffer(values, field), client.get(generationKey)]);
      return [value, generation];
    }, null);
    if (answers === null) return nothing;
    const [bytes, generation] = answers;
    const value = bytes === null ? undefined : this.#open(placeOf(values, field), bytes);
    return { found: value !== undefined, value, generation: generation ?? '' };
  }

  /** Keeps a value that was read after `generation` was seen. */
  async set(group: string, field: string, generation: string, value: unknown, lifetimeMs: number): Promise<void> {
    const bytes = pack([Date.now() + lifetimeMs, value]);
    if (bytes === null) return;
    const keys = this.#keys(group);
    const sealed = this.#seals.seal(placeOf(keys[0], field), bytes);
    await this.#redis.ask(
      (client) => client.eval(fillScript, keys.length, ...keys, generation, field, sealed, lifetimeMs, fieldsMax),
      null,
    );
  }

  /** A change begins: what is kept goes, and nothing is kept until it ended. */
  async changing(group: string): Promise<void> {
    const [values, generation, writing] = this.#keys(group);
    await this.#redis.ask(
      (client) =>
        client
          .multi()
          .incr(generation)
          .expire(generation, generationS)
          .del(values)
          .set(writing, 1, 'PX', writingMs)
          .exec(),
      null,
    );
  }

  /** The change ended, or another process's became known. @returns false when Redis did not get it */
  async changed(group: string): Promise<boolean> {
    const [values, generation, writing] = this.#keys(group);
    const done = await this.#redis.ask<unknown>(
      (client) => client.multi().incr(generation).expire(generation, generationS).del(values).del(writing).exec(),
      null,
    );
    return done !== null;
  }

  /**
   * A card has changed: what engines have cached of it goes. They would know that it is old; this saves them the look.
   */
  async forgetCard(token: string): Promise<boolean> {
    return (await this.#redis.ask<number | null>((client) => client.del(cardKey(this.#space, token)), null)) !== null;
  }

  /**
   * Undefined for a value that was not sealed for this group and field, and for an expired one. The next value takes
   * its place.
   */
  #open(place: string, sealed: Buffer): unknown {
    const bytes = this.#seals.open(place, sealed);
    const kept = bytes === null ? undefined : unpack(bytes);
    if (!Array.isArray(kept) || kept.length !== 2) return undefined;
    const [goodUntilMs, value] = kept as [unknown, unknown];
    return typeof goodUntilMs === 'number' && Date.now() < goodUntilMs ? value : undefined;
  }

  #keys(group: string): [values: string, generation: string, writing: string] {
    const space = this.#space;
    return [groupKey(space, group, 'values'), groupKey(space, group, 'generation'), groupKey(space, group, 'writing')];
  }
}

/** Keys of groups have no blank. */
function placeOf(values: string, field: string): string {
  return `${values} ${field}`;
}
