/**
 * Programs that tests need and npm does not have: from PATH, or from apt when we are root on Debian. Without them tests
 * fail, they are never skipped.
 */
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onPath } from '../../platform/process/on-path.js';
import { withLockFile } from '../lock-file.js';

export interface WantedProgram {
  /** A name, or the path of the one version that is wanted. */
  readonly program: string;
  readonly debianPackage: string;
  /** The error for a person whose machine has neither the program nor apt. */
  readonly missing: string;
}

const installWaitMs = 5 * 60_000;

/** The path of a program, which is installed first where it is missing. */
export async function findProgram({ program, debianPackage, missing }: WantedProgram): Promise<string> {
  const found = await onPath(program);
  if (found !== null) return found;
  const apt = await onPath('apt-get');
  if (apt === null || process.getuid?.() !== 0) throw new Error(missing);
  // One lock for all packages: apt itself has one, and fails instead of waiting for it.
  return withLockFile(join(tmpdir(), 'install-packages.lock'), installWaitMs, async () => {
    // Another test process may have been faster.
    const meanwhile = await onPath(program);
    if (meanwhile !== null) return meanwhile;
    const run = promisify(execFile);
    const options = {
      timeout: installWaitMs,
      env: {
        ...process.env,
        DEBIAN_FRONTEND: 'noninteractive',
        // The package would start a server of its own.
        RUNLEVEL: '1',
      },
    };
    try {
      await run(apt, ['update', '-qq'], options);
      await run(apt, ['install', '-y', '-qq', '--no-install-recommends', debianPackage], options);
    } catch (error) {
      throw new Error(`${missing} (${error instanceof Error ? error.message : error})`);
    }
    const installed = await onPath(program);
    if (installed === null) throw new Error(missing);
    return installed;
  });
}
