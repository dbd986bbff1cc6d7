/** Debian's PostgreSQL, an older one than the embedded: for tests of versions, of replication and of failover. */
import { dirname, join } from 'node:path';
import { binariesIn, type PostgresBinaries } from '../postgres/postgres-binaries.js';
import { findProgram } from './find-program.js';

/** The oldest version that is served, and that of Debian 12. */
export const debianVersion = '15';

export async function findDebianPostgres(version = debianVersion): Promise<PostgresBinaries> {
  const bin = join('/usr/lib/postgresql', version, 'bin');
  const program = join(bin, 'initdb');
  const debianPackage = `postgresql-${version}`;
  const missing = `these tests need PostgreSQL ${version} in ${bin}: apt-get install ${debianPackage}`;
  return binariesIn(dirname(dirname(await findProgram({ program, debianPackage, missing }))));
}
