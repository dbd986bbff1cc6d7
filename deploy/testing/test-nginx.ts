/** nginx for tests; where it is missing they fail, as find-program.ts says. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { findFreePort } from '../free-port.js';
import { type NginxSettings, nginxConfig } from '../nginx/nginx-config.js';
import { findProgram } from './find-program.js';

const startWaitMs = 20_000;
const lookEveryMs = 20;

export function findNginx(): Promise<string> {
  return findProgram({ program: 'nginx', debianPackage: 'nginx-light', missing: 'tests need nginx: install it' });
}

type Upstreams = Pick<NginxSettings, 'engines' | 'apis'> & Partial<NginxSettings>;

export class TestNginx {
  readonly authPort: number;
  readonly apiPort: number;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #logged = '';

  private constructor(settings: NginxSettings, child: ChildProcess) {
    this.authPort = settings.authPort;
    this.apiPort = settings.apiPort;
    this.#folder = settings.stateFolder;
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#logged += text;
      });
    }
  }

  /** Checks the configuration with `nginx -t`, then runs it on two free ports. */
  static async start(upstreams: Upstreams): Promise<TestNginx> {
    const program = await findNginx();
    const stateFolder = await mkdtemp(join(tmpdir(), 'nginx-'));
    // Started as root its workers run as another user.
    await chmod(stateFolder, 0o755);
    const settings: NginxSettings = {
      host: '127.0.0.1',
      authPort: await findFreePort(),
      apiPort: await findFreePort(),
      tls: null,
      assetsRoot: null,
      stateFolder,
      accessLog: join(stateFolder, 'access.log'),
      console: null,
      admin: null,
      // As engines under test have it.
      deadlineMs: 3000,
      ...upstreams,
    };
    const file = join(stateFolder, 'nginx.conf');
    await writeFile(file, nginxConfig(settings));
    const args = ['-e', 'stderr', '-p', stateFolder, '-c', file];
    await promisify(execFile)(program, [...args, '-t']);
    const child = spawn(program, [...args, '-g', 'daemon off;'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const killWithUs = () => child.kill('SIGTERM');
    process.once('exit', killWithUs);
    child.once('exit', () => process.removeListener('exit', killWithUs));
    const nginx = new TestNginx(settings, child);
    await nginx.#listens(settings.tls === null ? 'http' : 'https');
    return nginx;
  }

  get pid(): number {
    return this.#child.pid!;
  }
  get authUrl(): string {
    return `http://127.0.0.1:${this.authPort}`;
  }
  get apiUrl(): string {
    return `http://127.0.0.1:${this.apiPort}`;
  }
  /** Errors. */
  get logged(): string {
    return this.#logged;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #listens(scheme: string): Promise<void> {
    const giveUpAtMs = performance.now() + startWaitMs;
    // nginx answers a plain request on a TLS port with 400: it listens.
    while (
      !(await fetch(`http://127.0.0.1:${this.authPort}/livez`).then(
        (r) => r.ok || scheme === 'https',
        () => false,
      ))
    ) {
      if (this.#child.exitCode !== null || performance.now() > giveUpAtMs) {
        throw new Error(`nginx did not start:\n${this.#logged}`);
      }
      await delay(lookEveryMs);
    }
  }
}
