/**
 * Keeps a Postgres in the background. Where Linux schedules by session (autogroup), niceness only counts within one,
 * and each process of Postgres makes a session of its own. Twenty busy connections would get twenty times what the
 * whole engine gets. So each session's own niceness is set, and that of new connections soon after they are made.
 */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

let backgroundPrefixOnce: Promise<readonly string[]> | null = null;

/**
 * What to put before a command so that it and its children stay out of the engine's way, where Linux schedules by
 * session:
 *
 * - the idle policy. Niceness says how a core is shared, not which core a waking thread gets. Of two cores one may be
 *   busy with a long statement for tens of milliseconds while the engine's threads queue for the other. A core that
 *   runs nothing but idle tasks counts as free. But by session even an idle task keeps its core until the next tick (4
 *   ms at 250 a second), so:
 * - half of the cores. A statement that may run anywhere follows the syncer, which sleeps several times in each sync,
 *   to its core. In a trace at 20,000 authorizations a second the syncer waited a tenth of the time, mostly for the
 *   core that Postgres had.
 *
 * Only where Linux schedules by session, which keeps each session its share. Elsewhere an idle task gets a
 * three-hundredth of what others get, and a full machine would stop the server.
 * @returns nothing elsewhere; without `taskset` and `chrt` (util-linux) the server is merely nice
 */
export function backgroundPrefix(): Promise<readonly string[]> {
  backgroundPrefixOnce ??= findPrefix();
  return backgroundPrefixOnce;
}

/** The half of the cores that such a command gets; none where it is kept to no half. */
export async function backgroundCores(): Promise<readonly number[]> {
  const [program, , list = ''] = await backgroundPrefix();
  return program === 'taskset' ? coresOf(list) : [];
}

async function findPrefix(): Promise<readonly string[]> {
  if (!(await isScheduledBySession())) return [];
  const status = await readFile('/proc/self/status', 'latin1').catch(() => '');
  const cores = upperHalf(coresOf(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? ''));
  const halfOfCores = cores.length === 0 ? [] : ['taskset', '--cpu-list', cores.join(',')];
  const idlePolicy = ['chrt', '--idle', '0'];
  for (const prefix of [[...halfOfCores, ...idlePolicy], idlePolicy]) if (await runs(prefix)) return prefix;
  return [];
}

function runs([command, ...words]: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(command!, [...words, 'true'], { timeout: 5_000 }, (error) => resolve(error === null));
  });
}

/** @param list as Linux writes it: `0-3,8` */
export function coresOf(list: string): number[] {
  return list
    .split(',')
    .filter(Boolean)
    .flatMap((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return Array.from({ length: last! - first! + 1 }, (_, index) => first! + index);
    });
}

/** Which half makes no difference that we know of; the last one is what was measured. None of a single core. */
export function upperHalf(cores: readonly number[]): readonly number[] {
  return cores.slice(Math.ceil(cores.length / 2));
}

/** Autogroup is on, and we are in no control group that has a share of its own: there it does not count. */
async function isScheduledBySession(): Promise<boolean> {
  const enabled = await readFile('/proc/sys/kernel/sched_autogroup_enabled', 'latin1').catch(() => '');
  if (enabled.trim() !== '1') return false;
  const groups = await readFile('/proc/self/cgroup', 'latin1').catch(() => '');
  const ofVersion1 = /^\d+:[^:\n]*\bcpu\b[^:\n]*:(.*)$/m.exec(groups);
  if (ofVersion1 !== null) return ofVersion1[1] === '/';
  // Version 2: a group has a share when its folder, or one above it, has this file. The topmost group of all has none.
  for (let path = /^0::(.*)$/m.exec(groups)?.[1] ?? '/'; ; path = dirname(path)) {
    const hasShare = await access(join('/sys/fs/cgroup', path, 'cpu.weight')).then(
      () => true,
      () => false,
    );
    if (hasShare) return false;
    if (path === '/') return true;
  }
}

/** Connections are kept by those who open them: for so long a new one may be as important as the engine. */
const lookMs = 500;

/**
 * Looks only at new processes, and without the thread pool. A look at all of twenty connections woke four threads two
 * hundred times, twice a second, on the cores of the engine.
 * @returns ends it; the sessions stay as they are
 */
export function keepInBackground(postmasterPid: number, niceness: number): () => void {
  /**
   * How often each process was found as it should be. Once is not enough: it may make its session after it was seen.
   */
  let found = new Map<number, number>();
  const look = () => {
    const before = found;
    found = new Map();
    for (const pid of processesOf(postmasterPid)) {
      const times = before.get(pid) ?? 0;
      found.set(pid, times >= timesEnough || isSessionNice(pid, niceness) ? times + 1 : 0);
    }
  };
  look();
  const timer = setInterval(look, lookMs).unref();
  return () => clearInterval(timer);
}

/** A second apart, and the server makes a process's session within its first milliseconds. */
const timesEnough = 3;

/** The server and its connections; none where there is no /proc. */
export function processesOf(postmasterPid: number): number[] {
  const children = readOrNothing(`/proc/${postmasterPid}/task/${postmasterPid}/children`);
  return children === '' ? [] : [postmasterPid, ...children.trim().split(' ').filter(Boolean).map(Number)];
}

/**
 * Sets it where it is not so yet.
 * @returns whether it was so already; asked again until it is, for Linux lets all but root set ten a second
 */
function isSessionNice(pid: number, niceness: number): boolean {
  const path = `/proc/${pid}/autogroup`;
  const session = readOrNothing(path);
  if (session === '' || session.trimEnd().endsWith(` nice ${niceness}`)) return true;
  try {
    writeFileSync(path, String(niceness));
  } catch {
    // No right to change it, or just gone: then it competes like any other program.
  }
  return false;
}

/** Not Linux, no autogroup, or just gone: nothing. */
export function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
