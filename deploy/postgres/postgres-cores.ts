/**
 * Gives a connection of a Postgres in the background all cores while half of them are not enough. The half keeps a
 * statement away from the threads that answer (see postgres-priority.ts). A load that lasts is another matter.
 * Beside 15,000 authorizations a second the connection that settles ran for half of the time. For a third of it the
 * connection waited for its core, while the other core had room. On all cores it still runs under the idle policy.
 */
import { execFile } from 'node:child_process';
import { coresOf, processesOf, readOrNothing } from './postgres-priority.js';

/** How often processes are looked at. */
const lookMs = 1_000;
/**
 * Looks that the average goes back. What a burst of 150,000 left is settled in twelve seconds and must not count: the
 * terminals of ordinary load would wait for the core.
 */
const looksAveraged = 20;
/**
 * Share of the time that a process ran or waited for a core. At 5,000 authorizations a second it is under a third, at
 * 15,000 on half of the cores more than three quarters.
 */
const busyShareMin = 0.65;
/** From there on the half is enough again. */
const calmShareMax = 0.4;

/** What one process wants of a core, on average. */
export class CoreDemand {
  #wantedMs: number;
  #average = 0;
  #isBusy = false;

  /** @param wantedMs for how long it has run or waited for a core since it began */
  constructor(wantedMs: number) {
    this.#wantedMs = wantedMs;
  }

  /** @returns whether it lacks a core for long; true until it is calm again */
  look(wantedMs: number, elapsedMs: number): boolean {
    const share = Math.min(1, (wantedMs - this.#wantedMs) / elapsedMs);
    this.#wantedMs = wantedMs;
    this.#average += (share - this.#average) / looksAveraged;
    this.#isBusy = this.#average >= (this.#isBusy ? calmShareMax : busyShareMin);
    return this.#isBusy;
  }
}

interface Watched {
  readonly demand: CoreDemand;
  isOnAllCores: boolean;
}

/** @returns ends it; connections stay on the cores that they have */
export function giveCoresToBusyConnections(postmasterPid: number): () => void {
  const all = allowedCores('self');
  const half = allowedCores(String(postmasterPid));
  // Not kept to a half: nothing is lacking.
  if (coresOf(half).length === 0 || coresOf(half).length >= coresOf(all).length) return () => undefined;
  let watched = new Map<number, Watched>();
  let lookedAtMs = performance.now();
  const look = () => {
    const nowMs = performance.now();
    const before = watched;
    watched = new Map();
    for (const pid of processesOf(postmasterPid)) {
      const wantedMs = wantedMsOf(pid);
      const one = before.get(pid) ?? { demand: new CoreDemand(wantedMs), isOnAllCores: false };
      watched.set(pid, one);
      const isBusy = one.demand.look(wantedMs, nowMs - lookedAtMs);
      if (isBusy !== one.isOnAllCores) void setCores(String(pid), isBusy ? all : half);
      one.isOnAllCores = isBusy;
    }
    lookedAtMs = nowMs;
  };
  const timer = setInterval(look, lookMs).unref();
  return () => clearInterval(timer);
}

/** @param process its number, or `self` @returns as Linux writes it: `0-3,8` */
export function allowedCores(process: string): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readOrNothing(`/proc/${process}/status`))?.[1] ?? '';
}

/** For how long a process has run or waited for a core, milliseconds. */
function wantedMsOf(pid: number): number {
  const [ranNs = 0, waitedNs = 0] = readOrNothing(`/proc/${pid}/schedstat`).split(' ').map(Number);
  return (ranNs + waitedNs) / 1e6;
}

/**
 * @param process or one thread of it
 * @returns whether it was moved: one that may not be, or has ended, is as it was
 */
export function setCores(process: string, cores: string): Promise<boolean> {
  return new Promise((resolve) => {
    try {
      execFile('taskset', ['--cpu-list', '--pid', cores, process], { timeout: 5_000 }, (error) => resolve(!error));
    } catch {
      // No memory for another process, for example.
      resolve(false);
    }
  });
}
