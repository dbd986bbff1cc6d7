/**
 * Partitions that move between engines while something else breaks, one fault a test. The client with its own ledger of
 * cluster.slow.ts asks meanwhile: nothing acknowledged is lost, nothing happens twice, and freezes stay in force.
 * TEST_SEED repeats the choices of a run (not its timing).
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { FrozenCards } from '../../api/testing/frozen-cards.js';
import { auditFrames } from '../../deploy/audit/audit-frames.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor, redisFor } from '../../deploy/testing/for-test.js';
import { TestNginx } from '../../deploy/testing/test-nginx.js';
import { Random } from '../protocols/testing/mutate.js';
import { answerOf, Connection } from '../testing/client.js';
import { CrashRun, eventsOf, judgeBooks } from '../testing/crash-run.js';
import { metric, until } from '../testing/engine-process.js';
import { askable, FleetEngine } from '../testing/fleet.js';
import { Ledger } from '../testing/ledger.js';
import { testSeed } from '../testing/runs.js';
import { card, type Engine, owned, severalEngines, untilSpread } from '../testing/several-engines.js';

const accounts = 24;
const fundsMinor = 2_000_000;
const partitions = 6;
const environment = {
  PARTITIONS: String(partitions),
  WORKERS: '1',
  LEASE_MS: '1500',
  DEADLINE_MS: '1000',
  FEED_STALE_MS_MAX: '2000',
};
const faultMs = 2_000;
const rounds = 2;

t.setTimeout(0);

type Act = (engines: readonly FleetEngine[], round: number, random: Random, sql: postgres.Sql) => Promise<void>;

/** Moves and faults while a client asks; then the client compares everything with its own ledger. */
async function underTraffic(t: Test, act: Act, changes: Readonly<Record<string, string>> = {}): Promise<void> {
  t.setTimeout(0);
  const random = new Random(testSeed);
  const { sql, url } = await databaseFor(t);
  const redis = await redisFor(t);
  await seedAccounts(sql, { accounts, cardsPerAccount: 2, balanceMinor: fundsMinor });
  const services = { databaseUrl: url, redisUrl: redis.url, dataDir: folderFor(t) };
  const engines: FleetEngine[] = [];
  for (const name of ['a', 'b', 'c']) {
    engines.push(await FleetEngine.make(t, name, services, { ...environment, ...changes }));
  }
  await Promise.all(engines.map((engine) => engine.start()));
  const ledger = new Ledger(random, accounts, 2, fundsMinor, 2);
  const run = new CrashRun(t, ledger, new Random(testSeed + 1), askable(engines), true);
  t.teardown(async () => {
    if (t.passing()) return;
    for (const { name, process } of engines) t.comment(`${name} said:\n${process?.logged}`);
    for (const line of await eventsOf(sql, run.suspects)) t.comment(line);
  });
  const frozen = await FrozenCards.start(t, { ...services, opsPort: engines[2]!.place.opsPort });
  const places = setInterval(() => {
    const asked = askable(engines);
    if (asked.length > 0) run.places = asked;
  }, 20);
  t.teardown(() => clearInterval(places));
  const living = run.live(Number.POSITIVE_INFINITY);
  const freezing = frozen.live(() => run.places, new Random(testSeed + 2));
  await Promise.race([until('there is traffic', () => ledger.acknowledged.length > 0), living]);
  for (let round = 0; round < rounds; round++) {
    await Promise.race([act(engines, round, random, sql), living, freezing]);
    await untilEven(engines);
  }
  run.isEnding = true;
  frozen.isEnding = true;
  await Promise.all([living, freezing]);
  run.isEnding = false;
  run.recheckAll();
  await run.live(0);
  t.equal(ledger.unknown.size, 0, 'every message received an answer in the end');
  for (const engine of engines) await engine.stop();
  await judgeBooks(t, sql, ledger, 0);
  t.same((await auditFrames(sql)).findings, [], 'the frames agree with the books');
  t.ok(frozen.checks > 0, 'freezes were in force');
  t.comment(`${ledger.acknowledged.length} messages acknowledged, ${frozen.freezes} freezes in force`);
}

/** Every engine has its share: the moves are over. */
async function untilEven(engines: readonly FleetEngine[]): Promise<void> {
  await until(
    'the partitions are spread evenly',
    async () => {
      const counts = await Promise.all(
        engines.map(({ place }) => metric(place, 'partitions_owned').catch(() => Number.NaN)),
      );
      return counts.every((count) => count === partitions / engines.length);
    },
    60_000,
  );
}

/** So far into a move, which takes a tenth of a second. */
const within = (random: Random) => delay(random.below(300));

/** An engine leaves, and comes back. @param meanwhile what breaks while its partitions move */
async function leaveAndReturn(engine: FleetEngine, meanwhile: () => Promise<void>): Promise<void> {
  const left = engine.stop();
  await Promise.all([left, meanwhile()]);
  await engine.start();
}

t.test('the database is away for all engines while partitions move', async (t) => {
  await underTraffic(t, (engines, round, random) =>
    leaveAndReturn(engines[round % 3]!, async () => {
      await within(random);
      for (const { database } of engines) database.cut();
      await delay(faultMs);
      for (const { database } of engines) database.heal();
    }),
  );
});

t.test('Redis is away for all engines while partitions move', async (t) => {
  await underTraffic(t, (engines, round, random) =>
    leaveAndReturn(engines[round % 3]!, async () => {
      await within(random);
      for (const { redis } of engines) redis.cut();
      await delay(faultMs);
      for (const { redis } of engines) redis.heal();
    }),
  );
});

t.test('the engine that gives partitions away stands still in the middle of it', async (t) => {
  await underTraffic(t, async (engines, round, random) => {
    const engine = engines[round % 3]!;
    await leaveAndReturn(engine, async () => {
      const { child } = engine.process!;
      await within(random);
      child.kill('SIGSTOP');
      await delay(faultMs);
      child.kill('SIGCONT');
    });
  });
});

t.test('the engine that takes partitions over stands still in the middle of it', async (t) => {
  await underTraffic(t, async (engines, round, random) => {
    const engine = engines[(round + 1) % 3]!;
    await leaveAndReturn(engines[round % 3]!, async () => {
      await within(random);
      await engine.standStill(faultMs);
    });
  });
});

t.test('an engine that lives and is declared dead loses nothing that it acknowledged', async (t) => {
  const act: Act = async (engines, round, _random, sql) => {
    const engine = engines[round % 3]!;
    engine.peers.cut();
    engine.database.cut();
    await until('the others have declared it dead', async () => {
      const dead = await sql`
        select from engines where ops_url like ${`%:${engine.place.opsPort}`} and declared_dead > 0`;
      return dead.length > 0;
    });
    engine.database.heal();
    engine.peers.heal();
  };
  // Long enough that none has ended by itself.
  await underTraffic(t, act, { LEASE_MS: '6000' });
});

t.test('a planned stop behind nginx costs no request', async (t) => {
  t.setTimeout(0);
  const { start, url } = await severalEngines(t);
  t.ok(url);
  const engines = await Promise.all([start(), start(), start()]);
  await untilSpread(engines);
  const nginx = await TestNginx.start({
    engines: engines.map(({ place }) => ({
      auth: `127.0.0.1:${place.authPort}`,
      ops: `127.0.0.1:${place.opsPort}`,
      weight: 1,
    })),
    apis: [{ api: '127.0.0.1:1', weight: 1 }],
  });
  t.teardown(() => nginx.stop());
  let isEnding = false;
  const failed: string[] = [];
  let count = 0;
  let longestMs = 0;
  // Kept connections, and new ones: nginx keeps its own to the engine that stops.
  const ask = async (worker: number): Promise<void> => {
    let connection = new Connection(nginx.authPort);
    while (!isEnding) {
      const id = `${worker}-${++count}`;
      const body = JSON.stringify({
        id,
        type: 'authorization',
        card: card(1 + (count % 24)),
        amount: 1,
        currency: 'USD',
      });
      const sentAtMs = performance.now();
      const { status, body: said } = await connection.ask({ body });
      longestMs = Math.max(longestMs, performance.now() - sentAtMs);
      if (status !== 200) failed.push(`${status} ${said}`);
      if (count % 10 === 0 || !connection.isOpen) {
        connection.close();
        connection = new Connection(nginx.authPort);
      }
      await delay(5);
    }
    connection.close();
  };
  const asking = Array.from({ length: 8 }, (_, worker) => ask(worker));
  await until('there is traffic', () => count > 200);
  for (const engine of engines.slice(0, 2)) {
    t.equal(await engine.kill('SIGTERM'), 0);
    await until('the others have everything', async () => (await owned(engines[2]!)) >= partitions / 2);
  }
  const stopped = count;
  await until('traffic goes on', () => count > stopped + 200);
  isEnding = true;
  await Promise.all(asking);
  t.same(failed, []);
  t.comment(`${count} messages, the longest took ${longestMs.toFixed(0)} ms`);
});

/** A module that sets the clock of a process forward, as the system clock of another machine. */
const clockAhead = (ms: number) => {
  const module = `const now = Date.now; Date.now = () => now() + ${ms};`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(module)}` };
};

t.test('a limit of a day holds over engines whose clocks are on two sides of midnight', async (t) => {
  const { start, sql } = await severalEngines(t);
  await sql`
    insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ daily: { amount: 100 } })} from cards`;
  const dayMs = 86_400_000;
  const first = await start(clockAhead(dayMs - (Date.now() % dayMs) + 60_000));
  t.equal(answerOf(await first.client.authorize('tomorrow', card(1), 80)).approved, true);
  const second = await start();
  await first.kill('SIGTERM');
  await until('the second engine has everything', async () => (await owned(second)) === partitions);
  const [row] = await sql`select created_at > now() as "isAhead" from transactions where id = 'tomorrow'`;
  t.equal(row?.['isAhead'], true, 'its clock was ahead');
  // Its own day has not ended, and the card has spent in the next one.
  t.match(answerOf(await second.client.authorize('today', card(1), 80)), { approved: false, reason: 'limit_exceeded' });
  t.equal(answerOf(await second.client.authorize('rest', card(1), 20)).approved, true);
  t.match(answerOf(await second.client.authorize('over', card(1), 1)), { approved: false, reason: 'limit_exceeded' });
  t.match(answerOf(await second.client.authorize('tomorrow', card(1), 80)), { approved: true }, 'a repeat');
});

t.test('a limit that was lowered and seen stays in force while partitions move', async (t) => {
  const { start, sql } = await severalEngines(t);
  let engines: readonly Engine[] = await Promise.all([start(), start()]);
  await untilSpread(engines);
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    const token = card(1 + round);
    const ask = async () => {
      const { client } = engines[++count % engines.length]!;
      return client.authorize(`lowered-${count}`, token, 60);
    };
    const approved = async () => {
      const reply = await ask();
      return reply.status === 200 && answerOf(reply).approved;
    };
    t.equal(await approved(), true);
    const [leaving, staying] = engines as readonly [Engine, Engine];
    const left = leaving.kill('SIGTERM');
    engines = [staying];
    await sql`
      insert into limits (level, entity_id, limits)
      select 0, id, ${sql.json({ perAuthorization: 50 })} from cards where token = ${token}`;
    await until('the limit is in force', async () => answerOf(await ask()).reason === 'limit_exceeded');
    await left;
    const next = start();
    for (let look = 0; look < 100; look++) if (await approved()) t.fail('approved above the limit');
    engines = [staying, await next];
    await untilSpread(engines);
    for (let look = 0; look < 20; look++) if (await approved()) t.fail('approved above the limit');
  }
});
