import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { HashIndex } from './hash-index.js';
import { InvariantError } from './invariant.js';

const capacity = 24;
/** Few homes, at both ends of the table, so that runs form, wrap around and are broken up; sometimes the same hash twice. */
const low = fc.oneof(
  fc.constantFrom(0, 1, 2, 7, 0xffff_ffff, 0xffff_fffe, 0x8000_0000, 0x8000_0007),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);
const high = fc.constantFrom(0, 1, 0xffff_ffff);
const step = fc.record({ slot: fc.integer({ min: 0, max: capacity - 1 }), low, high });

/** All slots that the index answers for a hash. */
function candidates(index: HashIndex, low: number, high: number): number[] {
  const found: number[] = [];
  for (let slot = index.find(low, high); slot >= 0; slot = index.findNext(low, high)) found.push(slot);
  return found.sort((a, b) => a - b);
}

t.test('finds all slots of a hash after any additions and removals', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(2, 8, 16, 64), fc.array(step, { maxLength: 200 }), (table, steps) => {
      const index = new HashIndex(capacity, table);
      const model = new Map<number, { low: number; high: number }>();
      for (const { slot, low, high } of steps) {
        if (model.has(slot)) {
          index.remove(slot);
          model.delete(slot);
        } else {
          index.add(slot, low, high);
          model.set(slot, { low, high });
        }
        if (index.size !== model.size) return false;
        for (const wanted of [{ low, high }, ...model.values()]) {
          const expected = [...model].filter(([, hash]) => hash.low === wanted.low && hash.high === wanted.high);
          const slots = expected.map(([slot]) => slot).sort((a, b) => a - b);
          if (candidates(index, wanted.low, wanted.high).join() !== slots.join()) return false;
        }
      }
      return true;
    }),
    runs(400),
  );
  t.end();
});

t.test('taking out what is not in is a bug, not an answer', (t) => {
  const index = new HashIndex(4);
  t.throws(() => index.remove(2), InvariantError);
  index.add(2, 5, 5);
  index.remove(2);
  t.throws(() => index.remove(2), InvariantError);
  t.equal(index.size, 0);
  t.end();
});
