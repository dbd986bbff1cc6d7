/**
 * Where a process number is valid: on the machine since its last start, in one namespace of process numbers. Containers
 * have their own. A successor on the same place can see that its predecessor is dead.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

let place: string | undefined;

export function processPlace(): string {
  place ??= [hostname(), read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()), namespace()].join(
    ' ',
  );
  return place;
}

function namespace(): string {
  return read(() => readlinkSync('/proc/self/ns/pid'));
}

/** Elsewhere than on Linux there is no such file: then only the machine's name counts. */
function read(file: () => string): string {
  try {
    return file();
  } catch {
    return '-';
  }
}

/** Whether a process of this place is gone. One that has our own number is: we have it now. */
export function isDead(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
