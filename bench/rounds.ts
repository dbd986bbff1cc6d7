/**
 * Alternating rounds of echo and engine with the same message, the same generator and the same connections: the engine's
 * speed is read as a share of the echo's of the same minute, because the machine is shared and its speed drifts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type LoadResult, load, newIdPrefix } from './load/load.js';
import { faultsOf } from './load/result.js';
import { uniformTraffic } from './load/uniform.js';
import { counterDelta, histogramMean, histogramPercentile, type Metrics, scrapeMetrics } from './metrics.js';
import { busyShare, type ProcessCpu, readMachineTime, readProcessCpu, readResidentBytes } from './process-stats.js';
import { loopback, type Stack } from './stack.js';

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

/** What the server's process did while a round was measured; null where the system or the server does not tell. */
export interface ServerUse {
  /** CPU seconds per 1000 answers: the whole process, and of it the main thread. */
  readonly cpuPerThousandSeconds: number | null;
  readonly mainThreadCpuPerThousandSeconds: number | null;
  readonly residentBytes: number | null;
}

/** From the engine's own metrics. */
export interface EngineUse {
  readonly batchSizeMean: number | null;
  readonly recordsPerSecond: number | null;
  readonly syncsPerSecond: number | null;
  readonly syncP50Ms: number | null;
  readonly syncP99Ms: number | null;
  /** Records settled into Postgres meanwhile, and those that still waited at the end: settling may lag, not stop. */
  readonly settledPerSecond: number | null;
  readonly settleBacklogCount: number | null;
}

export interface Measurement {
  readonly load: LoadResult;
  readonly server: ServerUse;
  /** Busy share of all cores of the machine meanwhile, 0–1. */
  readonly machineBusyShare: number;
  /**
   * Cores that neither the generator nor the server used: during an echo round the neighbours of this machine, who make
   * the round worth less; during an engine round mostly the settling Postgres. Null without /proc.
   */
  readonly otherCores: number | null;
}

export interface Round {
  readonly echo: Measurement;
  readonly engine: Measurement & { readonly journal: EngineUse };
  /** Engine's rate as a share of the echo's. */
  readonly ratio: number;
}

export interface ShapeResult {
  readonly shape: Shape;
  readonly rounds: readonly Round[];
  readonly ratioMedian: number;
}

const path = '/v1/authorizations';
const timeoutMs = 5000;
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
    rounds.push({ echo, engine: { ...engine, journal: engine.journal }, ratio });
    log(
      `${shape.name}, round ${number} of ${shape.roundCount}: echo ${Math.round(echo.load.answersPerSecond)}/s, ` +
        `engine ${Math.round(engine.load.answersPerSecond)}/s, ratio ${ratio.toFixed(2)}, ` +
        `engine p99 ${engine.load.latency.p99Ms.toFixed(2)} ms${disturbed(echo)}${faults(echo.load)}${faults(engine.load)}`,
    );
  }
  return { shape, rounds, ratioMedian: median(rounds.map((round) => round.ratio)) };
}

async function measure(
  stack: Stack,
  server: 'echo' | 'engine',
  shape: Shape,
  timing: RoundTiming,
): Promise<Measurement & { readonly journal: EngineUse }> {
  const { pid, port } = stack[server];
  const scrape = () => (server === 'engine' ? scrapeMetrics(stack.engine.metricsUrl).catch(() => null) : null);
  let cpuBefore: ProcessCpu | null = null;
  let cpuAfter: ProcessCpu | null = null;
  let machineBefore = readMachineTime();
  let machineAfter = machineBefore;
  let metricsBefore: Promise<Metrics | null> | null = null;
  let metricsAfter: Promise<Metrics | null> | null = null;
  let metricsSpan = 0;
  const result = await load(
    {
      host: loopback,
      port,
      traffic: uniformTraffic({
        path,
        credentials: stack.credentials,
        kind: 'authorization',
        idPrefix: newIdPrefix('quick'),
        cardFirst: 1,
        cardCount: shape.cardCount,
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
      timeoutMs,
      seed,
    },
    {
      onMeasureStart: () => {
        metricsBefore = scrape();
        metricsSpan = performance.now();
        cpuBefore = readProcessCpu(pid);
        machineBefore = readMachineTime();
      },
      onMeasureEnd: () => {
        cpuAfter = readProcessCpu(pid);
        machineAfter = readMachineTime();
        metricsSpan = performance.now() - metricsSpan;
        metricsAfter = scrape();
      },
    },
  );
  return {
    load: result,
    server: {
      ...cpuPerThousand(cpuBefore, cpuAfter, result.answerCount),
      residentBytes: readResidentBytes(pid),
    },
    machineBusyShare: busyShare(machineBefore, machineAfter),
    otherCores: otherCores((machineAfter.busyMs - machineBefore.busyMs) / 1000, cpuBefore, cpuAfter, result),
    journal: engineUse(await metricsBefore, await metricsAfter, metricsSpan / 1000),
  };
}

function cpuPerThousand(
  before: ProcessCpu | null,
  after: ProcessCpu | null,
  answerCount: number,
): Pick<ServerUse, 'cpuPerThousandSeconds' | 'mainThreadCpuPerThousandSeconds'> {
  if (before === null || after === null || answerCount === 0) {
    return { cpuPerThousandSeconds: null, mainThreadCpuPerThousandSeconds: null };
  }
  const thousands = answerCount / 1000;
  return {
    cpuPerThousandSeconds: (after.totalSeconds - before.totalSeconds) / thousands,
    mainThreadCpuPerThousandSeconds: (after.mainThreadSeconds - before.mainThreadSeconds) / thousands,
  };
}

function otherCores(
  busySeconds: number,
  before: ProcessCpu | null,
  after: ProcessCpu | null,
  result: LoadResult,
): number | null {
  if (before === null || after === null) return null;
  const ours = after.totalSeconds - before.totalSeconds + result.generator.cpuSeconds;
  // The system counts its busy time in ticks: the difference may come out a little below zero.
  return Math.max(0, (busySeconds - ours) / result.seconds);
}

const engineUseUnknown: EngineUse = {
  batchSizeMean: null,
  recordsPerSecond: null,
  syncsPerSecond: null,
  syncP50Ms: null,
  syncP99Ms: null,
  settledPerSecond: null,
  settleBacklogCount: null,
};

function engineUse(before: Metrics | null, after: Metrics | null, seconds: number): EngineUse {
  if (before === null || after === null) {
    return engineUseUnknown;
  }
  const perSecond = (name: string) => scaled(counterDelta(before, after, name), 1 / seconds);
  return {
    batchSizeMean: histogramMean(before, after, 'authorization_batch_size'),
    recordsPerSecond: perSecond('journal_records_total'),
    syncsPerSecond: perSecond('journal_syncs_total'),
    syncP50Ms: scaled(histogramPercentile(before, after, 'journal_sync_seconds', 50), 1000),
    syncP99Ms: scaled(histogramPercentile(before, after, 'journal_sync_seconds', 99), 1000),
    settledPerSecond: perSecond('shipper_settled_records_total'),
    settleBacklogCount: after.values.get('shipper_lag_records') ?? null,
  };
}

function scaled(value: number | null, factor: number): number | null {
  return value === null ? null : value * factor;
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
