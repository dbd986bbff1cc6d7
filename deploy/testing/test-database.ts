/**
 * Databases for tests. One Postgres serves all test processes; the first that needs it starts it. Each test has a
 * migrated database of its own, copied from a template in a fraction of a second. DATABASE_URL names another server to
 * use; its user must be a superuser. TEST_POSTGRES=15 runs a test file on Debian's PostgreSQL 15. Without a working
 * Postgres tests fail, they are never skipped.
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { migrate } from '../../sql/migrate.js';
import { functionRights, type ProcessName, tableRights } from '../../sql/rights.js';
import { makeRoles, type RoleSecrets, urlOf } from '../database-roles.js';
import { startEmbeddedPostgres } from '../embedded-postgres.js';
import { repositoryRoot } from '../repository-root.js';
import { findDebianPostgres } from './debian-postgres.js';

const rolePrefix = 'afc_test_';
/** Version of Debian's PostgreSQL that serves the tests instead of the embedded one. */
const { TEST_POSTGRES: testedVersion = '' } = process.env;

export interface TestDatabase {
  /** The superuser's: the test prepares and looks. Processes under test sign in with `processUrl(url, …)`. */
  readonly url: string;
  /** First process of the server; null where DATABASE_URL names another one. */
  readonly serverPid: number | null;
  /** Drops the database, ending connections that a test left open. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** False: no tables, for tests of migrations. Default true. */
  readonly migrated?: boolean;
  /** True: a server that syncs to disk, for benchmarks. Default false. */
  readonly durable?: boolean;
  /** Debian's PostgreSQL of this version, '' for the embedded one. Default: as TEST_POSTGRES says. */
  readonly version?: string;
  /** A server of the test's own, by its superuser's URL. */
  readonly serverUrl?: string;
}

/** Where the tests' own server keeps its data. */
export function testServerDataDir(durable = false, version = testedVersion): string {
  return join(
    repositoryRoot(),
    '.data',
    `${durable ? 'bench' : 'test'}-database${version === '' ? '' : `-${version}`}`,
  );
}

/** A fresh database. Close it at the end of the test. */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { url: serverUrl, pid: serverPid } =
    options.serverUrl === undefined
      ? await testServer(options.durable ?? false, options.version ?? testedVersion)
      : { url: options.serverUrl, pid: null };
  const name = `test_${process.pid}_${randomBytes(5).toString('hex')}`;
  await onServer(serverUrl, async (sql) => {
    const isMigrated = options.migrated ?? true;
    const template = isMigrated ? await ensureTemplate(serverUrl, sql) : 'template0';
    // Its owner makes tables in it (partitions of the audit trail), as in a deployment.
    const owner = isMigrated ? ` owner ${testRoles(serverUrl).owner.name}` : '';
    await copyDatabase(sql, `create database ${name} template ${template}${owner}`);
  });
  return {
    url: withDatabase(serverUrl, name),
    serverPid,
    close: () => onServer(serverUrl, (sql) => sql.unsafe(`drop database if exists ${name} with (force)`)),
  };
}

/**
 * Lets the file system copy the files, where server and file system can. That takes a third of the CPU and of the time
 * that Postgres needs to read every page and to log it.
 */
async function copyDatabase(sql: postgres.Sql, create: string): Promise<void> {
  try {
    await sql.unsafe('set file_copy_method = clone');
    await sql.unsafe(`${create} strategy file_copy`);
  } catch {
    await sql.unsafe(create);
  }
}

interface TestServer {
  readonly url: string;
  readonly pid: number | null;
}

async function testServer(durable: boolean, version: string): Promise<TestServer> {
  const { DATABASE_URL: given } = process.env;
  if (given !== undefined && given !== '') return { url: given, pid: null };
  const dataDir = testServerDataDir(durable, version);
  const server = await startEmbeddedPostgres({
    dataDir,
    log: () => undefined,
    // Several tests at once fill the cores: behind all of them it would make each wait.
    priority: 'normal',
    // Test data need not survive a power cut.
    settings: { max_connections: '500', ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }) },
    ...(version === '' ? {} : { binaries: await findDebianPostgres(version) }),
  });
  if (!server.adopted) startReaper(dataDir);
  return server;
}

/** Stops the server once no test uses it any more: a single test run by hand leaves nothing behind. */
function startReaper(dataDir: string): void {
  const script = join(dirname(fileURLToPath(import.meta.url)), 'test-database-reaper.js');
  spawn(process.execPath, [script, dataDir], { detached: true, stdio: 'ignore' }).unref();
}

/** The migrated template of the current migrations; built once, by the first process that gets the lock. */
async function ensureTemplate(serverUrl: string, sql: postgres.Sql): Promise<string> {
  hashOfMigrations ??= migrationsHash();
  const name = `template_${await hashOfMigrations}`;
  const exists = async (): Promise<boolean> =>
    (await sql`select 1 from pg_database where datname = ${name} and datistemplate`).length > 0;
  if (await exists()) return name;
  await sql`select pg_advisory_lock(hashtext(${name}))`;
  if (await exists()) return name;
  // A builder that died in the middle left a database that is not marked as a template yet.
  await sql.unsafe(`drop database if exists ${name} with (force)`);
  const secrets = testRoles(serverUrl);
  await makeRoles(withDatabase(serverUrl, 'postgres'), [secrets.owner, secrets.engine, secrets.api]);
  await sql.unsafe(`create database ${name} template template0 owner ${secrets.owner.name}`);
  const url = withDatabase(serverUrl, name);
  const roles = { engine: secrets.engine.name, api: secrets.api.name };
  await migrate({ databaseUrl: urlOf(url, secrets.owner), roles });
  await markAsDemo(url);
  await sql.unsafe(`alter database ${name} is_template true`);
  return name;
}

/** The migrations do not change while a process runs. */
let hashOfMigrations: Promise<string> | null = null;

/**
 * A test database's URL as the engine or the API signs in, with the rights that a deployment gives it. Any other URL
 * stays as it is.
 */
export function processUrl(url: string, process: ProcessName): string {
  const isOurs = /\/test_\d[^/]*$/.test(url) && !url.includes(`//${rolePrefix}`);
  return isOurs ? urlOf(url, testRoles(url)[process]) : url;
}

/** Names apart from a deployment's on the same server; passwords that every test process knows from the server's. */
function testRoles(serverUrl: string): RoleSecrets {
  // Not by URL: that knows one host.
  const [, username = '', password = ''] = /\/\/(?:([^:@/]*)(?::([^@/]*))?@)?/.exec(serverUrl)!;
  const roleOf = (role: string) => {
    const name = rolePrefix + role;
    return { name, password: createHash('sha256').update(`${username} ${password} ${name}`).digest('hex') };
  };
  return { owner: roleOf('owner'), engine: roleOf('engine'), api: roleOf('api') };
}

/** Customers of tests fund themselves, which only a demo's database allows. */
export async function markAsDemo(databaseUrl: string): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await sql`update program set demo = true`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function migrationsHash(): Promise<string> {
  const folder = join(repositoryRoot(), 'sql', 'migrations');
  const hash = createHash('sha256');
  for (const file of (await readdir(folder)).sort()) hash.update(file).update(await readFile(join(folder, file)));
  hash.update(JSON.stringify([tableRights, functionRights]));
  return hash.digest('hex').slice(0, 16);
}

async function onServer(serverUrl: string, work: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(withDatabase(serverUrl, 'postgres'), { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
