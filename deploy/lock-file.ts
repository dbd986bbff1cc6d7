/**
 * One process at a time, whatever becomes of the others: a holder that died (SIGKILL) holds nothing.
 *
 * Every process that wants the lock puts a file of its own beside `path`, named after the process, and then looks at
 * the others' files. Alone: it has the lock, and a second file says so. Of several that are still deciding, the one
 * whose name sorts first stays and the others withdraw. Files of dead processes are removed by any process that sees
 * them. No process removes a name that another process could have made again, so no take-over can hit the wrong holder.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processIdentity } from './process-identity.js';

const retryMs = 50;
const undecidedMs = 2;
const withdrawnMsMax = 20;
const heldSuffix = '.held';

export interface HeldLock {
  release(): Promise<void>;
}

/** Takes the lock at `path`, or returns the holder's process id when a live process has it. */
export async function tryLockFile(path: string): Promise<HeldLock | number> {
  const folder = dirname(path);
  const prefix = `${basename(path)}.`;
  const remove = (name: string): Promise<void> => rm(join(folder, name), { force: true });
  for (;;) {
    const own = `${prefix}${ownName()}`;
    await writeFile(join(folder, own), '', { mode: 0o600, flag: 'wx' });
    for (;;) {
      const names = (await readdir(folder)).filter((name) => name.startsWith(prefix) && !name.endsWith(heldSuffix));
      const others: string[] = [];
      for (const name of names) {
        if (name === own) continue;
        if (isLive(name.slice(prefix.length))) others.push(name);
        else await Promise.all([remove(name), remove(name + heldSuffix)]);
      }
      if (others.length === 0) {
        await writeFile(join(folder, own + heldSuffix), '', { mode: 0o600 });
        return {
          release: async () => {
            await remove(own + heldSuffix);
            await remove(own);
          },
        };
      }
      const held = new Set(await readdir(folder));
      const holder = others.find((name) => held.has(name + heldSuffix));
      if (holder !== undefined) {
        await remove(own);
        return processIdOf(holder.slice(prefix.length));
      }
      if (others.some((name) => name < own)) break;
      // First in line: the others withdraw, or turn out to hold it.
      await delay(undecidedMs);
    }
    await remove(own);
    await delay(randomInt(withdrawnMsMax) + 1);
  }
}

/** `<process identity>.<random>`: everything that a look at the folder needs, written in one step. */
function ownName(): string {
  return `${fileSafe(processIdentity(process.pid) ?? '')}.${randomBytes(6).toString('hex')}`;
}

function fileSafe(identity: string): string {
  return identity.replace(/[^0-9A-Za-z@]/g, '-');
}

function processIdOf(name: string): number {
  return Number.parseInt(name, 10);
}

function isLive(name: string): boolean {
  const identity = processIdentity(processIdOf(name));
  return identity !== null && name.startsWith(`${fileSafe(identity)}.`);
}

/**
 * Runs `work` while holding the lock at `path`.
 * @param waitMs how long to wait for another holder; then an error names it
 */
export async function withLockFile<T>(path: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const deadlineMs = Date.now() + waitMs;
  for (;;) {
    const lock = await tryLockFile(path);
    if (typeof lock !== 'number') {
      try {
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (Date.now() > deadlineMs) throw new Error(`process ${lock} holds ${path} for more than ${waitMs} ms`);
    await delay(retryMs);
  }
}
