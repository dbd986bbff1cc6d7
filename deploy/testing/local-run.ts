/** `make run` and `make cluster` as processes of a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../engine/testing/engine-process.js';
import { clusterPorts } from '../cluster-ports.js';
import { findFreePort, isPortFree } from '../free-port.js';

export const runHost = '127.0.0.2';
export const recoveryMs = 60_000;

export class LocalRun {
  readonly #child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  logged = '';

  constructor(
    readonly dataDir: string,
    readonly ports: Readonly<Record<'auth' | 'ops' | 'api' | 'apiOps', number>>,
    environment: Readonly<Record<string, string>> = {},
    script: 'run' | 'cluster' = 'run',
  ) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(process.execPath, [fileURLToPath(new URL(`../${script}.js`, import.meta.url))], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH,
        HOME,
        HOST: runHost,
        DATA_DIR: dataDir,
        AUTH_PORT: String(ports.auth),
        OPS_PORT: String(ports.ops),
        API_PORT: String(ports.api),
        API_OPS_PORT: String(ports.apiOps),
        PROCESSOR_USER: 'processor',
        PROCESSOR_PASSWORD: 'a-password-of-the-tests',
        FEED_STALE_MS_MAX: '4000',
        DEADLINE_MS: '3000',
        ...environment,
      },
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.logged += text;
      });
    }
    this.ended = once(this.#child, 'close');
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Its services live on, and would keep its pipes open. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) stream.destroy();
    await this.ended;
  }

  async statuses(): Promise<number[]> {
    const urls = [`http://127.0.0.1:${this.ports.ops}/readyz`, `http://${runHost}:${this.ports.api}/readyz`];
    return Promise.all(
      urls.map((url) =>
        fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
          ({ status }) => status,
          () => 0,
        ),
      ),
    );
  }

  async ready(what: string): Promise<void> {
    await until(what, async () => (await this.statuses()).every((status) => status === 200), recoveryMs, 50);
  }

  async #json(url: string, body: object, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    return (await response.json()) as Record<string, unknown>;
  }

  authorize(id: string, port = this.ports.auth): Promise<Record<string, unknown>> {
    const message = { id, type: 'authorization', card: 'card_demo', amount: 1, currency: 'USD' };
    const basic = Buffer.from('processor:a-password-of-the-tests').toString('base64');
    const authorization = `Basic ${basic}`;
    return this.#json(`http://${runHost}:${port}/v1/authorizations`, message, { authorization });
  }

  async signsIn(): Promise<boolean> {
    const body = { email: 'test@example.com', password: 'password123' };
    const url = `http://${runHost}:${this.ports.api}/api/auth/login`;
    return typeof (await this.#json(url, body).catch(() => ({ token: null }))).token === 'string';
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.ports.ops}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name}{partition="0"}`))
        ?.split(' ')[1],
    );
  }

  async pids(): Promise<{ engine: number; api: number; postgres: number }> {
    const list = JSON.parse(await readFile(join(this.dataDir, 'processes.json'), 'utf8')) as {
      name: string;
      pid: number;
    }[];
    const pidOf = (wanted: string) => list.find(({ name }) => name === wanted)!.pid;
    const lines = (await readFile(join(this.dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
    return { engine: pidOf('engine'), api: pidOf('api'), postgres: Number(lines[0]) };
  }
}

export async function freePorts() {
  const ports = [await findFreePort(), await findFreePort(), await findFreePort(), await findFreePort()] as const;
  const [auth, ops, api, apiOps] = ports;
  return { auth, ops, api, apiOps };
}

/** Ports for `make cluster`, apart, whose ranges above them are free as well. */
export async function freeClusterPorts(engineCount: number, apiCount: number) {
  for (;;) {
    const auth = await findFreePort();
    const base = { auth, ops: auth + 20, api: auth + 40, apiOps: auth + 60 };
    const { ops: opsPort, api: apiPort, apiOps: apiOpsPort } = base;
    const own = clusterPorts({ authPort: auth, opsPort, apiPort, apiOpsPort, consoleHost: '' }, engineCount, apiCount);
    const all = [base, ...own.engines, ...own.apis].flatMap((ports): (number | null)[] => Object.values(ports));
    const free = await Promise.all(all.filter((port) => port !== null).map(isPortFree));
    if (free.every((isFree) => isFree)) return { base, own };
  }
}
