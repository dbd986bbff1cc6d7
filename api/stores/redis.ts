/**
 * The connection to Redis. Redis makes things faster and counts across
 * processes; nothing depends on it: a command that fails or is late is an answer ("not there"), given fast.
 */
import { connectRedis, type RedisClient } from '../../engine/redis/client.js';
import type { Log } from '../log.js';

export type { RedisClient };

/** Redis answers in well under a millisecond; beyond this the caller is better off without it. */
const commandMs = 250;

export interface RedisHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export class RedisConnection {
  readonly client: RedisClient;
  readonly #log: Log;
  #isUp = false;
  #detail = 'connecting';
  #isClosed = false;
  /** Commands that failed or were late; read by the metrics. */
  failures = 0;

  /** Connects in the background and again whenever the connection is lost. */
  constructor(url: string, log: Log, name = 'api') {
    this.#log = log;
    this.client = connectRedis(url, { name, commandTimeoutMs: commandMs });
    this.client.on('ready', () => this.#up());
    this.client.on('error', (error: Error) => this.#down(error.message));
    this.client.on('close', () => this.#down('the connection is closed'));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  health(): RedisHealth {
    return { isUp: this.#isUp, detail: this.#detail };
  }

  /** The command's answer, or `fallback` when Redis is away, late or refuses. Never throws. */
  async ask<T>(command: (client: RedisClient) => Promise<T>, fallback: T): Promise<T> {
    if (!this.#isUp) return fallback;
    try {
      return await command(this.client);
    } catch {
      this.failures++;
      return fallback;
    }
  }

  close(): void {
    this.#isClosed = true;
    this.client.disconnect();
  }

  #up(): void {
    if (!this.#isUp) this.#log.info('Redis answers');
    this.#isUp = true;
    this.#detail = 'connected';
  }

  #down(reason: string): void {
    if (this.#isUp && !this.#isClosed) this.#log.warn({ reason }, 'Redis is away: going on without it');
    this.#isUp = false;
    this.#detail = reason;
  }
}
