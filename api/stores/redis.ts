/**
 * The connection to Redis, and the only importer of its driver in the API. Redis makes things faster and counts across
 * processes; nothing depends on it: a command that fails or is late is an answer ("not there"), given fast.
 */
import { Redis } from 'ioredis';
import type { Log } from '../log.js';

export type { Redis };

/** Redis answers in well under a millisecond; beyond this the caller is better off without it. */
const commandMs = 250;
const connectMs = 2000;
const retryMsMax = 2000;

export interface RedisHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export class RedisConnection {
  readonly client: Redis;
  readonly #log: Log;
  #isUp = false;
  #detail = 'connecting';
  #isClosed = false;
  /** Commands that failed or were late; read by the metrics. */
  failures = 0;

  /** Connects in the background and again whenever the connection is lost. */
  constructor(url: string, log: Log, name = 'api') {
    this.#log = log;
    this.client = new Redis(url, {
      connectionName: name,
      connectTimeout: connectMs,
      commandTimeout: commandMs,
      // ioredis would send unanswered commands again and queue new ones without limit while Redis is away.
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      retryStrategy: (times) => Math.min(retryMsMax, 50 * 2 ** Math.min(times, 10)),
    });
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
  async ask<T>(command: (client: Redis) => Promise<T>, fallback: T): Promise<T> {
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
