/**
 * A program that speaks MongoDB's protocol, for tests: `mongod` on PATH, else deploy/dev-mongo built with Go (once,
 * about a minute; kept in .build-dev-mongo), else a MongoDB downloaded by mongodb-memory-server. Without any of them
 * this throws and says what to install: tests fail, they are never skipped.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { withLockFile } from '../lock-file.js';
import { repositoryRoot } from '../repository-root.js';

export interface MongoProgram {
  readonly kind: 'mongod' | 'dev-mongo';
  readonly file: string;
}

/** The first build downloads and compiles a few hundred Go packages; on a busy machine that takes minutes. */
const buildWaitMs = 15 * 60_000;
const progressEveryMs = 10_000;
/** What a failing build says last. */
const saidCharsMax = 4_000;

/** Finds or makes the program. `log` reports what takes long. */
export async function findMongoProgram(log: (line: string) => void): Promise<MongoProgram> {
  if (await runs('mongod', ['--version'])) return { kind: 'mongod', file: 'mongod' };
  const refused: string[] = ['mongod is not on PATH'];
  if (await runs('go', ['version'])) {
    try {
      return { kind: 'dev-mongo', file: await buildDevMongo(log) };
    } catch (error) {
      refused.push(messageOf(error));
    }
  } else {
    refused.push('go is not on PATH');
  }
  try {
    log('downloading MongoDB with mongodb-memory-server');
    const { MongoBinary } = await import('mongodb-memory-server-core');
    return { kind: 'mongod', file: await MongoBinary.getPath() };
  } catch (error) {
    refused.push(messageOf(error));
  }
  throw new Error(
    'no MongoDB-protocol server for the tests: set MONGODB_URI (deploy/compose.development.yaml starts one), or ' +
      'install mongod or Go.\n' +
      refused.join('\n'),
  );
}

/** Command line of a server on `port` of 127.0.0.1 that keeps its data in `folder`. */
export function mongoArguments(program: MongoProgram, port: number, folder: string): string[] {
  return program.kind === 'dev-mongo'
    ? [`127.0.0.1:${port}`, folder]
    : ['--bind_ip=127.0.0.1', `--port=${port}`, `--dbpath=${folder}`, '--nounixsocket', '--quiet'];
}

/** Builds deploy/dev-mongo unless this very source was built before. @returns the program's path */
async function buildDevMongo(log: (line: string) => void): Promise<string> {
  const source = join(repositoryRoot(), 'deploy', 'dev-mongo');
  const hash = createHash('sha256');
  for (const name of ['main.go', 'go.mod', 'go.sum']) hash.update(await readFile(join(source, name)));
  const folder = join(repositoryRoot(), '.build-dev-mongo');
  const file = join(folder, `dev-mongo-${hash.digest('hex').slice(0, 16)}`);
  await mkdir(folder, { recursive: true });
  return withLockFile(join(folder, 'build.lock'), buildWaitMs, async () => {
    if (await exists(file)) return file;
    // Renamed when it is whole: a build that was killed leaves nothing that looks finished.
    await goBuild(source, `${file}.new`, log);
    await rename(`${file}.new`, file);
    return file;
  });
}

function goBuild(source: string, output: string, log: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const startedMs = Date.now();
    let packages = 0;
    let said = '';
    const report = (): void => {
      const seconds = Math.round((Date.now() - startedMs) / 1000);
      log(`building deploy/dev-mongo, the tests' MongoDB-protocol server: ${packages} packages in ${seconds} s`);
    };
    report();
    const timer = setInterval(report, progressEveryMs);
    const child = spawn('go', ['build', '-v', '-trimpath', '-mod=readonly', '-o', output, '.'], {
      cwd: source,
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
      else reject(new Error(`go build in ${source} failed:\n${said}`));
    });
  });
}

function runs(file: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => execFile(file, args, (error) => resolve(error === null)));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
