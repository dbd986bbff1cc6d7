/** Running test files. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runFiles } from './run-files.js';

const tap = import.meta.resolve('tap');

function run(root: string, files: Readonly<Record<string, string>>, jobs = 1, processMsMax = 30_000) {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(root, file), text);
  const results = join(root, 'results');
  const options = { root, jobs, secondsOf: () => 30, processMsMax, env: { TEST_SEED: '7' }, results };
  return runFiles(Object.keys(files), options);
}

const passing = `import t from '${tap}'; t.equal(process.env.TEST_SEED, '7', 'the seed');`;

t.test('every file runs once, with the environment of the run, and its output is kept', async (t) => {
  const root = t.testdir();
  const ended = await run(root, { 'a.mjs': passing, 'b.mjs': passing, 'c.mjs': passing }, 2);
  t.same(ended.map(({ file }) => file).sort(), ['a.mjs', 'b.mjs', 'c.mjs']);
  t.ok(ended.every(({ passed, failed }) => passed === 1 && failed === 0));
  t.match(readFileSync(join(root, 'results', 'b.mjs.tap'), 'utf8'), /^ok 1 - the seed$/m);
});

t.test('a file that fails or breaks off has failed and holds up no other', async (t) => {
  const files = {
    'fails.mjs': `import t from '${tap}'; t.equal(1, 2, 'one is two');`,
    'breaks.mjs': `import t from '${tap}'; t.pass('begun'); process.kill(process.pid, 'SIGKILL');`,
    'exits.mjs': 'process.exit(1);',
    'passes.mjs': passing,
  };
  const ended = await run(t.testdir(), files);
  t.match(
    ended.map(({ failures }) => failures.map(({ path, diagnostics }) => [...path, ...diagnostics].join())),
    [[/one is two/], [/it ended without totals,it ended by SIGKILL/], [/it ended without totals,exit code 1/], []],
  );
});

t.test('a file is charged the CPU time of its process and of the children that this one waited for', async (t) => {
  const burn = 'while (process.cpuUsage().user < 1e6);';
  const busy = `import { spawnSync } from 'node:child_process'; ${passing}
    spawnSync(process.execPath, ['-e', '${burn}']);`;
  const [file] = await run(t.testdir(), { 'busy.mjs': busy });
  t.ok(file!.cpuMs >= 1000, `${file!.cpuMs} ms`);
});

t.test('a process that does not end by itself is ended', async (t) => {
  const [file] = await run(t.testdir(), { 'endless.mjs': 'setInterval(() => {}, 1_000);' }, 1, 1_000);
  t.match(file, { failed: 1, failures: [{ diagnostics: ['it ended without totals', 'it ended by SIGALRM'] }] });
});
