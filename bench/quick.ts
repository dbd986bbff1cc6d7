/**
 * `make bench-quick`: in under two minutes, how fast the engine answers beside a bare echo on the same machine, at 256
 * and 64 connections, spread over many accounts and on one hot account, and what a known card costs in memory.
 * Prints tables, writes bench/results/<date>-<commit>/quick.json; exit code 1, with the reason, when any answer was
 * wrong or missing.
 *
 *   node dist/bench/quick.js             run; quick.slow.ts runs it in small
 *   node dist/bench/quick.js --readme    write the newest result into README.md and docs/benchmarks.md
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newIdPrefix } from './load/load.js';
import { faultsOf } from './load/result.js';
import { describeMachine, isMemoryFileSystem } from './machine.js';
import { type MemoryResult, measureMemory } from './memory.js';
import { type QuickResult, renderQuick, updateDocuments } from './report.js';
import { alone, median, otherCoresMax, type RoundTiming, runShape, type Shape, type ShapeResult } from './rounds.js';
import { isMain, resultFolder, runUntilSignal } from './run.js';
import { loopback, type Stack, startStack } from './stack.js';
import { isWrkInstalled, runWrk } from './wrk.js';

export interface QuickOptions {
  readonly accountCount: number;
  readonly timing: RoundTiming;
  /** Rounds of the shapes with many accounts and of the one with a single one. */
  readonly roundCounts: { readonly spread: number; readonly hot: number };
  readonly wrkSeconds: number;
  readonly memoryCardCount: number;
  /** A migrated database, for runs that only prove that they can run; Postgres of its own otherwise. */
  readonly databaseUrl?: string;
  readonly engineEnv?: Readonly<Record<string, string>>;
}

/** Enough that no account of any round runs dry: declines for funds would be another, shorter path. */
const balanceMinor = 1_000_000_000_000;

const fullRun: QuickOptions = {
  accountCount: 10_000,
  timing: { warmUpMs: 700, durationMs: 2500, threadCount: 1 },
  roundCounts: { spread: 3, hot: 2 },
  wrkSeconds: 3,
  memoryCardCount: 100_000,
};

function shapesOf({ accountCount, roundCounts }: QuickOptions): Shape[] {
  return [
    { name: '256, spread', connectionCount: 256, cardCount: accountCount, roundCount: roundCounts.spread },
    { name: '64, spread', connectionCount: 64, cardCount: accountCount, roundCount: roundCounts.spread },
    { name: '256, one account', connectionCount: 256, cardCount: 1, roundCount: roundCounts.hot },
  ];
}

/** The run must end within two minutes; the memory part is left out when less than this is left. */
const secondsMax = 120;
const memorySecondsEstimate = 32;

/** Runs everything and stops what it started. */
export async function benchQuick(
  options: QuickOptions,
  signal: AbortSignal,
  write: (line: string) => void,
): Promise<QuickResult> {
  const { accountCount, timing, databaseUrl, engineEnv = {} } = options;
  const startedMs = performance.now();
  const elapsedSeconds = () => (performance.now() - startedMs) / 1000;
  const log = (line: string) => write(`${elapsedSeconds().toFixed(0).padStart(4)} s  ${line}\n`);
  const machine = await describeMachine();
  const stack = await startStack({
    accountCount,
    balanceMinor,
    engineEnv,
    log,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  signal.addEventListener('abort', () => void stack.stop());
  try {
    const warnings: string[] = [];
    if (await isMemoryFileSystem(stack.dataDir)) {
      warnings.push('the journal stood in a file system in memory, where a sync costs nothing');
    }
    log('warming up');
    const warmUp: Shape = { name: 'warm-up', connectionCount: 256, cardCount: accountCount, roundCount: 1 };
    // Once, before anything is measured: code is compiled, cards are loaded.
    await runShape(stack, warmUp, { ...timing, warmUpMs: 0 }, log);
    const results: ShapeResult[] = [];
    for (const shape of shapesOf(options)) results.push(await runShape(stack, shape, timing, log));
    const otherCores = median(results.flatMap(({ rounds }) => rounds.map(({ echo }) => echo.otherCores ?? 0)));
    if (otherCores > otherCoresMax) {
      warnings.push(
        `other programs took ${otherCores.toFixed(1)} cores while the echo was measured: repeat it on a quiet machine`,
      );
    }
    const wrk = (await isWrkInstalled()) ? await crossCheck(stack, options, log) : null;
    const memory = await memoryIfTime(stack, options, elapsedSeconds(), log);
    return { machine, warnings, shapes: results, wrk, memory, seconds: elapsedSeconds() };
  } finally {
    await stack.stop();
  }
}

async function crossCheck(
  stack: Stack,
  { accountCount, wrkSeconds }: QuickOptions,
  log: (line: string) => void,
): Promise<QuickResult['wrk']> {
  const connectionCount = 256;
  const against = (port: number) =>
    runWrk({
      host: loopback,
      port,
      path: '/v1/authorizations',
      credentials: stack.credentials,
      idPrefix: newIdPrefix('wrk'),
      cardCount: accountCount,
      connectionCount,
      durationSeconds: wrkSeconds,
      folder: stack.dataDir,
    });
  const echo = await alone(stack, log, () => against(stack.echo.port));
  const engine = await against(stack.engine.port);
  const ratio = engine.answersPerSecond / echo.answersPerSecond;
  log(
    `cross-check with wrk: echo ${Math.round(echo.answersPerSecond)}/s, ` +
      `engine ${Math.round(engine.answersPerSecond)}/s, ratio ${ratio.toFixed(2)}`,
  );
  return { connectionCount, echo, engine, ratio };
}

async function memoryIfTime(
  stack: Stack,
  { accountCount, memoryCardCount }: QuickOptions,
  elapsedSeconds: number,
  log: (line: string) => void,
): Promise<MemoryResult | null> {
  if (elapsedSeconds + memorySecondsEstimate > secondsMax) {
    log('no time left for the memory of cards: `make bench-memory` measures it');
    return null;
  }
  log(`making ${memoryCardCount} more cards known`);
  return measureMemory(stack, accountCount + 1, memoryCardCount, log);
}

/**
 * Why the figures do not count, a line for each load with faults; empty when every request was answered, with its own
 * answer, and nothing was refused. A late approval is declined, which is right.
 */
export function quickFaults(result: Pick<QuickResult, 'shapes'>): string[] {
  return result.shapes.flatMap(({ shape, rounds }) =>
    rounds.flatMap((round, index) =>
      (['echo', 'engine'] as const).flatMap((server) => {
        const faults = faultsOf({ ...round[server].load, declinedCount: 0 });
        if (faults.length === 0) return [];
        return [`${shape.name}, round ${index + 1} of ${rounds.length}, ${server}: ${faults.join(', ')}`];
      }),
    ),
  );
}

async function main(signal: AbortSignal): Promise<number> {
  if (process.argv.includes('--readme')) {
    process.stdout.write(`README.md and docs/benchmarks.md show ${await updateDocuments()}\n`);
    return 0;
  }
  const result = await benchQuick(fullRun, signal, (line) => void process.stdout.write(line));
  const folder = resultFolder(result.machine);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'quick.json'), `${JSON.stringify(result, null, 2)}\n`);
  process.stdout.write(`\n${renderQuick(result)}\n${join(folder, 'quick.json')}\n`);
  const faults = quickFaults(result);
  if (faults.length === 0) return 0;
  process.stderr.write(
    `exit code 1: some requests were refused, failed or were answered wrongly, so the figures do not count:\n` +
      `${faults.map((line) => `  ${line}\n`).join('')}` +
      'a 503 is a message beyond its deadline (DEADLINE_MS) or beyond MAX_IN_FLIGHT: repeat it on a quiet machine\n',
  );
  return 1;
}

if (isMain(import.meta.url)) await runUntilSignal(main);
