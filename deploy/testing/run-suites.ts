/**
 * Runs the test suites: the files named `*.slow.js`, which last longest, then the quick ones, several side by side;
 * those that count on short leases run apart. Prints each file's duration and the CPU time of its processes, the
 * slowest files, every failure again at the end, and how many assertions passed and failed. One or two files that
 * failed run once more (second-run.ts). Stops the tests' servers. Argument: a part of the paths of the files to run,
 * such as `slow`. TEST_SEED repeats a run's random choices.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository-root.js';
import { runFiles } from './run-files.js';
import { filesToRepeat } from './second-run.js';
import { failureText, type TestFailure, type TestFile } from './tap-results.js';

const { TEST_SEED = String(randomInt(2 ** 31)) } = process.env;
const root = repositoryRoot();
/** Twice the cores of a small machine: files wait half of their time. With five the slowest took twice as long. */
const jobs = 4;
const quickSeconds = 300;
const slowSeconds = 900;
/** They count on leases of half a second, and wait most of the time: beside each other they fill no core. */
const aloneSuites = ['engine/writer/writer'];
const aloneJobs = 3;
const slowestShown = 20;
/** More failures than these have one cause, and the TAP files hold them all. */
const failuresShown = 25;

process.exitCode = await runSuites(process.argv[2] ?? '');

async function runSuites(part: string): Promise<number> {
  const startedAtMs = performance.now();
  console.log(`TEST_SEED=${TEST_SEED}`);
  // Built before the files' clocks run: the first build takes longer than a test file may.
  if (script('prepare-services.js') !== 0) return 1;
  rmSync(join(root, '.tap', 'results'), { recursive: true, force: true });
  const files: TestFile[] = [];
  let again: TestFile[] = [];
  try {
    const all = ['.slow.js', '.test.js'].flatMap(testFiles).filter((path) => path.includes(part));
    const alone = all.filter((path) => path.endsWith('.slow.js') && aloneSuites.some((name) => path.includes(name)));
    const together = all.filter((path) => !alone.includes(path));
    files.push(...(await run(together, jobs)), ...(await run(alone, aloneJobs)));
    again = await run(filesToRepeat(files), 1);
  } finally {
    // Also after a failure: nothing may be left running.
    for (const keeper of ['test-database-reaper.js', 'test-mongo-keeper.js']) script(keeper, '--now');
  }
  printDurations(files, performance.now() - startedAtMs);
  printFailures(files.flatMap((file) => file.failures));
  const isSteadyNow = again.length > 0 && again.every((file) => file.failed === 0);
  if (isSteadyNow) {
    for (const { file } of again) console.log(`UNSTEADY ${file} failed and passed alone: make it steady\n`);
  }
  const passed = files.reduce((sum, file) => sum + file.passed, 0);
  const failed = isSteadyNow ? 0 : files.reduce((sum, file) => sum + file.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  return failed > 0 || passed === 0 ? 1 : 0;
}

function testFiles(ending: string): string[] {
  return readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => join('dist', path))
    .sort();
}

function script(name: string, ...args: readonly string[]): number {
  const path = join(root, 'dist', 'deploy', 'testing', name);
  return spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' }).status ?? 1;
}

function run(files: readonly string[], atOnce: number): Promise<TestFile[]> {
  return runFiles(files, {
    root,
    jobs: atOnce,
    secondsOf: (file) => (file.endsWith('.slow.js') ? slowSeconds : quickSeconds),
    processMsMax: slowSeconds * 1_000,
    env: { TEST_SEED },
    results: join(root, '.tap', 'results'),
    onFile: (file) => {
      console.log(`${file.failed === 0 ? 'ok    ' : 'FAILED'} ${times(file)} ${file.file}`);
      for (const failure of file.failures) console.log(failureText(failure));
    },
  });
}

function printDurations(files: readonly TestFile[], totalMs: number): void {
  const slowest = files.toSorted((one, other) => other.durationMs - one.durationMs).slice(0, slowestShown);
  console.log(`\nThe slowest of ${files.length} test files:`);
  for (const file of slowest) console.log(`${times(file)} ${file.file}`);
  const cpuMs = files.reduce((sum, file) => sum + file.cpuMs, 0);
  console.log(`${seconds(totalMs)} in all, ${seconds(cpuMs).trim()} of CPU beside the servers that all share\n`);
}

/** From start to end, then of CPU. */
function times({ durationMs, cpuMs }: TestFile): string {
  return `${seconds(durationMs)} ${seconds(cpuMs)} CPU`;
}

function printFailures(failures: readonly TestFailure[]): void {
  for (const failure of failures.slice(0, failuresShown)) console.log(`FAILED ${failureText(failure)}\n`);
  if (failures.length > 0) console.log(`TEST_SEED=${TEST_SEED} makes the same random choices again\n`);
  if (failures.length > failuresShown)
    console.log(`and ${failures.length - failuresShown} more failures: see .tap/results\n`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1).padStart(6)} s`;
}
