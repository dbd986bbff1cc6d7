import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t from 'tap';

const url = new URL('./start-priority.js', import.meta.url).href;
const says = `
  import { readFileSync } from 'node:fs';
  import { setTimeout as delay } from 'node:timers/promises';
  import { endYielding, yieldWhileStarting } from ${JSON.stringify(url)};
  const niceness = () => Number(readFileSync('/proc/self/autogroup', 'latin1').split(' ').at(-1));
  const seen = [];
  yieldWhileStarting();
  seen.push(niceness());
  endYielding();
  // Linux lets all but root set ten in a second.
  while (niceness() !== 0) await delay(20);
  seen.push(niceness());
  console.log(JSON.stringify(seen));`;

async function run(isDetached: boolean): Promise<unknown> {
  const args = ['--input-type=module', '-e', says];
  const child = spawn(process.execPath, args, { detached: isDetached, stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  return JSON.parse(said);
}

function sessionsAreScheduled(): boolean {
  try {
    return readFileSync('/proc/self/autogroup', 'latin1') !== '';
  } catch {
    return false;
  }
}

t.test('a process in a session of its own comes after others until it serves', async (t) => {
  // Elsewhere than on Linux, and where it is built without autogroup, nothing is to be seen.
  if (sessionsAreScheduled()) t.same(await run(true), [10, 0]);
});

t.test('a process in a session of others leaves its priority alone', async (t) => {
  if (sessionsAreScheduled()) t.same(await run(false), [0, 0]);
});
