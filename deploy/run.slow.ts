/** `make run` in real processes: what ends by itself is started again, and everything goes on without a person. */
import { execFile, execFileSync } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { until } from '../engine/testing/engine-process.js';
import { databaseFor, folderFor } from './testing/for-test.js';
import { freePorts, LocalRun, recoveryMs, runHost } from './testing/local-run.js';

t.setTimeout(0);

t.test('a service that ends under make run is started again, and the others continue', async (t) => {
  const dataDir = folderFor(t);
  await chmod(dataDir, 0o755);
  const run = new LocalRun(dataDir, await freePorts());
  t.teardown(async () => {
    if (run.isAlive) run.interrupt();
    await run.ended;
  });
  await until('make run says that it is ready', () => /^ready$/m.test(run.logged) || !run.isAlive, 120_000);
  t.ok(run.isAlive, 'HOST=127.0.0.2 is probed where it listens');
  t.same(await run.statuses(), [200, 200]);
  t.notMatch(run.logged, 'a-password-of-the-tests', 'a pipe gets no secret');
  const credentials = join(dataDir, 'processor.curl');
  t.match(run.logged, `curl -s -K '${credentials}' http://${runHost}:${run.ports.auth}/v1/authorizations`);
  t.equal(await readFile(credentials, 'utf8'), 'user = "processor:a-password-of-the-tests"\n');
  const first = await run.authorize('first');
  t.equal(first['approved'], true);
  let asked = 0;
  const approves = async () => (await run.authorize(`more-${++asked}`).catch(() => ({}) as never))['approved'] === true;
  const settles = async () => {
    const sequence = await run.metric('journal_sequence');
    await until('what was decided is settled', async () => (await run.metric('shipper_sequence')) >= sequence, 60_000);
  };

  await t.test('the simulator needs nothing but the environment of the run', async (t) => {
    const simulator = fileURLToPath(new URL('../bench/simulate/main.js', import.meta.url));
    const args = [simulator, 'story', 'hotel', 'lost-answer', '--protocol', 'all'];
    const { PATH = '' } = process.env;
    const env = {
      ...{ PATH, HOST: runHost, DATA_DIR: dataDir, PROCESSOR_PASSWORD: 'a-password-of-the-tests' },
      ...{ AUTH_PORT: String(run.ports.auth), OPS_PORT: String(run.ports.ops), API_PORT: String(run.ports.api) },
    };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    t.match(stdout, '8 played, 0 not as expected');
  });

  await t.test('a killed Postgres is started again', async (t) => {
    const { postgres } = await run.pids();
    process.kill(postgres, 'SIGKILL');
    t.ok(await approves(), 'a known card is decided meanwhile');
    await until('it is said', () => run.logged.includes(`Postgres (process ${postgres}) ended by itself`), recoveryMs);
    await until('it is started again', () => /Postgres runs again/.test(run.logged), recoveryMs);
    t.not((await run.pids()).postgres, postgres);
    await run.ready('both are ready');
    await until('people sign in', () => run.signsIn(), recoveryMs);
    await until('cards are approved', approves, recoveryMs);
    await settles();
  });

  await t.test('a killed API is started again, and the engine does not notice', async (t) => {
    const before = await run.pids();
    process.kill(before.api, 'SIGKILL');
    t.match(await run.authorize('without the API'), { approved: true });
    await until(
      'it is said',
      () => /the api ended with signal SIGKILL: starting it again/.test(run.logged),
      recoveryMs,
    );
    await run.ready('it is back');
    await until('people sign in', () => run.signsIn(), recoveryMs);
    t.equal((await run.pids()).engine, before.engine);
  });

  await t.test('a killed engine is started again, and its answers stay', async (t) => {
    const before = await run.pids();
    process.kill(before.engine, 'SIGKILL');
    await until('it is back', () => /the engine is ready again/.test(run.logged), recoveryMs);
    await run.ready('both are ready');
    const { responseTimeMs: _, ...again } = await run.authorize('first');
    const { responseTimeMs: __, ...before1 } = first;
    t.same(again, before1);
    t.ok(await approves());
    t.equal((await run.pids()).api, before.api);
    await settles();
  });

  await t.test('all three services are started again after being killed at once', async (t) => {
    const { engine, api, postgres } = await run.pids();
    for (const pid of [postgres, engine, api]) process.kill(pid, 'SIGKILL');
    await until('all have ended', async () => (await run.statuses()).every((status) => status === 0));
    await run.ready('both are ready');
    const { responseTimeMs: _, ...again } = await run.authorize('first');
    const { responseTimeMs: __, ...before } = first;
    t.same(again, before);
    t.ok(await approves());
    await settles();
  });

  await t.test('while Postgres is frozen neither process is ready once no card can be approved', async (t) => {
    const { postgres } = await run.pids();
    const children = execFileSync('ps', ['--ppid', String(postgres), '-o', 'pid='], { encoding: 'utf8' });
    const pids = [postgres, ...children.trim().split(/\s+/).map(Number)];
    const signalAll = (signal: NodeJS.Signals) => {
      for (const pid of pids) {
        try {
          process.kill(pid, signal);
        } catch {
          // Some end by themselves in between.
        }
      }
    };
    signalAll('SIGSTOP');
    try {
      await until('both say so', async () => (await run.statuses()).every((status) => status === 503), recoveryMs);
      t.match(await run.authorize('while stale'), { approved: false });
    } finally {
      signalAll('SIGCONT');
    }
    await run.ready('both are ready');
    await until('cards are approved', approves, recoveryMs);
    await settles();
  });

  run.interrupt();
  t.same(await run.ended, [0, null]);
  t.match(run.logged, /^stopped$/m);
});

t.test('make run on a given database adds no demo data and no sign-in', async (t) => {
  const { sql, url } = await databaseFor(t);
  await sql`update program set demo = false`;
  const dataDir = folderFor(t);
  const run = new LocalRun(dataDir, await freePorts(), { DATABASE_URL: url });
  t.teardown(async () => {
    if (run.isAlive) run.interrupt();
    await run.ended;
  });
  await until('make run says that it is ready', () => /^ready$/m.test(run.logged) || !run.isAlive, 120_000);
  t.same(await run.statuses(), [200, 200], run.logged);
  t.notMatch(run.logged, /test@example\.com|password123|a-password-of-the-tests/);
  t.notOk(await run.signsIn());
  t.same(
    await sql`
      select (select demo from program), (select count(*)::integer from users) as users,
        (select count(*)::integer from operators) as operators, (select count(*)::integer from cards) as cards`,
    [{ demo: false, users: 0, operators: 0, cards: 0 }],
  );
  run.interrupt();
  t.same(await run.ended, [0, null]);
});
