/** `make cluster` in real processes: nginx answers for all engines, and a killed run is followed by a whole one. */
import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../engine/testing/engine-process.js';
import { listenError } from './free-port.js';
import { Services } from './services.js';
import { folderFor } from './testing/for-test.js';
import { freeClusterPorts, LocalRun, recoveryMs, runHost } from './testing/local-run.js';

t.setTimeout(0);

const engineCount = 3;

async function started(t: Test, dataDir: string, ports: LocalRun['ports'], consoleHost = ''): Promise<LocalRun> {
  const environment = { ENGINES: String(engineCount), LEASE_MS: '1000', CONSOLE_HOST: consoleHost };
  const run = new LocalRun(dataDir, ports, environment, 'cluster');
  t.teardown(async () => {
    if (run.isAlive) run.interrupt();
    await run.ended;
  });
  await until('make cluster says that it is ready', () => /^ready$/m.test(run.logged) || !run.isAlive, 120_000);
  t.ok(run.isAlive, 'it is ready');
  if (!run.isAlive) t.comment(run.logged);
  return run;
}

const stable = ({ responseTimeMs: _, ...answer }: Record<string, unknown>) => answer;

t.test('engines behind nginx answer as one', async (t) => {
  const dataDir = folderFor(t);
  await chmod(dataDir, 0o755);
  t.teardown(() => new Services(dataDir, () => undefined).endLeftOvers());
  const { base: ports, own } = await freeClusterPorts(engineCount, 2);
  const { engines, apis } = own;
  // Between the ranges of the others.
  const consoleHost = `127.0.0.1:${ports.auth + 80}`;
  const first = await started(t, dataDir, ports, consoleHost);
  const status = (url: string) =>
    fetch(url).then(
      (reply) => reply.status,
      () => 0,
    );
  for (const port of [ports.auth, ports.api]) t.equal(await status(`http://${runHost}:${port}/readyz`), 200);
  for (const { ops } of engines) t.equal(await status(`http://127.0.0.1:${ops}/readyz`), 200);
  t.match(first.logged, `console             http://${consoleHost}/console   (nginx)`);
  t.equal(await status(`http://${consoleHost}/console`), 200);
  t.equal(await status(`http://${consoleHost}/app`), 404, 'the console alone is there');
  t.equal(await status(`http://${runHost}:${ports.api}/console`), 404, 'and nowhere else');
  for (const { api } of apis) t.equal(await status(`http://${runHost}:${api}/readyz`), 200);
  t.notMatch(first.logged, 'a-password-of-the-tests', 'a pipe gets no secret');
  t.match(first.logged, `http://${runHost}:${ports.auth}/v1/authorizations \\`);
  const before = await first.authorize('first');
  t.equal(before['approved'], true);
  t.ok(await first.signsIn(), 'people sign in');
  for (const { auth } of engines) {
    t.same(stable(await first.authorize('first', auth)), stable(before), 'every engine has the same answer');
  }

  await t.test('a killed engine is started again while the others answer', async (t) => {
    const list = JSON.parse(await readFile(join(dataDir, 'processes.json'), 'utf8')) as { name: string; pid: number }[];
    process.kill(list.find(({ name }) => name === 'engine 1')!.pid, 'SIGKILL');
    let asked = 0;
    const approves = async () => (await first.authorize(`more-${++asked}`).catch(() => ({}) as never))['approved'];
    await until('cards are approved', async () => (await approves()) === true, recoveryMs);
    await until('it is back', () => /the engine 1 is ready again/.test(first.logged), recoveryMs);
    t.same(stable(await first.authorize('first', engines[0]!.auth)), stable(before));
  });

  await t.test('the next run ends the processes of a killed one, and keeps the data', async (t) => {
    await first.kill();
    const second = await started(t, dataDir, ports);
    // An engine that has written to its log since ended by itself: the log was a pipe to the killed run.
    t.match(second.logged, /ending the (engine|api) 1 that an earlier run left behind/);
    t.same(stable(await second.authorize('first')), stable(before));
    second.interrupt();
    t.same(await second.ended, [0, null]);
    t.match(second.logged, /^stopped$/m);
    for (const { auth, peer } of engines) {
      t.same(
        [await listenError(auth, runHost), await listenError(peer, runHost)],
        ['', ''],
        'nothing listens any more',
      );
    }
    t.equal(await listenError(ports.auth, runHost), '');
  });
});
