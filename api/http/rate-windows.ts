/**
 * Requests counted in windows of one minute. With Redis, processes exchange their counts once a second. So a limit
 * holds for all of them together within a second's requests, and no request waits for Redis. While Redis is away each
 * process goes on with what it knows.
 */
import { LRUCache } from 'lru-cache';
import type { RedisConnection } from '../stores/redis.js';

const windowMs = 60_000;
/**
 * Keys in memory, the least recently asked for leaving first. A client that asks often stays, and one with more
 * addresses than this is a matter for the network in front.
 */
const keysMax = 100_000;
/**
 * A process tells its count, and learns the others', from this share of the limit on. What a process has below it
 * escapes the others: one part in a hundred for each.
 */
const toldShare = 0.01;
const shareEveryMs = 1000;
/** In Redis a window is kept until every clock agrees that it is over. */
const keptS = (2 * windowMs) / 1000;

interface Count {
  window: number;
  /** Counted here. */
  own: number;
  /** Part of `own` that the others know. */
  sent: number;
  /** Counted by the others, as last known. */
  others: number;
}

export interface Standing {
  readonly limit: number;
  /** Requests so far, with this one. */
  readonly used: number;
  /** Seconds until the window ends. */
  readonly resetS: number;
}

export class RateWindows {
  readonly #counts = new LRUCache<string, Count>({ max: keysMax });
  readonly #untold = new Set<string>();
  readonly #redis: RedisConnection | null;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;
  #sharing: Promise<void> | null = null;

  /** @param now wall clock in milliseconds: processes agree on it */
  constructor(redis: RedisConnection | null, now: () => number = Date.now) {
    this.#redis = redis;
    this.#now = now;
  }

  /** Keys in memory. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts one more request of this key. */
  take(key: string, limit: number): Standing {
    const nowMs = this.#now();
    const window = Math.floor(nowMs / windowMs);
    let count = this.#counts.get(key);
    if (count === undefined || count.window !== window) {
      count = { window, own: 0, sent: 0, others: 0 };
      this.#counts.set(key, count);
    }
    count.own++;
    if (this.#redis !== null && count.own >= limit * toldShare) this.#untold.add(key);
    return { limit, used: count.own + count.others, resetS: Math.ceil(((window + 1) * windowMs - nowMs) / 1000) };
  }

  /** Takes back a request of this window. */
  giveBack(key: string): void {
    const count = this.#counts.get(key);
    if (count !== undefined && count.own > 0 && count.window === Math.floor(this.#now() / windowMs)) count.own--;
  }

  start(): void {
    if (this.#redis !== null) this.#timer = setInterval(() => void this.share(), shareEveryMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Tells Redis what was counted here since the last time, and learns what the others have counted. */
  share(): Promise<void> {
    this.#sharing ??= this.#shareAll().finally(() => {
      this.#sharing = null;
    });
    return this.#sharing;
  }

  async #shareAll(): Promise<void> {
    const keys = [...this.#untold];
    this.#untold.clear();
    await Promise.all(keys.map((key) => this.#shareOne(key)));
  }

  async #shareOne(key: string): Promise<void> {
    const count = this.#counts.peek(key);
    if (count === undefined || this.#redis === null) return;
    const sent = count.own;
    const name = `rate:${count.window}:${key}`;
    const total = await this.#redis.ask(async (client) => {
      const replies = await client
        .multi()
        .incrby(name, sent - count.sent)
        .expire(name, keptS, 'NX')
        .exec();
      return Number(replies?.[0]?.[1]);
    }, null);
    if (total === null || !Number.isFinite(total)) return;
    count.sent = sent;
    count.others = Math.max(0, total - sent);
  }
}
