import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';

const url = new URL('./compile-behind.js', import.meta.url).href;
const says = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { getPriority } from 'node:os';
  import { compileBehindOthers } from ${JSON.stringify(url)};
  compileBehindOthers();
  const threads = readdirSync('/proc/self/task').map(Number);
  const nice = threads.filter((thread) => getPriority(thread) > getPriority(process.pid)).length;
  console.log(JSON.stringify({ nice, isMainNice: getPriority(process.pid) !== 0, threads: threads.length }));`;

t.test('threads that compile come after the main thread and the others of the process', async (t) => {
  // Elsewhere than on Linux there is nothing to be seen.
  if (process.platform !== 'linux') return;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', says]);
  const { nice, isMainNice, threads } = JSON.parse(stdout);
  t.equal(isMainNice, false);
  t.ok(nice > 0 && nice < threads - 1, `${nice} of ${threads} threads`);
});
