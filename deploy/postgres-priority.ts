/**
 * Keeps a Postgres in the background. Where Linux schedules by session (autogroup), niceness only counts within one, and
 * each process of Postgres makes a session of its own: twenty busy connections would get twenty times what the whole engine
 * gets. So each session's own niceness is set, and that of new connections soon after they are made.
 */
import { readFile, writeFile } from 'node:fs/promises';

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
