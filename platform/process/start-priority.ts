/**
 * A process that starts beside others that serve takes the processor after them. To load modules, and to compile what
 * they run, keeps two cores busy for a second or two, which the others' messages would wait for.
 *
 * Linux schedules by session (autogroup), and lets each process set the niceness of its session, and set it back. That
 * of a thread only root may set back. Where Linux does not schedule by session, and in a control group with a share of
 * its own, this does nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const sessionFile = '/proc/self/autogroup';
/** Where others leave no core free, a start goes on at a tenth of their speed. At 19, the most, it hardly would. */
const startNiceness = 10;
/**
 * Others that are busy for longer would keep an engine away that could help them. And the first statements, which must
 * be answered within 5 s, would time out for want of a core to read the answer.
 */
const yieldMsMax = 4_000;
/** Linux lets all but root set ten in a second, of all sessions together: a few engines that start side by side. */
const againMs = 120;
const attemptsMax = 50;

let isYielding = false;
let latest: NodeJS.Timeout | undefined;

/** From here on others come first, until endYielding(). Only where this process has a session of its own. */
export function yieldWhileStarting(): void {
  if (isYielding || !isSessionLeader() || !setNiceness(startNiceness)) return;
  isYielding = true;
  latest = setTimeout(endYielding, yieldMsMax).unref();
}

/** The process is about to serve, or holds up others that do. Without yieldWhileStarting() it does nothing. */
export function endYielding(): void {
  if (!isYielding) return;
  isYielding = false;
  clearTimeout(latest);
  setBack(1);
}

function setBack(attempt: number): void {
  if (setNiceness(0) || attempt === attemptsMax) return;
  setTimeout(setBack, againMs, attempt + 1).unref();
}

/** Behind the name in parentheses: the state, the parent, the group and the session. */
const sessionField = 3;

/** Another session holds more than this process: a shell, or what else a person has started from it. */
function isSessionLeader(): boolean {
  try {
    const text = readFileSync('/proc/self/stat', 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[sessionField]) === process.pid;
  } catch {
    return false;
  }
}

function setNiceness(niceness: number): boolean {
  try {
    writeFileSync(sessionFile, String(niceness));
    return true;
  } catch {
    return false;
  }
}
