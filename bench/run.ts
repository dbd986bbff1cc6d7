/** How a benchmark runs as a program: exit code, Ctrl-C, and where its results go. */
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { repositoryRoot } from '../deploy/repository-root.js';
import type { Machine } from './machine.js';

/** True when the module was started by `node`, not imported. */
export function isMain(moduleUrl: string): boolean {
  const script = process.argv[1];
  return script !== undefined && realpathSync(script) === fileURLToPath(moduleUrl);
}

/** Runs a benchmark; the signal fires on Ctrl-C and SIGTERM, so that it can stop the servers it started. */
export async function runUntilSignal(main: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort());
  try {
    process.exitCode = await main(controller.signal);
  } catch (error) {
    // An error after Ctrl-C is the servers going away under the load.
    if (!controller.signal.aborted) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = controller.signal.aborted ? 130 : 1;
  }
}

/** Number of a variable of the environment, as `make bench-x NAME=…` sets it. */
export function sizeFromEnvironment(name: string, fallback: number): number {
  const given = process.env[name];
  if (given === undefined || given === '') return fallback;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be a positive integer, not ${given}`);
  return value;
}

export function resultsRoot(): string {
  return join(repositoryRoot(), 'bench', 'results');
}

/** Names sort by time: `2026-11-23T071500-0f8b933`. */
export function resultFolder(machine: Machine): string {
  return join(resultsRoot(), `${machine.date.slice(0, 19).replaceAll(':', '')}-${machine.commit}`);
}
