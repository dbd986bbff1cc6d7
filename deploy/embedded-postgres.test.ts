/** The embedded server: found again, adopted or ended after a kill, and reachable wherever the checkout lies. */
import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { type EmbeddedPostgres, findEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.js';
import { processIdentity } from './process-identity.js';
import { folderFor } from './testing/for-test.js';

// Many servers start and stop here, on cores that may be busy with other tests.
t.setTimeout(300_000);

const quick = { fsync: 'off' };

async function dataFolder(t: Test): Promise<string> {
  const folder = folderFor(t);
  await chmod(folder, 0o755);
  t.teardown(async () => {
    if ((await findEmbeddedPostgres(folder)) !== null) await start(folder).then((server) => server.stop());
  });
  return folder;
}

function start(dataDir: string, log: (line: string) => void = () => undefined): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ dataDir, log, settings: quick });
}

async function ask(server: EmbeddedPostgres, query: string): Promise<readonly postgres.Row[]> {
  const sql = postgres(server.url, { max: 1, onnotice: () => undefined });
  try {
    return await sql.unsafe(query);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function postmasterPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** Waits for the process to be gone; what it waits for is the kernel, not time. */
async function gone(pid: number): Promise<void> {
  while (processIdentity(pid) !== null) await new Promise(setImmediate);
}

t.test('a second start adopts the running server, and data outlive a stop', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await start(dataDir);
  t.equal(first.adopted, false);
  await ask(first, 'create table kept (n integer)');
  const second = await start(dataDir);
  t.equal(second.adopted, true);
  t.equal(second.url, first.url);
  t.equal(await findEmbeddedPostgres(dataDir), first.url);
  await second.stop();
  t.equal(await findEmbeddedPostgres(dataDir), null);
  await first.stop();
  const third = await start(dataDir);
  t.equal(third.adopted, false);
  t.same([...(await ask(third, 'select * from kept'))], []);
  t.match(await ask(third, 'show synchronous_commit'), [{ synchronous_commit: 'on' }]);
  const mode = (await stat(join(dataDir, 'postgres.json'))).mode & 0o777;
  t.equal(mode, 0o600, 'the password file is private');
});

t.test('two concurrent starts share one server', async (t) => {
  const dataDir = await dataFolder(t);
  const [first, second] = await Promise.all([start(dataDir), start(dataDir)]);
  t.equal(first.url, second.url);
  t.same([first.adopted, second.adopted].sort(), [false, true]);
});

t.test('a killed server starts again with every commit', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await start(dataDir);
  await ask(first, 'create table kept (n integer)');
  const pid = await postmasterPid(dataDir);
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  const second = await start(dataDir);
  t.equal(second.adopted, false);
  t.same([...(await ask(second, 'select * from kept'))], []);
});

t.test('a server that no longer answers is ended and started again', async (t) => {
  const dataDir = await dataFolder(t);
  await start(dataDir);
  const pid = await postmasterPid(dataDir);
  process.kill(pid, 'SIGSTOP');
  const lines: string[] = [];
  const second = await start(dataDir, (line) => lines.push(line));
  t.match(lines[0], /stopping a left-over Postgres that does not answer/);
  t.equal(second.adopted, false);
  t.equal(processIdentity(pid), null);
  t.match(await ask(second, 'select 1 as one'), [{ one: 1 }]);
});

t.test('a process id that another program has by now does not prevent a start', async (t) => {
  const dataDir = await dataFolder(t);
  await (await start(dataDir)).stop();
  const cluster = join(dataDir, 'postgres');
  await writeFile(join(cluster, 'postmaster.pid'), `${process.pid}\n${cluster}\n1\n5432\n\n127.0.0.1\n`);
  const second = await start(dataDir);
  t.equal(second.adopted, false);
});

t.test('a port that another process has taken is replaced', async (t) => {
  const dataDir = await dataFolder(t);
  const first = await start(dataDir);
  await first.stop();
  const port = Number(new URL(first.url).port);
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const second = await start(dataDir);
  t.not(new URL(second.url).port, String(port));
  t.match(await ask(second, 'select 1 as one'), [{ one: 1 }]);
});

t.test('a cluster whose password file is lost is not replaced by an empty one', async (t) => {
  const dataDir = await dataFolder(t);
  await (await start(dataDir)).stop();
  const file = join(dataDir, 'postgres.json');
  const content = await readFile(file);
  await rm(file);
  await t.rejects(start(dataDir), /postgres\.json is missing, so the password .* is lost: restore the file/);
  await writeFile(file, content);
});

t.test('where the server may not enter the folder, the data are elsewhere and are found again', async (t) => {
  const parent = folderFor(t);
  const dataDir = join(parent, 'data');
  await mkdir(dataDir);
  await chmod(parent, 0o700);
  const lines: string[] = [];
  const first = await start(dataDir, (line) => lines.push(line));
  await ask(first, 'create table kept (n integer)');
  await first.stop();
  const second = await start(dataDir);
  t.same([...(await ask(second, 'select * from kept'))], []);
  await second.stop();
  if (process.getuid?.() === 0) {
    // Root runs the server as another user, for whom the folder is closed.
    const outside = (await readFile(join(dataDir, 'postgres.location'), 'utf8')).trim();
    t.ok(lines.some((line) => line.includes(`the database is kept in ${outside}`)));
    t.equal((await stat(outside)).mode & 0o777, 0o700);
    t.equal(dirname(outside), '/var/tmp');
    await rm(outside, { recursive: true });
  } else {
    t.ok((await stat(join(dataDir, 'postgres'))).isDirectory());
  }
  await rm(parent, { recursive: true });
});
