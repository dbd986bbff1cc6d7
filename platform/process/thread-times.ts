/**
 * CPU time by thread, from Linux. A thread of ours names itself to the kernel, so `top -H` shows the name too; each
 * scrape reads the times of all threads. Other systems have no such files: all time is then of the main thread.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Metrics } from '../metrics/metrics.js';

/** Of /proc/self/task/N/stat: Linux shows times to programs in hundredths of a second, on every machine. */
const ticksPerSecond = 100;
/** What the kernel keeps of a name. */
const nameBytesMax = 15;
/** Tells our threads from those of Node.js, which take the name of the thread that started them, or their own. */
const prefix = 'afc-';
/** Behind the name in parentheses: the state, and ten numbers before the two times. */
const [userField, systemField] = [11, 12];

/** Called by a thread as it starts. @param name such as `worker-3`, at most 11 bytes */
export function nameThread(name: string): void {
  try {
    writeFileSync('/proc/thread-self/comm', (prefix + name).slice(0, nameBytesMax));
  } catch {
    // Not Linux, or a /proc that cannot be written: the time of the thread is among `other`.
  }
}

/** CPU time of each named thread and of the main one, in seconds; null where the system does not say. */
export function readThreadTimes(): ReadonlyMap<string, number> | null {
  const times = new Map<string, number>();
  let ids: string[];
  try {
    ids = readdirSync('/proc/self/task');
  } catch {
    return null;
  }
  for (const id of ids) {
    const thread = readThread(id);
    if (thread === null) continue;
    const isMain = id === String(process.pid);
    if (!isMain && !thread.name.startsWith(prefix)) continue;
    const name = isMain ? '' : thread.name.slice(prefix.length);
    times.set(name, (times.get(name) ?? 0) + thread.cpuS);
  }
  return times;
}

function readThread(id: string): { readonly name: string; readonly cpuS: number } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
  } catch {
    // It has ended since the folder was read.
    return null;
  }
  // A name may have parentheses of its own.
  const [start, end] = [text.indexOf('('), text.lastIndexOf(')')];
  const fields = text.slice(end + 2).split(' ');
  const ticks = Number(fields[userField]) + Number(fields[systemField]);
  return { name: text.slice(start + 1, end), cpuS: ticks / ticksPerSecond };
}

/** @param main what the main thread is called */
export function measureThreads(metrics: Metrics, main: string): void {
  const help =
    'CPU time by thread, user and system, from Linux; `other` are the helpers of Node.js, and threads that have ended';
  // Threads end and give their time to the process: the rest never falls.
  let otherS = 0;
  metrics.counter('thread_cpu_seconds_total', help, ['thread'], (counter) => {
    const { user, system } = process.cpuUsage();
    const totalS = (user + system) / 1e6;
    const times = readThreadTimes() ?? new Map([['', totalS]]);
    let namedS = 0;
    for (const [name, cpuS] of times) {
      counter.inc({ thread: name === '' ? main : name }, cpuS);
      namedS += cpuS;
    }
    otherS = Math.max(otherS, totalS - namedS);
    counter.inc({ thread: 'other' }, otherS);
  });
}
