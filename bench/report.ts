/**
 * Turns a result of quick.ts into Markdown, never typed by hand: all of it for the terminal and docs/benchmarks.md, the
 * first table for the README.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../deploy/repository-root.js';
import type { LoadResult } from './load/load.js';
import type { Machine } from './machine.js';
import type { EngineUse } from './measure.js';
import { describeMemory, type MemoryResult } from './memory.js';
import { median, type Round, type ShapeResult } from './rounds.js';
import { resultsRoot } from './run.js';
import type { WrkResult } from './wrk.js';

export interface QuickResult {
  readonly machine: Machine;
  /** What else the reader must know, such as a data folder in memory. */
  readonly warnings: readonly string[];
  readonly shapes: readonly ShapeResult[];
  /** Null when wrk is not installed. */
  readonly wrk: {
    readonly connectionCount: number;
    readonly echo: WrkResult;
    readonly engine: WrkResult;
    readonly ratio: number;
  } | null;
  readonly memory: MemoryResult | null;
  readonly seconds: number;
}

/** Utilization of the generator's thread above which it, not the server, may be what limits a round. */
const generatorLimit = 0.97;

interface Column {
  readonly title: string;
  readonly digits: number;
  readonly value: (round: Round, server: 'echo' | 'engine') => number | null;
}

const speedColumns: readonly Column[] = [
  { title: 'answers/s', digits: 0, value: (round, server) => round[server].load.answersPerSecond },
  { title: 'p50 ms', digits: 2, value: (round, server) => round[server].load.latency.p50Ms },
  { title: 'p99 ms', digits: 2, value: (round, server) => round[server].load.latency.p99Ms },
  { title: 'p99.9 ms', digits: 2, value: (round, server) => round[server].load.latency.p99_9Ms },
  { title: 'max ms', digits: 2, value: (round, server) => round[server].load.latency.maxMs },
];

/** What only the engine reports of itself. */
function ofJournal(pick: (use: EngineUse) => number | null): Column['value'] {
  return (round, server) => (server === 'engine' ? pick(round.engine.journal) : null);
}

const insideColumns: readonly Column[] = [
  { title: 'CPU s per 1000', digits: 4, value: (round, server) => round[server].server.cpuPerThousandSeconds },
  {
    title: 'of it main thread',
    digits: 4,
    value: (round, server) => round[server].server.mainThreadCpuPerThousandSeconds,
  },
  { title: 'resident MiB', digits: 0, value: (round, server) => mebibytes(round[server].server.residentBytes) },
  { title: 'batch', digits: 0, value: ofJournal((use) => use.batchSizeMean) },
  { title: 'syncs/s', digits: 0, value: ofJournal((use) => use.syncsPerSecond) },
  { title: 'fdatasync p50 ms', digits: 2, value: ofJournal((use) => use.syncP50Ms) },
  { title: 'p99 ms', digits: 2, value: ofJournal((use) => use.syncP99Ms) },
  { title: 'generator µs', digits: 1, value: (round, server) => round[server].load.generator.cpuPerAnswerUs },
  { title: 'cores of others', digits: 2, value: (round, server) => round[server].otherCores },
];

export function renderQuick(result: QuickResult): string {
  return paragraphs(speedTable(result), table(result.shapes, insideColumns, null), ...notes(result));
}

/** How fast, and on what: the part that the README shows. */
export function renderSpeed(result: QuickResult): string {
  return paragraphs(speedTable(result), measuredOn(result.machine));
}

function paragraphs(...parts: readonly string[]): string {
  return parts.join('\n\n').concat('\n');
}

function speedTable({ shapes }: QuickResult): string {
  const share = (shape: ShapeResult, server: string) =>
    server === 'echo'
      ? ''
      : `**${shape.ratioMedian.toFixed(2)}** (${shape.rounds.map((round) => round.ratio.toFixed(2)).join(' ')})`;
  return table(shapes, speedColumns, { title: 'share of echo', cell: share });
}

/** One row per shape and server: the median of each column over the rounds, and what `last` adds. */
function table(
  shapes: readonly ShapeResult[],
  columns: readonly Column[],
  last: { readonly title: string; readonly cell: (shape: ShapeResult, server: string) => string } | null,
): string {
  const titles = [...columns.map((column) => column.title), ...(last === null ? [] : [last.title])];
  const rows = [row('connections, cards', 'server', ...titles), row('---', '---', ...titles.map(() => '---:'))];
  for (const shape of shapes) {
    for (const server of ['echo', 'engine'] as const) {
      const cells = columns.map(({ digits, value }) =>
        number(middle(shape.rounds.map((round) => value(round, server))), digits),
      );
      rows.push(row(shape.shape.name, server, ...cells, ...(last === null ? [] : [last.cell(shape, server)])));
    }
  }
  return rows.join('\n');
}

function notes({ machine, shapes, wrk, memory, warnings }: QuickResult): string[] {
  const engineLoads = shapes.flatMap((shape) => shape.rounds.map((round) => round.engine.load));
  const loads = [...engineLoads, ...shapes.flatMap((shape) => shape.rounds.map((round) => round.echo.load))];
  const sum = (among: readonly LoadResult[], pick: (load: LoadResult) => number) =>
    number(
      among.reduce((total, load) => total + pick(load), 0),
      0,
    );
  const busiest = Math.max(0, ...loads.map((load) => load.generator.utilizationMax));
  const lines = [
    "Medians over alternating rounds; in parentheses each round's share. Closed loop, one request in flight per " +
      'connection, ' +
      `generator and servers on the same ${machine.coreCount} cores. Errors ` +
      `${sum(loads, (load) => load.errorCount)}, ` +
      `timeouts ${sum(loads, (load) => load.timeoutCount)}, wrong answers ${sum(loads, (load) => load.wrongCount)}; ` +
      'of ' +
      `${sum(engineLoads, (load) => load.latency.count)} engine answers ` +
      `${sum(engineLoads, (load) => load.rightCount)} approved. ` +
      'Cores of others: beside the echo the neighbours on this machine, beside the engine mostly the settling ' +
      `Postgres${settling(shapes)}.`,
  ];
  if (busiest > generatorLimit) {
    lines.push(
      `The generator's thread was up to ${Math.round(busiest * 100)} % busy: where it was the limit, the server ` +
        'could do more than the table says.',
    );
  }
  if (wrk !== null) {
    lines.push(
      `Cross-check with wrk, ${wrk.connectionCount} connections: echo ${number(wrk.echo.answersPerSecond, 0)}/s, ` +
        `engine ${number(wrk.engine.answersPerSecond, 0)}/s (p99 ${wrk.engine.p99Ms.toFixed(2)} ms), ` +
        `share ${wrk.ratio.toFixed(2)}, errors ${wrk.echo.errorCount + wrk.engine.errorCount}.`,
    );
  }
  if (memory !== null) lines.push(`Memory: ${describeMemory(memory)}.`);
  lines.push(measuredOn(machine), ...warnings.map((warning) => `Warning: ${warning}.`));
  return lines;
}

function measuredOn(machine: Machine): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const date = `${machine.date.slice(0, 16).replace('T', ' ')} UTC`;
  return (
    `${machine.cpu}, ${machine.coreCount} cores, ${memory}, ${machine.kernel}, Node.js ${machine.node}; ` +
    `load average before ${machine.loadAverage.toFixed(2)}; ${date}, commit ${machine.commit}.`
  );
}

function settling(shapes: readonly ShapeResult[]): string {
  const uses = shapes.flatMap((shape) => shape.rounds.map((round) => round.engine.journal));
  const perSecond = middle(uses.map((use) => use.settledPerSecond));
  const backlog = uses.at(-1)?.settleBacklogCount ?? null;
  if (perSecond === null) return '';
  return ` (${number(perSecond, 0)} records/s; ${number(backlog, 0)} still waited after the last round)`;
}

const markerStart = '<!-- bench:quick -->';
const markerEnd = '<!-- /bench:quick -->';

/** Replaces what stands between the markers. Throws when the text has no such place. */
export function replaceBetweenMarkers(text: string, replacement: string): string {
  const start = text.indexOf(markerStart);
  const end = text.indexOf(markerEnd, start);
  if (start < 0 || end < 0) throw new Error(`no ${markerStart} … ${markerEnd} in the text`);
  return `${text.slice(0, start + markerStart.length)}\n${replacement.trim()}\n${text.slice(end)}`;
}

/**
 * Writes the newest result into docs/benchmarks.md and its first table into README.md. @returns that result's folder.
 */
export async function updateDocuments(): Promise<string> {
  const folders = (await readdir(resultsRoot()).catch(() => [])).sort().reverse();
  for (const folder of folders) {
    const text = await readFile(join(resultsRoot(), folder, 'quick.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const result = JSON.parse(text) as QuickResult;
    await replaceIn('README.md', renderSpeed(result));
    await replaceIn('docs/benchmarks.md', renderQuick(result));
    return folder;
  }
  throw new Error('there is no result yet: run `make bench-quick` first');
}

async function replaceIn(document: string, replacement: string): Promise<void> {
  const path = join(repositoryRoot(), document);
  await writeFile(path, replaceBetweenMarkers(await readFile(path, 'utf8'), replacement));
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Median of the values that exist. */
function middle(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}

/** With thousands separators; a dash for what is not known. */
function number(value: number | null, digits: number): string {
  return value === null
    ? '–'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function mebibytes(bytes: number | null): number | null {
  return bytes === null ? null : bytes / 2 ** 20;
}
