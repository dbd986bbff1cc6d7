/** A change is effective when every engine that may approve obeys it, by either messenger. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor, redisFor } from '../../deploy/testing/for-test.js';
import type { OwnRedis } from '../../deploy/testing/test-redis.js';
import { appliedChannel, appliedReport } from '../../engine/feed/feed-packet.js';
import { answerOf, Client } from '../../engine/testing/client.js';
import {
  type EngineProcess,
  enginePlace,
  metric,
  opsGet,
  shortLease,
  startEngineProcess,
  testSeals,
  until,
} from '../../engine/testing/engine-process.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { connectRedis } from '../../platform/redis/client.js';
import { Seals } from '../../platform/redis/seal.js';
import { OutboxChangeFeed } from './change-feed.js';
import type { Change } from './outbox.js';

// Several engines start and stop here.
t.setTimeout(300_000);

const quiet = { info: () => undefined, warn: () => undefined };
/** Longer than a test machine may be busy: a false in time is what some tests are about, and they say their own. */
const patientMs = 20_000;

interface Stage {
  readonly sql: postgres.Sql;
  readonly databaseUrl: string;
  readonly feed: OutboxChangeFeed;
  readonly redis: OwnRedis | null;
  engine(changes?: Record<string, string>): Promise<{ engine: EngineProcess; client: Client }>;
  secondFeed(): Promise<OutboxChangeFeed>;
  freeze(card: string, status?: string): Promise<Change>;
}

async function stage(t: Test, withRedis: boolean): Promise<Stage> {
  const database = await databaseFor(t, { connections: 2 });
  const { sql } = database;
  const redis = withRedis ? await redisFor(t) : null;
  const redisUrl = redis?.url ?? '';
  await seedAccounts(sql, { accounts: 20, cardsPerAccount: 2, balanceMinor: 100_000 });
  const secondFeed = async () => {
    const feed = new OutboxChangeFeed({ databaseUrl: database.url, redisUrl, seals: testSeals(), log: quiet });
    t.teardown(() => feed.stop());
    await feed.start();
    return feed;
  };
  return {
    sql,
    databaseUrl: database.url,
    redis,
    feed: await secondFeed(),
    secondFeed,
    async engine(changes = {}) {
      const place = await enginePlace(database.url, folderFor(t));
      const engine = await startEngineProcess(place, { REDIS_URL: redisUrl, ...changes });
      const client = new Client(place.authPort);
      t.teardown(async () => {
        client.close();
        await engine.kill('SIGKILL');
      });
      return { engine, client };
    },
    async freeze(card, status = 'frozen') {
      const [row] = await sql<{ key: string; version: number }[]>`
        update cards set status = ${status}, version = version + 1 where token = ${card}
        returning id::text as key, version`;
      return { topic: 'card', key: row!.key, version: row!.version };
    },
  };
}

let asked = 0;
async function ask(client: Client, card: string): Promise<string> {
  const id = `effective-${++asked}`;
  return answerOf(await client.authorize(id, card)).reason;
}

for (const withRedis of [false, true]) {
  const way = withRedis ? 'by Redis' : 'by LISTEN/NOTIFY';

  t.test(`no card is approved after its freeze was effective, ${way}`, { timeout: 120_000 }, async (t) => {
    const { feed, engine: start, freeze } = await stage(t, withRedis);
    const { client, engine } = await start();
    await until('the relay leads', () => feed.health().isLeader);
    for (let round = 0; round < 50; round++) {
      const card = `card_${String(1 + (round % 20)).padStart(6, '0')}_1`;
      t.equal(await ask(client, card), 'approved');
      t.equal(await feed.effective(await freeze(card), patientMs), true);
      t.equal(await ask(client, card), 'card_inactive');
      t.equal(await feed.effective(await freeze(card, 'active'), patientMs), true);
    }
    t.equal(await metric(engine.place, 'feed_snapshots'), 0);
    const { components } = JSON.parse((await opsGet(engine.place, '/health')).text);
    t.match(components.feed, { status: 'healthy' });
    t.match(components.redis, { status: withRedis ? 'healthy' : 'disabled' });
  });

  t.test(`a change made by a process without the relay is effective too, ${way}`, { timeout: 60_000 }, async (t) => {
    const { feed, secondFeed, engine: start, freeze } = await stage(t, withRedis);
    const other = await secondFeed();
    const { client } = await start();
    await until('one of them leads', () => feed.health().isLeader !== other.health().isLeader);
    const [leader, follower] = feed.health().isLeader ? [feed, other] : [other, feed];
    t.equal(await ask(client, 'card_000001_1'), 'approved');
    t.equal(await follower.effective(await freeze('card_000001_1'), patientMs), true);
    t.equal(await ask(client, 'card_000001_1'), 'card_inactive');
    await leader.stop();
    t.equal(await follower.effective(await freeze('card_000001_1', 'active'), patientMs), true, 'no relay leads');
    t.equal(await ask(client, 'card_000001_1'), 'approved');
    await until('the other takes over', () => follower.health().isLeader);
    t.equal(await follower.effective(await freeze('card_000001_1'), patientMs), true);
    t.equal(await ask(client, 'card_000001_1'), 'card_inactive');
  });
}

t.test('a feed that is stopped during its start keeps no connection open', async (t) => {
  const database = await databaseFor(t);
  const open = new Set<Socket>();
  const redis = createServer((socket) => {
    open.add(socket.resume());
    socket.on('close', () => open.delete(socket)).on('error', () => undefined);
  });
  redis.listen(0, '127.0.0.1');
  await once(redis, 'listening');
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    redis.close();
  });
  const { port } = redis.address() as AddressInfo;
  const feed = new OutboxChangeFeed({
    databaseUrl: database.url,
    redisUrl: `redis://127.0.0.1:${port}`,
    seals: testSeals(),
    log: quiet,
  });
  await feed.start();
  await feed.stop();
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(open.size, 0);
});

t.test('a report of a foreign engine does not make a change effective', async (t) => {
  const { feed, engine: start, freeze, redis, sql } = await stage(t, true);
  const { engine, client } = await start();
  await until('it approves', async () => (await ask(client, 'card_000001_1')) === 'approved');
  await until('the relay leads', () => feed.health().isLeader);
  const [named] = await sql<{ feed: string; engine: string }[]>`
    select feed_id()::text as feed, id::text as engine from feed_engines`;
  engine.child.kill('SIGSTOP');
  t.teardown(() => engine.child.kill('SIGCONT'));
  const change = await freeze('card_000001_1');
  const channel = appliedChannel(named!.feed);
  const report = Buffer.from(appliedReport(named!.engine, 1_000_000, 0));
  const intruder = connectRedis(redis!.url, { name: 'intruder' });
  t.teardown(() => intruder.disconnect());
  await until('the intruder is connected', () => intruder.status === 'ready');
  const confirmed = feed.effective(change, 2000);
  for (const bytes of [report, new Seals(['not ours']).seal(channel, report), testSeals().seal('elsewhere', report)]) {
    await intruder.publish(channel, bytes);
  }
  t.equal(await confirmed, false);
  await intruder.publish(channel, testSeals().seal(channel, report));
  t.equal(await feed.effective(change, patientMs), true, 'the same report counts with our seal');
});

t.test('a change waits for a hanging engine until it has stopped by itself', { timeout: 120_000 }, async (t) => {
  const { feed, engine: start, freeze } = await stage(t, false);
  const { engine, client } = await start({ FEED_STALE_MS_MAX: '2000', DEADLINE_MS: '500' });
  await until('it approves', async () => (await ask(client, 'card_000001_1')) === 'approved');
  engine.child.kill('SIGSTOP');
  const change = await freeze('card_000001_1');
  const { isInForce, engines, afterMs } = await feed.effect(change, 300);
  t.equal(isInForce, false, 'the hanging engine may still approve');
  t.match(engines, { inForce: 0, of: 1, waiting: [feed.health().engines[0]!.id] }, 'and is named');
  t.ok(afterMs >= 299);
  await until('it is left out', () => feed.effective(change, 300));
  // Sent while it stands still, and long after the freeze was effective.
  const answers = Array.from({ length: 20 }, () => ask(client, 'card_000001_1'));
  await delay(100);
  engine.child.kill('SIGCONT');
  for (const reason of await Promise.all(answers)) t.not(reason, 'approved');
  await until('it has caught up', async () => (await ask(client, 'card_000002_1')) === 'approved');
  t.equal(await ask(client, 'card_000001_1'), 'card_inactive');
  t.equal(await feed.effective(change, patientMs), true);
});

t.test('a change does not wait for a killed engine once its successor runs', { timeout: 60_000 }, async (t) => {
  const { feed, engine: start, freeze } = await stage(t, false);
  const { engine } = await start(shortLease);
  await engine.kill('SIGKILL');
  t.equal(await feed.effective(await freeze('card_000001_1'), 300), false, 'the engine might only be slow');
  const { client } = await start(shortLease);
  t.equal(await feed.effective(await freeze('card_000002_1'), patientMs), true);
  t.equal(await ask(client, 'card_000001_1'), 'card_inactive');
  t.equal(await ask(client, 'card_000002_1'), 'card_inactive');
});

t.test('numbers that a crash of Postgres gave to other changes hide no change', { timeout: 60_000 }, async (t) => {
  const { sql, feed, engine: start, freeze } = await stage(t, true);
  const { engine, client } = await start();
  await until('the relay leads', () => feed.health().isLeader);
  t.equal(await ask(client, 'card_000001_1'), 'approved');
  t.equal(await ask(client, 'card_000002_1'), 'approved');
  const crash = await sql.reserve();
  await crash`begin`;
  const [early] = await crash<{ key: string; version: number }[]>`
    update cards set status = 'frozen', version = version + 1 where token = 'card_000002_1'
    returning id::text as key, version`;
  const late = await freeze('card_000001_1');
  t.equal(await feed.effective(late, patientMs), true);
  // As recovery leaves it when the commits of the changes were on disk, and that of the number was not. Numbered
  // again, the change that the engine does not know comes first: under the number of the one that it has.
  await crash`select pg_advisory_xact_lock(1717921124)`;
  await crash`update outbox set sequence = null`;
  await crash`update feed_position set newest = 0`;
  await crash`truncate feed_run`;
  await crash`commit`;
  crash.release();
  t.equal(await feed.effective({ topic: 'card', key: early!.key, version: early!.version }, patientMs), true);
  t.equal(await ask(client, 'card_000002_1'), 'card_inactive');
  t.equal(await ask(client, 'card_000001_1'), 'card_inactive');
  t.equal(await metric(engine.place, 'feed_snapshots'), 1);
});

t.test('without engines every change is effective, and a missing change is not', async (t) => {
  const { feed, freeze } = await stage(t, false);
  const change = await freeze('card_000001_1');
  t.equal(await feed.effective(change, patientMs), true);
  t.equal(await feed.effective({ ...change, version: change.version + 1 }, 200), false);
});

t.test('a card that was frozen during its lookup is not approved', { timeout: 60_000 }, async (t) => {
  const { databaseUrl, feed, engine: start, freeze } = await stage(t, true);
  const proxy = await TcpProxy.start(Number(new URL(databaseUrl).port));
  t.teardown(() => proxy.close());
  const { client } = await start({ DATABASE_URL: proxy.url(databaseUrl) });
  await until('the relay leads', () => feed.health().isLeader);
  for (let account = 1; account <= 10; account++) {
    const card = `card_${String(account).padStart(6, '0')}_1`;
    // The other card loads the account and opens connections.
    await ask(client, card.replace('_1', '_2'));
    proxy.delayMs = 200;
    const first = ask(client, card);
    // The question is at the database after 200 ms, the answer here after 400; the freeze comes by Redis in between.
    await delay(200 + account * 15);
    const change = await freeze(card);
    t.equal(await feed.effective(change, patientMs), true);
    // Or system_error: the database is so far away that a new connection takes longer than it may.
    t.not(await ask(client, card), 'approved');
    await first;
    t.not(await ask(client, card), 'approved');
    proxy.delayMs = 0;
    await until('it is known', async () => (await ask(client, card)) === 'card_inactive');
  }
});
