/** Cards come back from Redis: with Postgres away, after a restart, and never older than a change that has gone past. */
import t, { type Test } from 'tap';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { OwnRedis } from '../deploy/testing/test-redis.js';
import { cardKey } from './cache/keys.js';
import { connectRedis } from './redis/client.js';
import { answerOf } from './testing/client.js';
import { startTestEngine, type TestEngine } from './testing/engine-inside.js';
import { metric, until } from './testing/engine-process.js';
import { TcpProxy } from './testing/tcp-proxy.js';

/** Fewer than there are: cards come and go. */
const cardsMax = 4;
const accounts = 8;

interface Place {
  readonly engine: TestEngine;
  readonly redis: OwnRedis;
  readonly postgres: TcpProxy;
  readonly ask: (card: string, amount?: number) => Promise<string>;
  readonly key: (card: string) => Promise<string>;
  readonly client: ReturnType<typeof connectRedis>;
}

async function start(t: Test, changes: Readonly<Record<string, string>> = {}): Promise<Place> {
  const database = await createTestDatabase();
  const postgres = await TcpProxy.start(Number(new URL(database.url).port));
  const redis = await OwnRedis.start();
  const client = connectRedis(redis.url, { name: 'test' });
  client.on('error', () => undefined);
  t.teardown(async () => {
    client.disconnect();
    await redis.stop();
    await postgres.close();
    await database.close();
  });
  const engine = await startTestEngine(t, {
    accounts,
    databaseUrl: postgres.url(database.url),
    changes: { REDIS_URL: redis.url, DEADLINE_MS: '3000', CARDS_MAX: String(cardsMax), ...changes },
  });
  let asked = 0;
  const ask = async (card: string, amount = 1) => {
    const id = `near-${process.pid}-${++asked}`;
    return answerOf(await engine.client.native({ id, type: 'authorization', card, amount, currency: 'USD' })).reason;
  };
  const [named] = await engine.sql<{ space: string }[]>`select cache_space() as space`;
  const key = async (card: string) => cardKey(named!.space, card);
  return { engine, redis, postgres, ask, key, client };
}

const card = (account: number, index = 1) => `card_${String(account).padStart(6, '0')}_${index}`;
const found = (engine: TestEngine) => metric(engine.place, 'card_cache_redis_total{result="hit"}');

/** Asks about every first card: the earlier ones are evicted by the later ones. */
async function touchAll({ ask }: Place): Promise<void> {
  for (let account = 1; account <= accounts; account++) await ask(card(account));
}

/** What was loaded before the engine had found its Redis is kept when it is loaded again. */
async function untilAllAreKept(place: Place): Promise<void> {
  const { client, key } = place;
  const keys = await Promise.all(Array.from({ length: accounts }, (_, index) => key(card(index + 1))));
  await until('all are kept', async () => {
    await touchAll(place);
    const kept = await Promise.all(keys.map((one) => client.exists(one)));
    return kept.every((count) => count === 1);
  });
}

t.test('a card that was evicted comes back from Redis alone, with its windows as they were', async (t) => {
  const place = await start(t);
  const { engine, postgres, ask } = place;
  await engine.sql`
    insert into limits (level, entity_id, limits)
    select 0, id, ${engine.sql.json({ daily: { amount: 100 } })} from cards where token = ${card(1)}`;
  t.equal(await ask(card(1), 60), 'approved');
  await untilAllAreKept(place);
  postgres.cut();
  for (let round = 0; round < 3; round++) {
    for (let account = 2; account <= accounts; account++) t.equal(await ask(card(account)), 'approved');
    t.equal(await ask(card(1), 60), 'limit_exceeded', 'what it spent is remembered');
  }
  t.equal(await ask(card(1, 2)), 'system_error', 'a card whose windows were never brought waits for Postgres');
  t.ok((await found(engine)) >= 3 * (accounts - cardsMax));
  postgres.heal();
  await until('Postgres is used again', async () => (await ask(card(1, 2))) === 'approved');
});

t.test('after a restart the profile comes from Redis and what it spends from, from Postgres', async (t) => {
  const place = await start(t, { WORKERS: '2' });
  const { engine, ask } = place;
  await engine.sql`
    insert into limits (level, entity_id, limits)
    select 2, account_id, ${engine.sql.json({ daily: { amount: 100 } })} from cards where token = ${card(3)}`;
  t.equal(await ask(card(3), 30), 'approved');
  await untilAllAreKept(place);
  await engine.stop();
  // Before the next engine begins: it learns of it from the outbox, not from the feed.
  await engine.sql`update cards set status = 'frozen' where token = ${card(4)}`;
  await engine.restart();
  await until('it was found there', async () => (await found(engine)) >= 1);
  t.equal(await ask(card(3), 71), 'limit_exceeded');
  t.equal(await ask(card(3), 20), 'approved');
});

t.test('an entry that is older than a change is not used, whoever failed to replace it', async (t) => {
  const place = await start(t);
  const { engine, ask, client, key } = place;
  await untilAllAreKept(place);
  const old = await client.getBuffer(await key(card(1)));
  await engine.sql`update cards set status = 'frozen' where token = ${card(1)}`;
  await until('it is in force', async () => (await metric(engine.place, 'feed_sequence')) === 1);
  t.equal(await ask(card(1)), 'card_inactive', 'it was not in memory when the change went past');
  await touchAll(place);
  await client.set(await key(card(1)), old!);
  t.equal(await ask(card(1)), 'card_inactive', 'a Redis with what it had before');
  t.ok((await metric(engine.place, 'card_cache_redis_total{result="overtaken"}')) >= 1);
  await touchAll(place);
  await client.set(await key(card(1)), old!);
  await engine.restart();
  t.equal(await ask(card(1)), 'card_inactive', 'an engine that began after the change');
});

t.test('what is no entry of that card counts as none', async (t) => {
  const place = await start(t);
  const { engine, ask, client, key } = place;
  await untilAllAreKept(place);
  await client.set(await key(card(1)), Buffer.from([0xc1, 1, 2, 3]));
  await client.set(await key(card(3)), (await client.getBuffer(await key(card(2))))!);
  t.equal(await ask(card(1)), 'approved');
  t.equal(await ask(card(3)), 'approved');
  t.equal(await metric(engine.place, 'card_cache_redis_total{result="malformed"}'), 2);
});

t.test('a Redis that stands still costs a few looks, then nothing, and is used again', async (t) => {
  const place = await start(t);
  const { engine, redis, ask } = place;
  await touchAll(place);
  redis.pause();
  const late = () => metric(engine.place, 'card_cache_redis_total{result="timeout"}');
  for (let round = 0; round < 5; round++) await touchAll(place);
  t.ok((await late()) >= 1);
  t.ok((await late()) < 20, 'most were not asked of it');
  redis.resume();
  const before = await found(engine);
  await until('it is asked again', async () => {
    await touchAll(place);
    return (await found(engine)) > before;
  });
  await redis.stop();
  t.equal(await ask(card(1)), 'approved');
  t.equal(await ask(card(5)), 'approved');
});

t.test('a storm of unknown cards does not keep cards that were evicted from coming back', async (t) => {
  const place = await start(t, { MAX_IN_FLIGHT: '200' });
  const { engine, postgres, ask } = place;
  await untilAllAreKept(place);
  postgres.stall();
  const storm = Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      const question = { id: `storm-${index}`, type: 'authorization', card: `nobody-${index}`, amount: 1 };
      return answerOf(await engine.client.native({ ...question, currency: 'USD' })).reason;
    }),
  );
  const waiting = () => metric(engine.place, 'loader_waiting');
  await until('the storm waits', async () => (await waiting()) >= 100);
  for (let account = 1; account <= accounts; account++) t.equal(await ask(card(account)), 'approved');
  t.ok((await waiting()) >= 100, 'it still does');
  const reasons = await storm;
  t.ok(reasons.filter((reason) => reason === 'overloaded').length >= 100, 'what did not fit was refused at once');
  t.same([...new Set(reasons)].sort(), ['overloaded', 'system_error']);
  postgres.heal();
});
