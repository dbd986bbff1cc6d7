/**
 * `make image-check`: runs the steps of the Dockerfile without Docker, in folders that begin as a Debian 13 made by
 * debootstrap. Then it runs migration, engine and API there as a container would: as process 1 of a PID namespace, not
 * root, on a read-only root file system. Needs root, debootstrap, unshare and the network; takes minutes.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { embeddedRoles } from '../database-roles.js';
import { startEmbeddedPostgres } from '../embedded-postgres.js';
import { findFreePort } from '../free-port.js';
import { repositoryRoot } from '../repository-root.js';
import { type Instruction, parseDockerfile, type Stage } from './dockerfile.js';

const root = repositoryRoot();
const place = join(root, '.build-image');
const base = join(place, 'debian-13-node-24');
const mirror = 'http://deb.debian.org/debian';
/** PATH of the official image. */
const programs = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const readyWaitMs = 120_000;
/** A container is killed this long after SIGTERM, where nothing else is set. */
const stopWaitMs = 10_000;

/** The image of the last stage: its root, and what its instructions say about running it. */
interface Image {
  readonly folder: string;
  readonly workdir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly entrypoint: readonly string[];
}

function say(line: string): void {
  console.log(`image-check: ${line}`);
}

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): void {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'], env, maxBuffer: 2 ** 26 });
  } catch (error) {
    console.error(String((error as { stdout?: Buffer }).stdout ?? ''));
    throw error;
  }
}

/** As the image `node:24-trixie-slim`: Debian 13, Node.js 24 with npm, and a user 1000. Kept for the next time. */
function makeBase(): void {
  if (existsSync(base)) return;
  say('making a Debian 13 with Node.js 24');
  const partial = `${base}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(place, { recursive: true });
  run('debootstrap', ['--variant=minbase', 'trixie', partial, mirror]);
  const fetched = join(place, 'node');
  mkdirSync(fetched, { recursive: true });
  writeFileSync(join(fetched, 'package.json'), '{"private":true}');
  run('npm', ['install', '--prefix', fetched, '--no-audit', '--no-fund', 'node@24', 'npm@11']);
  cpSync(join(fetched, 'node_modules/node/bin/node'), join(partial, 'usr/local/bin/node'));
  const npm = 'usr/local/lib/node_modules/npm';
  cpSync(join(fetched, 'node_modules/npm'), join(partial, npm), { recursive: true });
  writeFileSync(join(partial, 'usr/local/bin/npm'), `#!/bin/sh\nexec node /${npm}/bin/npm-cli.js "$@"\n`, {
    mode: 0o755,
  });
  run('chroot', [partial, 'useradd', '--uid', '1000', '--create-home', 'node']);
  for (const path of ['/etc/resolv.conf', '/etc/hosts']) cpSync(path, join(partial, path));
  renameSync(partial, base);
}

/** Variables of this machine without which npm does not reach its registry: they are no part of the image. */
function networkEnvironment(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'npm_config_registry', 'NODE_EXTRA_CA_CERTS']) {
    const value = process.env[name];
    if (value === undefined || value === '') continue;
    found[name] = value;
    if (name !== 'NODE_EXTRA_CA_CERTS') continue;
    mkdirSync(join(folder, dirname(value)), { recursive: true });
    cpSync(value, join(folder, value), { dereference: true });
  }
  return found;
}

/** The build context: what neither git nor .dockerignore ignores. */
function makeContext(): string {
  const context = join(place, 'context');
  rmSync(context, { recursive: true, force: true });
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n');
  const listed = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', listed, { cwd: root, encoding: 'utf8' }).split('\0');
  for (const path of files) {
    if (path === '' || ignored.some((name) => path === name || path.startsWith(`${name}/`))) continue;
    if (existsSync(join(root, path))) cpSync(join(root, path), join(context, path));
  }
  return context;
}

function build(stages: readonly Stage[]): Image {
  const context = makeContext();
  const images = new Map<string, Image>();
  let image: Image | null = null;
  for (const { name, from, instructions } of stages) {
    const folder = join(place, `stage-${name}`);
    const parent = images.get(from);
    rmSync(folder, { recursive: true, force: true });
    run('cp', ['-a', '--reflink=auto', parent?.folder ?? base, folder]);
    image = { workdir: '/', environment: {}, user: '0:0', healthcheck: [], entrypoint: [], ...parent, folder };
    for (const one of instructions) image = step(image, one, context, images);
    images.set(name, image);
  }
  return image!;
}

function step(image: Image, one: Instruction, context: string, images: ReadonlyMap<string, Image>): Image {
  const { folder, workdir, environment } = image;
  switch (one.kind) {
    case 'workdir':
      mkdirSync(join(folder, one.value), { recursive: true });
      return { ...image, workdir: one.value };
    case 'env':
      return { ...image, environment: { ...environment, [one.name]: one.value } };
    case 'user':
      return { ...image, user: one.value };
    case 'healthcheck':
      return { ...image, healthcheck: one.argv };
    case 'entrypoint':
      return { ...image, entrypoint: one.argv };
    case 'copy': {
      for (const source of one.sources) {
        const whole = one.sources.length > 1 || one.to.endsWith('/') ? join(one.to, source) : one.to;
        const from = one.stage === null ? join(context, source) : join(images.get(one.stage)!.folder, source);
        cpSync(from, join(folder, workdir, whole), { recursive: true });
      }
      return image;
    }
    case 'run': {
      say(`RUN ${one.command}`);
      const env = {
        PATH: programs,
        HOME: '/root',
        ...networkEnvironment(folder),
        ...environment,
      };
      const inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"';
      const shell = ['sh', '-c', inside, folder, `cd ${workdir} && ${one.command}`];
      run('unshare', ['--mount', '--pid', '--fork', '--kill-child', ...shell], env);
      return image;
    }
    default:
      return image;
  }
}

/** A process in the image, as a container has it. */
class Container {
  readonly #child: ChildProcess;
  readonly #image: Image;
  readonly #ended: Promise<number | null>;
  logged = '';

  constructor(image: Image, data: string, command: readonly string[], environment: Readonly<Record<string, string>>) {
    this.#image = image;
    const { folder, user, workdir } = image;
    const script = [
      'mount --bind "$0" "$0"',
      'mount -t proc proc "$0/proc"',
      `mount --bind "${data}" "$0/data"`,
      'mount -t tmpfs tmpfs "$0/tmp"',
      'mount -o remount,bind,ro "$0"',
      `exec chroot --userspec=${user} "$0" env --chdir=${workdir} "$@"`,
    ].join(' && ');
    const argv = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', script, folder];
    this.#child = spawn('unshare', [...argv, ...image.entrypoint, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: programs, HOME: '/tmp', ...image.environment, ...environment },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.logged += text;
      });
    }
    const killWithUs = () => this.#child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#ended = once(this.#child, 'close').then(([code]) => {
      process.removeListener('exit', killWithUs);
      return code as number | null;
    });
  }

  /** Process 1 of the namespace, by its number outside. */
  get #pid(): number {
    const { pid } = this.#child;
    return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
  }

  async ended(): Promise<number | null> {
    return this.#ended;
  }

  async says(url: string): Promise<void> {
    const giveUpAtMs = performance.now() + readyWaitMs;
    while (
      (await fetch(url).then(
        ({ status }) => status,
        () => 0,
      )) !== 200
    ) {
      if (this.#child.exitCode !== null || performance.now() > giveUpAtMs)
        throw new Error(`not ready:\n${this.logged}`);
      await delay(100);
    }
  }

  /** Runs the image's health check beside process 1. */
  isHealthy(): boolean {
    const { healthcheck, environment, workdir } = this.#image;
    const target = String(this.#pid);
    const inside = ['--target', target, '--mount', '--pid', '--root', 'env', `--chdir=${workdir}`];
    const env = { ...environment, ...environmentOf(this.#pid) };
    try {
      execFileSync('nsenter', [...inside, ...healthcheck], { stdio: 'pipe', env });
      return true;
    } catch {
      return false;
    }
  }

  /** @returns its exit code; throws where it has to be killed */
  async stop(): Promise<number | null> {
    process.kill(this.#pid, 'SIGTERM');
    const late = new AbortController();
    const timeout = delay(stopWaitMs, 'late' as const, { signal: late.signal }).catch(() => 'late' as const);
    const code = await Promise.race([this.#ended, timeout]);
    late.abort();
    if (code === 'late') throw new Error(`not stopped by SIGTERM within ${stopWaitMs} ms:\n${this.logged}`);
    return code;
  }
}

function environmentOf(pid: number): Record<string, string> {
  const entries = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
  return Object.fromEntries(entries.map((entry) => [entry.split('=', 1)[0]!, entry.slice(entry.indexOf('=') + 1)]));
}

function expect(condition: boolean, text: string): void {
  if (!condition) throw new Error(`not so: ${text}`);
  say(`ok: ${text}`);
}

async function tryImage(image: Image, databaseFolder: string): Promise<void> {
  const server = await startEmbeddedPostgres({ dataDir: databaseFolder, log: () => undefined });
  try {
    const { urls } = await embeddedRoles(databaseFolder, server.url);
    const data = join(place, 'data');
    rmSync(data, { recursive: true, force: true });
    mkdirSync(data);
    chownSync(data, 1000, 1000);
    const [auth, ops, api, apiOps] = [
      await findFreePort(),
      await findFreePort(),
      await findFreePort(),
      await findFreePort(),
    ];
    const loopback = {
      HOST: '127.0.0.1',
      OPS_HOST: '127.0.0.1',
      ENGINE_TOKEN: 'a-token-of-the-image-check',
      PARTITIONS: '1',
    };
    const engineEnvironment = {
      ...loopback,
      DATABASE_URL: urls.engine,
      AUTH_PORT: String(auth),
      OPS_PORT: String(ops),
      PROCESSOR_USER: 'processor',
      PROCESSOR_PASSWORD: 'a-password-of-the-image-check',
    };
    const migration = new Container(image, data, ['dist/deploy/migrate.js'], { DATABASE_URL: urls.owner });
    expect((await migration.ended()) === 0, 'the migration ends with 0');
    const engine = new Container(image, data, ['dist/engine/main.js'], engineEnvironment);
    await engine.says(`http://127.0.0.1:${ops}/readyz`);
    expect(engine.isHealthy(), 'the engine is ready and its health check passes');
    const account = new Container(image, data, ['dist/api/main.js'], {
      ...loopback,
      DATABASE_URL: urls.api,
      API_PORT: String(api),
      API_OPS_PORT: String(apiOps),
      ENGINE_URL: `http://127.0.0.1:${ops}`,
      JWT_SECRET: 'a-secret-of-the-image-check-with-letters',
    });
    await account.says(`http://127.0.0.1:${api}/readyz`);
    expect(account.isHealthy(), 'the API is ready and its health check passes');
    const answer = await fetch(`http://127.0.0.1:${auth}/v1/authorizations`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('processor:a-password-of-the-image-check').toString('base64')}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        id: 'image-check',
        type: 'authorization',
        card: 'no-such-card',
        amount: 100,
        currency: 'USD',
        merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
        channel: 'chip',
      }),
    });
    const { reason } = (await answer.json()) as { reason?: string };
    expect(answer.status === 200 && reason === 'card_not_found', 'a message is decided');
    expect((await account.stop()) === 0, 'SIGTERM stops the API, as process 1, with 0');
    expect((await engine.stop()) === 0, 'SIGTERM stops the engine, as process 1, with 0');
    await tryEarlyStop(image, data, engineEnvironment);
  } finally {
    await server.stop();
  }
}

async function tryEarlyStop(image: Image, data: string, environment: Readonly<Record<string, string>>): Promise<void> {
  const silent = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const DATABASE_URL = `postgres://none:none@127.0.0.1:${port}/none`;
  const connected = once(silent, 'connection');
  const early = new Container(image, data, ['dist/engine/main.js'], { ...environment, DATABASE_URL });
  const [socket] = await connected;
  expect((await early.stop()) === 143, 'SIGTERM stops an engine that waits for its database');
  socket.destroy();
  silent.close();
}

if (process.getuid?.() !== 0) throw new Error('image-check needs root: for chroot and mounts');
mkdirSync(place, { recursive: true });
// User 1000 of the image walks through these folders.
chmodSync(place, 0o755);
makeBase();
const image = build(parseDockerfile(readFileSync(join(root, 'Dockerfile'), 'utf8')));
const [size = ''] = execFileSync('du', ['-sm', join(image.folder, 'app')], { encoding: 'utf8' }).split('\t');
say(`/app has ${size} MiB`);
await tryImage(image, join(place, 'database'));
say('the image works');
