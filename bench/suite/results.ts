/**
 * Writes a result where people and tools find it: bench/results/<date>-<commit>/ with suite.json, one .hgrm file per
 * series (HdrHistogram's plotter reads them), index.html, and the tables as Markdown.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mergedHistogram, type ScenarioResult, type SuiteResult } from './figures.js';
import { renderPage } from './page.js';
import { renderScenario } from './table.js';

const suiteFile = 'suite.json';

/** The result of an earlier run in the same folder; null when there is none. */
export async function readResult(folder: string): Promise<SuiteResult | null> {
  const text = await readFile(join(folder, suiteFile), 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as SuiteResult);
}

/** The result with this scenario in it, in place of an older one of the same name. */
export function withScenario(result: SuiteResult, scenario: ScenarioResult): SuiteResult {
  const index = result.scenarios.findIndex(({ name }) => name === scenario.name);
  const scenarios = [...result.scenarios];
  if (index < 0) scenarios.push(scenario);
  else scenarios[index] = scenario;
  return { ...result, scenarios };
}

export async function writeResult(folder: string, result: SuiteResult): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, suiteFile), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(folder, 'tables.md'), result.scenarios.map(renderScenario).join('\n'));
  await writeFile(join(folder, 'index.html'), await renderPage(result));
  for (const scenario of result.scenarios) {
    for (const series of scenario.series) {
      const merged = mergedHistogram(series);
      if (merged === null) continue;
      await writeFile(join(folder, `${fileName(`${scenario.name}--${series.name}`)}.hgrm`), merged.distribution());
    }
  }
}

function fileName(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
}
