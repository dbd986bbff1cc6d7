/** The set against the language's own. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { NumberSet } from './number-set.js';

t.test('the set contains exactly the numbers that were added', async () => {
  const number = fc.oneof(fc.nat(10_000), fc.integer({ min: 2 ** 40, max: 2 ** 40 + 100 }), fc.nat(2 ** 31 - 1));
  fc.assert(
    fc.property(fc.array(number), fc.array(number), (added, asked) => {
      const set = new NumberSet();
      const model = new Set<number>();
      for (const [index, one] of added.entries()) {
        set.add(one);
        model.add(one);
        for (const other of [asked[index] ?? 0, one, one + 1, one - 1]) {
          if (other >= 0 && set.has(other) !== model.has(other)) throw new Error(`${other}`);
        }
      }
    }),
    runs(500),
  );
});
