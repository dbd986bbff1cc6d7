/** What a benchmark starts and makes, and how it is undone: in reverse order, whatever happens in between. */
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { repositoryRoot } from '../deploy/repository-root.js';

export class Ends {
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  add(end: () => Promise<void>): void {
    this.#ends.push(end);
  }

  /** Last added, first ended; one that fails must not keep the others running. Safe to call twice. */
  async run(): Promise<void> {
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) {
      await end().catch((error: unknown) => this.#log(`while stopping: ${String(error)}`));
    }
  }
}

/** A folder for one run's data, removed at its end. */
export async function scratchFolder(prefix: string, ends: Ends): Promise<string> {
  // Inside the checkout and not in the system's temporary folder: that one may be in memory, where a sync is free.
  const parent = join(repositoryRoot(), '.data');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(join(parent, prefix));
  ends.add(() => removeData(folder));
  // Under root the database runs as another user, who must be able to enter.
  await chmod(folder, 0o755);
  return folder;
}

/** Removes the folder, and the cluster that had to be kept elsewhere (see deploy/postgres/postgres-place.ts). */
async function removeData(folder: string): Promise<void> {
  const outside = (await readFile(join(folder, 'postgres.location'), 'utf8').catch(() => '')).trim();
  if (basename(outside).startsWith('atlanticfrewaycard-')) await rm(outside, { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}
