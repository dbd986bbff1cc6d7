/**
 * One MongoDB-protocol server as a child of this process: for tests that stop it, kill it, or make it stand still. Port
 * and data stay the same over restarts. Tests that only need a database take one from test-mongo.ts instead.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { findMongoProgram, type MongoProgram, mongoArguments } from './mongo-program.js';

const startWaitMs = 60_000;
const lookEveryMs = 20;
/** What the server said last, for the message of a failing start. */
const saidCharsMax = 4_000;

export class MongoServer {
  readonly port: number;
  readonly #folder: string;
  #child: ChildProcess | null = null;
  #program: MongoProgram | null = null;

  constructor(port: number, folder: string) {
    this.port = port;
    this.#folder = folder;
  }

  get uri(): string {
    return `mongodb://127.0.0.1:${this.port}/`;
  }

  /** Starts the server and waits until it answers. Throws with what it said when it ends instead. */
  async start(log: (line: string) => void = () => undefined): Promise<void> {
    this.#program ??= await findMongoProgram(log);
    await mkdir(this.#folder, { recursive: true });
    const child = spawn(this.#program.file, mongoArguments(this.#program, this.port, this.#folder), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-saidCharsMax);
      });
    }
    child.once('error', (error) => {
      said += error.message;
    });
    const killWithUs = (): void => void child.kill('SIGKILL');
    process.once('exit', killWithUs);
    child.once('close', () => process.removeListener('exit', killWithUs));
    const giveUpAtMs = Date.now() + startWaitMs;
    while (!(await mongoAnswers(this.uri))) {
      if (hasEnded(child) || Date.now() > giveUpAtMs) {
        child.kill('SIGKILL');
        throw new Error(`${this.#program.file} did not start on port ${this.port}; it said:\n${said}`);
      }
      await delay(lookEveryMs);
    }
  }

  /** Ends the server; with SIGSTOP and SIGCONT it only stands still and goes on. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null || hasEnded(child)) return;
    const closed = once(child, 'close');
    child.kill(signal);
    if (signal === 'SIGSTOP') await standsStill(child.pid!);
    else if (signal !== 'SIGCONT') await closed;
  }

  stop(): Promise<void> {
    return this.signal('SIGTERM');
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Whether a server answers there now. */
export async function mongoAnswers(uri: string, waitMs = 500): Promise<boolean> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: waitMs, connectTimeoutMS: waitMs });
  try {
    await client.db('admin').command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close(true);
  }
}

/** On a busy machine a thread that is waiting for a core may answer once more before it stops. Linux alone tells. */
async function standsStill(pid: number): Promise<void> {
  if (process.platform !== 'linux') return;
  const giveUpAtMs = performance.now() + 5_000;
  const isStopped = (thread: string) => /\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8'));
  while (!readdirSync(`/proc/${pid}/task`).every(isStopped)) {
    if (performance.now() > giveUpAtMs) throw new Error(`process ${pid} does not stop on SIGSTOP`);
    await delay(5);
  }
}
