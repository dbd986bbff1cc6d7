/** Cards in Redis: one server or a Cluster, answering or not. */
import t, { type Test } from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { RedisCluster } from '../../deploy/testing/redis-cluster.js';
import type { CardPayload } from '../../engine/core/feed.js';
import { testSeals, until } from '../../engine/testing/engine-process.js';
import { connectRedis } from '../redis/client.js';
import { CardCache } from './card-cache.js';

/** On a busy machine; an engine waits less. */
const lookMsMax = 2000;
const cards: readonly CardPayload[] = Array.from({ length: 60 }, (_, index) => ({
  token: `card_${index}`,
  number: index + 1,
  version: 1,
  status: 'active',
  expiresDay: 30_000,
  type: 'single_use',
  spendNumber: 1,
  limits: null,
  accountNumber: 1,
  userNumber: 1,
  ownerKey: 2,
}));
const tokens = cards.map(({ token }) => token);

async function open(
  t: Test,
  url: string,
  options: { space?: () => string; lookMsMax?: number } = {},
): Promise<CardCache> {
  const client = connectRedis(url, { name: 'test', commandTimeoutMs: lookMsMax });
  const cache = new CardCache(client, { space: () => 'a', lifetimeS: 60, lookMsMax, seals: testSeals(), ...options });
  t.teardown(() => cache.close());
  await cache.connected(20_000);
  return cache;
}

/** A Cluster's nodes are connected to when they are first asked. */
async function areKept(cache: CardCache): Promise<void> {
  await until('all are kept', async () => {
    cache.keep(cards, 7);
    return (await cache.look(tokens)).size === cards.length;
  });
}

t.test('a card that one process stores is found by another, under the name of its database only', async (t) => {
  const redis = await redisFor(t);
  const cache = await open(t, redis.url);
  t.equal((await cache.look(tokens)).size, 0);
  await areKept(cache);
  const found = await (await open(t, redis.url)).look([...tokens, 'another']);
  t.same(
    [...found.values()],
    cards.map((card) => ({ card, asOf: 7 })),
  );
  t.equal((await (await open(t, redis.url, { space: () => 'b' })).look(tokens)).size, 0);
  let space = '';
  const starting = await open(t, redis.url, { space: () => space });
  t.equal(starting.isUp, false);
  t.equal((await starting.look(tokens)).size, 0);
  space = 'a';
  t.equal((await starting.look(tokens)).size, cards.length);
});

t.test('a Cluster node that is away or hangs hides only its own cards', async (t) => {
  const password = 'a-secret-of-the-tests';
  const cluster = await RedisCluster.start(password);
  t.teardown(() => cluster.stop());
  const cache = await open(t, cluster.url);
  await areKept(cache);
  // Not the first: a replica would take its place.
  cluster.nodes[1]!.pause();
  const { size } = await cache.look(tokens);
  t.ok(size > 0 && size < cards.length, `${size} of ${cards.length}`);
  await cluster.nodes[1]!.stop();
  await until('the others answer at once', async () => (await cache.look(tokens)).size >= size);
});

t.test('a Redis that hangs is neither read nor written for a while', async (t) => {
  const redis = await redisFor(t);
  const cache = await open(t, redis.url, { lookMsMax: 20 });
  await until('it answers', async () => {
    await cache.look(tokens);
    return cache.counts.failures === 0;
  });
  redis.pause();
  while (cache.isUp) await cache.look(tokens);
  t.equal(cache.counts.failures, 3);
  t.equal((await cache.look(tokens)).size, 0);
  t.equal(cache.counts.failures, 3, 'Redis received no request');
  cache.keep(cards, 7);
  t.equal(cache.counts.unwritten, cards.length);
  redis.resume();
  await until('it is asked again', () => cache.isUp);
});
