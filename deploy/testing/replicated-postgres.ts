/**
 * A primary and a synchronous standby, Debian's, for tests of failover: what a commit has answered is on both. The
 * primary is killed as a power cut would end it, and the standby is promoted when the test says so.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../embedded-postgres.js';
import { findFreePort } from '../free-port.js';
import type { PostgresBinaries } from '../postgres/postgres-binaries.js';
import { choosePostgresPlace, type PostgresPlace } from '../postgres/postgres-place.js';
import { findDebianPostgres } from './debian-postgres.js';

const run = promisify(execFile);
const standbyName = 'standby';
const settings = { max_wal_size: '256MB', shared_buffers: '64MB', wal_keep_size: '64MB', max_connections: '200' };
const streamingWaitMs = 30_000;
const lookEveryMs = 50;

export class ReplicatedPostgres {
  readonly #folder: string;
  readonly #binaries: PostgresBinaries;
  readonly #standbyPlace: PostgresPlace;
  #primary: EmbeddedPostgres;
  readonly #standby: EmbeddedPostgres;

  private constructor(
    folder: string,
    binaries: PostgresBinaries,
    standbyPlace: PostgresPlace,
    primary: EmbeddedPostgres,
    standby: EmbeddedPostgres,
  ) {
    this.#folder = folder;
    this.#binaries = binaries;
    this.#standbyPlace = standbyPlace;
    this.#primary = primary;
    this.#standby = standby;
  }

  static async start(): Promise<ReplicatedPostgres> {
    const binaries = await findDebianPostgres();
    const folder = mkdtempSync(join(tmpdir(), 'replicated-'));
    // The server's user must reach it.
    chmodSync(folder, 0o755);
    const primary = await startServer(join(folder, 'primary'), binaries);
    const dataDir = join(folder, 'standby');
    await mkdir(dataDir);
    const place = await choosePostgresPlace(dataDir, binaries, () => undefined);
    await copyServer(place, primary.url);
    const { password } = new URL(primary.url);
    await writeFile(join(dataDir, 'postgres.json'), JSON.stringify({ port: await findFreePort(), password }));
    const standby = await startServer(dataDir, binaries);
    await requireStandby(primary.url);
    return new ReplicatedPostgres(folder, binaries, place, primary, standby);
  }

  /** The superuser's, of the server that is the primary at first. */
  get primaryUrl(): string {
    return this.#primary.url;
  }

  get standbyUrl(): string {
    return this.#standby.url;
  }

  /** A URL of the primary, for both servers, as a process is given it. */
  bothOf(url: string): string {
    const hostOf = (server: string) => new URL(server).host;
    return `${url.replace(hostOf(this.primaryUrl), `$&,${hostOf(this.standbyUrl)}`)}?target_session_attrs=read-write`;
  }

  /** The same URL on the standby. */
  onStandby(url: string): string {
    return url.replace(new URL(this.primaryUrl).host, new URL(this.standbyUrl).host);
  }

  /** Ends every process of it at once, as a power cut does. */
  killPrimary(): void {
    for (const one of serverProcesses(this.#primary.pid)) process.kill(one, 'SIGKILL');
  }

  /** The standby follows no more until `resumeStandby`; it is still the one that commits wait for. */
  pauseStandby(): void {
    for (const one of serverProcesses(this.#standby.pid)) process.kill(one, 'SIGSTOP');
  }

  resumeStandby(): void {
    for (const one of serverProcesses(this.#standby.pid)) process.kill(one, 'SIGCONT');
  }

  /** The killed one comes back by itself, and does not know that it is no longer the primary. */
  async restartPrimary(): Promise<void> {
    this.#primary = await startServer(join(this.#folder, 'primary'), this.#binaries);
  }

  /** Resolves when the standby takes writes. */
  async promote(): Promise<void> {
    await asServer(this.#standbyPlace, 'pg_ctl', ['promote', '--wait', `--pgdata=${this.#standbyPlace.cluster}`]);
  }

  async stop(): Promise<void> {
    await this.#standby.stop();
    await this.#primary.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function startServer(dataDir: string, binaries: PostgresBinaries): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({
    dataDir,
    binaries,
    settings,
    priority: 'normal',
    keepsPort: true,
    log: () => undefined,
  });
}

/** A copy of the running primary that follows it. */
async function copyServer(place: PostgresPlace, primaryUrl: string): Promise<void> {
  await mkdir(place.cluster, { mode: 0o700 });
  if (place.runAs !== undefined) await chown(place.cluster, place.runAs.uid, place.runAs.gid);
  const source = `${primaryUrl}?application_name=${standbyName}`;
  await asServer(place, 'pg_basebackup', [
    `--dbname=${source}`,
    `--pgdata=${place.cluster}`,
    '--write-recovery-conf',
    '--checkpoint=fast',
  ]);
}

async function asServer(place: PostgresPlace, program: string, args: readonly string[]): Promise<void> {
  const file = join(place.binaries.native, 'bin', program);
  await run(file, args, { cwd: '/', ...(place.runAs ?? {}) });
}

/** From now on the primary answers no commit that the standby does not have on disk. */
async function requireStandby(primaryUrl: string): Promise<void> {
  const sql = postgres(primaryUrl, { max: 1, onnotice: () => undefined });
  try {
    await sql.unsafe(`alter system set synchronous_standby_names = '${standbyName}'`).simple();
    await sql`select pg_reload_conf()`;
    const deadlineMs = performance.now() + streamingWaitMs;
    for (;;) {
      const rows = await sql`select from pg_stat_replication where sync_state = 'sync'`;
      if (rows.length > 0) return;
      if (performance.now() > deadlineMs) throw new Error('the standby does not follow its primary');
      await delay(lookEveryMs);
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** The postmaster, then its children. */
function serverProcesses(pid: number): number[] {
  const children = readdirSync('/proc')
    .map(Number)
    .filter((one) => {
      if (!Number.isInteger(one)) return false;
      try {
        // pid (command) state parent …
        return Number(readFileSync(`/proc/${one}/stat`, 'utf8').split(') ').at(-1)!.split(' ')[1]) === pid;
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
  return [pid, ...children];
}
