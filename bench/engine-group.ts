/** Several engines on one database with JOURNAL=postgres, behind nginx, each a process that a benchmark may end. */
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../deploy/free-port.js';
import { createTestDatabase, processUrl } from '../deploy/testing/test-database.js';
import { TestNginx } from '../deploy/testing/test-nginx.js';
import { ensureAccounts } from './accounts.js';
import type { Target } from './measure.js';
import type { Ends } from './scratch.js';
import { type EngineServer, loopback, type Stack, startEngine } from './stack.js';

/** Join, planned moves, and the start of an engine on a busy machine. */
const evenWaitMs = 60_000;
const lookMs = 50;

export interface EngineGroupOptions {
  readonly stack: Stack;
  readonly accountCount: number;
  readonly balanceMinor: number;
  /** False: a server that need not survive a power cut. */
  readonly isDurable: boolean;
  readonly ends: Ends;
}

interface Place {
  readonly port: number;
  readonly opsPort: number;
  readonly peerPort: number;
}

export class EngineGroup {
  readonly databaseUrl: string;
  readonly #options: EngineGroupOptions;
  readonly #storePid: number | null;
  readonly #places: Place[] = [];
  readonly #servers: (EngineServer | null)[] = [];
  #env: Readonly<Record<string, string>> = {};
  #nginx: TestNginx | null = null;

  private constructor(options: EngineGroupOptions, databaseUrl: string, storePid: number | null) {
    this.#options = options;
    this.databaseUrl = databaseUrl;
    this.#storePid = storePid;
  }

  /** A database with accounts; no engine yet. */
  static async make(options: EngineGroupOptions): Promise<EngineGroup> {
    const { accountCount: count, balanceMinor, isDurable, ends } = options;
    // Not the stack's server: that one yields to the engine, and here it is part of each answer.
    const database = await createTestDatabase({ durable: isDurable });
    ends.add(() => database.close());
    await ensureAccounts({ databaseUrl: database.url, count, balanceMinor });
    const group = new EngineGroup(options, database.url, isDurable ? database.serverPid : null);
    ends.add(() => group.stop());
    return group;
  }

  /** Ends all engines, and starts so many with these variables. */
  async start(count: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.stop();
    this.#env = env;
    while (this.#places.length < count) {
      this.#places.push({
        port: await findFreePort(),
        opsPort: await findFreePort(),
        peerPort: await findFreePort(),
      });
    }
    await Promise.all(Array.from({ length: count }, (_, index) => this.startOne(index)));
    if (count > 1) {
      this.#nginx = await TestNginx.start({
        engines: this.#places.slice(0, count).map(({ port, opsPort }) => ({
          auth: `${loopback}:${port}`,
          ops: `${loopback}:${opsPort}`,
          weight: 1,
        })),
        apis: [{ api: `${loopback}:1`, weight: 1 }],
        accessLog: null,
      });
    }
    await this.untilEven();
  }

  async startOne(index: number): Promise<void> {
    const { stack } = this.#options;
    const { credentials, secrets, dataDir } = stack;
    const { port, opsPort, peerPort } = this.#places[index]!;
    const env = {
      ...secrets,
      DATABASE_URL: processUrl(this.databaseUrl, 'engine'),
      PROCESSOR_USER: credentials.user,
      PROCESSOR_PASSWORD: credentials.password,
      JOURNAL: 'postgres',
      PEER_PORT: String(peerPort),
      ...this.#env,
    };
    this.#servers[index] = await startEngine(dataDir, { port, opsPort }, this.#storePid, env, `engine-${index + 1}`);
  }

  server(index: number): EngineServer {
    return this.#servers[index]!;
  }

  /** One engine itself, or nginx before several. */
  get target(): Target {
    const [first, ...others] = this.#servers.filter((server) => server !== null);
    if (this.#nginx === null) return first!;
    const otherPids = others.map(({ pid }) => pid);
    // One engine's metrics tell a part, so none are read.
    return { ...first!, port: this.#nginx.authPort, metricsUrl: null, otherPids, proxyPid: this.#nginx.pid };
  }

  get metricsUrls(): string[] {
    return this.#servers.flatMap((server) => server?.metricsUrl ?? []);
  }

  /** Waits until every engine owns its share of the partitions. */
  async untilEven(): Promise<void> {
    const giveUpAtMs = performance.now() + evenWaitMs;
    const wanted = this.#servers.filter((server) => server !== null).length;
    for (;;) {
      const counts = await this.#partitionCounts();
      if (counts.length === wanted && Math.min(...counts) > 0 && Math.max(...counts) - Math.min(...counts) <= 1) return;
      if (performance.now() > giveUpAtMs) throw new Error(`partitions are not even: ${counts.join(', ')}`);
      await delay(lookMs);
    }
  }

  async #partitionCounts(): Promise<number[]> {
    const index = this.#servers.findIndex((server) => server !== null);
    const url = `http://${loopback}:${this.#places[index]!.opsPort}/admin/engines`;
    const headers = { authorization: `Bearer ${this.#options.stack.secrets.ENGINE_TOKEN}` };
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(2000) }).catch(() => null);
    if (response?.status !== 200) return [];
    const { data } = (await response.json()) as {
      readonly data: readonly { readonly partitions: readonly number[] }[];
    };
    return data.map(({ partitions }) => partitions.length);
  }

  async stop(): Promise<void> {
    await this.#nginx?.stop();
    this.#nginx = null;
    await Promise.all(this.#servers.map((server) => server?.stop()));
    this.#servers.length = 0;
  }
}
