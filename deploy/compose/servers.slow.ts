/**
 * The scripts with which compose makes its two database servers, run with Debian's PostgreSQL. The tests cover roles, a
 * standby that each commit waits for, the migration with the owner's URL of both, and a promotion.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import t from 'tap';
import { until } from '../../engine/testing/engine-process.js';
import { findFreePort } from '../free-port.js';
import { repositoryRoot } from '../repository-root.js';
import { findDebianPostgres } from '../testing/debian-postgres.js';

const run = promisify(execFile);
const passwords = {
  OWNER_PASSWORD: 'aa',
  ENGINE_DATABASE_PASSWORD: 'bb',
  API_DATABASE_PASSWORD: 'cc',
  REPLICATION_PASSWORD: 'dd',
};
const database = 'atlanticfrewaycard';
const waitMs = 60_000;

/** PostgreSQL refuses to run as root. */
function userOfServers(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

t.test('primary.sh and standby.sh make servers that a migration and a promotion find in order', async (t) => {
  const { initdb } = await findDebianPostgres();
  const folder = mkdtempSync(join(tmpdir(), 'compose-'));
  const user = userOfServers();
  chmodSync(folder, 0o755);
  for (const name of ['primary.sh', 'standby.sh'])
    cpSync(join(repositoryRoot(), 'deploy/compose', name), join(folder, name));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid!);
  const [port, standbyPort] = [await findFreePort(), await findFreePort()];
  const primaryData = join(folder, 'primary');
  const environment = {
    ...passwords,
    PATH: `${initdb.replace(/\/initdb$/, '')}:${process.env['PATH']}`,
    PGHOST: folder,
    PGPORT: String(port),
    PGDATA: primaryData,
    POSTGRES_USER: 'postgres',
  };
  const options = { env: environment, cwd: folder, ...user };
  const servers: ChildProcess[] = [];
  /** One of the servers, which ends with the test. */
  const serve = (program: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess => {
    const child = spawn(program, args, { ...options, env: { ...environment, ...env }, stdio: 'ignore' });
    servers.push(child);
    return child;
  };
  const connected = (options: postgres.Options<never>) => {
    const sql = postgres({ ...options, max: 1, onnotice: () => undefined } as postgres.Options<Record<string, never>>);
    t.teardown(() => sql.end({ timeout: 1 }));
    return sql;
  };
  /** By TCP, with a password. */
  const as = (username: string, password: string) =>
    connected({ host: '127.0.0.1', port, database, username, password });
  /** By the socket, as an operator of the machine. */
  const operator = (at: number) => connected({ host: folder, port: at, database: 'postgres', username: 'postgres' });
  const answers = (at: number) =>
    run('pg_isready', ['-q', '-h', folder, '-p', String(at)], options).then(
      () => true,
      () => false,
    );
  t.teardown(async () => {
    for (const child of servers.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  // As the image's entrypoint does: the first server, without a network, runs the script.
  await run(
    'initdb',
    ['--auth-local=trust', '--auth-host=scram-sha-256', '-U', 'postgres', '--locale=C', '--encoding=UTF8'],
    options,
  );
  const listen = ['-p', String(port), '-k', folder, '-c'];
  const first = serve('postgres', [...listen, 'listen_addresses=']);
  await until('the first server answers', () => answers(port), waitMs);
  await run('sh', ['primary.sh'], options);
  const stopped = once(first, 'exit');
  first.kill('SIGINT');
  await stopped;
  const trusted = readFileSync(join(primaryData, 'pg_hba.conf'), 'utf8').match(/^host replication .*samenet.*$/m);
  t.ok(trusted, 'the replicator may come from the network');
  serve('postgres', [...listen, 'listen_addresses=127.0.0.1']);
  await until('the primary answers', () => answers(port), waitMs);

  const standbyData = join(folder, 'standby', '18');
  const { REPLICATION_PASSWORD: PGPASSWORD } = passwords;
  const place = { PGDATA: standbyData, PRIMARY_HOST: '127.0.0.1', PRIMARY_PORT: String(port), PGPASSWORD, PGHOST: '' };
  serve('sh', ['standby.sh', '-p', String(standbyPort), '-k', folder, '-c', 'listen_addresses=127.0.0.1'], place);
  const superuser = operator(port);
  const isSynchronous = async () =>
    (await superuser`select from pg_stat_replication where application_name = 'standby' and sync_state = 'sync'`)
      .length === 1;
  await until('the standby is synchronous', isSynchronous, waitMs);

  const both = `postgres://afc_owner:aa@127.0.0.1:${port},127.0.0.1:${standbyPort}/${database}`;
  const migrate = join(repositoryRoot(), 'dist/deploy/migrate.js');
  const environmentOfMigration = { PATH: process.env['PATH'], DATABASE_URL: both };
  const { stdout } = await run(process.execPath, [migrate], { env: environmentOfMigration });
  t.match(stdout, /applied \d+ migrations/);
  for (const [role, password] of [
    ['afc_engine', 'bb'],
    ['afc_api', 'cc'],
  ] as const) {
    t.equal((await as(role, password)`select count(*)::integer as count from cards`)[0]!['count'], 0, `${role} reads`);
  }

  const [primaryProcess] = servers.slice(1);
  const killed = once(primaryProcess!, 'exit');
  primaryProcess!.kill('SIGKILL');
  await killed;
  const promoted = operator(standbyPort);
  t.same(await promoted`select pg_promote() as done`, [{ done: true }]);
  t.match((await promoted`show synchronous_standby_names`)[0], { synchronous_standby_names: /standby/ }, 'copied');
  await promoted`alter system set synchronous_standby_names = ''`;
  await promoted`select pg_reload_conf()`;
  const again = await run(process.execPath, [migrate], { env: environmentOfMigration });
  t.match(again.stdout, 'the database is at this version already', 'the other server has all of it, and takes writes');
});
