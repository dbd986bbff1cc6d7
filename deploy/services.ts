/**
 * The child processes of `make run`: started in order, each awaited until it is ready, stopped in reverse order. They run
 * in sessions of their own, so Ctrl-C in a terminal reaches only us and the order holds. What a killed run left behind is
 * ended by the next one, which knows the processes from a file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isPortFree } from './free-port.js';
import { writePrivateFile } from './private-file.js';
import { processIdentity } from './process-identity.js';

export interface Service {
  readonly name: string;
  /** Compiled entry file. */
  readonly script: string;
  /** Answers 200 once the service can work. */
  readonly readyUrl: string;
  /** What it listens on, by the name of the setting: checked first, for another program there would answer for it. */
  readonly ports: Readonly<Record<string, number>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  /** Resolves with what to tell the user, when the process has ended. */
  readonly ended: Promise<string>;
}

interface RememberedProcess {
  readonly name: string;
  readonly pid: number;
  readonly identity: string | null;
}

const readyWaitMs = 60_000;
const readyLookMs = 100;
/** How long a service may take to finish its work before it is killed. */
const stopWaitMs = 30_000;
const leftOverLookMs = 50;

export class Services {
  readonly #file: string;
  readonly #log: (line: string) => void;
  readonly #running: Running[] = [];
  #stopping = false;
  #reportEnd: (line: string) => void = () => undefined;
  /** Resolves with a line for the user when a service ended although nobody stopped it. */
  readonly failed = new Promise<string>((resolve) => {
    this.#reportEnd = resolve;
  });

  constructor(dataDir: string, log: (line: string) => void) {
    this.#file = join(dataDir, 'processes.json');
    this.#log = log;
  }

  /** Ends what an earlier run left behind when it was killed. */
  async endLeftOvers(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(() => '[]');
    for (const { name, pid, identity } of JSON.parse(text) as RememberedProcess[]) {
      const isAlive = (): boolean => identity !== null && processIdentity(pid) === identity;
      if (!isAlive()) continue;
      this.#log(`ending the ${name} that an earlier run left behind (process ${pid})`);
      process.kill(pid, 'SIGTERM');
      const deadlineMs = Date.now() + stopWaitMs;
      while (isAlive() && Date.now() < deadlineMs) await delay(leftOverLookMs);
      if (isAlive()) process.kill(pid, 'SIGKILL');
    }
    await rm(this.#file, { force: true });
  }

  /** Starts a service and waits until it is ready. Throws when it ends before, or is not ready in time. */
  async start(service: Service): Promise<void> {
    for (const [setting, port] of Object.entries(service.ports)) {
      if (await isPortFree(port)) continue;
      throw new Error(`port ${port} is taken by another program: stop it, or set ${setting} to a free port`);
    }
    const child = spawn(process.execPath, [service.script], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: service.environment,
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`the ${service.name} could not be started: ${error.message}`));
      child.once('exit', (code, signal) =>
        resolve(`the ${service.name} ended with ${signal === null ? `exit code ${code}` : `signal ${signal}`}`),
      );
    });
    this.#running.push({ name: service.name, child, ended });
    await this.#remember();
    void ended.then((line) => {
      if (!this.#stopping) this.#reportEnd(line);
    });
    const early = await Promise.race([this.#untilReady(service), ended]);
    if (early !== undefined) throw new Error(early);
  }

  /** Stops all services, the last one first, and waits for each to finish its work. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { name, child, ended } of this.#running.reverse()) {
      if (child.pid === undefined) continue;
      child.kill('SIGTERM');
      const timer = setTimeout(() => {
        this.#log(`the ${name} did not stop within ${stopWaitMs} ms: killing it`);
        child.kill('SIGKILL');
      }, stopWaitMs);
      await ended;
      clearTimeout(timer);
    }
    this.#running.length = 0;
    await rm(this.#file, { force: true });
  }

  /** For the impatient: stop() then finds nothing left to wait for. */
  kill(): void {
    for (const { child } of this.#running) child.kill('SIGKILL');
  }

  async #remember(): Promise<void> {
    const processes: RememberedProcess[] = this.#running.map(({ name, child }) => ({
      name,
      pid: child.pid ?? 0,
      identity: processIdentity(child.pid ?? 0),
    }));
    await writePrivateFile(this.#file, JSON.stringify(processes));
  }

  async #untilReady(service: Service): Promise<undefined> {
    const deadlineMs = Date.now() + readyWaitMs;
    while (!this.#stopping) {
      const response = await fetch(service.readyUrl, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      // An unread body would keep its connection.
      await response?.body?.cancel();
      if (response?.status === 200) return undefined;
      if (Date.now() > deadlineMs) {
        throw new Error(`the ${service.name} was not ready within ${readyWaitMs} ms: ${service.readyUrl}`);
      }
      await delay(readyLookMs);
    }
    return undefined;
  }
}
