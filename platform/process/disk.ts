/** Room on the disk of a folder. */
import { statfs } from 'node:fs/promises';
import { withDeadline } from './deadline.js';

/** Longest wait for a file system, which may be a network's. */
const statfsMs = 1000;

export interface Disk {
  readonly freeBytes: number;
  readonly bytes: number;
}

/** Null: the folder is not there (yet), or its file system does not answer. */
export function diskOf(directory: string): Promise<Disk | null> {
  const looked = statfs(directory).then(({ bavail, blocks, bsize }) => ({
    freeBytes: bavail * bsize,
    bytes: blocks * bsize,
  }));
  return withDeadline(looked, statfsMs, () => null).catch(() => null);
}
