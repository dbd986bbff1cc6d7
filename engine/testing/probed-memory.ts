/** What a process keeps in memory, asked from outside: it must have been started with `probeEnvironment`. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { until } from './engine-process.js';

export interface ProbedMemory {
  /** JavaScript objects that are reachable. */
  readonly heapBytes: number;
  /** Buffers and the like, reachable too. */
  readonly externalBytes: number;
  readonly residentBytes: number;
}

const probeModule = new URL('./memory-probe.js', import.meta.url).href;

export function probeEnvironment(file: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${probeModule}`, MEMORY_PROBE: file };
}

export async function probeMemory(pid: number, file: string): Promise<ProbedMemory> {
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  await until('the process has written what it keeps', () => existsSync(file));
  return JSON.parse(readFileSync(file, 'utf8')) as ProbedMemory;
}
