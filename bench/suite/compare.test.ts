import t from 'tap';
import { compareResults, differentSettings, renderChanges } from './compare.js';
import type { SuiteResult } from './figures.js';

function resultOf(
  perSecond: readonly number[],
  p99Ms: readonly number[],
  invalidRound = -1,
  { control = false, settings = {} } = {},
): SuiteResult {
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
    settings,
    goals: [],
    notes: [],
  };
  return {
    machine: {} as SuiteResult['machine'],
    versions: {},
    command: '',
    warnings: [],
    scenarios: [{ ...scenario, series: [{ name: 'engine', control, samples }] }],
  };
}
const verdictOf = (changes: ReturnType<typeof compareResults>, figure: string) =>
  changes.find((change) => change.figure === figure)?.verdict;

t.test('a difference beyond the spread of both sides counts, in its direction', async (t) => {
  const changes = compareResults(
    [resultOf([100, 102, 101], [5, 5.1, 4.9])],
    [resultOf([130, 131, 129], [8, 8.2, 7.9])],
  );
  t.equal(verdictOf(changes, 'perSecond'), 'better');
  t.equal(verdictOf(changes, 'p99Ms'), 'worse');
  t.equal(verdictOf(changes, 'generatorUs'), 'changed', 'neither direction is an improvement');
  t.match(renderChanges(changes), /\| \+28\.7 % \| better \|/);
});

t.test('overlapping ranges and tiny differences are noise', async (t) => {
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

t.test('a few rounds are never certain, and several runs of a side add up', async (t) => {
  const [before, after] = [resultOf([100, 101], [5, 5]), resultOf([150, 151], [5, 5])];
  t.equal(verdictOf(compareResults([before], [after]), 'perSecond'), 'uncertain');
  t.equal(verdictOf(compareResults([before, before], [after, after]), 'perSecond'), 'better');
});

t.test('invalid rounds do not count', async (t) => {
  const changes = compareResults([resultOf([100, 500, 101], [5, 5, 5], 1)], [resultOf([100, 101, 102], [5, 5, 5])]);
  t.equal(verdictOf(changes, 'perSecond'), 'noise');
});

t.test('the comparison says how many figures would differ by chance, and fewer with more rounds', async (t) => {
  const runs = (count: number) => Array.from({ length: count }, () => resultOf([100, 101, 102], [5, 5.1, 5.2]));
  // Three figures; three rounds a side stand apart in 2 of 20 orders, six a side in 2 of 924.
  const three = compareResults(runs(1), runs(1));
  t.strictSame(
    three.map(({ chance }) => chance),
    [0.1, 0.1, 0.1],
  );
  t.match(renderChanges(three), /By chance alone up to 1 would be/);
  t.ok(compareResults(runs(2), runs(2)).every(({ chance }) => Math.abs(chance - 2 / 924) < 1e-12));
});

t.test('a control that changed shows that the machine changed', async (t) => {
  const before = resultOf([100, 101, 102], [5, 5, 5], -1, { control: true });
  const after = resultOf([200, 201, 202], [5, 5, 5], -1, { control: true });
  t.match(renderChanges(compareResults([before], [after])), 'Controls changed too (ceiling, engine)');
  t.notMatch(renderChanges(compareResults([before], [before])), 'Controls changed');
});

t.test('runs with different settings are not compared, and the comparison says so', async (t) => {
  const sides = [
    [resultOf([100, 101, 102], [5, 5, 5], -1, { settings: { cards: 1000 } })],
    [resultOf([200, 201, 202], [5, 5, 5], -1, { settings: { cards: 10 } })],
  ] as const;
  t.strictSame(compareResults(...sides), []);
  t.strictSame(differentSettings(...sides), ['ceiling']);
  t.strictSame(differentSettings(sides[0], sides[0]), []);
});
