/**
 * Runs the load against one server and reads its cost at the same two moments: CPU of the server's threads, of its
 * database, and of all other processes. It reads the engine's own metrics too.
 */
import { type LoadOptions, type LoadResult, load } from './load/load.js';
import { counterDelta, histogramMean, histogramPercentile, type Metrics, scrapeMetrics } from './metrics.js';
import {
  busiestOtherThread,
  readMachineTime,
  readProcessCpu,
  readResidentBytes,
  readTreeCpuSeconds,
} from './process-stats.js';
import { loopback } from './stack.js';
import type { FigureName } from './suite/figures.js';

export interface Target {
  readonly pid: number;
  readonly port: number;
  /** Null for servers without the engine's metrics. */
  readonly metricsUrl: string | null;
  /** First process of the database behind it; null when there is none or it is not ours. */
  readonly storePid: number | null;
  /** Further engines, whose CPU counts as this one's. */
  readonly otherPids?: readonly number[];
  /** First process of the proxy before them. */
  readonly proxyPid?: number;
}

/** Null where the system or the server does not tell. */
type Figures = Readonly<Partial<Record<FigureName, number | null>>>;

export interface Measurement {
  readonly load: LoadResult;
  /** What it cost meanwhile; CPU is per answer. */
  readonly use: Figures;
}

type Reading = ReturnType<typeof read>;

function read({ pid, storePid, otherPids = [], proxyPid }: Target) {
  return {
    othersSeconds: otherPids.reduce((sum, other) => sum + (readProcessCpu(other)?.totalSeconds ?? 0), 0),
    proxySeconds: proxyPid === undefined ? null : readTreeCpuSeconds(proxyPid),
    machine: readMachineTime(),
    server: readProcessCpu(pid),
    storeSeconds: storePid === null ? null : readTreeCpuSeconds(storePid),
    residentBytes: readResidentBytes(pid),
    atMs: performance.now(),
  };
}

export async function measureLoad(target: Target, options: Omit<LoadOptions, 'host' | 'port'>): Promise<Measurement> {
  const { port, metricsUrl } = target;
  const scrape = () => (metricsUrl === null ? null : scrapeMetrics(metricsUrl).catch(() => null));
  let before = read(target);
  let after = before;
  let metricsBefore: Promise<Metrics | null> | null = null;
  let metricsAfter: Promise<Metrics | null> | null = null;
  const result = await load(
    { host: loopback, port, ...options },
    {
      onMeasureStart: () => {
        metricsBefore = scrape();
        before = read(target);
      },
      onMeasureEnd: () => {
        after = read(target);
        metricsAfter = scrape();
      },
    },
  );
  const engine = engineUse(await metricsBefore, await metricsAfter, (after.atMs - before.atMs) / 1000);
  return { load: result, use: { ...serverUse(before, after, result), ...engine } };
}

function serverUse(before: Reading, after: Reading, { answerCount, seconds, generator }: LoadResult): Figures {
  // At the end of the measured time, with all its connections open.
  const residentMiB = after.residentBytes === null ? null : after.residentBytes / 2 ** 20;
  if (before.server === null || after.server === null) return { residentMiB };
  const perAnswerUs = (cpuSeconds: number) => (answerCount === 0 ? null : (cpuSeconds * 1e6) / answerCount);
  const all = after.server.totalSeconds - before.server.totalSeconds + after.othersSeconds - before.othersSeconds;
  const front = after.server.mainThreadSeconds - before.server.mainThreadSeconds;
  // In an engine with one worker, that worker.
  const worker = busiestOtherThread(before.server, after.server);
  const [storeBefore, storeAfter] = [before.storeSeconds, after.storeSeconds];
  const store = storeBefore === null || storeAfter === null ? null : storeAfter - storeBefore;
  const proxy =
    before.proxySeconds === null || after.proxySeconds === null ? null : after.proxySeconds - before.proxySeconds;
  const busy = (after.machine.busyMs - before.machine.busyMs) / 1000;
  return {
    residentMiB,
    cpuUs: perAnswerUs(all),
    frontUs: perAnswerUs(front),
    workerUs: perAnswerUs(worker),
    restUs: perAnswerUs(all - front - worker),
    storeUs: store === null ? null : perAnswerUs(store),
    proxyUs: proxy === null ? null : perAnswerUs(proxy),
    // The neighbours. The system counts its busy time in ticks: the difference may come out a little below zero.
    otherCores: Math.max(0, (busy - all - (store ?? 0) - (proxy ?? 0) - generator.cpuSeconds) / seconds),
  };
}

/** From the engine's own metrics; of a server that has none, threads have no names either. */
function engineUse(before: Metrics | null, after: Metrics | null, seconds: number): Figures {
  const unknown = { workerUs: null, restUs: null };
  if (before === null || after === null) return unknown;
  const scaled = (value: number | null, factor: number) => (value === null ? null : value * factor);
  const perSecond = (name: string) => scaled(counterDelta(before, after, name), 1 / seconds);
  const syncMs = (percentile: number) =>
    scaled(histogramPercentile(before, after, 'journal_sync_seconds', percentile), 1000);
  const batch = histogramMean(before, after, 'authorization_batch_size');
  return {
    ...(batch === null ? unknown : { batch }),
    syncsPerSecond: perSecond('journal_syncs_total'),
    syncP50Ms: syncMs(50),
    syncP99Ms: syncMs(99),
    // Settling may lag, not stop: those that still waited at the end.
    settledPerSecond: perSecond('shipper_settled_records_total'),
    backlog: after.values.get('shipper_lag_records') ?? null,
  };
}
