/** Writes the newest result of `make bench-quick` into the documents; no figure there is typed by hand. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../../deploy/repository-root.js';
import type { Machine } from '../machine.js';
import { resultsRoot } from '../run.js';
import { type FigureName, type ScenarioResult, type SuiteResult, spreadOf } from './figures.js';
import { readResult } from './results.js';
import { formatFigure, renderScenario, renderTable } from './table.js';

export const quickCommand = 'make bench-quick';

const speedColumns: readonly FigureName[] = ['perSecond', 'p50Ms', 'p99Ms', 'p99_9Ms', 'maxMs', 'shareOfEcho'];

/** How fast, and on what: the part that the README shows. */
export function renderSpeed({ machine, scenarios }: SuiteResult): string {
  const ceiling = scenarios.find(({ name }) => name === 'ceiling');
  return paragraphs(...(ceiling === undefined ? [] : [speedTable(ceiling)]), measuredOn(machine));
}

/** All of it, for docs/benchmarks.md. */
export function renderQuick(result: SuiteResult): string {
  const { machine, scenarios, warnings } = result;
  const tables = scenarios.map((scenario) => renderScenario(scenario).trim());
  return paragraphs(...tables, measuredOn(machine), ...warnings);
}

function paragraphs(...parts: readonly string[]): string {
  return parts.join('\n\n').concat('\n');
}

/** Medians; behind the share of the echo, the share of each round. */
function speedTable({ series }: ScenarioResult): string {
  const rows = series.map(({ name, samples }) => {
    const cells = speedColumns.map((column) => {
      const median = spreadOf(samples, column)?.median ?? null;
      if (column !== 'shareOfEcho') return formatFigure(column, median);
      if (median === null) return '';
      const rounds = samples.map((sample) => formatFigure(column, sample.figures[column] ?? null));
      return `**${formatFigure(column, median)}** (${rounds.join(' ')})`;
    });
    return [name, ...cells];
  });
  return renderTable(speedColumns, rows);
}

function measuredOn(machine: Machine): string {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const date = `${machine.date.slice(0, 16).replace('T', ' ')} UTC`;
  return (
    `${machine.cpu}, ${machine.coreCount} cores, ${memory}, ${machine.kernel}, Node.js ${machine.node}; ` +
    `load average before ${machine.loadAverage.toFixed(2)}; ${date}, commit ${machine.commit}.`
  );
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

/** Writes the newest result into docs/benchmarks.md and its first table into README.md. @returns its folder */
export async function updateDocuments(): Promise<string> {
  const folders = (await readdir(resultsRoot()).catch(() => [])).sort().reverse();
  for (const folder of folders) {
    const result = await readResult(join(resultsRoot(), folder));
    if (result?.command !== quickCommand) continue;
    await replaceIn('README.md', renderSpeed(result));
    await replaceIn('docs/benchmarks.md', renderQuick(result));
    return folder;
  }
  throw new Error(`there is no result yet: run \`${quickCommand}\` first`);
}

async function replaceIn(document: string, replacement: string): Promise<void> {
  const path = join(repositoryRoot(), document);
  await writeFile(path, replaceBetweenMarkers(await readFile(path, 'utf8'), replacement));
}
