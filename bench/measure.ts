/**
 * Runs the load against one server and reads its cost at the same two moments: CPU of the server's threads, of its
 * database, and of all other processes. It reads the engine's own metrics too.
 */
import { type LoadOptions, type LoadResult, load } from './load/load.js';
import { counterDelta, histogramMean, histogramPercentile, type Metrics, scrapeMetrics } from './metrics.js';
import {
  busiestOtherThread,
  busyShare,
  type ProcessCpu,
  readMachineTime,
  readProcessCpu,
  readResidentBytes,
  readTreeCpuSeconds,
} from './process-stats.js';
import { loopback } from './stack.js';

export interface Target {
  readonly pid: number;
  readonly port: number;
  /** Null for servers without the engine's metrics. */
  readonly metricsUrl: string | null;
  /** First process of the database behind it; null when there is none or it is not ours. */
  readonly storePid: number | null;
}

/** What the server's process did while a round was measured; null where the system or the server does not tell. */
export interface ServerUse {
  /** CPU seconds per 1000 answers: the whole process, and of it the main thread. */
  readonly cpuPerThousandSeconds: number | null;
  readonly mainThreadCpuPerThousandSeconds: number | null;
  /** The busiest other thread: in an engine with one worker, that worker. */
  readonly workerCpuPerThousandSeconds: number | null;
  /** All processes of the database behind the server. */
  readonly storeCpuPerThousandSeconds: number | null;
  /** At the end of the measured time, with all its connections open. */
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
   * Cores that neither the generator nor the server used: beside a server without a database the neighbours of this
   * machine, who make the round worth less; else mostly that database. Null without /proc.
   */
  readonly otherCores: number | null;
  readonly journal: EngineUse;
}

export async function measureLoad(target: Target, options: Omit<LoadOptions, 'host' | 'port'>): Promise<Measurement> {
  const { pid, port, metricsUrl, storePid } = target;
  const scrape = () => (metricsUrl === null ? null : scrapeMetrics(metricsUrl).catch(() => null));
  const read = () => ({
    machine: readMachineTime(),
    server: readProcessCpu(pid),
    storeSeconds: storePid === null ? null : readTreeCpuSeconds(storePid),
    residentBytes: readResidentBytes(pid),
    atMs: performance.now(),
  });
  let before = read();
  let after = before;
  let metricsBefore: Promise<Metrics | null> | null = null;
  let metricsAfter: Promise<Metrics | null> | null = null;
  const result = await load(
    { host: loopback, port, ...options },
    {
      onMeasureStart: () => {
        metricsBefore = scrape();
        before = read();
      },
      onMeasureEnd: () => {
        after = read();
        metricsAfter = scrape();
      },
    },
  );
  const storeSeconds =
    before.storeSeconds === null || after.storeSeconds === null ? null : after.storeSeconds - before.storeSeconds;
  return {
    load: result,
    server: {
      ...cpuPerThousand(before.server, after.server, result.answerCount),
      storeCpuPerThousandSeconds:
        storeSeconds === null || result.answerCount === 0 ? null : (storeSeconds * 1000) / result.answerCount,
      residentBytes: after.residentBytes,
    },
    machineBusyShare: busyShare(before.machine, after.machine),
    otherCores: otherCores((after.machine.busyMs - before.machine.busyMs) / 1000, before.server, after.server, result),
    journal: engineUse(await metricsBefore, await metricsAfter, (after.atMs - before.atMs) / 1000),
  };
}

function cpuPerThousand(
  before: ProcessCpu | null,
  after: ProcessCpu | null,
  answerCount: number,
): Omit<ServerUse, 'storeCpuPerThousandSeconds' | 'residentBytes'> {
  if (before === null || after === null || answerCount === 0) {
    return {
      cpuPerThousandSeconds: null,
      mainThreadCpuPerThousandSeconds: null,
      workerCpuPerThousandSeconds: null,
    };
  }
  const thousands = answerCount / 1000;
  return {
    cpuPerThousandSeconds: (after.totalSeconds - before.totalSeconds) / thousands,
    mainThreadCpuPerThousandSeconds: (after.mainThreadSeconds - before.mainThreadSeconds) / thousands,
    workerCpuPerThousandSeconds: busiestOtherThread(before, after) / thousands,
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

/** Cores that neither the generator nor the server nor the database behind it used: the neighbours. */
export function neighbourCores({ otherCores, server, load }: Measurement): number | null {
  if (otherCores === null) return null;
  const storeCores = ((server.storeCpuPerThousandSeconds ?? 0) * load.answersPerSecond) / 1000;
  return Math.max(0, otherCores - storeCores);
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
