/**
 * Runs the test suites with tap and says how many tests passed and failed: `npm test` for the quick ones, then the files
 * named `*.slow.js`, one at a time. Stops the tests' servers at the end. Argument `slow`: only the slow ones.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.js';
import { readTapTotals, type TapTotals } from './tap-totals.js';

const root = repositoryRoot();
const results = join(root, '.tap');

process.exitCode = runSuites(process.argv[2] === 'slow');

function runSuites(slowOnly: boolean): number {
  const totals: TapTotals[] = [];
  let status = 0;
  try {
    // Built before tap's clocks run: the first build takes longer than a test file may.
    status ||= script('prepare-services.js');
    if (!slowOnly) {
      const output = join(results, 'quick.tap');
      status ||= run('npm', ['test', '--silent', '--', `--output-file=${output}`], output, totals);
    }
    const slow = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.slow.js'))
      .map((path) => join('dist', path));
    if (slow.length > 0) {
      const output = join(results, 'slow.tap');
      const options = ['--jobs=1', '--timeout=900', `--output-file=${output}`];
      status ||= run('npx', ['tap', ...options, ...slow], output, totals);
    }
  } finally {
    // Also after a failure: nothing may be left running.
    for (const keeper of ['test-database-reaper.js', 'test-mongo-keeper.js']) script(keeper, '--now');
  }
  const passed = totals.reduce((sum, total) => sum + total.passed, 0);
  const failed = totals.reduce((sum, total) => sum + total.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  // tap's own verdict counts too: a file that crashed may not have counted anything.
  return status !== 0 || failed > 0 || passed === 0 ? 1 : 0;
}

function script(name: string, ...args: readonly string[]): number {
  const path = join(root, 'dist', 'deploy', 'testing', name);
  return spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' }).status ?? 1;
}

function run(command: string, args: readonly string[], output: string, totals: TapTotals[]): number {
  mkdirSync(results, { recursive: true });
  rmSync(output, { force: true });
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  try {
    totals.push(readTapTotals(readFileSync(output, 'utf8')));
  } catch (error) {
    console.error(`no results from ${command}: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
  return status ?? 1;
}
