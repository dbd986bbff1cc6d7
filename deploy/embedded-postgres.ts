/**
 * A real PostgreSQL without installing one: for `make run`, seeds and tests. The server runs in a session of its own,
 * so Ctrl-C in a terminal reaches only us and the engine can settle before the database stops. A server left over from
 * a killed run is adopted when it answers and stopped when it does not.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, chmod, chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { findFreePort, isPortFree } from './free-port.js';
import { withLockFile } from './lock-file.js';
import { findPostgresBinaries, type PostgresBinaries } from './postgres/postgres-binaries.js';
import { giveCoresToBusyConnections } from './postgres/postgres-cores.js';
import { choosePostgresPlace, type PostgresPlace } from './postgres/postgres-place.js';
import { backgroundPrefix, keepInBackground } from './postgres/postgres-priority.js';
import { writePrivateFile } from './private-file.js';
import { processCommand, processIdentity } from './process-identity.js';

export interface EmbeddedPostgresOptions {
  /** Folder of this deployment's data; created when missing. */
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /** Server settings over the defaults below, such as `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /**
   * Default: the engine's threads come first on shared cores, and settling is allowed to lag. `normal`: like any
   * program.
   */
  readonly priority?: 'background' | 'normal';
  /** Programs of another PostgreSQL than the one that comes along. */
  readonly binaries?: PostgresBinaries;
  /** Fail where the port of the last start is taken: programs that run already look for the server there. */
  readonly keepsPort?: boolean;
}

export interface EmbeddedPostgres {
  /** Connection URL of the superuser; holds the password. */
  readonly url: string;
  /** True when the server was running already: another process may still use it. */
  readonly adopted: boolean;
  /** Of the server's first process, the parent of all others. */
  readonly pid: number;
  /** Stops the server and waits for it. */
  stop(): Promise<void>;
}

/** What a rerun needs to find the server again; kept in DATA_DIR/postgres.json, mode 0600. */
interface Connection {
  readonly port: number;
  readonly password: string;
}

const databaseName = 'atlanticfrewaycard';
const startWaitMs = 60_000;
/** A server that was killed under load first replays up to `max_wal_size` of its log. */
const recoveryWaitMs = 600_000;
const stillStartingMs = 15_000;
const stopWaitSeconds = 60;
const logBytesMax = 16 * 1024 * 1024;
/** How long a server that does not answer has to obey one signal. */
const endWaitMs = 3_000;
const nicenessOf = { background: 10, normal: 0 } as const;

const defaultSettings: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  // TCP with a password only: a socket file would need a folder that both users can reach.
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '256MB',
  // Fewer checkpoints mean fewer full-page images in the log, the largest avoidable cost of settling.
  max_wal_size: '4GB',
  checkpoint_timeout: '15min',
  wal_buffers: '16MB',
  synchronous_commit: 'on',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

/** Starts (or adopts) the cluster of `dataDir` and makes sure that its database exists. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  return withLockFile(join(dataDir, 'postgres.lock'), startWaitMs, async () => {
    const place = await choosePostgresPlace(dataDir, options.binaries ?? (await findPostgresBinaries()), options.log);
    const connectionFile = join(dataDir, 'postgres.json');
    const known = await readConnection(connectionFile);
    const niceness = nicenessOf[options.priority ?? 'background'];
    const running = await findRunningServer(place, options.log);
    if (running !== null && known !== null) {
      const url = urlOf({ ...known, port: running.port });
      if (await answers(url)) {
        options.log('adopted the Postgres that was still running');
        await ensureDatabase(url);
        return handle(place, url, niceness, true);
      }
    }
    if (running !== null) {
      options.log('stopping a left-over Postgres that does not answer');
      await endServer(running.pid);
      await findRunningServer(place, options.log);
    }
    if (options.keepsPort === true && known !== null && !(await isPortFree(known.port))) {
      throw new Error(`port ${known.port} of the embedded Postgres is taken by another program: stop that program`);
    }
    const connection = await prepareCluster(place, connectionFile, known, options.log);
    await writeSettings(place, connection.port, { ...defaultSettings, ...options.settings });
    await showProgress(options.log, () => startServer(place, niceness));
    const url = urlOf(connection);
    await ensureDatabase(url);
    return handle(place, url, niceness, false);
  });
}

/** Whether `dataDir` has a cluster, running or not. */
export async function hasEmbeddedPostgres(dataDir: string): Promise<boolean> {
  return (await readConnection(join(dataDir, 'postgres.json'))) !== null;
}

/** The URL of the cluster of `dataDir` when it is running and answers; null otherwise. Starts nothing. */
export async function findEmbeddedPostgres(dataDir: string): Promise<string | null> {
  const connection = await readConnection(join(dataDir, 'postgres.json'));
  if (connection === null) return null;
  const url = urlOf(connection);
  return (await answers(url, 1)) ? url : null;
}

async function handle(
  place: PostgresPlace,
  url: string,
  niceness: number,
  adopted: boolean,
): Promise<EmbeddedPostgres> {
  const pid = await postmasterPid(place);
  const ends = niceness > 0 ? [keepInBackground(pid, niceness), giveCoresToBusyConnections(pid)] : [];
  const stop = () => {
    for (const end of ends) end();
    return stopServer(place);
  };
  return { url, adopted, pid, stop };
}

async function postmasterPid(place: PostgresPlace): Promise<number> {
  return Number((await readFile(join(place.cluster, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

function urlOf(connection: Connection): string {
  return `postgres://postgres:${connection.password}@127.0.0.1:${connection.port}/${databaseName}`;
}

async function readConnection(path: string): Promise<Connection | null> {
  const text = await readFile(path, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as Connection);
}

interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

/**
 * The live server of this cluster; null when none runs. Clears a lock file that would keep the next one from starting.
 */
async function findRunningServer(place: PostgresPlace, log: (line: string) => void): Promise<RunningServer | null> {
  const path = join(place.cluster, 'postmaster.pid');
  const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  const command = processCommand(pid);
  if (command?.includes('postgres') === true) return { pid, port: Number(lines[3]) };
  // PostgreSQL clears the lock of a process id that is free. It would take the current process with that id for a
  // running server. That may be another program, or the killed server as a zombie in a container without init.
  if (isProcessIdTaken(pid)) {
    log(`process ${pid} is not a running Postgres: removing the lock that a killed server left`);
    await untilDetached(Number(lines[6]?.trim().split(/\s+/)[1]));
    await rm(path, { force: true });
  }
  return null;
}

function isProcessIdTaken(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Waits until no process of the killed server is attached to its shared memory any more. Its backends end by themselves
 * when they notice, and two servers on one cluster would destroy it. Without /proc there is nothing to ask.
 */
async function untilDetached(sharedMemoryId: number): Promise<void> {
  const deadlineMs = Date.now() + startWaitMs;
  for (;;) {
    const table = await readFile('/proc/sysvipc/shm', 'utf8').catch(() => '');
    const row = table
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .find((columns) => columns[1] === sharedMemoryId);
    // key shmid perms size cpid lpid nattch …
    if (row === undefined || row[6] === 0) return;
    if (Date.now() > deadlineMs) throw new Error('processes of a killed Postgres are still running: end them first');
    await delay(100);
  }
}

/** Creates the cluster when there is none, and settles on a port that is free now. */
async function prepareCluster(
  place: PostgresPlace,
  connectionFile: string,
  known: Connection | null,
  log: (line: string) => void,
): Promise<Connection> {
  const exists = (await readFile(join(place.cluster, 'PG_VERSION'), 'utf8').catch(() => null)) !== null;
  if (exists && known === null) {
    throw new Error(
      `${connectionFile} is missing, so the password of the database in ${place.cluster} is lost: ` +
        'restore the file, or remove both to start empty',
    );
  }
  const connection = {
    password: known?.password ?? randomBytes(24).toString('hex'),
    port: known !== null && (await isPortFree(known.port)) ? known.port : await findFreePort(),
  };
  // Before initdb: a crash in between leaves a password without a cluster, which the next start simply uses.
  await writePrivateFile(connectionFile, JSON.stringify(connection));
  if (!exists) {
    log('creating a database cluster');
    await initialise(place, connection.password);
  }
  return connection;
}

async function initialise(place: PostgresPlace, password: string): Promise<void> {
  // What an interrupted initdb left is not a cluster; initdb refuses a folder that is not empty.
  await rm(place.cluster, { recursive: true, force: true });
  await mkdir(place.cluster, { recursive: true, mode: 0o700 });
  const passwordFile = `${place.cluster}.password`;
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (place.runAs !== undefined) {
    await chown(place.cluster, place.runAs.uid, place.runAs.gid);
    await chown(passwordFile, place.runAs.uid, place.runAs.gid);
  }
  try {
    await execute(place, place.binaries.initdb, [
      `--pgdata=${place.cluster}`,
      '--username=postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      // Byte order for text: the fastest, the same on every system, and indexes survive an upgrade of the C library.
      '--locale=C',
      '--no-instructions',
      // A new segment is filled with zeroes and synced before it is used. At the default of 16 MiB our own journal's
      // sync, on the same disk, waits some 8 ms for that each time; at 1 MiB, under one.
      '--wal-segsize=1',
    ]);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await appendFile(join(place.cluster, 'postgresql.conf'), "include_if_exists = 'atlanticfrewaycard.conf'\n");
}

async function writeSettings(place: PostgresPlace, port: number, settings: Record<string, string>): Promise<void> {
  const path = join(place.cluster, 'atlanticfrewaycard.conf');
  const lines = Object.entries({ ...settings, port: String(port) }).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
  );
  await writeFile(path, `# Rewritten at every start.\n${lines.join('\n')}\n`);
  // The folder itself is 0700.
  await chmod(path, 0o644);
}

/** Says what a start waits for that takes long. */
async function showProgress(log: (line: string) => void, start: () => Promise<void>): Promise<void> {
  const startedMs = Date.now();
  const timer = setInterval(() => {
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    log(`Postgres has been starting for ${seconds} s: one that was killed under load replays its log first`);
  }, stillStartingMs);
  try {
    await start();
  } finally {
    clearInterval(timer);
  }
}

async function startServer(place: PostgresPlace, niceness: number): Promise<void> {
  const logFile = join(place.cluster, 'server.log');
  // One older log is kept, so that it never fills the disk.
  const logBytes = (await stat(logFile).catch(() => null))?.size ?? 0;
  if (logBytes > logBytesMax) await rename(logFile, `${logFile}.old`);
  const deadlineMs = Date.now() + startWaitMs;
  for (;;) {
    try {
      await execute(place, 'nice', [
        '-n',
        String(niceness),
        ...(niceness > 0 ? await backgroundPrefix() : []),
        place.binaries.pgCtl,
        'start',
        '--wait',
        `--timeout=${recoveryWaitMs / 1000}`,
        `--pgdata=${place.cluster}`,
        `--log=${logFile}`,
      ]);
      return;
    } catch (error) {
      const tail = (await readFile(logFile, 'utf8').catch(() => '')).split('\n').slice(-12).join('\n');
      // Backends of a killed server hold its shared memory until they notice: soon gone, so try again.
      const passing = tail.includes('is still in use') || tail.includes('another server might be running');
      if (!passing || Date.now() > deadlineMs) {
        throw new Error(`Postgres did not start; the end of ${logFile}:\n${tail}`, { cause: error });
      }
      await delay(500);
    }
  }
}

/** Ends a server that does not answer: its log makes the next start whole again. */
async function endServer(pid: number): Promise<void> {
  for (const signal of ['SIGQUIT', 'SIGKILL'] as const) {
    try {
      process.kill(pid, signal);
    } catch {
      return;
    }
    const deadlineMs = Date.now() + endWaitMs;
    while (Date.now() < deadlineMs) {
      if (processIdentity(pid) === null) return;
      await delay(50);
    }
  }
  throw new Error(`the left-over Postgres (process ${pid}) cannot be ended: end it by hand and start again`);
}

async function stopServer(place: PostgresPlace): Promise<void> {
  if ((await readFile(join(place.cluster, 'postmaster.pid'), 'utf8').catch(() => null)) === null) return;
  try {
    await execute(place, place.binaries.pgCtl, [
      'stop',
      '--mode=fast',
      '--wait',
      `--timeout=${stopWaitSeconds}`,
      `--pgdata=${place.cluster}`,
    ]);
  } catch (error) {
    // Someone else stopped it between the look and the call.
    if ((await findRunningServer(place, () => undefined)) !== null) throw error;
  }
}

/** Runs a server program as the right user, from a folder that user can be in. */
function execute(place: PostgresPlace, file: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        cwd: place.runAs === undefined ? process.cwd() : '/',
        env: { ...process.env, LC_ALL: 'C' },
        ...(place.runAs === undefined ? {} : place.runAs),
      },
      (error, _stdout, stderr) => {
        if (error !== null) reject(new Error(`${file} failed: ${stderr.trim() || error.message}`));
      },
    );
    // The server inherits our pipes, so they never close: the program's own exit is what counts.
    child.once('exit', (code) => {
      if (code === 0) resolve();
    });
  });
}

/** Whether the server accepts this URL's user; waits through a recovery. */
async function answers(url: string, waitSeconds = 30): Promise<boolean> {
  const deadlineMs = Date.now() + waitSeconds * 1000;
  for (;;) {
    const sql = postgres(maintenanceUrl(url), { max: 1, connect_timeout: 5, onnotice: () => undefined });
    try {
      await sql`select 1`;
      return true;
    } catch (error) {
      const code = (error as { code?: string }).code;
      // 57P03: starting up or recovering. Everything else will not get better.
      if (code !== '57P03' || Date.now() > deadlineMs) return false;
    } finally {
      await sql.end({ timeout: 1 });
    }
    await delay(100);
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const sql = postgres(maintenanceUrl(url), { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    const found = await sql`select 1 from pg_database where datname = ${databaseName}`;
    if (found.length === 0) await sql.unsafe(`create database ${databaseName}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function maintenanceUrl(url: string): string {
  return url.replace(/\/[^/]*$/, '/postgres');
}
