/**
 * Writes the newest results of `make bench-quick` and of the scenario `settle-rate` into the documents; no figure there
 * is typed by hand.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../../deploy/repository-root.js';
import type { Machine } from '../machine.js';
import { resultsRoot } from '../run.js';
import { type FigureName, type ScenarioResult, type SuiteResult, spreadOf } from './figures.js';
import { readResult } from './results.js';
import { isFlat, settleRate } from './scenarios/settle-rate.js';
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

/** A rate counts as sustained when it was kept up for so long: three minutes. */
const sustainedSecondsMin = 180;

/** The rate that the books keep up with. Null: it was tried for too short a time, or none was found. */
export function renderSustained({ machine, scenarios }: SuiteResult): string | null {
  const scenario = scenarios.find(({ name }) => name === settleRate.name);
  const seconds = Number(scenario?.settings['seconds each']);
  const figures = scenario?.series.at(-1)?.samples[0]?.figures;
  if (figures === undefined || !(seconds >= sustainedSecondsMin) || !isFlat(figures)) return null;
  const show = (column: FigureName) => formatFigure(column, figures[column] ?? null);
  const { perSecond = 0, refusedPerSecond = 0 } = figures;
  const refusedPercent = ((100 * refusedPerSecond) / (perSecond + refusedPerSecond)).toFixed(2);
  return paragraphs(
    `**Sustained: ${show('perSecond')} authorizations a second**, for ${seconds} s with a flat backlog: what is ` +
      `decided reaches PostgreSQL at the same rate (open loop, p50 ${show('p50Ms')}, p99 ${show('p99Ms')} ms, ` +
      `${refusedPercent} % answered 503).`,
    measuredOn(machine),
  );
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

export type Place = 'quick' | 'sustained';

/** Replaces what stands between the markers of a place. Throws when the text has no such place. */
export function replaceBetweenMarkers(text: string, replacement: string, place: Place = 'quick'): string {
  const markerStart = `<!-- bench:${place} -->`;
  const markerEnd = `<!-- /bench:${place} -->`;
  const start = text.indexOf(markerStart);
  const end = text.indexOf(markerEnd, start);
  if (start < 0 || end < 0) throw new Error(`no ${markerStart} … ${markerEnd} in the text`);
  return `${text.slice(0, start + markerStart.length)}\n${replacement.trim()}\n${text.slice(end)}`;
}

/**
 * Writes the newest results into docs/benchmarks.md and README.md, each where there is one.
 * @returns the folders of the results
 */
export async function updateDocuments(): Promise<readonly string[]> {
  const used: string[] = [];
  const quick = await newest((result) => (result.command === quickCommand ? result : null));
  if (quick !== null) {
    await replaceIn('README.md', renderSpeed(quick.found), 'quick');
    await replaceIn('docs/benchmarks.md', renderQuick(quick.found), 'quick');
    used.push(quick.folder);
  }
  const sustained = await newest(renderSustained);
  if (sustained !== null) {
    await replaceIn('README.md', sustained.found, 'sustained');
    used.push(sustained.folder);
  }
  if (used.length > 0) return used;
  throw new Error(
    `there is no result yet: run \`${quickCommand}\` or \`make bench SCENARIOS=${settleRate.name}\` first`,
  );
}

async function newest<T>(pick: (result: SuiteResult) => T | null): Promise<{ found: T; folder: string } | null> {
  const folders = (await readdir(resultsRoot()).catch(() => [])).sort().reverse();
  for (const folder of folders) {
    const result = await readResult(join(resultsRoot(), folder));
    const found = result === null ? null : pick(result);
    if (found !== null) return { found, folder };
  }
  return null;
}

async function replaceIn(document: string, replacement: string, place: Place): Promise<void> {
  const path = join(repositoryRoot(), document);
  await writeFile(path, replaceBetweenMarkers(await readFile(path, 'utf8'), replacement, place));
}
