/**
 * Several engines on one database, each with ways to Postgres, Redis and its peers that a test can cut. Each engine
 * keeps its ports over restarts.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import type { Ports } from './crash-run.js';
import { type EnginePlace, EngineProcess, enginePlace } from './engine-process.js';
import { TcpProxy } from './tcp-proxy.js';

/** A stop settles and gives its partitions away; beyond this it hangs. */
const stopMsMax = 60_000;

/** A PostgreSQL that answers none of them has another trouble than a busy machine. */
const startsMax = 3;

export interface FleetServices {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly dataDir: string;
}

/** What a test has done to an engine, and not undone; '' for nothing. */
export type Trouble = '' | 'absent' | 'starting' | 'leaving' | 'stopped' | 'no database' | 'no redis' | 'no peers';

export class FleetEngine {
  trouble: Trouble = 'absent';
  process: EngineProcess | null = null;
  readonly #environment: Readonly<Record<string, string>>;
  /** Keep the ports of an engine that is away from other tests' servers; they end each connection. */
  #holders: Server[] = [];

  private constructor(
    readonly name: string,
    readonly place: EnginePlace,
    readonly database: TcpProxy,
    readonly redis: TcpProxy,
    readonly peers: TcpProxy,
    environment: Readonly<Record<string, string>>,
  ) {
    this.#environment = environment;
  }

  static async make(
    t: Test,
    name: string,
    { databaseUrl, redisUrl, dataDir }: FleetServices,
    environment: Readonly<Record<string, string>>,
  ): Promise<FleetEngine> {
    const peerPort = await findFreePort();
    const proxyOf = async (port: number): Promise<TcpProxy> => {
      const proxy = await TcpProxy.start(port);
      t.teardown(() => proxy.close());
      return proxy;
    };
    const database = await proxyOf(Number(new URL(databaseUrl).port));
    const redis = await proxyOf(Number(new URL(redisUrl).port));
    const peers = await proxyOf(peerPort);
    const engine = new FleetEngine(name, await enginePlace(databaseUrl, dataDir), database, redis, peers, {
      JOURNAL: 'postgres',
      DATABASE_URL: database.url(databaseUrl),
      REDIS_URL: redis.url(redisUrl),
      PEER_PORT: String(peerPort),
      PEER_ADDRESS: `127.0.0.1:${peers.port}`,
      ...environment,
    });
    t.teardown(async () => {
      await engine.process?.kill('SIGKILL');
      await engine.#letPortsGo();
    });
    return engine;
  }

  get isHealthy(): boolean {
    return this.trouble === '';
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    this.trouble = 'starting';
    await this.#letPortsGo();
    for (let attempt = 1; ; attempt++) {
      const engine = new EngineProcess(this.place, this.#environment);
      this.process = engine;
      if (await engine.ready()) break;
      // As a supervisor: an engine ends where PostgreSQL does not answer its start for seconds.
      if (attempt < startsMax && engine.logged.includes('CONNECT_TIMEOUT')) continue;
      throw new Error(`${this.name} ended while starting; it said:\n${engine.logged}`);
    }
    this.trouble = '';
  }

  /** A planned stop. Throws when it is not clean. Absent only when it has ended: its ports are its own until then. */
  async stop(): Promise<void> {
    this.trouble = 'leaving';
    const engine = this.process!;
    const timer = setTimeout(() => engine.child.kill('SIGKILL'), stopMsMax);
    const end = await engine.kill('SIGTERM');
    clearTimeout(timer);
    if (end !== 0) throw new Error(`${this.name} ended with ${end} when it was stopped; it said:\n${engine.logged}`);
    await this.#holdPorts();
    this.trouble = 'absent';
  }

  async kill(): Promise<void> {
    this.trouble = 'leaving';
    await this.process!.kill('SIGKILL');
    await this.#holdPorts();
    this.trouble = 'absent';
  }

  /** Starts it after a while. From now on it counts as starting, so that nothing else starts it. */
  async startAfter(ms: number): Promise<void> {
    this.trouble = 'starting';
    await delay(ms);
    await this.start();
  }

  async #holdPorts(): Promise<void> {
    const { authPort, opsPort } = this.place;
    for (const port of [authPort, opsPort, Number(this.#environment['PEER_PORT'])]) {
      const holder = createServer((socket) => socket.destroy());
      holder.listen({ port, host: '127.0.0.1', exclusive: true });
      await once(holder, 'listening');
      this.#holders.push(holder);
    }
  }

  async #letPortsGo(): Promise<void> {
    await Promise.all(this.#holders.splice(0).map((holder) => once(holder.close(), 'close')));
  }

  /** Stands still for so long, and goes on as if nothing were. */
  async standStill(forMs: number): Promise<void> {
    this.trouble = 'stopped';
    this.process!.child.kill('SIGSTOP');
    await delay(forMs);
    this.process!.child.kill('SIGCONT');
    this.trouble = '';
  }

  /** Cut off from a service for so long. @param isSilent connections stay open, and nothing passes */
  async cutOff(from: 'no database' | 'no redis' | 'no peers', isSilent: boolean, forMs: number): Promise<void> {
    const way = { 'no database': this.database, 'no redis': this.redis, 'no peers': this.peers }[from];
    this.trouble = from;
    if (isSilent) way.stall();
    else way.cut();
    await delay(forMs);
    way.heal();
    this.trouble = '';
  }
}

/** Those that may be asked: an engine that stands still or is cut off answers as well as it can. */
export function askable(engines: readonly FleetEngine[]): readonly Ports[] {
  const away: readonly Trouble[] = ['absent', 'starting', 'leaving'];
  return engines.filter(({ trouble }) => !away.includes(trouble)).map(({ place }) => place);
}
