/**
 * kill -9 at any moment, again and again, also while it recovers. An answered id gets the same answer for ever, no id
 * gets two answers, and the books are exactly what was acknowledged. CRASH_KILLS sets how many kills, TEST_SEED repeats
 * the choices of a run (not its timing).
 */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { Random } from '../protocols/testing/mutate.js';
import { CrashRun, judgeBooks } from '../testing/crash-run.js';
import { EngineProcess, enginePlace } from '../testing/engine-process.js';
import { Ledger } from '../testing/ledger.js';
import { testSeed } from '../testing/runs.js';

const { CRASH_KILLS = '8' } = process.env;
const killsWanted = Number(CRASH_KILLS);

const accounts = 40;
const cardsPerAccount = 3;
const fundsMinor = 2_000_000;
const hotAccounts = 3;
/** Of each of those in flight after the last kill: a few kills on a slow machine leave hardly any traffic to judge. */
const lastTrafficMessages = 60;

t.setTimeout(0);

const quarter = Math.floor(killsWanted / 4);
t.test('one partition keeps every acknowledged message through each kill', (t) =>
  crash(t, 1, killsWanted - 2 * quarter, 'local'),
);
t.test('two partitions keep every acknowledged message through each kill', (t) => crash(t, 2, quarter, 'local'));
t.test('partitions with their journal in Postgres keep every acknowledged message through each kill', (t) =>
  crash(t, 2, quarter, 'postgres'),
);

/** Short, so that approvals are revoked as well: some answers come too late. */
const deadlineMs = '100';

async function crash(t: Test, workers: number, kills: number, journal: 'local' | 'postgres'): Promise<void> {
  // However many kills were asked for; the runner has a limit of its own.
  t.setTimeout(0);
  const random = new Random(testSeed + workers);
  const { sql, url } = await databaseFor(t);
  const dataDir = folderFor(t);
  let engine: EngineProcess | undefined;
  t.teardown(() => engine?.kill('SIGKILL'));
  await seedAccounts(sql, { accounts, cardsPerAccount, balanceMinor: fundsMinor });
  const place = await enginePlace(url, dataDir);
  // Less memory than the traffic needs: accounts, cards and transactions are evicted and loaded again all the time.
  const bounds = { ACCOUNTS_MAX: '32', CARDS_MAX: '64', HOLDS_MAX: '2048' };
  const changes = {
    JOURNAL: journal,
    LEASE_MS: '500',
    PARTITIONS: String(workers),
    DEADLINE_MS: deadlineMs,
    ...bounds,
  };
  const start = () => new EngineProcess(place, changes);

  const ledger = new Ledger(random, accounts, cardsPerAccount, fundsMinor, hotAccounts);
  const run = new CrashRun(t, ledger, random, [place]);
  let duringRecovery = 0;
  for (let kill = 0; kill < kills; kill++) {
    engine = start();
    if (kill > 0 && random.oneIn(4)) {
      await Promise.race([delay(random.below(1500)), engine.ended]);
      duringRecovery++;
    } else {
      await mustBeReady(t, engine);
      const timer = setTimeout(() => void engine!.kill('SIGKILL'), 50 + random.below(3000));
      await run.live(Number.POSITIVE_INFINITY);
      clearTimeout(timer);
    }
    t.equal(await engine.kill('SIGKILL'), 'SIGKILL', `kill ${kill + 1}: the engine ran until it was killed`);
    if (!t.passing()) {
      t.comment(engine.logged);
      throw new Error('it went wrong before this kill');
    }
  }

  engine = start();
  await mustBeReady(t, engine);
  await run.live(lastTrafficMessages);
  run.recheckAll();
  await run.live(0);
  t.equal(ledger.unknown.size, 0, 'every message received an answer in the end');
  t.equal(await engine.kill('SIGTERM'), 0, 'the engine stops cleanly');
  if (!t.passing()) t.comment(engine.logged);

  await judgeBooks(t, sql, ledger, kills);
  t.ok(ledger.approved > kills * 10, 'the kills interrupted traffic');
  t.comment(
    `${kills} kills, ${duringRecovery} of them during recovery; ${ledger.acknowledged.length} messages acknowledged, ` +
      `${ledger.approved} approved; ${run.repeats} asked again, ${run.undecided} times 503, ` +
      `${run.lost} connections lost in the middle`,
  );
}

async function mustBeReady(t: Test, engine: EngineProcess): Promise<void> {
  if (await engine.ready()) return;
  t.comment(engine.logged);
  throw new Error(`the engine ended while starting: ${await engine.ended}`);
}
