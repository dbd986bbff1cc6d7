/**
 * Where the embedded cluster lives and as whom it runs. PostgreSQL refuses to run as root, so under root it runs as the
 * system user `postgres`; that user must be able to reach the data folder and the programs, which it cannot in a
 * checkout below a folder of mode 700 (a home). Then both move below /var/tmp, and a pointer file in DATA_DIR says so.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, cp, lstat, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
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

/** Chooses and prepares the place for the cluster of `dataDir` (absolute, exists). */
export async function choosePostgresPlace(
  dataDir: string,
  binaries: PostgresBinaries,
  log: (line: string) => void,
): Promise<PostgresPlace> {
  const inside = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) return { cluster: inside, binaries, runAs: undefined };
  const runAs = await postgresUser();
  const pointer = join(dataDir, 'postgres.location');
  const pointed = await readFile(pointer, 'utf8').catch(() => null);
  if (pointed === null && canEnter(dataDir, runAs) && canEnter(binaries.native, runAs)) {
    return { cluster: inside, binaries, runAs };
  }
  const outside = await ownFolderOutside(dataDir, runAs);
  await writeFile(pointer, `${outside}\n`);
  const reachable = canEnter(binaries.native, runAs) ? binaries : await copyBinaries(binaries, outside, runAs);
  if (pointed === null) {
    log(`the user postgres cannot enter ${dataDir}: the database is kept in ${outside}`);
  }
  return { cluster: join(outside, 'postgres'), binaries: reachable, runAs };
}

/** The system user `postgres`, created when there is none. */
async function postgresUser(): Promise<RunAs> {
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

/** A folder that only `runAs` can enter, always the same one for the same data folder. */
async function ownFolderOutside(dataDir: string, runAs: RunAs): Promise<string> {
  // /var/tmp survives a restart of the machine, /tmp need not.
  const base = (await lstat('/var/tmp').catch(() => null)) === null ? tmpdir() : '/var/tmp';
  const name = createHash('sha256')
    .update(await realpath(dataDir))
    .digest('hex')
    .slice(0, 16);
  const folder = join(base, `atlanticfrewaycard-${name}`);
  try {
    await mkdir(folder, { mode: 0o700 });
    await chown(folder, runAs.uid, runAs.gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const found = await lstat(folder);
    // Anyone can create a name in /var/tmp: a foreign folder or a symlink there would hand them the database.
    if (!found.isDirectory() || (found.uid !== runAs.uid && found.uid !== 0)) {
      throw new Error(`${folder} belongs to someone else: remove it, or set DATA_DIR to a folder that all can enter`);
    }
    await chown(folder, runAs.uid, runAs.gid);
  }
  return folder;
}

async function copyBinaries(binaries: PostgresBinaries, outside: string, runAs: RunAs): Promise<PostgresBinaries> {
  const version: string = JSON.parse(await readFile(join(binaries.native, '..', 'package.json'), 'utf8')).version;
  const native = join(outside, `native-${version}`);
  if ((await lstat(native).catch(() => null)) === null) {
    // Copied aside and renamed, so that an interrupted copy is never mistaken for a whole one.
    const partial = `${native}.partial`;
    await rm(partial, { recursive: true, force: true });
    await cp(binaries.native, partial, { recursive: true, verbatimSymlinks: true });
    await chown(partial, runAs.uid, runAs.gid);
    await rename(partial, native);
  }
  return binariesIn(native);
}
