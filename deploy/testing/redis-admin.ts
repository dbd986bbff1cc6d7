/** What a test asks of a Redis server, and what it waits for. */
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { OwnRedis } from './test-redis.js';

/** Elections and replicas take seconds on an idle machine. */
const waitMs = 60_000;
const lookMs = 20;

/** One command on a connection of its own, such as `['CLUSTER', 'INFO']`. */
export async function tell(redis: OwnRedis, command: readonly [string, ...string[]], password = ''): Promise<unknown> {
  const client = new Redis(redis.port, '127.0.0.1', { lazyConnect: true, retryStrategy: null, protocol: 2, password });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const [name, ...args] = command;
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}

/** Waits until an answer looks as it should. */
export async function untilSays(
  redis: OwnRedis,
  command: readonly [string, ...string[]],
  expected: RegExp,
  password = '',
): Promise<void> {
  const giveUpAtMs = performance.now() + waitMs;
  for (;;) {
    const said = String(await tell(redis, command, password).catch((error: Error) => error.message));
    if (expected.test(said)) return;
    if (performance.now() > giveUpAtMs) throw new Error(`${command.join(' ')} does not say ${expected} but: ${said}`);
    await delay(lookMs);
  }
}
