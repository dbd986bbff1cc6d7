/** What the suite measures, in plain data: the JSON of a result is these types, and every report is made from it. */
import { type Latency, mergeHistograms } from '../load/latency.js';
import type { Machine } from '../machine.js';

/** One measured run. Missing figures are those that this server or system does not tell. */
export interface Sample {
  readonly figures: Readonly<Partial<Record<FigureName, number>>>;
  /** Latencies in HdrHistogram's compressed form. */
  readonly histogram: string | null;
  /** Errors, timeouts, wrong or missing answers, in words; empty when the run was clean. */
  readonly faults: readonly string[];
  /** Why the figures say nothing; null: they do. */
  readonly invalid: string | null;
}

/**
 * Nothing went wrong. A yes that came too late and was declined is no fault: it was answered, and its time is in the
 * latencies.
 */
export function isClean({ faults, invalid }: Sample): boolean {
  return invalid === null && faults.every((fault) => fault.endsWith('declined'));
}

/** The runs of one server or setting, one per round. */
export interface Series {
  readonly name: string;
  /** True for what stands beside the engine: echo and peers. */
  readonly control: boolean;
  readonly samples: readonly Sample[];
}

/** A target and in how many rounds it was met. */
export interface Goal {
  readonly text: string;
  readonly metCount: number;
  readonly roundCount: number;
}

export interface ScenarioOutcome {
  readonly settings: Readonly<Record<string, string | number>>;
  readonly series: readonly Series[];
  readonly goals: readonly Goal[];
  readonly notes: readonly string[];
  /** Long texts by title, such as plans of queries: only the page shows them. */
  readonly details?: Readonly<Record<string, string>>;
}

export interface ScenarioResult extends ScenarioOutcome {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
  /** Measures it again with the same sizes. */
  readonly command?: string;
  /** RFC 3339, UTC. */
  readonly date: string;
  /** Share of all cores that other programs used just before, 0–1. */
  readonly busyShareBefore: number;
}

export interface SuiteResult {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string;
  readonly warnings: readonly string[];
  readonly scenarios: readonly ScenarioResult[];
}

export function samplesOf(series: readonly Series[], name: string): readonly Sample[] {
  return series.find((one) => one.name === name)?.samples ?? [];
}

/** All valid rounds of a series in one histogram; null when it has none. */
export function mergedHistogram({ samples }: Series): Latency | null {
  const encoded = samples.filter(({ invalid }) => invalid === null).flatMap(({ histogram }) => histogram ?? []);
  return encoded.length === 0 ? null : mergeHistograms(encoded);
}

export interface Figure {
  readonly title: string;
  readonly digits: number;
  /** Which direction is an improvement; null: neither. */
  readonly better: 'higher' | 'lower' | null;
}

/** In the order of the tables' columns. */
export const figures = {
  perSecond: { title: 'per second', digits: 0, better: 'higher' },
  shareOfLocal: { title: 'share of local', digits: 2, better: 'higher' },
  shareOfEcho: { title: 'share of echo', digits: 2, better: 'higher' },
  shareOfDurableEcho: { title: 'share of durable echo', digits: 2, better: 'higher' },
  offeredPerSecond: { title: 'offered/s', digits: 0, better: null },
  p50Ms: { title: 'p50 ms', digits: 2, better: 'lower' },
  p90Ms: { title: 'p90 ms', digits: 2, better: 'lower' },
  p95Ms: { title: 'p95 ms', digits: 2, better: 'lower' },
  p99Ms: { title: 'p99 ms', digits: 2, better: 'lower' },
  p99_9Ms: { title: 'p99.9 ms', digits: 2, better: 'lower' },
  p99_99Ms: { title: 'p99.99 ms', digits: 2, better: 'lower' },
  maxMs: { title: 'max ms', digits: 2, better: 'lower' },
  refusedCount: { title: 'refused', digits: 0, better: 'lower' },
  refusedPerSecond: { title: 'refused/s', digits: 0, better: null },
  refusedP99Ms: { title: 'refusals p99 ms', digits: 2, better: 'lower' },
  refusedMaxMs: { title: 'refusals max ms', digits: 2, better: 'lower' },
  changesPerSecond: { title: 'changes/s', digits: 0, better: 'higher' },
  unknownCount: { title: 'not known in 1 s', digits: 0, better: 'lower' },
  writeP50Ms: { title: 'write p50 ms', digits: 1, better: 'lower' },
  writeP99Ms: { title: 'write p99 ms', digits: 1, better: 'lower' },
  changeP50Ms: { title: 'effective p50 ms', digits: 1, better: 'lower' },
  changeP99Ms: { title: 'effective p99 ms', digits: 1, better: 'lower' },
  changeMaxMs: { title: 'effective max ms', digits: 1, better: 'lower' },
  numberedP50Ms: { title: 'of it numbered p50 ms', digits: 1, better: 'lower' },
  numberedP99Ms: { title: 'numbered p99 ms', digits: 1, better: 'lower' },
  inForceP50Ms: { title: 'in force p50 ms', digits: 1, better: 'lower' },
  inForceP99Ms: { title: 'in force p99 ms', digits: 1, better: 'lower' },
  obeyedP50Ms: { title: 'obeyed p50 ms', digits: 1, better: 'lower' },
  obeyedP99Ms: { title: 'obeyed p99 ms', digits: 1, better: 'lower' },
  obeyedMaxMs: { title: 'obeyed max ms', digits: 1, better: 'lower' },
  caughtUpSeconds: { title: 'caught up in s', digits: 1, better: 'lower' },
  repairSeconds: { title: 'made up for in s', digits: 2, better: 'lower' },
  cpuUs: { title: 'CPU µs', digits: 1, better: 'lower' },
  frontUs: { title: 'front µs', digits: 1, better: 'lower' },
  workerUs: { title: 'worker µs', digits: 1, better: 'lower' },
  restUs: { title: 'other threads µs', digits: 1, better: 'lower' },
  storeUs: { title: 'database µs', digits: 1, better: 'lower' },
  proxyUs: { title: 'nginx µs', digits: 1, better: 'lower' },
  diskBytes: { title: 'disk bytes', digits: 0, better: 'lower' },
  framesMiB: { title: 'frames MiB', digits: 1, better: 'lower' },
  deadShare: { title: 'share of dead rows', digits: 3, better: 'lower' },
  walBytes: { title: 'WAL bytes', digits: 0, better: 'lower' },
  generatorUs: { title: 'generator µs', digits: 1, better: null },
  generatorBusy: { title: 'generator busy', digits: 2, better: null },
  residentMiB: { title: 'resident MiB', digits: 0, better: 'lower' },
  residentGrowthMiB: { title: 'growth MiB', digits: 0, better: 'lower' },
  heapMiB: { title: 'kept heap MiB', digits: 1, better: 'lower' },
  heapGrowthMiB: { title: 'heap growth MiB', digits: 1, better: 'lower' },
  buffersMiB: { title: 'kept buffers MiB', digits: 1, better: 'lower' },
  buffersGrowthMiB: { title: 'buffers growth MiB', digits: 1, better: 'lower' },
  peakMiB: { title: 'at most resident MiB', digits: 0, better: 'lower' },
  peakGrowthMiB: { title: 'at most growth MiB', digits: 0, better: 'lower' },
  queuedCount: { title: 'changes waiting at most', digits: 0, better: 'lower' },
  repeatedCount: { title: 'packets repeated', digits: 0, better: null },
  batch: { title: 'batch', digits: 0, better: null },
  syncsPerSecond: { title: 'syncs/s', digits: 0, better: null },
  syncP50Ms: { title: 'fdatasync p50 ms', digits: 2, better: null },
  syncP99Ms: { title: 'fdatasync p99 ms', digits: 2, better: null },
  settledPerSecond: { title: 'settled/s', digits: 0, better: 'higher' },
  backlog: { title: 'not settled', digits: 0, better: null },
  backlogGrowthPerSecond: { title: 'backlog growth/s', digits: 0, better: 'lower' },
  firstDecisionMs: { title: 'first decision ms', digits: 0, better: 'lower' },
  behindCount: { title: 'authorizations behind', digits: 0, better: null },
  bytesPerCard: { title: 'bytes per card', digits: 0, better: 'lower' },
  nsPerDecision: { title: 'ns per authorization', digits: 0, better: 'lower' },
  rows: { title: 'rows', digits: 0, better: null },
  lagP99Ms: { title: 'generator late p99 ms', digits: 2, better: null },
  queuedShare: { title: 'waited for a connection', digits: 3, better: null },
  otherCores: { title: 'cores of others', digits: 2, better: null },
} as const satisfies Record<string, Figure>;
export type FigureName = keyof typeof figures;
export const figureNames = Object.keys(figures) as FigureName[];

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Over the valid samples of a series; null when none has the figure. */
export function spreadOf(samples: readonly Sample[], name: FigureName): Spread | null {
  const values = samples
    .filter(({ invalid }) => invalid === null)
    .map(({ figures: measured }) => measured[name])
    .filter((value) => value !== undefined)
    .sort((left, right) => left - right);
  if (values.length === 0) return null;
  const middle = values.length >> 1;
  const median = values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
  return { median, min: values[0]!, max: values.at(-1)!, count: values.length };
}
