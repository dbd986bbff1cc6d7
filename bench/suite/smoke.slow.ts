/** Every scenario still runs, against the real engine and the real peers: small, unmeasured, so that none can rot. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { describeMachine } from '../machine.js';
import { scales } from './bench.js';
import { compareResults, renderChanges } from './compare.js';
import { isClean, type ScenarioResult, type SuiteResult } from './figures.js';
import { readResult, withScenario, writeResult } from './results.js';
import { runSuite } from './run.js';
import { scenarios } from './scenarios/index.js';
import { renderScenario } from './table.js';

// Half a minute on an idle machine, many minutes on one that is busy with other things.
t.setTimeout(840_000);

t.test('all scenarios run, and their report can be written, read and compared', async (t) => {
  const database = await databaseFor(t);
  const results: ScenarioResult[] = [];
  const lines: string[] = [];
  await runSuite({
    scenarios,
    scale: scales.smoke,
    databaseUrl: database.url,
    write: (line) => lines.push(line),
    signal: new AbortController().signal,
    onResult: (result) => void results.push(result),
  });
  t.strictSame(
    results.map(({ name }) => name),
    scenarios.map(({ name }) => name),
  );
  for (const { name, series, seconds } of results) {
    t.ok(series.length > 0, `${name} measured something`);
    t.comment(`${name}: ${seconds.toFixed(1)} s`);
    for (const one of series) {
      t.ok(one.samples.length > 0, `${name}, ${one.name} has a round`);
      for (const sample of one.samples) {
        t.ok(Object.keys(sample.figures).length > 0, `${name}, ${one.name} has figures`);
        t.ok(isClean(sample), `${name}, ${one.name} ran without faults: ${sample.faults.join(', ')}`);
        t.equal(sample.invalid, null);
      }
    }
  }
  const frozen = results
    .find(({ name }) => name === 'feed')
    ?.series.find(({ name }) => name === '100 changes/s by Redis');
  t.ok(frozen!.samples[0]!.figures.obeyedMaxMs! > 0, 'a decision was seen to obey a freeze');
  const plans = results.find(({ name }) => name === 'sql')?.details ?? {};
  t.match(plans['transactions, of a company'], 'transactions_account_time', 'the plan of each query is kept');
  t.match(lines.at(-1), /%, \d+:\d\d left/);

  const folder = join(t.testdir(), 'result');
  const empty: SuiteResult = {
    machine: await describeMachine(),
    versions: {},
    command: 'make bench',
    warnings: [],
    scenarios: [],
  };
  const result = results.reduce(withScenario, empty);
  await writeResult(folder, result);
  t.strictSame(await readResult(folder), JSON.parse(JSON.stringify(result)));
  const files = await readdir(folder);
  t.ok(files.includes('rate-1k--engine.hgrm'), files.join(' '));
  t.match(
    await readFile(join(folder, 'rate-1k--engine.hgrm'), 'utf8'),
    /Value\s+Percentile\s+TotalCount\s+1\/\(1-Percentile\)/,
  );
  const page = await readFile(join(folder, 'index.html'), 'utf8');
  t.match(page, 'uPlot=');
  t.notMatch(page, /(?:src|href)="https?:/, 'the page loads nothing from other hosts');
  for (const { name } of scenarios) t.match(page, `id="${name}"`);
  t.match(renderScenario(results[0]!), '| engine, 256 connections |');
  t.match(renderChanges(compareResults([result], [result])), /figures compared, \d+ within noise, 0 beyond it/);
});
