/**
 * Redis as it is deployed: with TLS and a password, behind Sentinel, as a Cluster. Real servers, real processes.
 * Changes made at the API reach the engine by Redis, and still do when servers die or hang.
 */
import type { Cluster } from 'ioredis';
import t, { type Test } from 'tap';
import { createTestCertificates } from '../../deploy/testing/certificates.js';
import { RedisCluster } from '../../deploy/testing/redis-cluster.js';
import { RedisSentinel } from '../../deploy/testing/redis-sentinel.js';
import { OwnRedis } from '../../deploy/testing/test-redis.js';
import { packetChannel, readPacket } from '../../engine/feed/feed-packet.js';
import { metric, until } from '../../engine/testing/engine-process.js';
import { RedisListener } from '../../platform/redis/channel.js';
import { connectRedis } from '../../platform/redis/client.js';
import { sealBytes } from '../../platform/redis/seal.js';
import { RedisFailureCounter } from '../auth/failure-counters.js';
import { RedisConnection } from '../stores/redis.js';
import { request } from '../testing/api-inside.js';
import { fresh } from '../testing/customer.js';
import { Deployment } from '../testing/deployment.js';
import { quietLog } from '../testing/personal-stores.js';

t.setTimeout(0);

/** The driver's own delays before it asks another node, were it allowed to, are a tenth of this. */
const repeatMsMax = 1000;
const password = 'a-secret-of-the-tests';

/** Changes one after another: each is obeyed once it is in force, whatever is broken meanwhile. */
async function changesAreObeyed(t: Test, deployment: Deployment, count: number, when: string): Promise<void> {
  for (let made = 0; made < count; made++) {
    const { status, reason } = await deployment.change();
    t.equal(reason, status === 'frozen' ? 'card_inactive' : 'approved', `${status} is obeyed, ${when}`);
  }
}

/** Both ends say that changes come by Redis, and a listener of our own hears one. */
async function comesByRedis(t: Test, deployment: Deployment, redisUrl: string, when: string): Promise<void> {
  await deployment.untilHealth('engine', 'redis', 'healthy', /^subscribed$/);
  await deployment.untilHealth('engine', 'feed', 'healthy', /by redis$/);
  await deployment.untilHealth('api', 'redis', 'healthy', /^connected$/);
  await deployment.untilHealth('api', 'feed', 'healthy', /relays changes/);
  const [named] = await deployment.sql<{ id: string }[]>`select feed_id() as id`;
  let entries = 0;
  let isListening = false;
  const listener = new RedisListener(redisUrl, {
    name: 'test',
    channel: packetChannel(named!.id),
    connected: () => {
      isListening = true;
    },
    received: (bytes) => {
      entries += readPacket(bytes.subarray(sealBytes))?.entries.length ?? 0;
    },
  });
  try {
    await until('the test listens', () => isListening);
    await changesAreObeyed(t, deployment, 2, when);
    await until('the changes came by Redis', () => entries >= 2);
  } finally {
    listener.stop();
  }
}

/** The engine works, and says why without Redis. */
async function goesOnWithout(t: Test, deployment: Deployment, why: RegExp, when: string): Promise<void> {
  for (const of of ['engine', 'api'] as const) await deployment.untilHealth(of, 'redis', 'unhealthy', why);
  await deployment.untilHealth('engine', 'feed', 'healthy', /by polling the outbox$/);
  await changesAreObeyed(t, deployment, 4, when);
}

/** A limit that is not reached, and near enough that processes tell each other what they have counted. */
const countedRate = { RATE_LIMIT_PERSON_PER_MINUTE: '3000' };

/** What API processes share stands on all nodes: kept values, counts of failures, rate limits. */
async function isShared(deployment: Deployment, redisUrl: string): Promise<void> {
  const { customer } = deployment;
  const second = await deployment.newApi({ REDIS_URL: redisUrl, ...countedRate });
  const [one, other] = [new RedisConnection(redisUrl, quietLog), new RedisConnection(redisUrl, quietLog)];
  try {
    let asked = 0;
    const ask = (path: string) => {
      asked++;
      return request(second.url, 'GET', path, { token: customer.token });
    };
    await until('the second process finds what the first one kept', async () => {
      // Forgets what was kept before.
      await deployment.change();
      await customer.get('/api/cards');
      await ask('/api/cards');
      const { text } = await request(second.opsUrl, 'GET', '/metrics');
      return /^cache_reads_total\{level="shared"\} [1-9]/m.test(text);
    });
    await until('the rate is counted for both', async () => {
      for (let count = 0; count < 20; count++) {
        await customer.get('/api/me');
        await ask('/api/me');
      }
      const { headers } = await ask('/api/me');
      return Number(headers.get('ratelimit-limit')) - Number(headers.get('ratelimit-remaining')) > asked;
    });
    await until('both are connected', () => one.isUp && other.isUp);
    // Keys of every node. A connection to a node is made when its first key is asked for.
    const keys = Array.from({ length: 50 }, () => fresh('key'));
    const counter = new RedisFailureCounter(one, 60);
    const otherCounter = new RedisFailureCounter(other, 60);
    let rounds = 0;
    await until(
      'each counts what the other counted',
      async () => {
        await counter.add(keys);
        rounds++;
        // More than it counted itself.
        return (await otherCounter.add(keys)).every(({ value }) => value > rounds);
      },
      60_000,
    );
  } finally {
    for (const connection of [one, other]) connection.close();
    await second.stop();
  }
}

/** A card that one engine kept is found by its successor. On a busy machine either may do without Redis: then again. */
async function isFoundAgain(deployment: Deployment, redisUrl: string): Promise<void> {
  const isFound = async () => {
    await deployment.payWithNewCard();
    if ((await metric(deployment.engine, 'card_cache_redis_writes_total{result="written"}')) === 0) return false;
    await deployment.startEngine({ REDIS_URL: redisUrl });
    return (await metric(deployment.engine, 'card_cache_redis_total{result="hit"}')) > 0;
  };
  await until('the engine finds a card in Redis', isFound, 120_000, 100);
}

/** A node hangs until its connection is given up: what it was asked is not asked a second time. */
async function isSentOnce(t: Test, redisUrl: string, node: OwnRedis): Promise<void> {
  const client = connectRedis(redisUrl, { name: 'test', commandTimeoutMs: 300 }) as Cluster;
  client.on('error', () => undefined);
  try {
    await until('it is connected', () => client.status === 'ready');
    const connection = () => client.nodes('master').find(({ options }) => options.port === node.port);
    let key = fresh('key');
    // A key that stands on this node: the only one that then knows it.
    await until('a key of the node is found', async () => {
      key = fresh('key');
      await client.set(key, 0).catch(() => undefined);
      return (
        (await connection()
          ?.get(key)
          .catch(() => null)) === '0'
      );
    });
    node.pause();
    await t.rejects(client.incr(key), /timed out/);
    await until('the connection is given up', () => connection()?.status !== 'ready');
    node.resume();
    const resumedAtMs = performance.now();
    await until('the node answers again', async () => (await client.get(key).catch(() => '0')) !== '0');
    await until('a driver that repeats would have done so', () => performance.now() - resumedAtMs > repeatMsMax);
    t.equal(await client.get(key), '1', 'the command was executed once');
  } finally {
    client.disconnect();
  }
}

t.test('the feed works with TLS and a password', { timeout: 300_000 }, async (t) => {
  const files = await createTestCertificates();
  t.teardown(() => files.remove());
  const tls = [
    '--tls-cert-file',
    files.certificate,
    '--tls-key-file',
    files.key,
    '--tls-ca-cert-file',
    files.authority,
  ];
  const args = [...tls, '--tls-auth-clients', 'no', '--requirepass', password];
  const redis = await OwnRedis.start(args, { isTls: true });
  t.teardown(() => redis.stop());
  const right = {
    REDIS_URL: `rediss://:${password}@localhost:${redis.port}`,
    NODE_EXTRA_CA_CERTS: files.authority,
  };
  const deployment = await Deployment.start(t, right);
  const start = async (env: Readonly<Record<string, string>>) => {
    await deployment.startEngine(env);
    await deployment.startApi(env);
  };

  await deployment.untilHealth('engine', 'redis', 'healthy', /^subscribed$/);
  await deployment.untilHealth('engine', 'feed', 'healthy', /by redis$/);
  await deployment.untilHealth('api', 'redis', 'healthy', /^connected$/);
  await changesAreObeyed(t, deployment, 4, 'by TLS');

  await start({ ...right, REDIS_URL: `rediss://:not-${password}@localhost:${redis.port}` });
  await goesOnWithout(t, deployment, /REDIS_URL has the wrong password, or none/, 'with a wrong password');
  t.notMatch(deployment.logged, password, 'no password is logged');

  await start({ REDIS_URL: right.REDIS_URL });
  await goesOnWithout(t, deployment, /certificate is not trusted.*NODE_EXTRA_CA_CERTS/, 'with an unknown CA');
  t.notMatch(deployment.logged, password, 'no password is logged');

  await start(right);
  await deployment.untilHealth('engine', 'feed', 'healthy', /by redis$/);
  await changesAreObeyed(t, deployment, 2, 'by TLS again');
});

t.test('the feed survives a dead Sentinel primary and its hanging successor', { timeout: 300_000 }, async (t) => {
  const redis = await RedisSentinel.start(password);
  t.teardown(() => redis.stop());
  const deployment = await Deployment.start(t, { REDIS_URL: redis.url });
  await comesByRedis(t, deployment, redis.url, 'before anything happened');

  const first = await redis.primary();
  await first.stop();
  await changesAreObeyed(t, deployment, 10, 'while the primary is dead');
  await redis.failedOver(first);
  await comesByRedis(t, deployment, redis.url, 'from the new primary');

  // A server that hangs keeps its connections, and so does a Sentinel: neither ever says that it is gone.
  const second = await redis.primary();
  const [hanging, ...others] = redis.sentinels;
  second.pause();
  hanging!.pause();
  await changesAreObeyed(t, deployment, 10, 'while the primary hangs');
  await redis.failedOver(second, others);
  await comesByRedis(t, deployment, redis.url, 'from the third one');

  second.resume();
  hanging!.resume();
  await redis.failedOver(second);
  await comesByRedis(t, deployment, redis.url, 'when the old one is back');
});

t.test('the feed survives the death of a Cluster node, replaced or not', { timeout: 300_000 }, async (t) => {
  const redis = await RedisCluster.start(password);
  t.teardown(() => redis.stop());
  const deployment = await Deployment.start(t, { REDIS_URL: redis.url, ...countedRate });
  await comesByRedis(t, deployment, redis.url, 'before anything happened');
  await isShared(deployment, redis.url);
  await isFoundAgain(deployment, redis.url);

  const [replaced, missed] = redis.nodes as [OwnRedis, OwnRedis];
  await isSentOnce(t, redis.url, missed);
  await replaced.stop();
  await changesAreObeyed(t, deployment, 10, 'while a node is dead');
  await redis.failedOver();
  await comesByRedis(t, deployment, redis.url, 'when its replica took its place');
  await isShared(deployment, redis.url);

  // Slots are missing: no key is served any more, on any node. Messages need no slot.
  await missed.stop();
  await redis.down(redis.nodes.filter((node) => node !== replaced && node !== missed));
  await deployment.untilHealth('engine', 'redis', 'healthy', /^subscribed$/);
  await deployment.untilHealth('engine', 'feed', 'healthy', /by redis$/);
  await changesAreObeyed(t, deployment, 4, 'while slots are missing');
  t.equal((await deployment.customer.get('/api/cards')).status, 200, 'the API continues without its cache');
  await deployment.untilHealth('api', 'redis', 'unhealthy', /CLUSTERDOWN/);
});
