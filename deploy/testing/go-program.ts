/**
 * Programs of this repository that are written in Go, for tests: built once for each state of their source, and kept in
 * a folder that git ignores.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { withLockFile } from '../lock-file.js';
import { repositoryRoot } from '../repository-root.js';

/** The first build downloads and compiles up to a few hundred Go packages; on a busy machine that takes minutes. */
const buildWaitMs = 15 * 60_000;
const progressEveryMs = 10_000;
/** What a failing build says last. */
const saidCharsMax = 4_000;

/**
 * Builds the program unless this very source was built before.
 * @param source its folder, from the root of the repository
 * @param log reports what takes long
 * @returns the program's path
 */
export async function buildGoProgram(source: string, log: (line: string) => void): Promise<string> {
  const folder = join(repositoryRoot(), source);
  const name = basename(source);
  const hash = createHash('sha256');
  for (const part of ['main.go', 'go.mod', 'go.sum']) hash.update(await readFile(join(folder, part)));
  const into = join(repositoryRoot(), `.build-${name}`);
  const file = join(into, `${name}-${hash.digest('hex').slice(0, 16)}`);
  await mkdir(into, { recursive: true });
  return withLockFile(join(into, 'build.lock'), buildWaitMs, async () => {
    if (await exists(file)) return file;
    // Renamed when it is whole: a build that was killed leaves nothing that looks finished.
    await goBuild(folder, `${file}.new`, (packages, seconds) => {
      log(`building ${source}, which tests use: ${packages} packages in ${seconds} s`);
    });
    await rename(`${file}.new`, file);
    return file;
  });
}

function goBuild(folder: string, output: string, report: (packages: number, seconds: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    let packages = 0;
    let said = '';
    const progress = (): void => report(packages, Math.round((Date.now() - startedMs) / 1000));
    progress();
    const timer = setInterval(progress, progressEveryMs);
    const child = spawn('go', ['build', '-v', '-trimpath', '-mod=readonly', '-o', output, '.'], {
      cwd: folder,
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      // One line per compiled package.
      packages += text.split('\n').length - 1;
      said = (said + text).slice(-saidCharsMax);
    });
    child.once('error', reject);
    child.once('close', (code) => {
      clearInterval(timer);
      if (code === 0) resolve();
      else reject(new Error(`go build in ${folder} failed:\n${said}`));
    });
  });
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
