/** Sessions of a Postgres in the background, where Linux has such a thing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { keepInBackground } from './postgres-priority.js';

t.test('a process and the sessions of its children are put behind others, those of later ones too', async (t) => {
  // Children that make sessions of their own, as Postgres does: one now, one for each line.
  const script = 'setsid sleep 60 & echo; while read -r line; do setsid sleep 60 & echo; done; kill 0';
  const parent = spawn('bash', ['-c', script], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  const pid = parent.pid!;
  const children = async () => {
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1').catch(() => '');
    return text.split(' ').filter(Boolean);
  };
  t.teardown(async () => {
    for (const child of await children()) process.kill(Number(child));
    process.kill(-pid, 'SIGKILL');
  });
  await once(parent.stdout, 'data');
  const end = await keepInBackground(pid, 7);
  t.teardown(end);
  parent.stdin.write('one more\n');
  await once(parent.stdout, 'data');
  const nicenesses = async () =>
    Promise.all(
      [pid, ...(await children())].map(async (id) => (await readFile(`/proc/${id}/autogroup`, 'latin1')).trim()),
    );
  const supported = await readFile(`/proc/${pid}/autogroup`, 'latin1').catch(() => '');
  if (supported === '') return t.comment('this system does not schedule by session: nothing to do, and nothing failed');
  for (;;) {
    const all = await nicenesses();
    if (all.length === 3 && all.every((text) => text.endsWith(' nice 7'))) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return t.pass('all of them');
});
