/**
 * Runs the test suites with tap: the quick ones, then the files named `*.slow.js`, side by side where they may. Prints
 * each file's duration, the slowest files, every failure again at the end, and how many tests passed and failed. One
 * or two files that failed run once more (second-run.ts). Stops the tests' servers. Argument `slow`: only the slow
 * suites. TEST_SEED repeats a run's random choices.
 */
import { spawn, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { repositoryRoot } from '../repository-root.js';
import { filesToRepeat } from './second-run.js';
import { failureText, TapReader, type TapTotals, type TestFailure, type TestFile } from './tap-results.js';

const { TEST_SEED = String(randomInt(2 ** 31)) } = process.env;
const root = repositoryRoot();
const results = join(root, '.tap');
const slowTimeout = '--timeout=900';
/**
 * The first counts on leases of half a second. The second fills a database, an API and a MongoDB with 250,000 records
 * at once. The other slow suites passed on a machine with a load of 18 on two cores.
 */
const aloneSuites = ['engine/writer/writer', 'api/feed/history-backlog'];
const slowestShown = 20;
/** More failures than these have one cause, and the TAP files hold them all. */
const failuresShown = 25;

interface SuiteResult {
  readonly status: number;
  readonly totals: TapTotals;
  readonly files: readonly TestFile[];
}

process.exitCode = await runSuites(process.argv[2] === 'slow');

async function runSuites(slowOnly: boolean): Promise<number> {
  const startedAtMs = performance.now();
  console.log(`TEST_SEED=${TEST_SEED}`);
  const suites: SuiteResult[] = [];
  let again: SuiteResult | null = null;
  let status = 0;
  try {
    // Built before tap's clocks run: the first build takes longer than a test file may.
    status ||= script('prepare-services.js');
    if (status === 0) {
      if (!slowOnly) suites.push(await runSuite('quick', []));
      // Also after a failure: one run names everything that is broken.
      const isAlone = (path: string) => aloneSuites.some((name) => path.includes(name));
      const slow = slowSuites();
      suites.push(await runSuite('slow', ['--jobs=3', slowTimeout, ...slow.filter((path) => !isAlone(path))]));
      suites.push(await runSuite('alone', ['--jobs=1', slowTimeout, ...slow.filter(isAlone)]));
      const repeated = filesToRepeat(suites.flatMap((suite) => suite.files));
      if (repeated.length > 0) again = await runSuite('again', ['--jobs=1', slowTimeout, ...repeated]);
    }
  } finally {
    // Also after a failure: nothing may be left running.
    for (const keeper of ['test-database-reaper.js', 'test-mongo-keeper.js']) script(keeper, '--now');
  }
  const files = suites.flatMap((suite) => suite.files);
  printDurations(files, performance.now() - startedAtMs);
  printFailures(files.flatMap((file) => file.failures));
  const isSteadyNow = again !== null && again.status === 0 && again.totals.failed === 0 && again.totals.passed > 0;
  if (isSteadyNow) {
    for (const { file } of again!.files) console.log(`UNSTEADY ${file} failed and passed alone: make it steady\n`);
  }
  const passed = suites.reduce((sum, { totals }) => sum + totals.passed, 0);
  const failed = isSteadyNow ? 0 : suites.reduce((sum, { totals }) => sum + totals.failed, 0);
  console.log(`${passed} passed, ${failed} failed`);
  // tap's own verdict counts too: a file that crashed may not have counted anything.
  const isForgiven = ({ totals, files: own }: SuiteResult) =>
    isSteadyNow && totals.passed > 0 && own.some(({ failures }) => failures.length > 0);
  const isBad = status !== 0 || suites.some((suite) => suite.status !== 0 && !isForgiven(suite));
  return isBad || failed > 0 || passed === 0 ? 1 : 0;
}

function slowSuites(): string[] {
  return readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.slow.js'))
    .map((path) => join('dist', path))
    .sort();
}

function script(name: string, ...args: readonly string[]): number {
  const path = join(root, 'dist', 'deploy', 'testing', name);
  return spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' }).status ?? 1;
}

/** Runs tap with these arguments; keeps its whole output in `.tap/<name>.tap`. */
async function runSuite(name: string, args: readonly string[]): Promise<SuiteResult> {
  mkdirSync(results, { recursive: true });
  const kept = createWriteStream(join(results, `${name}.tap`));
  const reader = new TapReader((file) => {
    console.log(`${file.failures.length === 0 ? 'ok    ' : 'FAILED'} ${seconds(file.durationMs)} ${file.file}`);
    for (const failure of file.failures) console.log(failureText(failure));
  });
  const tap = spawn('npx', ['tap', '--reporter=tap', ...args], {
    cwd: root,
    env: { ...process.env, TEST_SEED },
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  const ended = once(tap, 'close') as Promise<[code: number | null]>;
  for await (const line of createInterface({ input: tap.stdout })) {
    kept.write(`${line}\n`);
    reader.read(line);
  }
  kept.end();
  const [code] = await ended;
  try {
    return { status: code ?? 1, totals: reader.end(), files: reader.files };
  } catch (error) {
    console.error(`no results of the ${name} suites: ${error instanceof Error ? error.message : error}`);
    return { status: 1, totals: { passed: 0, failed: 0 }, files: reader.files };
  }
}

function printDurations(files: readonly TestFile[], totalMs: number): void {
  const slowest = files.toSorted((one, other) => other.durationMs - one.durationMs).slice(0, slowestShown);
  console.log(`\nThe slowest of ${files.length} test files:`);
  for (const { file, durationMs } of slowest) console.log(`${seconds(durationMs)} ${file}`);
  console.log(`${seconds(totalMs)} in all\n`);
}

function printFailures(failures: readonly TestFailure[]): void {
  for (const failure of failures.slice(0, failuresShown)) console.log(`FAILED ${failureText(failure)}\n`);
  if (failures.length > 0) console.log(`TEST_SEED=${TEST_SEED} makes the same random choices again\n`);
  if (failures.length > failuresShown) console.log(`and ${failures.length - failuresShown} more failures: see .tap/\n`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1).padStart(6)} s`;
}
