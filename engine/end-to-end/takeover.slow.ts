/**
 * JOURNAL=postgres, one engine after the other on one database, without a folder in common. The one before is killed,
 * or it is suspended and wakes up when another one has its partitions: then both are engines of the database until it
 * stops. What was acknowledged stays, from any engine.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import t from 'tap';
import { auditFrames } from '../../deploy/audit/audit-frames.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { Random } from '../protocols/testing/mutate.js';
import { CrashRun, judgeBooks } from '../testing/crash-run.js';
import { EngineProcess, enginePlace, until } from '../testing/engine-process.js';
import { Ledger } from '../testing/ledger.js';
import { testSeed } from '../testing/runs.js';

const { TAKEOVERS = '8' } = process.env;
const takeovers = Number(TAKEOVERS);
const accounts = 40;
const cardsPerAccount = 3;
const fundsMinor = 2_000_000;
const hotAccounts = 3;
/** Of each in flight, while the engine before is awake: its frames collide within the first of them. */
const lastTrafficMessages = 20;
/** Before an engine is replaced. */
const messagesAtLeast = 150;
const trafficMsMax = 60_000;

t.test('what was acknowledged survives every takeover', async (t) => {
  // However many takeovers were asked for; the runner has a limit of its own.
  t.setTimeout(0);
  const random = new Random(testSeed);
  const database = await createTestDatabase();
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  const engines: EngineProcess[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'engine-takeover-'));
  t.teardown(async () => {
    await Promise.all(engines.map((engine) => engine.kill('SIGKILL')));
    await sql.end({ timeout: 5 });
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await seedAccounts(sql, { accounts, cardsPerAccount, balanceMinor: fundsMinor });
  const start = async () => {
    // Nothing stands in its folder: DATA_DIR is the local journal's.
    const place = await enginePlace(database.url, join(folder, 'unused'));
    const engine = new EngineProcess(place, {
      JOURNAL: 'postgres',
      PARTITIONS: '2',
      LEASE_MS: '500',
      DEADLINE_MS: '300',
    });
    engines.push(engine);
    if (!(await engine.ready())) throw new Error(`the engine ended while starting; it said:\n${engine.logged}`);
    return engine;
  };

  let engine = await start();
  const ledger = new Ledger(random, accounts, cardsPerAccount, fundsMinor, hotAccounts);
  const run = new CrashRun(t, ledger, random, [engine.place]);
  let zombies = 0;
  for (let count = 1; count <= takeovers && t.passing(); count++) {
    const isZombie = random.oneIn(2);
    const wanted = ledger.acknowledged.length + messagesAtLeast + random.below(messagesAtLeast);
    const ending = until('there is traffic', () => ledger.acknowledged.length > wanted, trafficMsMax).then(() => {
      engine.child.kill(isZombie ? 'SIGSTOP' : 'SIGKILL');
      run.abandon();
    });
    await run.live(Number.POSITIVE_INFINITY);
    await ending;
    const former = engine;
    engine = await start();
    run.places = [engine.place];
    if (!isZombie) continue;
    zombies++;
    // It believes that it still has its partitions: its frames collide, and what it is asked it asks of the other one.
    setTimeout(() => former.child.kill('SIGCONT'), random.below(300));
    await new CrashRun(t, ledger, random, [engine.place, former.place], true).live(lastTrafficMessages);
    t.equal(await former.kill('SIGTERM'), 0, 'an engine that was replaced hands over what it got since, and stops');
  }
  run.recheckAll();
  await run.live(0);
  t.equal(ledger.unknown.size, 0, 'everything asked was answered in the end');
  t.equal(await engine.kill('SIGTERM'), 0, 'it stops cleanly');
  await judgeBooks(t, sql, ledger, takeovers);
  t.same((await auditFrames(sql)).findings, [], 'the frames agree with the books');
  t.ok(ledger.approved > takeovers * 10, 'there was traffic to lose');
  const [frames] = await sql<{ epochs: number }[]>`
    select count(distinct epoch)::integer as epochs from journal_frames where record_count = 0 and partition = 0`;
  t.ok(frames!.epochs > takeovers, 'every engine has written its takeover frame');
  t.comment(
    `${takeovers} takeovers, ${zombies} of an engine that woke up again; ${ledger.acknowledged.length} messages`,
  );
});
