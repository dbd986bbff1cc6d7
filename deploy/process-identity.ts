/**
 * Whether a process id still means the process that wrote it down. Ids are reused, so a live id alone proves nothing:
 * the start time decides.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** An opaque text that names the process behind `pid` for as long as it lives; null when there is none. */
export function processIdentity(pid: number): string | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command in parentheses may hold anything: fields are counted from the last one. Field 3 is the state,
    // field 22 the start time in clock ticks since boot.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended; only its parent has not looked yet.
    return fields[0] === 'Z' ? null : `${pid}@${fields[19]}`;
  } catch {
    if (process.platform === 'linux') return null;
  }
  try {
    return `${pid}@${execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()}`;
  } catch {
    return null;
  }
}

/** The command name of a live process; null when it has ended. */
export function processCommand(pid: number): string | null {
  if (processIdentity(pid) === null) return null;
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    // No /proc on this system.
  }
  try {
    return execFileSync('ps', ['-o', 'comm=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return null;
  }
}
