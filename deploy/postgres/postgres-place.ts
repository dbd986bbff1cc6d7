/**
 * Where the embedded cluster lives and as whom it runs. PostgreSQL refuses to run as root, so under root it runs as the
 * system user `postgres`. That user must be able to reach the data folder and the programs, which it cannot below a
 * folder of mode 700 (a home). Then both move below /var/tmp, and a pointer file in DATA_DIR says so.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chown, cp, lstat, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { binariesIn, type PostgresBinaries } from './postgres-binaries.js';

const run = promisify(execFile);

/** User and group ids of a process; undefined: the same as ours. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresPlace {
  /** The cluster's data folder. */
  readonly cluster: string;
  readonly binaries: PostgresBinaries;
  readonly runAs: RunAs | undefined;
}

/**
 * Chooses and prepares the place for the cluster of `dataDir` (absolute, exists). The caller holds the cluster's lock.
 */
export async function choosePostgresPlace(
  dataDir: string,
  binaries: PostgresBinaries,
  log: (line: string) => void,
): Promise<PostgresPlace> {
  const inside = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) return { cluster: inside, binaries, runAs: undefined };
  const runAs = await systemUser();
  const reachable = canEnter(binaries.native, runAs) ? binaries : await copyBinaries(binaries, runAs);
  const pointer = join(dataDir, 'postgres.location');
  const pointed = await readFile(pointer, 'utf8').catch(() => null);
  if (pointed === null && canEnter(dataDir, runAs)) return { cluster: inside, binaries: reachable, runAs };
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  const outside = await ownFolder(`atlanticfrewaycard-${name}`, runAs);
  await writeFile(pointer, `${outside}\n`);
  if (pointed === null) log(`the user postgres cannot enter ${dataDir}: the database is kept in ${outside}`);
  return { cluster: join(outside, 'postgres'), binaries: reachable, runAs };
}

/** The system user `postgres`, created when there is none. */
export async function systemUser(): Promise<RunAs> {
  const ids = async (): Promise<RunAs> => {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  };
  try {
    return await ids();
  } catch {
    // Not there yet.
  }
  try {
    await run('groupadd', ['--system', '--force', 'postgres']);
    await run('useradd', ['--system', '--no-create-home', '--gid', 'postgres', 'postgres']);
    return await ids();
  } catch (error) {
    throw new Error(
      'PostgreSQL does not run as root and the system user "postgres" could not be created: ' +
        'create it, run as another user, or set DATABASE_URL',
      { cause: error },
    );
  }
}

function canEnter(folder: string, runAs: RunAs): boolean {
  // Only the kernel knows (modes, groups, ACLs, mounts): ask it as that user.
  const result = spawnSync('/bin/sh', ['-c', 'cd "$0"', folder], { uid: runAs.uid, gid: runAs.gid, cwd: '/' });
  return result.status === 0;
}

/** A folder below /var/tmp that only `runAs` can enter; made when missing. */
async function ownFolder(name: string, runAs: RunAs): Promise<string> {
  // /var/tmp survives a restart of the machine, /tmp need not.
  const base = (await lstat('/var/tmp').catch(() => null)) === null ? tmpdir() : '/var/tmp';
  const folder = join(base, name);
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const found = await lstat(folder);
    // Anyone can create a name in /var/tmp: a foreign folder or a symlink there would hand them the database.
    if (!found.isDirectory() || (found.uid !== runAs.uid && found.uid !== 0)) {
      throw new Error(`${folder} belongs to someone else: remove it, or set DATA_DIR to a folder that all can enter`);
    }
  }
  await chown(folder, runAs.uid, runAs.gid);
  return folder;
}

/** One copy of the programs for all checkouts that the server's user cannot enter. */
async function copyBinaries(binaries: PostgresBinaries, runAs: RunAs): Promise<PostgresBinaries> {
  const version: string = JSON.parse(await readFile(join(binaries.native, '..', 'package.json'), 'utf8')).version;
  const native = join(await ownFolder('atlanticfrewaycard-programs', runAs), version);
  if ((await lstat(native).catch(() => null)) !== null) return binariesIn(native);
  // Copied aside and renamed, so that an interrupted copy is never mistaken for a whole one.
  const partial = `${native}.${randomBytes(6).toString('hex')}`;
  await cp(binaries.native, partial, { recursive: true, verbatimSymlinks: true });
  await chown(partial, runAs.uid, runAs.gid);
  try {
    await rename(partial, native);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    // Another process copied them at the same time.
    if ((await lstat(native).catch(() => null)) === null) throw error;
  }
  return binariesIn(native);
}
