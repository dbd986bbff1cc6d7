/**
 * `make bench-compare A B`: says what changed between two results beyond noise, each a folder of bench/results (a name
 * or a path). Each side may be several runs (folders joined by commas): rounds of all of them count. A change counts
 * when no round of one side reaches those of the other and the medians lie apart. With less than three rounds a side
 * nothing is certain, and it says so. Some of many figures look changed by chance alone. It says how many to expect,
 * and whether the controls changed too, which no change of the engine can cause. Results of different machines are
 * marked: their differences say nothing about the code.
 */
import { isAbsolute, join } from 'node:path';
import { resultsRoot } from '../run.js';
import { type FigureName, figureNames, figures, type Sample, type SuiteResult, spreadOf } from './figures.js';
import { readResult } from './results.js';
import { formatFigure } from './table.js';

export type Verdict = 'better' | 'worse' | 'changed' | 'noise' | 'uncertain';

export interface Change {
  readonly scenario: string;
  readonly series: string;
  readonly figure: FigureName;
  readonly control: boolean;
  readonly before: number;
  readonly after: number;
  /** Of the median, in percent of `before`; null when that is 0. */
  readonly percent: number | null;
  readonly verdict: Verdict;
  /** How likely this looks changed when nothing did. */
  readonly chance: number;
}

const roundCountMin = 3;
/** Differences below this share are of no interest, however regular. */
const shareMin = 0.02;

export function compareResults(before: readonly SuiteResult[], after: readonly SuiteResult[]): Change[] {
  const changes: Change[] = [];
  const left = collect(before);
  const right = collect(after);
  for (const [key, one] of left) {
    const other = right.get(key);
    if (other === undefined) continue;
    const { scenario, series, control } = one;
    for (const figure of figureNames) {
      const a = spreadOf(one.samples, figure);
      const b = spreadOf(other.samples, figure);
      if (a === null || b === null) continue;
      const difference = b.median - a.median;
      const percent = a.median === 0 ? null : (difference / a.median) * 100;
      const noise = Math.max(a.max - a.min, b.max - b.min);
      // The ranges must not meet, and the medians must lie further apart than either side is wide, halved: a rank test
      // of three against three cannot do better.
      const apart = a.max < b.min || b.max < a.min;
      const large = Math.abs(difference) > Math.max(noise / 2, Math.abs(a.median) * shareMin);
      const verdict = !apart || !large ? 'noise' : judge(figure, difference, Math.min(a.count, b.count));
      const chance = 2 / choose(a.count + b.count, a.count);
      changes.push({ scenario, series, figure, control, before: a.median, after: b.median, percent, verdict, chance });
    }
  }
  return changes;
}

function judge(figure: FigureName, difference: number, roundCount: number): Verdict {
  if (roundCount < roundCountMin) return 'uncertain';
  const { better } = figures[figure];
  if (better === null) return 'changed';
  return difference > 0 === (better === 'higher') ? 'better' : 'worse';
}

/** In how many orders two sides can mix; in two of them all rounds of one side stand before those of the other. */
function choose(all: number, some: number): number {
  let count = 1;
  for (let index = 1; index <= some; index++) count = (count * (all - some + index)) / index;
  return count;
}

interface Collected {
  readonly scenario: string;
  readonly series: string;
  readonly control: boolean;
  readonly samples: readonly Sample[];
}

/** Samples by scenario, its settings, and series, over all runs of a side: other sizes are another question. */
function collect(results: readonly SuiteResult[]): Map<string, Collected> {
  const all = new Map<string, Collected>();
  for (const { scenarios } of results) {
    for (const { name: scenario, settings, series } of scenarios) {
      for (const { name, control, samples } of series) {
        const key = JSON.stringify([scenario, Object.entries(settings).sort(), name]);
        const before = all.get(key)?.samples ?? [];
        all.set(key, { scenario, series: name, control, samples: [...before, ...samples] });
      }
    }
  }
  return all;
}

/** Scenarios of both sides that were measured with other settings, so that nothing of them is compared. */
export function differentSettings(before: readonly SuiteResult[], after: readonly SuiteResult[]): string[] {
  const settingsOf = (results: readonly SuiteResult[]) => {
    const byName = new Map<string, Set<string>>();
    for (const { name, settings } of results.flatMap(({ scenarios }) => scenarios)) {
      byName.set(name, (byName.get(name) ?? new Set()).add(JSON.stringify(Object.entries(settings).sort())));
    }
    return byName;
  };
  const others = settingsOf(after);
  return [...settingsOf(before)]
    .filter(([name, settings]) => [...(others.get(name) ?? [])].some((other) => !settings.has(other)))
    .map(([name]) => name);
}

/** The figures by which a control would tell that the machine was another one. */
const machineFigures: readonly FigureName[] = ['perSecond', 'p99Ms', 'cpuUs'];

function controlsThatChanged(shown: readonly Change[]): string[] {
  const names = new Set(
    shown
      .filter(({ control, figure }) => control && machineFigures.includes(figure))
      .map(({ scenario, series }) => `${scenario}, ${series}`),
  );
  return names.size === 0
    ? []
    : [`Controls changed too (${[...names].join('; ')}): the machine was not the same. Believe shares, not figures.`];
}

/** What changed first, then how much was compared. */
export function renderChanges(changes: readonly Change[]): string {
  const lines = [
    '| scenario | series | figure | before | after | change | |',
    '| --- | --- | --- | ---: | ---: | ---: | --- |',
  ];
  const shown = changes.filter(({ verdict }) => verdict !== 'noise');
  for (const { scenario, series, figure, before, after, percent, verdict } of shown) {
    const change = percent === null ? '–' : `${percent > 0 ? '+' : ''}${percent.toFixed(1)} %`;
    const cells = [scenario, series, figures[figure].title, formatFigure(figure, before), formatFigure(figure, after)];
    const word = verdict === 'uncertain' ? `uncertain: fewer than ${roundCountMin} rounds a side` : verdict;
    lines.push(`| ${[...cells, change, word].join(' | ')} |`);
  }
  const noise = changes.length - shown.length;
  const expected = changes.reduce((sum, { chance }) => sum + chance, 0);
  const summary = [
    `${changes.length} figures compared, ${noise} within noise, ${shown.length} beyond it.`,
    `By chance alone up to ${Math.ceil(expected)} would be: more rounds or several runs a side (A1,A2 B1,B2) leave ` +
      'fewer.',
    ...controlsThatChanged(shown),
  ].join('\n');
  return shown.length === 0 ? `${summary}\n` : `${lines.join('\n')}\n\n${summary}\n`;
}

/** @param sides two lists of folders, joined by commas. @returns the exit code */
export async function compareFolders(sides: readonly string[], write: (text: string) => void): Promise<number> {
  if (sides.length !== 2) {
    write('usage: make bench-compare A B, with folders of bench/results; several runs a side: A1,A2 B1,B2');
    return 2;
  }
  const [before, after] = (await Promise.all(sides.map(readAll))) as [SuiteResult[], SuiteResult[]];
  const cpus = new Set([...before, ...after].map(({ machine }) => `${machine.cpu}, ${machine.coreCount} cores`));
  if (cpus.size > 1) write(`Not the same machine: ${[...cpus].join(' and ')}. Believe no difference.\n`);
  const others = differentSettings(before, after);
  if (others.length > 0) write(`Not compared, for their settings differ: ${others.join(', ')}.\n`);
  write(renderChanges(compareResults(before, after)).trimEnd());
  return 0;
}

function readAll(list: string): Promise<SuiteResult[]> {
  return Promise.all(
    list.split(',').map(async (name) => {
      const folder = isAbsolute(name) || name.startsWith('.') ? name : join(resultsRoot(), name);
      const result = (await readResult(folder)) ?? (await readResult(name));
      if (result === null) throw new Error(`no result of \`make bench\` in ${folder}`);
      return result;
    }),
  );
}
