/**
 * Alternating rounds of echo and engine with the same message, the same generator and the same connections: the
 * engine's speed is read as a share of the echo's of the same minute, because the machine is shared and its speed
 * drifts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadResult, newIdPrefix } from './load/load.js';
import { faultsOf } from './load/result.js';
import { uniformTraffic } from './load/uniform.js';
import { type Measurement, measureLoad } from './measure.js';
import { busyShare, readMachineTime } from './process-stats.js';
import type { Stack } from './stack.js';

export interface Shape {
  readonly name: string;
  readonly connectionCount: number;
  /** 1: all traffic hits one account. */
  readonly cardCount: number;
  readonly roundCount: number;
}

export interface RoundTiming {
  readonly warmUpMs: number;
  readonly durationMs: number;
  readonly threadCount: number;
}

export interface Round {
  readonly echo: Measurement;
  readonly engine: Measurement;
  /** Engine's rate as a share of the echo's. */
  readonly ratio: number;
}

export interface ShapeResult {
  readonly shape: Shape;
  readonly rounds: readonly Round[];
  readonly ratioMedian: number;
}

/** Fixed, so that every run sends the same cards and amounts. */
const seed = 20_261_123;

export async function runShape(
  stack: Stack,
  shape: Shape,
  timing: RoundTiming,
  log: (line: string) => void,
): Promise<ShapeResult> {
  const rounds: Round[] = [];
  for (let number = 1; number <= shape.roundCount; number++) {
    const echo = await alone(stack, log, () => measure(stack, 'echo', shape, timing));
    const engine = await measure(stack, 'engine', shape, timing);
    const ratio = engine.load.answersPerSecond / echo.load.answersPerSecond;
    rounds.push({ echo, engine, ratio });
    log(
      `${shape.name}, round ${number} of ${shape.roundCount}: echo ${Math.round(echo.load.answersPerSecond)}/s, ` +
        `engine ${Math.round(engine.load.answersPerSecond)}/s, ratio ${ratio.toFixed(2)}, ` +
        `engine p99 ${engine.load.latency.p99Ms.toFixed(2)} ` +
        `ms${disturbed(echo)}${faults(echo.load)}${faults(engine.load)}`,
    );
  }
  return { shape, rounds, ratioMedian: median(rounds.map((round) => round.ratio)) };
}

function measure(stack: Stack, server: 'echo' | 'engine', shape: Shape, timing: RoundTiming): Promise<Measurement> {
  return measureLoad(stack[server], {
    traffic: uniformTraffic({
      path: '/v1/authorizations',
      credentials: stack.credentials,
      kind: 'authorization',
      idPrefix: newIdPrefix('quick'),
      cardFirst: 1,
      cardCount: shape.cardCount,
      cardsPerAccount: 1,
      cardOrder: 'random',
      amountMinorMin: 1000,
      amountMinorMax: 9999,
      answers: server === 'echo' ? 'echo' : 'decision',
    }),
    pace: { kind: 'closed' },
    connectionCount: shape.connectionCount,
    threadCount: timing.threadCount,
    warmUpMs: timing.warmUpMs,
    durationMs: timing.durationMs,
    requestCountMax: null,
    timeoutMs: 5000,
    seed,
  });
}

/**
 * Measures the echo while the engine is frozen. After an engine round the shipper goes on settling into Postgres; that
 * work belongs to the engine, and an echo measured beside it would be slower than it is and flatter the ratio.
 */
export async function alone<T>(stack: Stack, log: (line: string) => void, measureEcho: () => Promise<T>): Promise<T> {
  stack.engine.pause();
  try {
    await waitUntilQuiet(log);
    return await measureEcho();
  } finally {
    stack.engine.resume();
  }
}

/** Postgres ends the statement it is at; anything that takes longer is not ours. */
const quietWaitMsMax = 2000;
const quietSampleMs = 150;
const quietBusyShareMax = 0.15;

async function waitUntilQuiet(log: (line: string) => void): Promise<void> {
  const deadlineMs = performance.now() + quietWaitMsMax;
  let busy = 1;
  while (performance.now() < deadlineMs) {
    const before = readMachineTime();
    await delay(quietSampleMs);
    busy = busyShare(before, readMachineTime());
    if (busy <= quietBusyShareMax) return;
  }
  log(`the machine is ${Math.round(busy * 100)} % busy with something else; the next echo is measured beside it`);
}

/** Neighbours that take more than this of a core make a round doubtful. */
export const otherCoresMax = 0.2;

function disturbed(echo: Measurement): string {
  const other = echo.otherCores ?? 0;
  return other > otherCoresMax ? `; other processes took ${other.toFixed(1)} cores from the echo` : '';
}

function faults(result: LoadResult): string {
  const parts = faultsOf(result);
  return parts.length === 0 ? '' : `; ${parts.join(', ')}`;
}

/** The middle value; the mean of the two middle ones of an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
