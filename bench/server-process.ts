/** Starts a server under test as a process of its own, waits until it serves, ends it whatever happens. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export interface ServerProcess {
  readonly pid: number;
  /** Freezes the process, all threads: it uses no CPU until resume(). */
  pause(): void;
  resume(): void;
  /** Asks it to stop, waits, and kills it when it does not. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
}

export interface ServerProcessOptions {
  readonly name: string;
  /** Compiled module, as a URL relative to the caller. */
  readonly module: URL;
  readonly args?: readonly string[];
  /** Added to a small base environment (PATH and the like); nothing else of ours leaks into the server under test. */
  readonly env: Readonly<Record<string, string>>;
  /** Takes what the process prints. */
  readonly logFile: string;
  /** Resolves true when the server answers; asked again and again. */
  readonly isReady: (logged: string) => Promise<boolean>;
}

const readyWaitMs = 60_000;
const readyPollMs = 50;
const stopWaitMs = 15_000;

export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const log = openSync(options.logFile, 'w');
  const child = spawn(process.execPath, [fileURLToPath(options.module), ...(options.args ?? [])], {
    // stdin is a pipe that closes with us: see echo.ts.
    stdio: ['pipe', log, log],
    env: { PATH, HOME, ...options.env },
    // A session of its own: Ctrl-C reaches the benchmark, which then stops its servers in order.
    detached: true,
  });
  const logged = () => readFile(options.logFile, 'utf8').catch(() => '');
  const deadlineMs = Date.now() + readyWaitMs;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${options.name} ended while starting; it said:\n${tail(await logged())}`);
    }
    if (await options.isReady(await logged())) break;
    if (Date.now() > deadlineMs) {
      child.kill('SIGKILL');
      throw new Error(`${options.name} was not ready within ${readyWaitMs} ms; it said:\n${tail(await logged())}`);
    }
    await delay(readyPollMs);
  }
  return {
    pid: child.pid!,
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop: () => stop(child, 'SIGTERM'),
    kill: () => stop(child, 'SIGKILL'),
  };
}

async function stop(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // A frozen process would not see the request to stop.
  child.kill('SIGCONT');
  child.kill(signal);
  const killer = setTimeout(() => child.kill('SIGKILL'), stopWaitMs);
  await ended;
  clearTimeout(killer);
}

function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-20).join('\n');
}
