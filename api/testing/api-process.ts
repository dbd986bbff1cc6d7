/**
 * The API as a process of its own, as a deployment starts it: for tests that take away what it stands on. What it does
 * with its drivers' stray errors is part of what is tested.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processUrl } from '../../deploy/testing/test-database.js';
import { testPanKey, testToken, withOpenFilesMax } from '../../engine/testing/engine-process.js';
import { noLimits } from './no-limits.js';

const readyWaitMs = 60_000;
const lookMs = 20;
/** What the process said last, for the message of a failing test. */
const loggedCharsMax = 20_000;

export class ApiProcess {
  readonly url: string;
  /** Only with API_OPS_PORT in the environment; else the system chose the port. */
  readonly opsUrl: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #logged = '';

  /** @param openFilesMax its limit of file descriptors; as many as this process may have when not given */
  constructor(port: number, environment: Readonly<Record<string, string>>, openFilesMax?: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.opsUrl = `http://127.0.0.1:${environment['API_OPS_PORT']}`;
    const { PATH = '', HOME = '' } = process.env;
    const { DATABASE_URL: databaseUrl } = environment;
    const main = fileURLToPath(new URL('../main.js', import.meta.url));
    const [command, argv] = withOpenFilesMax(openFilesMax, process.execPath, main);
    const child = spawn(command, argv, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH,
        HOME,
        API_PORT: String(port),
        API_OPS_PORT: '0',
        JWT_SECRET: 'a-secret-of-the-tests-with-enough-letters',
        ENGINE_TOKEN: testToken,
        ...noLimits,
        SELF_FUNDING: 'true',
        PAN_KEY: testPanKey,
        // A machine that is busy with other tests is no pressure.
        EVENT_LOOP_DELAY_MS: '600000',
        ...environment,
        ...(databaseUrl === undefined ? {} : { DATABASE_URL: processUrl(databaseUrl, 'api') }),
      },
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#logged = (this.#logged + text).slice(-loggedCharsMax);
      });
    }
    const killWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.#ended = once(child, 'close').then(() => process.removeListener('exit', killWithUs));
  }

  get pid(): number {
    return this.#child.pid!;
  }
  get logged(): string {
    return this.#logged;
  }
  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Resolves once requests are served. Throws with what it said when it ends instead.
   * @param path `/livez` where Postgres is away: the API starts without it, and is not ready
   */
  async ready(path: '/readyz' | '/livez' = '/readyz'): Promise<void> {
    const giveUpAtMs = performance.now() + readyWaitMs;
    for (;;) {
      const status = await fetch(`${this.url}${path}`).then(
        (response) => response.status,
        () => 0,
      );
      if (status === 200) return;
      if (!this.isAlive || performance.now() > giveUpAtMs) throw new Error(`the API did not start:\n${this.#logged}`);
      await delay(lookMs);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }
}
