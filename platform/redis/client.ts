/**
 * Connections to Redis, for engine and API alike. Whatever happens to Redis, a caller learns of it soon and nothing
 * piles up. There is no queue while it is away, no command is sent twice, and every command and every silence has a
 * deadline. Reconnecting goes on for ever, without haste.
 */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { noAnswer, withDeadline } from '../process/deadline.js';
import { anyNode } from './any-node.js';
import { parseRedisUrl, type RedisTarget } from './url.js';

export type RedisClient = Redis | Cluster;

export interface RedisClientOptions {
  /** Shown by CLIENT LIST, which knows no blanks. */
  readonly name: string;
  /** Longest that a command may take. */
  readonly commandTimeoutMs?: number;
}

const connectTimeoutMs = 2000;
const commandTimeoutMsDefault = 1000;
/**
 * A question without an answer, or any other byte, for so long: the connection is given up. A server that hangs keeps
 * its connections, and what is asked of it stays in memory until it answers or the connection ends.
 */
const silenceMsMax = 3000;
const retryMsMin = 50;
const retryMsMax = 1000;
/** A node that hangs cannot say that another has taken its place: the others are asked this often. */
const slotsRefreshMs = 5000;
/** Slots move one at a time: more hops than this are a circle. */
const redirectionsMax = 4;

/**
 * A client that connects by itself and keeps trying. The caller listens to 'error'; it is no reason to end anything.
 */
export function connectRedis(url: string, options: RedisClientOptions): RedisClient {
  const target = parseRedisUrl(url);
  if (target.kind !== 'cluster') return connectServer(target, options);
  return new Cluster([...target.hosts], clusterOptions(target, options));
}

/**
 * A client for messages only. In a Cluster every message reaches every node, so any node that answers will do, even
 * when the Cluster as such is down. The driver's own subscriber is not used: it forgets us when its first node is dead.
 */
export function connectForMessages(url: string, options: RedisClientOptions): Redis {
  const target = parseRedisUrl(url);
  if (target.kind !== 'cluster') return connectServer(target, options);
  return new Redis({ ...commonOptions(target, options), Connector: anyNode(target) });
}

function connectServer(target: RedisTarget, options: RedisClientOptions): Redis {
  const common = commonOptions(target, options);
  if (target.kind === 'single') return new Redis({ ...common, ...target.hosts[0]! });
  return new Redis({
    ...common,
    sentinels: [...target.hosts],
    name: target.master!,
    sentinelRetryStrategy: retryDelay,
    // One that hangs is passed by like one that is dead.
    sentinelCommandTimeout: commandTimeoutMsDefault,
    ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
    ...(target.isTls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  });
}

/** Every option with a bound in it; exported for the test that holds us to them. */
export function commonOptions(target: RedisTarget, options: RedisClientOptions) {
  return {
    connectionName: options.name,
    db: target.db,
    connectTimeout: connectTimeoutMs,
    commandTimeout: options.commandTimeoutMs ?? commandTimeoutMsDefault,
    socketTimeout: silenceMsMax,
    retryStrategy: retryDelay,
    // While Redis is away commands fail at once: a queue would grow, and its commands would be old when they are sent.
    enableOfflineQueue: false,
    // What was sent and not answered may have been done: it is not sent again.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A failover leaves us on a server that only reads.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    // A listener subscribes on 'ready', and then knows that it may have missed something.
    autoResubscribe: false,
    ...(target.username === undefined ? {} : { username: target.username }),
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.isTls ? { tls: {} } : {}),
  } satisfies RedisOptions;
}

/** The same bounds where the driver would send to another node what the first did not answer. */
export function clusterOptions(target: RedisTarget, options: RedisClientOptions) {
  return {
    redisOptions: commonOptions(target, options),
    enableOfflineQueue: false,
    clusterRetryStrategy: retryDelay,
    slotsRefreshTimeout: connectTimeoutMs,
    slotsRefreshInterval: slotsRefreshMs,
    maxRedirections: redirectionsMax,
    // 0: never. A node that died may have done what it was asked, and what waits for a new one is a queue.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    // A certificate has the names of its nodes, not their addresses.
    ...(target.isTls ? { dnsLookup: (host, done) => done(null, host) } : {}),
  } satisfies ClusterOptions;
}

function retryDelay(attempts: number): number {
  return Math.min(retryMsMin * 2 ** Math.min(attempts, 10), retryMsMax);
}

/**
 * Values of many keys in one go, as far as they come within `msMax`. A cluster is asked key by key, since they live on
 * different nodes: one of them that is away or slow hides its own keys only. Throws when nothing came at all.
 */
export async function getMany(
  client: RedisClient,
  keys: readonly string[],
  msMax: number,
): Promise<readonly (Buffer | null)[]> {
  if (!(client instanceof Cluster)) return withinMs(client.mgetBuffer(...keys), msMax);
  const values = new Array<Buffer | null>(keys.length).fill(null);
  let answers = 0;
  const asked = keys.map(async (key, index) => {
    values[index] = await client.getBuffer(key);
    answers++;
  });
  await withinMs(Promise.allSettled(asked), msMax).catch(() => undefined);
  if (answers === 0) throw new Error(`no answer within ${msMax} ms`);
  // A copy: what comes too late must not change it any more.
  return [...values];
}

function withinMs<T>(answer: Promise<T>, msMax: number): Promise<T> {
  return withDeadline(answer, msMax, () => noAnswer(msMax));
}

/** Sets many keys with one lifetime, sent together. Throws when one of them was not set in time. */
export async function setMany(
  client: RedisClient,
  values: readonly (readonly [key: string, value: Buffer])[],
  lifetimeS: number,
): Promise<void> {
  if (client instanceof Cluster) {
    // A pipeline would have to stay on one node.
    await Promise.all(values.map(([key, value]) => client.set(key, value, 'EX', lifetimeS)));
    return;
  }
  const pipeline = client.pipeline();
  for (const [key, value] of values) pipeline.set(key, value, 'EX', lifetimeS);
  for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
}
