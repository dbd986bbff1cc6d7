import t from 'tap';
import { compareResults, renderChanges } from './compare.js';
import type { SuiteResult } from './figures.js';

function resultOf(perSecond: readonly number[], p99Ms: readonly number[], invalidRound = -1): SuiteResult {
  const samples = perSecond.map((rate, round) => ({
    figures: { perSecond: rate, p99Ms: p99Ms[round]!, generatorUs: rate / 1000 },
    histogram: null,
    faults: [],
    invalid: round === invalidRound ? 'late' : null,
  }));
  const scenario = {
    name: 'ceiling',
    title: 'T',
    seconds: 1,
    date: '',
    busyShareBefore: 0,
    settings: {},
    goals: [],
    notes: [],
  };
  return {
    machine: {} as SuiteResult['machine'],
    versions: {},
    command: '',
    warnings: [],
    scenarios: [{ ...scenario, series: [{ name: 'engine', control: false, samples }] }],
  };
}
const verdictOf = (changes: ReturnType<typeof compareResults>, figure: string) =>
  changes.find((change) => change.figure === figure)?.verdict;

t.test('a difference beyond the spread of both sides is one, in its direction', async (t) => {
  const changes = compareResults(
    [resultOf([100, 102, 101], [5, 5.1, 4.9])],
    [resultOf([130, 131, 129], [8, 8.2, 7.9])],
  );
  t.equal(verdictOf(changes, 'perSecond'), 'better');
  t.equal(verdictOf(changes, 'p99Ms'), 'worse');
  t.equal(verdictOf(changes, 'generatorUs'), 'changed', 'neither direction is an improvement');
  t.match(renderChanges(changes), /\| \+28\.7 % \| better \|/);
});

t.test('ranges that meet are noise, and so is a tiny difference', async (t) => {
  t.equal(
    verdictOf(
      compareResults([resultOf([90, 100, 110], [1, 1, 1])], [resultOf([105, 115, 125], [1, 1, 1])]),
      'perSecond',
    ),
    'noise',
  );
  t.equal(
    verdictOf(
      compareResults([resultOf([100, 100, 100], [1, 1, 1])], [resultOf([101, 101, 101], [1, 1, 1])]),
      'perSecond',
    ),
    'noise',
  );
});

t.test('few rounds are never certain; several runs of a side add up', async (t) => {
  const [before, after] = [resultOf([100, 101], [5, 5]), resultOf([150, 151], [5, 5])];
  t.equal(verdictOf(compareResults([before], [after]), 'perSecond'), 'uncertain');
  t.equal(verdictOf(compareResults([before, before], [after, after]), 'perSecond'), 'better');
});

t.test('invalid rounds do not count', async (t) => {
  const changes = compareResults([resultOf([100, 500, 101], [5, 5, 5], 1)], [resultOf([100, 101, 102], [5, 5, 5])]);
  t.equal(verdictOf(changes, 'perSecond'), 'noise');
});
