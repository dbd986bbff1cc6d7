import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { InvariantError } from './invariant.js';
import { NumberIndex } from './number-index.js';

/** Keys as the database gives them: small, neighbouring, and as large as a double counts. */
const key = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 2 ** 31 }),
  fc.integer({ min: 1, max: 64 }).map((factor) => factor * 2 ** 32),
  fc
    .maxSafeInteger()
    .map((number) => Math.abs(number) + 1)
    .filter(Number.isSafeInteger),
);

t.test('the index finds exactly the numbers that were added, until it is full', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.boolean(), fc.array(key), (capacity, inRows, keys) => {
      const place = { numbers: new Float64Array(capacity * 3), stride: 3, offset: 2 };
      const index = new NumberIndex(capacity, inRows ? place : undefined);
      const model = new Map<number, number>();
      for (const number of keys) {
        const slot = index.find(number);
        if (slot !== (model.get(number) ?? -1)) return false;
        if (slot >= 0) continue;
        const added = index.add(number);
        if (added !== (model.size === capacity ? -1 : model.size)) return false;
        if (added >= 0) model.set(number, added);
        if (index.size !== model.size) return false;
      }
      return [...model].every(
        ([number, slot]) =>
          index.find(number) === slot &&
          index.key(slot) === number &&
          (!inRows || place.numbers[slot * 3 + 2] === number),
      );
    }),
    runs(500),
  );
});

t.test('the index grows beyond its first table', async (t) => {
  const index = new NumberIndex(5000);
  for (let number = 1; number <= 5000; number++) t.equal(index.add(number * 4 + 1) >= 0, true);
  for (let number = 1; number <= 5000; number++) {
    if (index.find(number * 4 + 1) !== number - 1) t.fail(`${number} is lost`);
    if (index.find(number * 4 + 2) !== -1) t.fail(`${number} was never added`);
  }
  t.equal(index.add(1), -1);
});

t.test('an unusable capacity is rejected', async (t) => {
  t.throws(() => new NumberIndex(0), InvariantError);
});
