import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { repositoryRoot } from '../../deploy/repository-root.js';
import type { SuiteResult } from './figures.js';
import { renderQuick, renderSpeed, renderSustained, replaceBetweenMarkers } from './readme.js';

t.test('only what stands between the markers is replaced', async (t) => {
  const text = '# A\n<!-- bench:quick -->\nold\n<!-- /bench:quick -->\nrest\n';
  const once = replaceBetweenMarkers(text, 'new\n');
  t.equal(once, '# A\n<!-- bench:quick -->\nnew\n<!-- /bench:quick -->\nrest\n');
  t.equal(replaceBetweenMarkers(once, 'new'), once);
  t.throws(() => replaceBetweenMarkers('no markers', 'new'), /bench:quick/);
});

t.test('the documents have the place that make bench-readme fills', async (t) => {
  for (const document of ['README.md', 'docs/benchmarks.md']) {
    const text = await readFile(join(repositoryRoot(), document), 'utf8');
    t.match(replaceBetweenMarkers(text, 'new figures'), 'new figures', document);
  }
  const readme = await readFile(join(repositoryRoot(), 'README.md'), 'utf8');
  t.match(replaceBetweenMarkers(readme, 'a rate', 'sustained'), 'a rate');
});

t.test('the documents show medians, the share of each round, and what it was measured on', async (t) => {
  const machine = {
    cpu: 'Some CPU',
    coreCount: 2,
    memoryBytes: 2 ** 34,
    kernel: 'Linux 6',
    node: 'v20',
    loadAverage: 0.1,
    date: '2026-11-23T07:00:00.000Z',
    commit: 'abc1234',
  };
  const samples = [1000, 3000, 2000].map((perSecond) => ({
    figures: { perSecond, shareOfEcho: perSecond / 4000 },
    histogram: null,
    faults: [],
    invalid: null,
  }));
  const ceiling = {
    name: 'ceiling',
    title: 'How fast',
    seconds: 1,
    date: machine.date,
    busyShareBefore: 0,
    settings: {},
    series: [{ name: 'engine, 64 connections', control: false, samples }],
    goals: [],
    notes: [],
  };
  const result: SuiteResult = { machine, versions: {}, command: '', warnings: ['Careful.'], scenarios: [ceiling] };
  for (const text of [renderSpeed(result), renderQuick(result)]) {
    t.match(text, '| engine, 64 connections | 2,000 |');
    t.match(text, 'Some CPU, 2 cores, 16 GiB, Linux 6, Node.js v20');
  }
  t.match(renderSpeed(result), '| **0.50** (0.25 0.75 0.50) |');
  t.match(renderQuick(result), 'Careful.');

  const kept = (seconds: number, backlogGrowthPerSecond: number): SuiteResult => {
    const sample = {
      figures: {
        ...{ perSecond: 9999, offeredPerSecond: 10_000, p50Ms: 2, p99Ms: 30, backlogGrowthPerSecond },
        refusedPerSecond: 10,
      },
    };
    const series = [20_000, 10_000].map((rate) => ({
      name: `${rate}/s`,
      control: false,
      samples: [{ ...sample, histogram: null, faults: [], invalid: null }],
    }));
    return {
      ...result,
      scenarios: [{ ...ceiling, name: 'settle-rate', settings: { 'seconds each': seconds }, series }],
    };
  };
  t.match(renderSustained(kept(180, 5)), 'Sustained: 9,999 authorizations a second');
  t.match(renderSustained(kept(180, 5)), '0.10 % answered 503');
  t.match(renderSustained(kept(180, 5)), 'Some CPU, 2 cores');
  t.equal(renderSustained(kept(180, 5000)), null, 'the backlog grew at every rate');
  t.equal(renderSustained(kept(45, 5)), null, 'too short a time');
  t.equal(renderSustained(result), null, 'it was not measured');
});
