/**
 * `make bench-quick`: in under two minutes, how fast the engine answers beside a bare echo on the same machine, at 256
 * and 64 connections, spread over many accounts and on one hot account, and what a known card costs in memory.
 * Prints tables, writes bench/results/<date>-<commit>/quick.json; exit code 1 when any answer was wrong or missing.
 *
 *   node dist/bench/quick.js             run
 *   node dist/bench/quick.js --readme    write the newest result's tables into README.md, run nothing
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newIdPrefix } from './load/load.js';
import { faultsOf } from './load/result.js';
import { describeMachine, isMemoryFileSystem } from './machine.js';
import { type MemoryResult, measureMemory } from './memory.js';
import { type QuickResult, renderQuick, updateReadme } from './report.js';
import { alone, median, otherCoresMax, type RoundTiming, runShape, type Shape, type ShapeResult } from './rounds.js';
import { resultFolder, runUntilSignal } from './run.js';
import { loopback, type Stack, startStack } from './stack.js';
import { isWrkInstalled, runWrk } from './wrk.js';

const accountCount = 10_000;
/** Enough that no account of any round runs dry: declines for funds would be another, shorter path. */
const balanceMinor = 1_000_000_000_000;

const shapes: readonly Shape[] = [
  { name: '256, spread', connectionCount: 256, cardCount: accountCount, roundCount: 3 },
  { name: '64, spread', connectionCount: 64, cardCount: accountCount, roundCount: 3 },
  { name: '256, one account', connectionCount: 256, cardCount: 1, roundCount: 2 },
];
const timing: RoundTiming = { warmUpMs: 700, durationMs: 2500, threadCount: 1 };
/** Once, before anything is measured: code is compiled, cards are loaded. */
const firstWarmUp: RoundTiming = { warmUpMs: 0, durationMs: 2500, threadCount: 1 };
const wrkSeconds = 3;
const memoryCardCount = 100_000;
/** The run must end within two minutes; the memory part is left out when less than this is left. */
const secondsMax = 120;
const memorySecondsEstimate = 32;

async function main(signal: AbortSignal): Promise<number> {
  if (process.argv.includes('--readme')) {
    process.stdout.write(`README.md shows ${await updateReadme()}\n`);
    return 0;
  }
  const startedMs = performance.now();
  const elapsedSeconds = () => (performance.now() - startedMs) / 1000;
  const log = (line: string) => process.stdout.write(`${elapsedSeconds().toFixed(0).padStart(4)} s  ${line}\n`);
  const machine = await describeMachine();
  const stack = await startStack({ accountCount, balanceMinor, log });
  signal.addEventListener('abort', () => void stack.stop());
  try {
    const warnings: string[] = [];
    if (await isMemoryFileSystem(stack.dataDir)) {
      warnings.push('the journal stood in a file system in memory, where a sync costs nothing');
    }
    log('warming up');
    const warmUp: Shape = { name: 'warm-up', connectionCount: 256, cardCount: accountCount, roundCount: 1 };
    await runShape(stack, warmUp, firstWarmUp, log);
    const results: ShapeResult[] = [];
    for (const shape of shapes) results.push(await runShape(stack, shape, timing, log));
    const otherCores = median(results.flatMap(({ rounds }) => rounds.map(({ echo }) => echo.otherCores ?? 0)));
    if (otherCores > otherCoresMax) {
      warnings.push(
        `other programs took ${otherCores.toFixed(1)} cores while the echo was measured: repeat it on a quiet machine`,
      );
    }
    const wrk = (await isWrkInstalled()) ? await crossCheck(stack, log) : null;
    const result: QuickResult = {
      machine,
      warnings,
      shapes: results,
      wrk,
      memory: await memoryIfTime(stack, elapsedSeconds(), log),
      seconds: elapsedSeconds(),
    };
    const folder = resultFolder(machine);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'quick.json'), `${JSON.stringify(result, null, 2)}\n`);
    process.stdout.write(`\n${renderQuick(result)}\n${join(folder, 'quick.json')}\n`);
    return isClean(result) ? 0 : 1;
  } finally {
    await stack.stop();
  }
}

async function crossCheck(stack: Stack, log: (line: string) => void): Promise<QuickResult['wrk']> {
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

/** Every request was answered, with its own answer, and nothing was refused. A late approval is declined, which is right. */
function isClean(result: QuickResult): boolean {
  return result.shapes.every((shape) =>
    shape.rounds.every(({ echo, engine }) =>
      [echo.load, engine.load].every((load) => faultsOf({ ...load, declinedCount: 0 }).length === 0),
    ),
  );
}

await runUntilSignal(main);
