/** A scenario's result as a Markdown table, for the terminal and everywhere else. */
import { otherCoresMax } from './alone.js';
import { type FigureName, figureNames, figures, type ScenarioResult, type Series, spreadOf } from './figures.js';

/** One row per series: the median of each figure over the rounds. Empty columns are left out. */
export function renderScenario(scenario: ScenarioResult): string {
  const columns = figureNames.filter((name) => scenario.series.some(({ samples }) => spreadOf(samples, name) !== null));
  const rows = scenario.series.map(({ name, samples }) => [
    name,
    ...columns.map((column) => formatFigure(column, spreadOf(samples, column)?.median ?? null)),
  ]);
  const parts = [`### ${scenario.name}`, `${scenario.title}.`, renderTable(columns, rows), ...remarks(scenario)];
  return `${parts.join('\n\n')}\n`;
}

/** @param rows each with a name before its figures */
export function renderTable(columns: readonly FigureName[], rows: readonly (readonly string[])[]): string {
  const head = ['', ...columns.map((column) => figures[column].title)];
  const rule = ['---', ...columns.map(() => '---:')];
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Neighbours that use more than this make figures doubtful. */
const busyShareMax = 0.1;

/** Goals, settings, faults and notes, a sentence each. */
export function remarks({ settings, series, goals, notes, busyShareBefore }: ScenarioResult): string[] {
  const disturbed =
    busyShareBefore > busyShareMax
      ? [
          `Other programs used ${Math.round(busyShareBefore * 100)} % of all cores just before: repeat it on a quiet ` +
            'machine.',
        ]
      : [];
  const met = goals.map(
    ({ text, metCount, roundCount }) => `Goal: ${text}: met in ${metCount} of ${roundCount} rounds.`,
  );
  const lines = [...disturbed, ...met];
  for (const { name, samples } of series) {
    for (const [round, { faults, invalid }] of samples.entries()) {
      if (faults.length > 0) lines.push(`${name}, round ${round + 1}: ${faults.join(', ')}.`);
      if (invalid !== null) lines.push(`${name}, round ${round + 1} is INVALID and not in the table: ${invalid}.`);
    }
  }
  lines.push(
    ...disturbedSeries(series),
    ...saturated(series),
    ...notes,
    `Settings: ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}; medians over ${Math.max(0, ...series.map(({ samples }) => samples.length))} rounds.`,
  );
  return lines;
}

/**
 * Whom neighbours took cores from while they were measured: a share of the echo is worth nothing when the echo is one
 * of them.
 */
function disturbedSeries(series: readonly Series[]): string[] {
  const named = series.flatMap(({ name, samples }) => {
    const cores = spreadOf(samples, 'otherCores')?.median ?? 0;
    return cores > otherCoresMax ? [`${name} (${formatFigure('otherCores', cores)})`] : [];
  });
  return named.length === 0 ? [] : [`Other programs took cores meanwhile from: ${named.join('; ')}.`];
}

/** Utilization of the generator's thread above which it, not the server, may be what limits a closed loop. */
const generatorBusyMax = 0.97;

function saturated(series: readonly Series[]): string[] {
  const names = series
    .filter(({ samples }) => (spreadOf(samples, 'generatorBusy')?.median ?? 0) > generatorBusyMax)
    .map(({ name }) => name);
  return names.length === 0
    ? []
    : [`The generator's thread was the limit, and the server could do more than the table says: ${names.join('; ')}.`];
}

export function formatFigure(name: FigureName, value: number | null): string {
  if (value === null) return '–';
  const { digits } = figures[name];
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
