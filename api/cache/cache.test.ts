/** The cache: two levels, two processes (two caches on one database and one Redis), and everything going away. */
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, redisFor } from '../../deploy/testing/for-test.js';
import { testSeals, until } from '../../engine/testing/engine-process.js';
import { cardKey } from '../../platform/cache/keys.js';
import { Database } from '../stores/postgres.js';
import { RedisConnection } from '../stores/redis.js';
import { quietLog, testPostgresConfig } from '../testing/personal-stores.js';
import { Cache } from './cache.js';
import { Invalidations } from './invalidations.js';
import { RedisCache } from './redis-cache.js';

const seals = testSeals();
const isAny = () => true;
const lifetimes = { userS: 3600, cardS: 900, transactionsS: 300, localS: 300 };

interface Process {
  readonly cache: Cache;
  readonly invalidations: Invalidations;
  readonly redis: RedisConnection | null;
}

/** A cache as an API process has one. */
async function startProcess(t: Test, databaseUrl: string, redisUrl: string | null, space = 'a'): Promise<Process> {
  const database = new Database(testPostgresConfig(databaseUrl), quietLog);
  await database.start();
  const redis = redisUrl === null ? null : new RedisConnection(redisUrl, quietLog);
  const cache = new Cache(lifetimes);
  if (redis !== null) {
    await until('Redis is connected', () => redis.isUp);
    cache.useRedis(new RedisCache(redis, space, seals));
  }
  const invalidations = new Invalidations(database, cache, quietLog);
  invalidations.start();
  await until('messages arrive', () => invalidations.isListening);
  t.teardown(async () => {
    await invalidations.stop();
    redis?.close();
    await database.close();
  });
  return { cache, invalidations, redis };
}

/** A store that says how often it was asked. */
class Store {
  value = 1;
  loads = 0;
  read = async (): Promise<{ value: number }> => {
    this.loads++;
    return { value: this.value };
  };
}

async function change({ cache, invalidations }: Process, store: Store, value: number): Promise<void> {
  await cache.change('cards:1', async () => {
    store.value = value;
  });
  await invalidations.send('cards:1');
}

t.test('each cache level answers before the next, and one load serves all waiting requests', async (t) => {
  const database = await databaseFor(t);
  const redis = await redisFor(t);
  const first = await startProcess(t, database.url, redis.url);
  const second = await startProcess(t, database.url, redis.url);
  const store = new Store();
  const read = ({ cache }: Process) => cache.get('card', 'cards:1', 'card x', isAny, store.read);
  const values = await Promise.all([1, 2, 3, 4, 5].map(() => read(first)));
  t.same(values, Array(5).fill({ value: 1 }));
  t.equal(store.loads, 1);
  await until('Redis has it', async () => {
    const seen = store.loads;
    const { cache } = await startProcess(t, database.url, redis.url);
    await cache.get('card', 'cards:1', 'card x', isAny, store.read);
    return store.loads === seen;
  });
  const loads = store.loads;
  t.same(await read(second), { value: 1 });
  t.equal(store.loads, loads, 'the value comes from Redis');
  t.equal(second.cache.counts.redisHits, 1);
  t.same(await read(second), { value: 1 });
  t.equal(second.cache.counts.localHits, 1);

  await change(first, store, 2);
  t.same(await read(first), { value: 2 }, 'the process of the change sees it at once');
  await until('the other process hears of it', async () => (await read(second)).value === 2);
  const other = await startProcess(t, database.url, redis.url, 'b');
  store.value = 3;
  t.same(await read(other), { value: 3 }, 'values of another database are not found');
});

t.test('without Redis one cache level remains, and processes still notify each other', async (t) => {
  const database = await databaseFor(t);
  const first = await startProcess(t, database.url, null);
  const second = await startProcess(t, database.url, null);
  const store = new Store();
  const read = ({ cache }: Process) => cache.get('card', 'cards:1', 'card x', isAny, store.read);
  await read(first);
  await read(second);
  await read(second);
  t.equal(store.loads, 2);
  await change(second, store, 2);
  t.same(await read(second), { value: 2 });
  await until('the other process hears of it', async () => (await read(first)).value === 2);
});

t.test('a value read before a change that arrives after it is not cached', async (t) => {
  const database = await databaseFor(t);
  const redis = await redisFor(t);
  const slow = await startProcess(t, database.url, redis.url);
  const quick = await startProcess(t, database.url, redis.url);
  const store = new Store();
  for (const changer of [slow, quick]) {
    store.value = 1;
    let arrive: (value: { value: number }) => void = () => undefined;
    const reading = slow.cache.get(
      'card',
      'cards:1',
      'card x',
      isAny,
      () => new Promise((resolve) => (arrive = resolve)),
    );
    await until('it is being read', () => arrive.length === 1);
    await change(changer, store, 2);
    arrive({ value: 1 });
    t.same(await reading, { value: 1 }, 'a request from before the change may get the older value');
    await until('everybody gets the newer one', async () => {
      const values = await Promise.all(
        [slow, quick].map(({ cache }) => cache.get<{ value: number }>('card', 'cards:1', 'card x', isAny, store.read)),
      );
      return values.every(({ value }) => value === 2);
    });
    const third = await startProcess(t, database.url, redis.url);
    t.same(
      await third.cache.get('card', 'cards:1', 'card x', isAny, store.read),
      { value: 2 },
      'Redis has no older value',
    );
    await change(changer, store, 1);
  }
});

t.test('a process that dies during its change leaves no stale value in Redis', async (t) => {
  const database = await databaseFor(t);
  const redis = await redisFor(t);
  const { cache, redis: connection } = await startProcess(t, database.url, redis.url);
  const store = new Store();
  await cache.get('card', 'cards:1', 'card x', isAny, store.read);
  // The dying process tells Redis that it begins, and never says more.
  await new RedisCache(connection!, 'a', seals).changing('cards:1');
  const third = await startProcess(t, database.url, redis.url);
  await third.cache.get('card', 'cards:1', 'card x', isAny, store.read);
  store.value = 2;
  const fourth = await startProcess(t, database.url, redis.url);
  t.same(await fourth.cache.get('card', 'cards:1', 'card x', isAny, store.read), { value: 2 });
});

t.test('no request fails while Redis is away, and missed invalidations are sent before it is read again', async (t) => {
  const database = await databaseFor(t);
  // A Redis that stands still keeps its values, unlike one that was killed.
  const redis = await redisFor(t);
  const process = await startProcess(t, database.url, redis.url);
  const store = new Store();
  const read = () => process.cache.get<{ value: number }>('card', 'cards:1', 'card x', isAny, store.read);
  await read();
  redis.pause();
  await change(process, store, 2);
  t.same(await read(), { value: 2 }, 'requests succeed while Redis hangs');
  redis.resume();
  await change(process, store, 3);
  t.same(await read(), { value: 3 });
  await redis.stop();
  await change(process, store, 4);
  t.same(await read(), { value: 4 }, 'requests succeed while Redis is gone');
  await redis.restart();
  await until('Redis is used again', async () => {
    await change(process, store, store.value + 1);
    const other = await startProcess(t, database.url, redis.url);
    await read();
    const loads = store.loads;
    t.same(await other.cache.get('card', 'cards:1', 'card x', isAny, store.read), { value: store.value });
    return store.loads === loads;
  });
});

t.test('a process that receives no notifications caches nothing', async (t) => {
  const database = await databaseFor(t);
  const process = await startProcess(t, database.url, null);
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const sql = postgres(url.href, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end());
  const store = new Store();
  const read = () => process.cache.get<{ value: number }>('card', 'cards:1', 'card x', isAny, store.read);
  await read();
  await read();
  t.equal(store.loads, 1);
  // Its listening connection is cut silently, and no process may make a new one.
  await sql`alter database ${sql(name)} allow_connections false`;
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name like '%listener' and datname = ${name}`;
  await until('it notices', () => !process.invalidations.isListening);
  store.value = 2;
  t.same(await read(), { value: 2 });
  await sql`alter database ${sql(name)} allow_connections true`;
  await until('it hears again', () => process.invalidations.isListening);
  const loads = store.loads;
  await read();
  await read();
  t.equal(store.loads, loads + 1);
});

t.test("a changed card leaves the engines' cache, whichever process changed it", async (t) => {
  const database = await databaseFor(t);
  const { sql } = database;
  const redis = await redisFor(t);
  await seedAccounts(sql, { accounts: 1, cardsPerAccount: 2, balanceMinor: 1 });
  const { redis: connection } = await startProcess(t, database.url, redis.url, 'a');
  const client = connection!.client;
  const keys = [1, 2].map((index) => cardKey('a', `card_000001_${index}`));
  for (const key of keys) await client.set(key, 'as an engine left it');
  await sql`update cards set status = 'frozen' where token = 'card_000001_1'`;
  await sql`select feed_number()`;
  await until('it is gone', async () => (await client.exists(keys[0]!)) === 0);
  t.equal(await client.exists(keys[1]!), 1, 'the other card is unchanged');
});
