/**
 * Says what changed between two results beyond noise. Each side may be several runs (folders joined by commas): rounds of
 * all of them count. A change is real when the medians differ by more than both sides' rounds differ among themselves; with
 * less than three rounds a side nothing is certain, and it says so.
 */
import { type FigureName, figureNames, figures, type Sample, type SuiteResult, spreadOf } from './figures.js';
import { formatFigure } from './table.js';

export type Verdict = 'better' | 'worse' | 'changed' | 'noise' | 'uncertain';

export interface Change {
  readonly scenario: string;
  readonly series: string;
  readonly figure: FigureName;
  readonly before: number;
  readonly after: number;
  /** Of the median, in percent of `before`; null when that is 0. */
  readonly percent: number | null;
  readonly verdict: Verdict;
}

const roundCountMin = 3;
/** Differences below this share are of no interest, however regular. */
const shareMin = 0.02;

export function compareResults(before: readonly SuiteResult[], after: readonly SuiteResult[]): Change[] {
  const changes: Change[] = [];
  const left = collect(before);
  const right = collect(after);
  for (const [key, samplesBefore] of left) {
    const samplesAfter = right.get(key);
    if (samplesAfter === undefined) continue;
    const [scenario, series] = key.split('\n') as [string, string];
    for (const figure of figureNames) {
      const a = spreadOf(samplesBefore, figure);
      const b = spreadOf(samplesAfter, figure);
      if (a === null || b === null) continue;
      const difference = b.median - a.median;
      const percent = a.median === 0 ? null : (difference / a.median) * 100;
      const noise = Math.max(a.max - a.min, b.max - b.min);
      // The ranges must not meet, and the medians must lie further apart than either side is wide, halved: a rank test of
      // three against three cannot do better.
      const apart = a.max < b.min || b.max < a.min;
      const large = Math.abs(difference) > Math.max(noise / 2, Math.abs(a.median) * shareMin);
      const verdict = !apart || !large ? 'noise' : judge(figure, difference, Math.min(a.count, b.count));
      changes.push({ scenario, series, figure, before: a.median, after: b.median, percent, verdict });
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

/** Samples by scenario and series, over all runs of a side. */
function collect(results: readonly SuiteResult[]): Map<string, Sample[]> {
  const all = new Map<string, Sample[]>();
  for (const { scenarios } of results) {
    for (const { name, series } of scenarios) {
      for (const one of series) {
        const key = `${name}\n${one.name}`;
        all.set(key, [...(all.get(key) ?? []), ...one.samples]);
      }
    }
  }
  return all;
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
  const summary = `${changes.length} figures compared, ${noise} within noise, ${shown.length} beyond it.`;
  return shown.length === 0 ? `${summary}\n` : `${lines.join('\n')}\n\n${summary}\n`;
}
