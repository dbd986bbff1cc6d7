/**
 * One process at a time: a file that names its holder. A holder that died (SIGKILL) leaves the file behind; the next
 * one sees that the process is gone and takes over.
 */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { processIdentity } from './process-identity.js';

const retryMs = 50;

export interface HeldLock {
  release(): Promise<void>;
}

/** Takes the lock at `path`, or returns the holder's process id when a live process has it. */
export async function tryLockFile(path: string): Promise<HeldLock | number> {
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const content = JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) });
  await writeFile(own, content, { mode: 0o600 });
  try {
    for (;;) {
      try {
        // A link appears whole or not at all: nobody ever reads a half-written lock.
        await link(own, path);
        return { release: () => rm(path, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = await readFile(path, 'utf8').catch(() => null);
      if (found === null) continue;
      const holder = liveHolder(found);
      if (holder !== null) return holder;
      await takeAway(path, `${own}.stale`, found);
    }
  } finally {
    await rm(own, { force: true });
  }
}

function liveHolder(content: string): number | null {
  try {
    const { pid, identity } = JSON.parse(content) as { pid: number; identity: string | null };
    return processIdentity(pid) === identity ? pid : null;
  } catch {
    return null;
  }
}

/** Removes the dead holder's file; puts back what it finds when another process was quicker and holds it by now. */
async function takeAway(path: string, aside: string, expected: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, 'utf8')) !== expected) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
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
