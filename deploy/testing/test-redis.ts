/**
 * Redis for tests: the server that REDIS_URL names, else a `redis-server` of our own on a free port, in memory only. It
 * comes from PATH, or from apt when we are root on Debian; without a working Redis tests fail, they are never skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../free-port.js';
import { findProgram } from './find-program.js';

export interface TestRedis {
  readonly url: string;
  /** Ends the server when it is our own. */
  close(): Promise<void>;
}

const startWaitMs = 20_000;
const lookEveryMs = 10;

/** REDIS_URL's server, or one of our own. Close it at the end of the test. */
export async function redisServer(): Promise<TestRedis> {
  const { REDIS_URL: given } = process.env;
  if (given !== undefined && given !== '') return { url: given, close: async () => undefined };
  const own = await OwnRedis.start();
  return { url: own.url, close: () => own.stop() };
}

export interface OwnRedisOptions {
  /** Lines of a configuration file, for a Sentinel, which will not start without one. */
  readonly config?: readonly string[];
  /** Its port speaks TLS and nothing else; the certificate is among the arguments. Default false. */
  readonly isTls?: boolean;
}

/** A server that belongs to one test alone: it may be stopped, started again, paused and flushed. */
export class OwnRedis {
  readonly port: number;
  readonly #program: string;
  readonly #arguments: readonly string[];
  readonly #options: OwnRedisOptions;
  /** What a Sentinel or a node of a Cluster writes down. */
  readonly #folder: string;
  #child: ChildProcess | null = null;

  private constructor(
    program: string,
    port: number,
    folder: string,
    args: readonly string[],
    options: OwnRedisOptions,
  ) {
    this.#program = program;
    this.port = port;
    this.#folder = folder;
    this.#arguments = args;
    this.#options = options;
  }

  /** @param args further arguments of redis-server, such as `['--requirepass', 'secret']` */
  static async start(args: readonly string[] = [], options: OwnRedisOptions = {}): Promise<OwnRedis> {
    const port = await findFreePort();
    const folder = join(tmpdir(), `redis-${process.pid}-${port}`);
    const redis = new OwnRedis(await findRedisProgram(), port, folder, args, options);
    await redis.restart();
    return redis;
  }

  /** Of the running server; null while it is stopped. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Kills the server, if it runs, and starts an empty one on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await mkdir(this.#folder, { recursive: true });
    const { config, isTls = false } = this.#options;
    const file = join(this.#folder, 'redis.conf');
    if (config !== undefined) await writeFile(file, `${config.join('\n')}\n`);
    const port = isTls ? ['--port', '0', '--tls-port', String(this.port)] : ['--port', String(this.port)];
    const memoryOnly = ['--save', '', '--appendonly', 'no', '--dir', this.#folder, '--bind', '127.0.0.1'];
    // Redis takes the last of two: what the caller asks for stands behind the defaults.
    const all = [...(config === undefined ? [] : [file]), ...port, ...memoryOnly, ...this.#arguments];
    const child = spawn(this.#program, all, { stdio: 'ignore' });
    this.#child = child;
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    child.once('exit', () => process.removeListener('exit', killWithUs));
    const giveUpAtMs = performance.now() + startWaitMs;
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with exit code ${child.exitCode}`);
      if (performance.now() > giveUpAtMs) throw new Error(`redis-server did not listen within ${startWaitMs} ms`);
      await delay(lookEveryMs);
    }
  }

  /** Connections stay open and nothing answers, as with a machine that hangs. */
  pause(): void {
    this.#child?.kill('SIGSTOP');
  }
  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

export function findRedisProgram(): Promise<string> {
  return findProgram({ program: 'redis-server', debianPackage: 'redis-server', missing });
}

const missing =
  'tests need Redis: set REDIS_URL, install redis-server, or start one with docker compose -f ' +
  'deploy/compose.development.yaml up redis';
