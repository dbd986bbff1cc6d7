/**
 * Keeps a Postgres in the background. Where Linux schedules by session (autogroup), niceness only counts within one, and
 * each process of Postgres makes a session of its own: twenty busy connections would get twenty times what the whole engine
 * gets. So each session's own niceness is set, and that of new connections soon after they are made.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';

const chrtCommand = ['chrt', '--idle', '0'] as const;

let idlePrefix: Promise<readonly string[]> | null = null;

/**
 * What to put before a command so that it and its children run under Linux' idle policy. Niceness says how a core is
 * shared, not which core a thread that wakes is given: of two cores one may be busy with a long statement for tens of
 * milliseconds while the engine's threads queue for the other. A core that runs nothing but idle tasks counts as free.
 * @returns nothing where there is no such policy, or no `chrt` (util-linux): the server is merely nice then
 */
export function idlePolicyPrefix(): Promise<readonly string[]> {
  idlePrefix ??= new Promise((resolve) => {
    execFile(chrtCommand[0], [...chrtCommand.slice(1), 'true'], { timeout: 5_000 }, (error) =>
      resolve(error === null ? chrtCommand : []),
    );
  });
  return idlePrefix;
}

/** Connections are kept by those who open them: for so long a new one may be as important as the engine. */
const lookMs = 500;

/** @returns ends it; the sessions stay as they are */
export async function keepInBackground(postmasterPid: number, niceness: number): Promise<() => void> {
  const look = async () => {
    for (const pid of await processesOf(postmasterPid)) await setSessionNiceness(pid, niceness);
  };
  await look();
  const timer = setInterval(() => void look(), lookMs).unref();
  return () => clearInterval(timer);
}

/** The server and its connections; none where there is no /proc. */
async function processesOf(postmasterPid: number): Promise<number[]> {
  const children = await readFile(`/proc/${postmasterPid}/task/${postmasterPid}/children`, 'latin1').catch(() => null);
  return children === null ? [] : [postmasterPid, ...children.trim().split(' ').filter(Boolean).map(Number)];
}

/** Asked each time: a process may make its session after it was seen, and Linux lets all but root do this ten times a second. */
async function setSessionNiceness(pid: number, niceness: number): Promise<void> {
  const path = `/proc/${pid}/autogroup`;
  // Not Linux, no autogroup, no right to change it, or just gone: then it competes like any other program.
  const session = await readFile(path, 'latin1').catch(() => '');
  if (session === '' || session.trimEnd().endsWith(` nice ${niceness}`)) return;
  await writeFile(path, String(niceness)).catch(() => undefined);
}
