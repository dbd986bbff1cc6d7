/**
 * Cards come back from Redis: with Postgres away, after a restart, and never older than a change that has gone past.
 */
import t, { type Test } from 'tap';
import { databaseFor, redisFor } from '../../deploy/testing/for-test.js';
import type { OwnRedis } from '../../deploy/testing/test-redis.js';
import { cardKey } from '../../platform/cache/keys.js';
import { connectRedis } from '../../platform/redis/client.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { metric, until } from '../testing/engine-process.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

// An idle machine takes a few seconds; a suite beside others may take longer.
t.setTimeout(300_000);

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
  const database = await databaseFor(t);
  const postgres = await TcpProxy.start(Number(new URL(database.url).port));
  const redis = await redisFor(t);
  const client = connectRedis(redis.url, { name: 'test' });
  client.on('error', () => undefined);
  t.teardown(async () => {
    client.disconnect();
    await postgres.close();
  });
  const engine = await startTestEngine(t, {
    accounts,
    databaseUrl: postgres.url(database.url),
    changes: { REDIS_URL: redis.url, CARDS_MAX: String(cardsMax), ...changes },
  });
  let asked = 0;
  // Without an amount nothing is spent.
  const ask = async (card: string, amount = 0) => {
    const id = `card-${process.pid}-${++asked}`;
    const question = amount === 0 ? { type: 'balance_inquiry' } : { type: 'authorization', amount, currency: 'USD' };
    return answerOf(await engine.client.native({ id, card, ...question })).reason;
  };
  const [named] = await engine.sql<{ space: string }[]>`select cache_space() as space`;
  const key = async (card: string) => cardKey(named!.space, card);
  return { engine, redis, postgres, ask, key, client };
}

/** On a busy machine Redis may be late now and then, and without Postgres that is a decline. */
const says = (ask: Place['ask'], token: string, reason: string, amount = 0) =>
  until(`${token} answers ${reason}`, async () => (await ask(token, amount)) === reason);

async function isFrozen(t: Test, { ask }: Place, token: string): Promise<void> {
  const reasons = new Set<string>();
  await until(`${token} is frozen`, async () => {
    const reason = await ask(token);
    reasons.add(reason);
    return reason === 'card_inactive';
  });
  t.notOk(reasons.has('approved'));
}

const card = (account: number, index = 1) => `card_${String(account).padStart(6, '0')}_${index}`;
const found = (engine: TestEngine) => metric(engine.place, 'card_cache_redis_total{result="hit"}');

/** Asks about every first card: the earlier ones are evicted by the later ones. */
async function touchAll({ ask }: Place): Promise<void> {
  for (let account = 1; account <= accounts; account++) await ask(card(account));
}

/** Cards that were looked up before the engine had found its Redis are kept there when they are looked up again. */
async function untilAllAreKept(place: Place): Promise<void> {
  const { client, key } = place;
  const keys = await Promise.all(Array.from({ length: accounts }, (_, index) => key(card(index + 1))));
  await until('all are kept', async () => {
    await touchAll(place);
    const kept = await Promise.all(keys.map((one) => client.exists(one)));
    return kept.every((count) => count === 1);
  });
}

t.test('an evicted card returns from Redis alone, with the same windows', async (t) => {
  const place = await start(t);
  const { engine, postgres, ask } = place;
  await engine.sql`
    insert into limits (level, entity_id, limits)
    select 0, id, ${engine.sql.json({ daily: { amount: 100 } })} from cards where token = ${card(1)}`;
  await says(ask, card(1), 'approved', 60);
  await untilAllAreKept(place);
  postgres.cut();
  for (let round = 0; round < 3; round++) {
    for (let account = 2; account <= accounts; account++) await says(ask, card(account), 'approved');
    // What it spent is remembered.
    await says(ask, card(1), 'limit_exceeded', 60);
  }
  t.equal(await ask(card(1, 2), 1), 'system_error', 'a card whose windows were never loaded waits for Postgres');
  t.ok((await found(engine)) >= 3 * (accounts - cardsMax));
  postgres.heal();
  await until('Postgres is used again', async () => (await ask(card(1, 2))) === 'approved');
});

t.test('after a restart the profile comes from Redis, and the accounts and windows come from Postgres', async (t) => {
  const place = await start(t, { PARTITIONS: '2' });
  const { engine, ask } = place;
  await engine.sql`
    insert into limits (level, entity_id, limits)
    select 2, account_id, ${engine.sql.json({ daily: { amount: 100 } })} from cards where token = ${card(3)}`;
  await says(ask, card(3), 'approved', 30);
  await untilAllAreKept(place);
  await engine.stop();
  // Before the next engine begins: it learns of it from the outbox, not from the feed.
  await engine.sql`update cards set status = 'frozen' where token = ${card(4)}`;
  await engine.restart();
  await until('it was found there', async () => {
    await touchAll(place);
    return (await found(engine)) >= 1;
  });
  await says(ask, card(3), 'limit_exceeded', 71);
  await says(ask, card(3), 'approved', 20);
});

t.test('an entry older than a change is not used, whichever process failed to replace it', async (t) => {
  const place = await start(t);
  const { engine, client, key } = place;
  await untilAllAreKept(place);
  const old = await client.getBuffer(await key(card(1)));
  await engine.sql`update cards set status = 'frozen' where token = ${card(1)}`;
  await until('it is in force', async () => (await metric(engine.place, 'feed_sequence')) === 1);
  // It was not in memory when the change went past.
  await isFrozen(t, place, card(1));
  await until('a Redis with what it had before was looked at', async () => {
    await touchAll(place);
    await client.set(await key(card(1)), old!);
    await isFrozen(t, place, card(1));
    return (await metric(engine.place, 'card_cache_redis_total{result="overtaken"}')) >= 1;
  });
  await touchAll(place);
  await client.set(await key(card(1)), old!);
  // An engine that began after the change.
  await engine.restart();
  await isFrozen(t, place, card(1));
});

t.test('an entry that is malformed or of another card counts as missing', async (t) => {
  const place = await start(t);
  const { engine, ask, client, key } = place;
  await untilAllAreKept(place);
  await until('they were looked at', async () => {
    await client.set(await key(card(1)), Buffer.from([0xc1, 1, 2, 3]));
    await client.set(await key(card(3)), (await client.getBuffer(await key(card(2))))!);
    await says(ask, card(1), 'approved', 1);
    await says(ask, card(3), 'approved', 1);
    await touchAll(place);
    return (await metric(engine.place, 'card_cache_redis_total{result="malformed"}')) >= 2;
  });
});

t.test('a hanging Redis costs a few lookups, then none, and is used again once it answers', async (t) => {
  const place = await start(t);
  const { engine, redis, ask } = place;
  await touchAll(place);
  redis.pause();
  const late = () => metric(engine.place, 'card_cache_redis_total{result="timeout"}');
  for (let round = 0; round < 5; round++) await touchAll(place);
  t.ok((await late()) >= 1);
  t.ok((await late()) < 20, 'most lookups did not wait for Redis');
  redis.resume();
  const before = await found(engine);
  await until('it is asked again', async () => {
    await touchAll(place);
    return (await found(engine)) > before;
  });
  await redis.stop();
  await says(ask, card(1), 'approved');
  await says(ask, card(5), 'approved');
});

t.test('a storm of unknown cards does not keep evicted cards from returning', async (t) => {
  const place = await start(t, { MAX_IN_FLIGHT: '200' });
  const { engine, postgres, ask } = place;
  await untilAllAreKept(place);
  postgres.stall();
  let isOver = false;
  let unknownCards = 0;
  const askAboutUnknown = async () => {
    const id = `storm-${++unknownCards}`;
    const question = { id, type: 'authorization', card: `missing-${id}`, amount: 1, currency: 'USD' };
    return answerOf(await engine.client.native(question)).reason;
  };
  const storm = async () => {
    const reasons: string[] = [];
    while (!isOver) reasons.push(...(await Promise.all(Array.from({ length: 300 }, askAboutUnknown))));
    return reasons;
  };
  const raging = storm();
  await until('the storm waits', async () => (await metric(engine.place, 'loader_waiting')) >= 100);
  for (let account = 1; account <= accounts; account++) await says(ask, card(account), 'approved');
  isOver = true;
  const reasons = await raging;
  t.ok(
    reasons.filter((reason) => reason === 'overloaded').length >= 100,
    'messages beyond the bound were refused at once',
  );
  t.same([...new Set(reasons)].sort(), ['overloaded', 'system_error']);
  postgres.heal();
});
