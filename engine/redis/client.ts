/**
 * Connections to Redis, for engine and API alike: the only importer of ioredis. Whatever happens to Redis, a caller hears
 * of it soon and nothing piles up: no queue while it is away, no command sent twice, a deadline on every command and on
 * silence. Reconnecting goes on for ever, without haste.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisTarget } from './url.js';

export type RedisClient = Redis | Cluster;

export interface RedisClientOptions {
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** Longest that a command may take. */
  readonly commandTimeoutMs?: number;
  /** The connection is given up after so long without a byte. Only for one that hears something all the time. */
  readonly silenceMsMax?: number;
}

const connectTimeoutMs = 2000;
const commandTimeoutMsDefault = 1000;
const retryMsMin = 50;
const retryMsMax = 1000;

/** A client that connects by itself and keeps trying. The caller listens to 'error'; it is no reason to end anything. */
export function connectRedis(url: string, options: RedisClientOptions): RedisClient {
  const target = parseRedisUrl(url);
  const common = commonOptions(target, options);
  if (target.kind === 'cluster') {
    return new Cluster([...target.hosts], {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryDelay,
      slotsRefreshTimeout: connectTimeoutMs,
    });
  }
  if (target.kind === 'sentinel') {
    return new Redis({
      ...common,
      sentinels: [...target.hosts],
      name: target.master!,
      sentinelRetryStrategy: retryDelay,
      ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
      ...(target.isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
    });
  }
  return new Redis({ ...common, ...target.hosts[0]! });
}

/** Every option with a bound in it; exported for the test that holds us to them. */
export function commonOptions(target: RedisTarget, options: RedisClientOptions) {
  return {
    connectionName: options.name,
    db: target.db,
    connectTimeout: connectTimeoutMs,
    commandTimeout: options.commandTimeoutMs ?? commandTimeoutMsDefault,
    retryStrategy: retryDelay,
    // While Redis is away commands fail at once: a queue would grow, and its commands would be old when they are sent.
    enableOfflineQueue: false,
    // What was sent and not answered may have been done: it is not sent again.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A failover leaves us on a server that only reads.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    // Whoever subscribes does so on 'ready', and then knows that something may have been missed.
    autoResubscribe: false,
    ...(options.silenceMsMax === undefined ? {} : { socketTimeout: options.silenceMsMax }),
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.isTls ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

function retryDelay(attempts: number): number {
  return Math.min(retryMsMin * 2 ** Math.min(attempts, 10), retryMsMax);
}
