import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { OwnRedis } from '../../deploy/testing/test-redis.js';
import { answerOf, Client } from '../../engine/testing/client.js';
import {
  type EngineProcess,
  enginePlace,
  metric,
  startEngineProcess,
  testSeals,
  until,
} from '../../engine/testing/engine-process.js';
import { testSeed } from '../../engine/testing/runs.js';
import { TcpProxy } from '../../engine/testing/tcp-proxy.js';
import { connectRedis } from '../../platform/redis/client.js';
import { OutboxChangeFeed } from './change-feed.js';
import type { Change } from './outbox.js';
import { ChaosBridge, honest } from './testing/chaos-bridge.js';
import { OldCards } from './testing/old-cards.js';

t.setTimeout(0);

const seconds = Number(process.env['FEED_SECONDS'] ?? 20);
const accounts = 40;
const amount = 50;
/** Connections that the test may open. */
const outstandingMax = 2000;
/** Few cards fit into memory: they are evicted and read again all the time, also while they change. */
const engineChanges = { FEED_STALE_MS_MAX: '1500', DEADLINE_MS: '1000', CARDS_MAX: '24' };
const quiet = { info: () => undefined, warn: () => undefined };

/** mulberry32: faults that a seed brings back. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One account with its user and card, changed by one loop. */
interface Subject {
  readonly card: string;
  readonly account: string;
  readonly user: string;
  /** Rises with every change; odd while something that blocks is effective. */
  epoch: number;
  isBlocked: boolean;
}

type Step = (sql: postgres.Sql, subject: Subject, blocks: boolean) => Promise<Change>;

const limitsWhile = (blocks: boolean) => (blocks ? { perAuthorization: amount - 1 } : {});

async function changed(
  topic: Change['topic'],
  rows: PromiseLike<readonly { key: string; version: number }[]>,
): Promise<Change> {
  const [row] = await rows;
  return { topic, key: row!.key, version: row!.version };
}

const statusStep =
  (topic: Change['topic'], name: (subject: Subject) => string, column: string): Step =>
  (sql, subject, blocks) =>
    changed(
      topic,
      sql<{ key: string; version: number }[]>`
        update ${sql(`${topic}s`)} set status = ${blocks ? 'frozen' : 'active'}, version = version + 1
        where ${sql(column)} = ${name(subject)} returning id::text as key, version`,
    );

const limitStep =
  (topic: Change['topic'], level: number, name: (subject: Subject) => string, column: string): Step =>
  (sql, subject, blocks) =>
    changed(
      topic,
      sql<{ key: string; version: number }[]>`
        with owner as (
          update ${sql(`${topic}s`)} set version = version + 1 where ${sql(column)} = ${name(subject)} returning id,
          version
        ), limited as (
          insert into limits (level, entity_id, limits)
          select ${level}::smallint, id, ${sql.json(limitsWhile(blocks))} from owner
          on conflict (level, entity_id) do update set limits = excluded.limits
        )
        select id::text as key, version from owner`,
    );

const steps: readonly Step[] = [
  statusStep('card', ({ card }) => card, 'token'),
  statusStep('user', ({ user }) => user, 'public_id'),
  statusStep('account', ({ account }) => account, 'public_id'),
  limitStep('card', 0, ({ card }) => card, 'token'),
  limitStep('user', 1, ({ user }) => user, 'public_id'),
  limitStep('account', 2, ({ account }) => account, 'public_id'),
];

t.test('no card is approved against an effective change, whatever breaks', async (t) => {
  const random = randomOf(testSeed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const between = (low: number, high: number) => low + random() * (high - low);

  const database = await databaseFor(t, { connections: 10 });
  const { sql } = database;
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 1_000_000_000 });
  const [relaysRedis, enginesRedis] = [await OwnRedis.start(), await OwnRedis.start()];
  const postgresProxy = await TcpProxy.start(Number(new URL(database.url).port));
  const [named] = await sql<{ id: string }[]>`select feed_id() as id`;
  const bridge = new ChaosBridge(relaysRedis.url, enginesRedis.url, named!.id, random);
  const newFeed = async () => {
    const feed = new OutboxChangeFeed({
      databaseUrl: database.url,
      redisUrl: relaysRedis.url,
      seals: testSeals(),
      log: quiet,
    });
    await feed.start();
    return feed;
  };
  const feeds = [await newFeed(), await newFeed()];
  const dataDir = folderFor(t);
  const place = await enginePlace(postgresProxy.url(database.url), dataDir);
  const startEngine = () => startEngineProcess(place, { ...engineChanges, REDIS_URL: enginesRedis.url });
  let engine: EngineProcess = await startEngine();
  const client = new Client(place.authPort);

  const cache = new OldCards(sql, enginesRedis.url, random);
  const counts = { changes: 0, effective: 0, unknown: 0, approved: 0, declined: 0, blocked: 0, lost: 0 };
  const violations: string[] = [];
  let isOver = false;
  let isEnginePaused = false;

  const subjects: Subject[] = Array.from({ length: accounts }, (_, index) => {
    const number = String(index + 1).padStart(6, '0');
    const [card, account, user] = [`card_${number}_1`, `acct_${number}`, `usr_${number}`];
    return { card, account, user, epoch: 0, isBlocked: false };
  });

  async function change(subject: Subject): Promise<void> {
    const step = pick(steps);
    await step(sql, subject, true).then(async (made) => {
      counts.changes++;
      const isEffective = await pick(feeds).effective(made, 1000);
      if (!isEffective) counts.unknown++;
      else {
        counts.effective++;
        subject.epoch++;
        subject.isBlocked = true;
      }
    });
    // Now and then longer than an engine may stand still.
    await delay(random() < 0.1 ? between(500, 4000) : between(1, 200));
    // A freeze that became effective while the engine stood still is kept until it goes on, late questions in hand.
    while (isEnginePaused) await delay(50);
    // Before the database has it: from here on an approval may be right.
    subject.isBlocked = false;
    await step(sql, subject, false);
    counts.changes++;
    await delay(between(20, 300));
  }

  let questions = 0;
  let outstanding = 0;
  async function ask(subject: Subject): Promise<void> {
    const { isBlocked, epoch } = subject;
    outstanding++;
    const id = `freeze-${++questions}`;
    try {
      const reply = await client.authorize(id, subject.card, amount);
      const { approved, reason } = answerOf(reply);
      if (isBlocked) counts.blocked++;
      if (!approved) counts.declined++;
      else if (isBlocked && subject.isBlocked && subject.epoch === epoch) {
        violations.push(`${id} of ${subject.card}: ${reason} in epoch ${epoch}`);
      } else counts.approved++;
    } catch {
      // The engine was killed: the outcome is unknown.
      counts.lost++;
    } finally {
      outstanding--;
    }
  }

  const still = async (target: { pause(): void; resume(): void }, ms: number) => {
    target.pause();
    await delay(ms);
    target.resume();
  };
  const killClients = async (redis: OwnRedis) => {
    const admin = connectRedis(redis.url, { name: 'test' });
    admin.on('error', () => undefined);
    await until('Redis answers', () => admin.status === 'ready', 2000).catch(() => undefined);
    await admin.call('CLIENT', 'KILL', 'TYPE', pick(['pubsub', 'normal'])).catch(() => undefined);
    await admin.call('FLUSHALL').catch(() => undefined);
    admin.disconnect();
  };
  const happened = new Map<string, number>();
  const faults: Readonly<Record<string, () => Promise<void>>> = {
    'messages lost': async () => {
      bridge.odds = { lost: 0.3, repeated: 0, delayed: 0, delayMsMax: 0 };
      await delay(between(200, 1000));
    },
    'messages repeated and reordered': async () => {
      bridge.odds = { lost: 0.05, repeated: 0.5, delayed: 0.5, delayMsMax: between(1, 300) };
      await delay(between(200, 1000));
    },
    'no messages': async () => {
      bridge.isDown = true;
      await delay(between(100, 2500));
      bridge.isDown = false;
    },
    'Redis of the engine paused': () => still(enginesRedis, between(50, 2500)),
    'Redis of the relay paused': () => still(relaysRedis, between(50, 2500)),
    'Redis restarted empty': () => pick([enginesRedis, relaysRedis]).restart(),
    'Redis gone': async () => {
      await enginesRedis.stop();
      await delay(between(100, 1500));
      await enginesRedis.restart();
    },
    'clients killed, Redis flushed': () => killClients(pick([enginesRedis, relaysRedis])),
    'way to Postgres cut': async () => {
      postgresProxy.cut();
      await delay(between(50, 2500));
      postgresProxy.heal();
    },
    'way to Postgres stalled': async () => {
      postgresProxy.stall();
      await delay(between(50, 2500));
      postgresProxy.heal();
    },
    'Postgres far away': async () => {
      // Changes come by Redis, while loads that began before them are still on their way.
      postgresProxy.delayMs = between(2, 40);
      await delay(between(500, 1500));
      postgresProxy.delayMs = 0;
    },
    'Redis has what it had before': async () => {
      const kept = await cache.dump();
      await delay(between(200, 2500));
      await cache.restore(kept);
    },
    'relay replaced': async () => {
      const index = Math.floor(random() * feeds.length);
      const old = feeds[index]!;
      feeds[index] = await newFeed();
      await old.stop();
    },
    'engine paused': async () => {
      isEnginePaused = true;
      engine.child.kill('SIGSTOP');
      // Longer than it is waited for, or not.
      await delay(random() < 0.3 ? between(20, 800) : between(3000, 4500));
      engine.child.kill('SIGCONT');
      await delay(100);
      isEnginePaused = false;
    },
    'engine killed': async () => {
      await countLooks();
      await engine.kill('SIGKILL');
      postgresProxy.heal();
      engine = await startEngine();
    },
    nothing: () => delay(between(100, 600)),
  };

  const looks = { hit: 0, overtaken: 0, miss: 0, timeout: 0 };
  /** An engine's counters end with it. */
  async function countLooks(): Promise<void> {
    for (const result of Object.keys(looks) as (keyof typeof looks)[]) {
      looks[result] += await metric(place, `card_cache_redis_total{result="${result}"}`);
    }
  }

  async function breakThings(): Promise<void> {
    const names = Object.keys(faults);
    let next = 0;
    while (!isOver) {
      // Each once before any comes again, in an order of the seed's.
      if (next % names.length === 0) names.sort(() => random() - 0.5);
      const name = names[next++ % names.length]!;
      happened.set(name, (happened.get(name) ?? 0) + 1);
      await faults[name]!();
      bridge.odds = honest;
      await delay(between(20, 300));
    }
  }

  const loops = [
    ...subjects.map((subject) => async () => {
      while (!isOver) await change(subject);
    }),
    async () => {
      // On a schedule, whether answers come or not: an engine that stands still must find questions when it goes on.
      while (!isOver) {
        const blocked = subjects.filter(({ isBlocked }) => isBlocked);
        for (let count = 0; count < 4 && outstanding < outstandingMax; count++) {
          void ask(blocked.length > 0 && random() < 0.6 ? pick(blocked) : pick(subjects));
        }
        await delay(10);
      }
      await until('every question has an answer', () => outstanding === 0);
    },
    async () => {
      while (!isOver) {
        void cache.writeLate(pick(subjects).card, between(0, 1500));
        await delay(between(5, 50));
      }
    },
  ];
  const breaking = breakThings();
  const running = loops.map((loop) => loop());
  await delay(seconds * 1000);
  isOver = true;
  await Promise.all([...running, breaking]);

  await countLooks();
  t.comment(JSON.stringify(counts));
  t.comment(`cards in Redis: ${JSON.stringify(looks)}, written late ${cache.written}, restored ${cache.restored}`);
  t.comment(JSON.stringify(Object.fromEntries(happened)));
  t.comment(
    `bridge: passed ${bridge.passed}, lost ${bridge.lost}, repeated ${bridge.repeated}, delayed ${bridge.delayed}`,
  );
  t.same(violations, [], 'no approval is later than an effective freeze');
  t.ok(counts.effective > 100 && counts.blocked > 100 && counts.approved > 100, 'the scenario occurred often enough');
  t.ok(looks.hit > 100 && looks.overtaken > 10, 'cards came back from Redis, and some of them too late');

  // Whatever was missed comes by itself.
  const [position] = await sql<{ newest: number }[]>`select newest::float8 as newest from feed_number()`;
  await until(
    'the engine has caught up',
    async () => (await metric(place, 'feed_sequence')) >= position!.newest,
    60_000,
  );
  await until('it approves again', async () => {
    const reply = await client.native({ id: `again-${++questions}`, type: 'balance_inquiry', card: subjects[0]!.card });
    return answerOf(reply).reason !== 'system_error';
  });
  // A last change everywhere, in force on the healed engine.
  for (const [index, subject] of subjects.entries()) {
    const made = await steps[index % steps.length]!(sql, subject, true);
    t.equal(await feeds[index % 2]!.effective(made, 20_000), true);
    const reply = await client.authorize(`last-${index}`, subject.card, amount);
    t.equal(answerOf(reply).approved, false);
  }

  client.close();
  await engine.kill('SIGKILL');
  await Promise.all(feeds.map((feed) => feed.stop()));
  bridge.stop();
  cache.stop();
  await Promise.all([relaysRedis.stop(), enginesRedis.stop(), postgresProxy.close()]);
});
