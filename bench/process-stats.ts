/**
 * CPU and memory of other processes, from /proc. Null where there is no /proc (macOS): the benchmark then prints no
 * value instead of a wrong one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

export interface ProcessCpu {
  /** CPU time of all living threads since the process started, seconds. */
  readonly totalSeconds: number;
  /** Of it the main thread: in the engine the front, that is everything about HTTP. */
  readonly mainThreadSeconds: number;
  /** By thread id, without the main thread. */
  readonly otherThreads: ReadonlyMap<string, number>;
}

/** schedstat counts nanoseconds; the ticks in `stat` are 10 ms and sampled, too coarse for rounds of a few seconds. */
export function readProcessCpu(pid: number): ProcessCpu | null {
  try {
    let totalSeconds = 0;
    let mainThreadSeconds = 0;
    const otherThreads = new Map<string, number>();
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const seconds = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]) / 1e9;
      totalSeconds += seconds;
      if (thread === String(pid)) mainThreadSeconds = seconds;
      else otherThreads.set(thread, seconds);
    }
    return { totalSeconds, mainThreadSeconds, otherThreads };
  } catch {
    return null;
  }
}

/**
 * CPU seconds of the busiest thread but the main one between two readings: in an engine with one worker, that worker.
 */
export function busiestOtherThread(before: ProcessCpu, after: ProcessCpu): number {
  const grown = [...after.otherThreads].map(([thread, seconds]) => seconds - (before.otherThreads.get(thread) ?? 0));
  return Math.max(0, ...grown);
}

/** CPU seconds of a process and its living children, such as all of a Postgres server. */
export function readTreeCpuSeconds(pid: number): number | null {
  const own = readProcessCpu(pid);
  if (own === null) return null;
  let seconds = own.totalSeconds;
  for (const child of childrenOf(pid)) seconds += readProcessCpu(child)?.totalSeconds ?? 0;
  return seconds;
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Resident memory in bytes. */
export function readResidentBytes(pid: number): number | null {
  try {
    const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match === null ? null : Number(match[1]) * 1024;
  } catch {
    return null;
  }
}

/** Busy time of all cores since boot, against all time, in milliseconds: for the share between two readings. */
export interface MachineTime {
  readonly busyMs: number;
  readonly totalMs: number;
}

export function readMachineTime(): MachineTime {
  let busyMs = 0;
  let idleMs = 0;
  for (const { times } of cpus()) {
    busyMs += times.user + times.nice + times.sys + times.irq;
    idleMs += times.idle;
  }
  return { busyMs, totalMs: busyMs + idleMs };
}

/** Share of all cores that was busy between two readings, 0–1. */
export function busyShare(before: MachineTime, after: MachineTime): number {
  const totalMs = after.totalMs - before.totalMs;
  return totalMs <= 0 ? 0 : (after.busyMs - before.busyMs) / totalMs;
}
