/**
 * The child processes of `make run` and `make cluster`: started in groups, each awaited until it is ready, stopped in
 * reverse order. They
 * run in sessions of their own, so Ctrl-C in a terminal reaches only us and the order holds. One that ends by itself is
 * started again, a few times; the others go on meanwhile. What a killed run left behind is ended by the next one, which
 * knows the processes from a file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listenError } from './free-port.js';
import { writePrivateFile } from './private-file.js';
import { processIdentity } from './process-identity.js';
import { Restarts, type RestartTimes, restartTimesDefault } from './restarts.js';

export interface Service {
  readonly name: string;
  /** Program and arguments. */
  readonly command: readonly [string, ...string[]];
  /** Each answers 200 once the service can work. */
  readonly readyUrls: readonly string[];
  /** What it listens on, by which setting: checked first, for another program there would answer for it. */
  readonly ports: readonly ServicePort[];
  /** When it can no longer be kept running, the run ends with it; without this the others go on. */
  readonly isVital: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface ServicePort {
  readonly setting: string;
  readonly host: string;
  readonly port: number;
}

interface Running {
  readonly service: Service;
  child: ChildProcess;
  /** Resolves with what to tell the user, when the process has ended. */
  ended: Promise<string>;
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
  readonly #times: RestartTimes;
  /** Services that started side by side stop side by side. */
  readonly #groups: Running[][] = [];
  readonly #stop = new AbortController();
  #remembering: Promise<void> = Promise.resolve();
  #reportEnd: (line: string) => void = () => undefined;
  /** Resolves with a line for the user when a vital service cannot be kept running. */
  readonly failed = new Promise<string>((resolve) => {
    this.#reportEnd = resolve;
  });

  constructor(dataDir: string, log: (line: string) => void, times: RestartTimes = restartTimesDefault) {
    this.#file = join(dataDir, 'processes.json');
    this.#log = log;
    this.#times = times;
  }

  get #stopping(): boolean {
    return this.#stop.signal.aborted;
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

  /**
   * Starts services side by side and waits until they are ready; from then on each is started again when it ends by
   * itself. Throws when one ends before, or is not ready in time.
   */
  async start(...services: readonly Service[]): Promise<void> {
    for (const service of services) await checkPorts(service);
    const group = services.map((service): Running => ({ service, ...spawnService(service) }));
    this.#groups.push(group);
    await this.#remember();
    await Promise.all(
      group.map(async (running) => {
        const early = await Promise.race([this.#untilReady(running.service), running.ended]);
        if (early !== undefined) throw new Error(early);
        void this.#keepRunning(running);
      }),
    );
  }

  /** Of the process that runs now; null: none. */
  pidOf(name: string): number | null {
    const running = this.#groups.flat().find(({ service }) => service.name === name);
    const { pid = null, exitCode, signalCode } = running?.child ?? { exitCode: null, signalCode: null };
    return exitCode === null && signalCode === null ? pid : null;
  }

  async #keepRunning(running: Running): Promise<void> {
    const { service } = running;
    const restarts = new Restarts(this.#times);
    for (;;) {
      const line = await running.ended;
      if (this.#stopping) return;
      const delayMs = restarts.next();
      if (delayMs === null) {
        this.#gaveUp(service, line);
        return;
      }
      this.#log(`${line}: starting it again in ${delayMs} ms (attempt ${restarts.attempt} of ${restarts.attemptsMax})`);
      await delay(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      if (this.#stopping) return;
      const { child, ended } = spawnService(service);
      Object.assign(running, { child, ended });
      await this.#remember();
      void this.#reportReady(running, child);
    }
  }

  async #reportReady(running: Running, child: ChildProcess): Promise<void> {
    const { service } = running;
    const isCurrent = (): boolean => !this.#stopping && running.child === child && child.exitCode === null;
    try {
      await this.#untilReady(service, isCurrent);
      if (isCurrent()) this.#log(`the ${service.name} is ready again`);
    } catch (error) {
      this.#log((error as Error).message);
    }
  }

  #gaveUp({ name, isVital }: Service, line: string): void {
    const sentence = `${line}, and does not stay up: not starting it again`;
    if (isVital) this.#reportEnd(sentence);
    else this.#log(`${sentence}; the rest goes on without the ${name} until the next start`);
  }

  /** Stops all services, the last group first, and waits for each to finish its work. */
  async stop(): Promise<void> {
    this.#stop.abort();
    for (const group of this.#groups.reverse()) await Promise.all(group.map((running) => this.#end(running)));
    this.#groups.length = 0;
    await rm(this.#file, { force: true });
  }

  async #end({ service: { name }, child, ended }: Running): Promise<void> {
    if (child.pid === undefined) return;
    child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#log(`the ${name} did not stop within ${stopWaitMs} ms: killing it`);
      child.kill('SIGKILL');
    }, stopWaitMs);
    await ended;
    clearTimeout(timer);
  }

  /** For the impatient: stop() then finds nothing left to wait for. */
  kill(): void {
    for (const { child } of this.#groups.flat()) child.kill('SIGKILL');
  }

  /** One write after the other: two services that start again at the same moment must not share a partial file. */
  #remember(): Promise<void> {
    const remembered = this.#remembering.then(() => this.#writeProcesses());
    this.#remembering = remembered.catch(() => undefined);
    return remembered;
  }

  async #writeProcesses(): Promise<void> {
    const processes: RememberedProcess[] = this.#groups.flat().map(({ service, child }) => ({
      name: service.name,
      pid: child.pid ?? 0,
      identity: processIdentity(child.pid ?? 0),
    }));
    await writePrivateFile(this.#file, JSON.stringify(processes));
  }

  async #untilReady({ name, readyUrls }: Service, isWanted = () => !this.#stopping): Promise<undefined> {
    const deadlineMs = Date.now() + readyWaitMs;
    while (isWanted()) {
      const missing = await firstNotReady(readyUrls);
      if (missing === null) return undefined;
      if (Date.now() > deadlineMs) throw new Error(`the ${name} was not ready within ${readyWaitMs} ms: ${missing}`);
      await delay(readyLookMs);
    }
    return undefined;
  }
}

async function firstNotReady(urls: readonly string[]): Promise<string | null> {
  for (const url of urls) {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    // An unread body would keep its connection.
    await response?.body?.cancel();
    if (response?.status !== 200) return url;
  }
  return null;
}

async function checkPorts({ ports }: Service): Promise<void> {
  for (const { setting, host, port } of ports) {
    const code = await listenError(port, host);
    if (code === '') continue;
    if (code === 'EADDRINUSE') {
      throw new Error(`port ${port} is taken by another program: stop it, or set another ${setting}`);
    }
    throw new Error(`cannot listen on ${host}:${port} (${code}): set HOST to an address of this machine`);
  }
}

function spawnService({ name, command, environment }: Service): Pick<Running, 'child' | 'ended'> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: environment,
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`the ${name} could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      resolve(`the ${name} ended with ${signal === null ? `exit code ${code}` : `signal ${signal}`}`),
    );
  });
  return { child, ended };
}
