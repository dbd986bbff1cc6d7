/**
 * No tenant and no row stops the feed for the others. The tests send changes at every maximum, many at once, and rows
 * that no engine can apply, over real Postgres and both messengers.
 */
import t, { type Test } from 'tap';
import { redisFor } from '../../deploy/testing/for-test.js';
import { answerOf } from '../../engine/testing/client.js';
import { startTestEngine, type TestEngine } from '../../engine/testing/engine-inside.js';
import { metric, opsGet, testSeals, until } from '../../engine/testing/engine-process.js';
import { longestLimits } from '../../engine/testing/longest-limits.js';
import { OutboxChangeFeed } from './change-feed.js';

t.setTimeout(240_000);

const quiet = { info: () => undefined, warn: () => undefined };
const cardsOfOne = 600;
/** Far longer than anything here takes: the tests are about results, not about times. */
const patientMs = 60_000;
const other = 'card_000002_1';
const triesMax = 10;

interface Stage {
  readonly engine: TestEngine;
  readonly feed: OutboxChangeFeed;
  readonly ask: (card: string, amount?: number) => Promise<string>;
  readonly versionOf: (card: string) => Promise<{ key: string; version: number }>;
  readonly health: () => Promise<{ status: string; components: Record<string, { status: string; detail: string }> }>;
}

async function stage(t: Test, withRedis: boolean, changes: Record<string, string> = {}): Promise<Stage> {
  const redis = withRedis ? await redisFor(t) : null;
  const redisUrl = redis?.url ?? '';
  const engine = await startTestEngine(t, {
    accounts: 2,
    cardsPerAccount: cardsOfOne,
    changes: { REDIS_URL: redisUrl, ...changes },
  });
  const feed = new OutboxChangeFeed({
    databaseUrl: engine.place.databaseUrl,
    redisUrl,
    seals: testSeals(),
    log: quiet,
  });
  t.teardown(() => feed.stop());
  await feed.start();
  let asked = 0;
  return {
    engine,
    feed,
    async ask(card, amount = 1) {
      // On a busy machine an answer may take long; what is late is declined, and this is not about that.
      for (let tries = 1; ; tries++) {
        const question = { id: `bounded-${++asked}`, type: 'authorization', card, amount, currency: 'USD' };
        const { reason } = answerOf(await engine.client.native(question));
        if (reason !== 'system_error' || tries === triesMax) return reason;
      }
    },
    async versionOf(card) {
      const [row] = await engine.sql<{ key: string; version: number }[]>`
        select id::text as key, version from cards where token = ${card}`;
      return row!;
    },
    health: async () => JSON.parse((await opsGet(engine.place, '/health')).text),
  };
}

const token = (index: number) => `card_000001_${index}`;
const sample = [1, 2, 99, 100, 101, 200, 299, 300, 450, 599, 600].map(token);

for (const withRedis of [false, true]) {
  const way = withRedis ? 'Redis' : 'Postgres alone';
  t.test(`600 cards at every maximum are frozen at once, and no other tenant waits (${way})`, async (t) => {
    const { engine, feed, ask, versionOf, health } = await stage(t, withRedis);
    const { sql, place } = engine;
    await sql`
      insert into limits (level, entity_id, limits)
      select 0, id, ${sql.json(longestLimits() as never)} from cards where token like 'card_000001_%'`;
    t.equal(
      await feed.effective({ topic: 'card', ...(await versionOf(token(600))) }, patientMs),
      true,
      'the limits are in force',
    );
    // Loaded together: three times as much as a slab has room for.
    const first = await Promise.all(sample.map((card) => ask(card)));
    t.same(new Set(first), new Set(['approved']));
    t.equal(await ask(other), 'approved');
    const all = Array.from({ length: 128 }, (_, index) => token(index + 1));
    t.same(new Set(await Promise.all(all.map((card) => ask(card)))), new Set(['approved']));
    let isOver = false;
    const others = (async () => {
      const reasons = new Set<string>();
      while (!isOver) reasons.add(await ask(other));
      return reasons;
    })();
    await sql`update cards set status = 'frozen' where token like 'card_000001_%'`;
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(token(600))) }, patientMs), true);
    for (const card of [...sample, ...all]) t.equal(await ask(card), 'card_inactive');
    await until('the engine has been renewed since', async () => (await metric(place, 'feed_queued')) === 0);
    isOver = true;
    t.same(await others, new Set(['approved']));
    t.match((await health()).components, { feed: { status: 'healthy' }, profiles: { status: 'healthy' } });
    t.equal(await metric(place, 'feed_set_apart'), 0);
  });

  t.test(`a row that no engine can apply is set apart, and all later changes continue (${way})`, async (t) => {
    const { engine, feed, ask, versionOf, health } = await stage(t, withRedis);
    const { sql, place } = engine;
    const [bad, good, limited] = [token(1), token(2), token(3)];
    for (const card of [bad, good, limited, other]) t.equal(await ask(card), 'approved');
    // A list that is none; behind it a freeze, in the same batch.
    await sql.begin(async (tx) => {
      await tx`
        insert into limits (level, entity_id, limits)
        select 0, id, '{"mcc": {"block": 5}}' from cards where token = ${bad}`;
      await tx`update cards set status = 'frozen' where token = ${good}`;
    });
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(good)) }, patientMs), true);
    t.equal(await ask(good), 'card_inactive', 'the later freeze is in force');
    t.equal(await ask(bad), 'card_inactive', 'the card that was set apart declines');
    t.equal(await ask(other), 'approved');
    t.equal(
      await feed.effective({ topic: 'card', ...(await versionOf(bad)) }, patientMs),
      false,
      'the limits of the card are not in force, and the API says so',
    );
    const report = await health();
    t.equal(report.status, 'degraded');
    t.match(report.components, {
      feed: { status: 'healthy' },
      profiles: { status: 'unhealthy', detail: /limits have not/ },
    });
    t.equal(await metric(place, 'feed_set_apart'), 1);

    // Frozen it is declined as was asked, whatever its limits are.
    await sql`update cards set status = 'frozen' where token = ${bad}`;
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(bad)) }, patientMs), true);
    await sql`update cards set status = 'active' where token = ${bad}`;
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(bad)) }, patientMs), false);

    // A new engine, which loads the row instead.
    await engine.restart();
    t.equal(await ask(bad), 'card_inactive');
    t.equal(await ask(limited), 'approved');
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(bad)) }, patientMs), false);
    t.match((await health()).components, { profiles: { status: 'unhealthy' } });

    await sql`update limits set limits = '{"perAuthorization": 5}' where level = 0`;
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(bad)) }, patientMs), true);
    t.equal(await ask(bad, 5), 'approved');
    t.equal(await ask(bad, 6), 'limit_exceeded');
    t.match((await health()).components, { profiles: { status: 'healthy' } });
    t.same(await sql`select * from feed_set_apart`, []);
  });

  t.test(`an unreadable entry of the outbox leads to its row, or to nothing (${way})`, async (t) => {
    const { engine, feed, ask, versionOf } = await stage(t, withRedis);
    const { sql, place } = engine;
    const [garbled, behind] = [token(1), token(2)];
    for (const card of [garbled, behind]) t.equal(await ask(card), 'approved');
    const { key } = await versionOf(garbled);
    await sql.begin(async (tx) => {
      await tx`update cards set status = 'frozen' where token = ${garbled}`;
      await tx`update outbox set payload = '{"token": 5}' where key = ${key}`;
      for (const [other, payload] of [
        [key, 'null'],
        ['no number', '[]'],
        ['999999', '{}'],
      ] as const) {
        await tx`insert into outbox (topic, key, version, payload)
          values ('card', ${other}, 2, ${payload}::text::jsonb)`;
      }
      await tx`insert into outbox (topic, key, version, payload) values ('account', '999999', 2, '"text"')`;
      await tx`update cards set status = 'frozen' where token = ${behind}`;
    });
    t.equal(await feed.effective({ topic: 'card', ...(await versionOf(behind)) }, patientMs), true);
    t.equal(await ask(behind), 'card_inactive');
    t.equal(await ask(garbled), 'card_inactive', 'the row was read');
    t.equal(await ask(other), 'approved');
    t.equal(await metric(place, 'feed_set_apart'), 3, 'an entry that names no row is counted');
  });
}

t.test('a profile that is too long is set apart, and a snapshot of many long ones is read', async (t) => {
  const { engine, feed, ask, versionOf } = await stage(t, false);
  const { sql, place } = engine;
  const long = { merchants: { block: Array.from({ length: 40_000 }, (_, index) => `${index}`.padStart(200, 'm')) } };
  for (const card of [token(1), token(2)]) t.equal(await ask(card), 'approved');
  await sql`alter table limits drop constraint limits_bytes`;
  await sql`
    insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json(long)} from cards where token = ${token(1)}`;
  t.equal(await feed.effective({ topic: 'card', ...(await versionOf(token(1))) }, patientMs), false);
  t.equal(await ask(token(1)), 'card_inactive');
  // The outbox no longer reaches back.
  await sql.begin(async (tx) => {
    await tx`
      insert into limits (level, entity_id, limits)
      select 0, id, ${sql.json(longestLimits() as never)} from cards where token <> ${token(1)}`;
    await tx`update cards set status = 'frozen' where token = ${token(2)}`;
    await tx`select feed_number(), feed_prune('0 s', 1000)`;
  });
  await until('the snapshot was read', async () => (await ask(token(2))) === 'card_inactive');
  t.ok((await metric(place, 'feed_snapshots')) >= 1);
  t.equal(await ask(token(1)), 'card_inactive');
  t.equal(await ask(other), 'approved');
  await engine.restart();
  t.equal(await ask(token(1)), 'card_inactive', 'lookups leave long limits out');
  t.equal(await ask(other), 'approved');
});

t.test('an account that cannot be applied does not prevent the restore of its partition', async (t) => {
  const { engine, ask } = await stage(t, false, { PARTITIONS: '1' });
  const { sql } = engine;
  t.equal(await ask(token(1)), 'approved');
  await sql`insert into limits (level, entity_id, limits) select 2, account_id, '{"daily": 5}' from cards
    where token = ${token(1)}`;
  await until('it is declined', async () => (await ask(token(1))) === 'account_inactive');
  await engine.restart();
  t.equal(await ask(token(1)), 'account_inactive');
  t.equal(await ask(other), 'approved');
});
