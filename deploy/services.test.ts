/**
 * Child processes: started in order, stopped in reverse, ended when a killed run left them, and missed when they die.
 */
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { findFreePort } from './free-port.js';
import { processIdentity } from './process-identity.js';
import { type Service, Services } from './services.js';
import { folderFor } from './testing/for-test.js';

/** A service that answers on PORT, and writes its name to LOG when it was asked to stop. */
const goodScript = `
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
const server = createServer((_, response) => response.end(String(process.pid)));
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => {
  appendFileSync(process.env.LOG, process.env.NAME + '\\n');
  process.exit(0);
});`;

interface Fixture {
  readonly folder: string;
  readonly log: string;
  service(name: string, source?: string): Promise<Service>;
}

async function fixture(t: Test): Promise<Fixture> {
  const folder = folderFor(t);
  const log = join(folder, 'log');
  return {
    folder,
    log,
    service: async (name, source = goodScript) => {
      const script = join(folder, `${name}.mjs`);
      await writeFile(script, source);
      const port = await findFreePort();
      const environment = { ...process.env, PORT: String(port), LOG: log, NAME: name };
      const ports = [{ setting: 'PORT', host: '127.0.0.1', port }];
      const readyUrls = [`http://127.0.0.1:${port}/readyz`];
      return { name, command: [process.execPath, script], readyUrls, ports, isVital: true, environment };
    },
  };
}

async function pidOf(service: Service): Promise<number> {
  return Number(await (await fetch(service.readyUrls[0]!)).text());
}

/** Waits for the process to be gone; what it waits for is the kernel, not time. */
async function gone(pid: number): Promise<void> {
  while (processIdentity(pid) !== null) await new Promise(setImmediate);
}

t.test('services stop in the reverse order of their starts', async (t) => {
  const { folder, log, service } = await fixture(t);
  const services = new Services(folder, () => undefined);
  await services.start(await service('first'));
  await services.start(await service('second'));
  await services.stop();
  t.equal(await readFile(log, 'utf8'), 'second\nfirst\n');
  await services.stop();
  t.pass('a second stop has nothing to do');
});

const quick = { attemptsMax: 2, delayMsMin: 1, steadyMs: 60_000 };

/** Waits for a line of the log. */
async function logged(lines: readonly string[], pattern: RegExp): Promise<void> {
  while (!lines.some((line) => pattern.test(line))) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('a service that dies is started again by name a few times, and then the run ends with it', async (t) => {
  const { folder, service } = await fixture(t);
  const lines: string[] = [];
  const services = new Services(folder, (line) => lines.push(line), quick);
  const one = await service('engine');
  await services.start(one);
  for (const attempt of [1, 2]) {
    const pid = await pidOf(one);
    process.kill(pid, 'SIGKILL');
    await logged(lines, new RegExp(`attempt ${attempt} of 2`));
    while (lines.filter((line) => line === 'the engine is ready again').length < attempt) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    t.not(await pidOf(one), pid);
    const [remembered] = JSON.parse(await readFile(join(folder, 'processes.json'), 'utf8'));
    t.equal(remembered.pid, await pidOf(one), 'the next run would end the new service');
  }
  t.equal(lines[0], 'the engine ended with signal SIGKILL: starting it again in 1 ms (attempt 1 of 2)');
  process.kill(await pidOf(one), 'SIGKILL');
  t.equal(await services.failed, 'the engine ended with signal SIGKILL, and does not stay up: not starting it again');
  await services.stop();
});

t.test('services that die together are started again, and the next run knows all of them', async (t) => {
  const { folder, service } = await fixture(t);
  const lines: string[] = [];
  const services = new Services(folder, (line) => lines.push(line), { ...quick, attemptsMax: 20 });
  t.teardown(() => services.stop());
  const all = [await service('one'), await service('two'), await service('three')];
  for (const one of all) await services.start(one);
  const known = async () =>
    (JSON.parse(await readFile(join(folder, 'processes.json'), 'utf8')) as { pid: number }[]).map(({ pid }) => pid);
  for (let round = 1; round <= 10; round++) {
    for (const pid of await known()) process.kill(pid, 'SIGKILL');
    for (const { name } of all) {
      const isBack = () => lines.filter((line) => line === `the ${name} is ready again`).length >= round;
      while (!isBack()) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    t.same(await known(), await Promise.all(all.map(pidOf)));
  }
});

t.test('an optional service that ends does not end the run', async (t) => {
  const { folder, log, service } = await fixture(t);
  const lines: string[] = [];
  const services = new Services(folder, (line) => lines.push(line), { ...quick, attemptsMax: 0 });
  await services.start(await service('engine'));
  const api = { ...(await service('api')), isVital: false };
  await services.start(api);
  process.kill(await pidOf(api), 'SIGKILL');
  await logged(lines, /the api ended with signal SIGKILL, .* the rest goes on without the api/);
  t.equal(await Promise.race([services.failed, 'it runs']), 'it runs');
  await services.stop();
  t.equal(await readFile(log, 'utf8'), 'engine\n', 'the engine ran until it was stopped');
});

t.test('a stop ends the wait for the next attempt', async (t) => {
  const { folder, service } = await fixture(t);
  const lines: string[] = [];
  const services = new Services(folder, (line) => lines.push(line), { ...quick, delayMsMin: 3_600_000 });
  const one = await service('engine');
  await services.start(one);
  process.kill(await pidOf(one), 'SIGKILL');
  await logged(lines, /starting it again in 3600000 ms/);
  await services.stop();
  t.pass('the wait ends at once');
});

t.test('a service that cannot start says why and does not count as ready', async (t) => {
  const { folder, service } = await fixture(t);
  const services = new Services(folder, () => undefined);
  await t.rejects(services.start(await service('engine', 'process.exit(3);')), /the engine ended with exit code 3/);
  await services.stop();
});

t.test('a port that another program uses is named, and that program is not taken for the service', async (t) => {
  const { folder, service } = await fixture(t);
  const services = new Services(folder, () => undefined);
  const one = await service('engine');
  await services.start(one);
  await t.rejects(services.start(one), /port \d+ is taken by another program: stop it, or set another PORT/);
  await services.stop();
});

t.test('the next run ends the services of a killed run and no other process', async (t) => {
  const { folder, log, service } = await fixture(t);
  const killed = new Services(folder, () => undefined);
  const one = await service('engine');
  await killed.start(one);
  const pid = await pidOf(one);
  const lines: string[] = [];
  const next = new Services(folder, (line) => lines.push(line));
  await next.endLeftOvers();
  await gone(pid);
  t.equal(await readFile(log, 'utf8'), 'engine\n', 'the service could finish its work');
  t.same(lines, [`ending the engine that an earlier run left behind (process ${pid})`]);

  // The same process id, but another process by now.
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  t.teardown(() => other.kill());
  await writeFile(
    join(folder, 'processes.json'),
    JSON.stringify([{ name: 'engine', pid: other.pid, identity: `${other.pid}@1` }]),
  );
  await next.endLeftOvers();
  t.not(processIdentity(other.pid!), null);
  await killed.stop();
});
