/** Turns a result of quick.ts into Markdown: the same text for the terminal and for the README, never typed by hand. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../deploy/repository-root.js';
import type { Machine } from './machine.js';
import { describeMemory, type MemoryResult } from './memory.js';
import { type Measurement, median, type ShapeResult } from './rounds.js';
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

export function renderQuick(result: QuickResult): string {
  const { machine } = result;
  const speed = [
    row('connections, cards', 'server', 'answers/s', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'share of echo'),
    row('---', '---', '---:', '---:', '---:', '---:', '---:', '---:'),
  ];
  const inside = [
    row(
      'connections, cards',
      'server',
      'CPU s per 1000',
      'of it main thread',
      'resident MiB',
      'batch',
      'syncs/s',
      'fdatasync p50 ms',
      'p99 ms',
      'generator µs',
      'cores of others',
    ),
    row('---', '---', '---:', '---:', '---:', '---:', '---:', '---:', '---:', '---:', '---:'),
  ];
  for (const shape of result.shapes) {
    for (const server of ['echo', 'engine'] as const) {
      const of = (pick: (measurement: Measurement) => number | null) =>
        middle(shape.rounds.map((round) => pick(round[server])));
      const ofJournal = (pick: (use: ShapeResult['rounds'][number]['engine']['journal']) => number | null) =>
        server === 'echo' ? null : middle(shape.rounds.map((round) => pick(round.engine.journal)));
      const rounds = shape.rounds.map((round) => round.ratio.toFixed(2)).join(' ');
      speed.push(
        row(
          shape.shape.name,
          server,
          thousands(of((m) => m.load.answersPerSecond)),
          fixed(
            of((m) => m.load.latency.p50Ms),
            2,
          ),
          fixed(
            of((m) => m.load.latency.p99Ms),
            2,
          ),
          fixed(
            of((m) => m.load.latency.p99_9Ms),
            2,
          ),
          fixed(
            of((m) => m.load.latency.maxMs),
            2,
          ),
          server === 'echo' ? '' : `**${shape.ratioMedian.toFixed(2)}** (${rounds})`,
        ),
      );
      inside.push(
        row(
          shape.shape.name,
          server,
          fixed(
            of((m) => m.server.cpuPerThousandSeconds),
            4,
          ),
          fixed(
            of((m) => m.server.mainThreadCpuPerThousandSeconds),
            4,
          ),
          fixed(
            of((m) => (m.server.residentBytes === null ? null : m.server.residentBytes / 2 ** 20)),
            0,
          ),
          fixed(
            ofJournal((use) => use.batchSizeMean),
            0,
          ),
          fixed(
            ofJournal((use) => use.syncsPerSecond),
            0,
          ),
          fixed(
            ofJournal((use) => use.syncP50Ms),
            2,
          ),
          fixed(
            ofJournal((use) => use.syncP99Ms),
            2,
          ),
          fixed(
            of((m) => m.load.generator.cpuPerAnswerUs),
            1,
          ),
          fixed(
            of((m) => m.otherCores),
            2,
          ),
        ),
      );
    }
  }
  const loads = result.shapes.flatMap((shape) => shape.rounds.flatMap((round) => [round.echo.load, round.engine.load]));
  const engineLoads = result.shapes.flatMap((shape) => shape.rounds.map((round) => round.engine.load));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const engineAnswers = sum(engineLoads.map((load) => load.latency.count));
  const busiest = Math.max(0, ...loads.map((load) => load.generator.utilizationMax));
  const notes = [
    `Medians over alternating rounds; in parentheses each round's share. Closed loop, one request in flight per connection, generator and servers on the same ${machine.coreCount} cores. ` +
      `Errors ${sum(loads.map((load) => load.errorCount))}, timeouts ${sum(loads.map((load) => load.timeoutCount))}, wrong answers ${sum(loads.map((load) => load.wrongCount))}; ` +
      `of ${thousands(engineAnswers)} engine answers ${thousands(sum(engineLoads.map((load) => load.approvedCount)))} approved. ` +
      'Cores of others: beside the echo the neighbours on this machine, beside the engine mostly the settling Postgres' +
      settling(result.shapes),
  ];
  if (busiest > generatorLimit) {
    notes.push(
      `The generator's thread was up to ${percent(busiest)} busy: where it was the limit, the server could do more than the table says.`,
    );
  }
  if (result.wrk !== null) {
    const { echo, engine, ratio, connectionCount } = result.wrk;
    notes.push(
      `Cross-check with wrk, ${connectionCount} connections: echo ${thousands(echo.answersPerSecond)}/s, engine ${thousands(engine.answersPerSecond)}/s ` +
        `(p99 ${engine.p99Ms.toFixed(2)} ms), share ${ratio.toFixed(2)}, errors ${echo.errorCount + engine.errorCount}.`,
    );
  }
  if (result.memory !== null) notes.push(`Memory: ${describeMemory(result.memory)}.`);
  notes.push(
    `${machine.cpu}, ${machine.coreCount} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB, ${machine.kernel}, Node.js ${machine.node}; ` +
      `load average before ${machine.loadAverage.toFixed(2)}; ${machine.date.slice(0, 16).replace('T', ' ')} UTC, commit ${machine.commit}.`,
    ...result.warnings.map((warning) => `Warning: ${warning}`),
  );
  return `${speed.join('\n')}\n\n${inside.join('\n')}\n\n${notes.join('\n\n')}\n`;
}

function settling(shapes: readonly ShapeResult[]): string {
  const uses = shapes.flatMap((shape) => shape.rounds.map((round) => round.engine.journal));
  const perSecond = middle(uses.map((use) => use.settledPerSecond));
  const backlog = uses.at(-1)?.settleBacklogCount ?? null;
  if (perSecond === null) return '.';
  return ` (${thousands(perSecond)} records/s; ${thousands(backlog)} still waited after the last round).`;
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

/** Writes the table of the newest result into README.md. @returns the folder of that result. */
export async function updateReadme(): Promise<string> {
  const folders = (await readdir(resultsRoot()).catch(() => [])).sort().reverse();
  for (const folder of folders) {
    const text = await readFile(join(resultsRoot(), folder, 'quick.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const readme = join(repositoryRoot(), 'README.md');
    const table = renderQuick(JSON.parse(text) as QuickResult);
    await writeFile(readme, replaceBetweenMarkers(await readFile(readme, 'utf8'), table));
    return folder;
  }
  throw new Error('there is no result yet: run `make bench-quick` first');
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Median of the values that exist. */
function middle(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}

function fixed(value: number | null, digits: number): string {
  return value === null ? '–' : value.toFixed(digits);
}

function thousands(value: number | null): string {
  return value === null ? '–' : Math.round(value).toLocaleString('en-US');
}

function percent(value: number | null): string {
  return value === null ? '–' : `${Math.round(value * 100)} %`;
}
