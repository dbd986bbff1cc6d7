/** Sessions of a Postgres in the background, where Linux has such a thing. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import t from 'tap';
import { backgroundPrefix, coresOf, keepInBackground, upperHalf } from './postgres-priority.js';

t.test('a server process and all sessions of its children, later ones too, get a lower priority', async (t) => {
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
  const end = keepInBackground(pid, 7);
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
  return t.pass('every process has the priority');
});

t.test('a command after the prefix and its children run under the idle policy on half of the cores', async (t) => {
  const prefix = await backgroundPrefix();
  if (prefix.length === 0)
    return t.comment('this system has no chrt, or does not schedule by session: nothing to do, and nothing failed');
  // Field 41 of /proc/PID/stat is the policy; 5 is SCHED_IDLE. "stat" is a child of sh, as a backend is of the
  // postmaster.
  const { stdout } = await promisify(execFile)(prefix[0]!, [
    ...prefix.slice(1),
    'sh',
    '-c',
    'cat /proc/self/stat /proc/self/status; true',
  ]);
  const [stat = '', ...status] = stdout.split('\n');
  t.equal(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38], '5');
  const ours = coresOf(allowed((await readFile('/proc/self/status', 'latin1')).split('\n')));
  if (prefix[0] !== 'taskset') return t.comment('one core, or no taskset: no half to keep to');
  return t.same(coresOf(allowed(status)), upperHalf(ours));
});

function allowed(status: readonly string[]): string {
  return (
    status
      .find((line) => line.startsWith('Cpus_allowed_list:'))
      ?.split(':')[1]
      ?.trim() ?? ''
  );
}

t.test('half of the cores are the last ones of those that we may use, and never all', async (t) => {
  t.same(coresOf('0-3,8'), [0, 1, 2, 3, 8]);
  t.same(coresOf(''), []);
  t.same(upperHalf(coresOf('0-1')), [1]);
  t.same(upperHalf(coresOf('0-3,8')), [3, 8]);
  t.same(upperHalf(coresOf('5')), []);
});
