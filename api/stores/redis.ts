/**
 * The connection to Redis. Redis makes things faster and counts across processes, and nothing depends on it. A command
 * that fails or is late counts as the answer "not there", given fast.
 */

import type { Log } from '../../platform/log.js';
import { OperationTimes } from '../../platform/metrics/operation-times.js';
import { connectRedis, type RedisClient } from '../../platform/redis/client.js';
import { ConnectionWatch, describeFailure } from '../../platform/redis/connection-watch.js';
import { noteHop } from '../../platform/tracing/request-trace.js';

export type { RedisClient };

/** Redis answers in well under a millisecond; beyond this the caller is better off without it. */
const commandMs = 250;

export interface RedisHealth {
  readonly isUp: boolean;
  readonly detail: string;
}

export class RedisConnection {
  readonly client: RedisClient;
  readonly #watch: ConnectionWatch;
  readonly #log: Log;
  #isClosed = false;
  /** What the last command got instead of an answer. */
  #refusal = '';
  /** Commands that failed or were late; read by the metrics. */
  failures = 0;
  readonly times = new OperationTimes();

  /** Connects in the background and again whenever the connection is lost. */
  constructor(url: string, log: Log, name = 'api') {
    this.#log = log;
    this.client = connectRedis(url, { name, commandTimeoutMs: commandMs });
    this.#watch = new ConnectionWatch(this.client, (failure) => this.#changed(failure));
  }

  get isUp(): boolean {
    return this.#watch.failure === '';
  }

  /** Asks for a key, which needs more than a connection: a Cluster may be connected and serve nothing. */
  async health(): Promise<RedisHealth> {
    await this.ask((client) => client.get('health'), null);
    const failure = this.#watch.failure || this.#refusal;
    return { isUp: failure === '', detail: failure || 'connected' };
  }

  /** The command's answer, or `fallback` when Redis is away, late or refuses. Never throws. */
  async ask<T>(command: (client: RedisClient) => Promise<T>, fallback: T): Promise<T> {
    if (!this.isUp) return fallback;
    const startedMs = performance.now();
    try {
      const answer = await command(this.client);
      this.#refusal = '';
      return answer;
    } catch (error) {
      this.failures++;
      this.#refusal = describeFailure(error as Error);
      return fallback;
    } finally {
      this.times.add('', performance.now() - startedMs);
      noteHop('redis', startedMs);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.client.disconnect();
  }

  #changed(failure: string): void {
    if (failure === '') this.#log.info('Redis answers');
    else if (!this.#isClosed) this.#log.warn({ reason: failure }, 'Redis is away: going on without it');
  }
}
