import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { hash64, hashHigh, hashLow } from './hash.js';
import { InvariantError } from './invariant.js';
import { locationSettled, Seen } from './seen.js';

const capacity = 8;
const step = fc.record({
  id: fc.integer({ min: 0, max: 20 }),
  /** The answer of the same id is replaced, when it is still remembered. */
  replace: fc.boolean(),
  settle: fc.boolean(),
  /** Sequences that belong to records without an id. */
  skip: fc.integer({ min: 0, max: 2 }),
});

function bytesOf(id: number): Uint8Array {
  return Buffer.from(`id-${id}`);
}

t.test('the newest sequences are remembered, each with its location, and no older ones', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const seen = new Seen(capacity);
      const model = new Map<number, { id: number; location: number }>();
      let sequence = 0;
      for (const { id, replace, settle, skip } of steps) {
        sequence += 1 + skip;
        const bytes = bytesOf(id);
        // An id is asked once; a second record of the same id replaces the first one.
        const known = [...model].find(([, entry]) => entry.id === id);
        const slot = seen.find(bytes, 0, bytes.length);
        if (slot < 0 !== (known === undefined)) return false;
        if (slot >= 0 && seen.sequence(slot) !== known![0]) return false;
        if (slot >= 0 && !replace) {
          if (settle) {
            seen.markSettled(slot);
            known![1].location = locationSettled;
          }
          continue;
        }
        hash64(bytes, 0, bytes.length);
        seen.add(hashLow, hashHigh, sequence, sequence * 100, slot);
        if (known !== undefined) model.delete(known[0]);
        for (const old of model.keys()) if (old % capacity === sequence % capacity) model.delete(old);
        model.set(sequence, { id, location: sequence * 100 });
        if (seen.size !== model.size) return false;
        for (const [wanted, entry] of model) {
          const bytes = bytesOf(entry.id);
          const found = seen.find(bytes, 0, bytes.length);
          if (found < 0 || seen.sequence(found) !== wanted || seen.location(found) !== entry.location) return false;
          if (seen.findNext() !== -1) return false;
        }
      }
      return true;
    }),
    runs(300),
  );
});

t.test('a lookup offers all entries with the same hash', async (t) => {
  const seen = new Seen(4);
  const bytes = bytesOf(1);
  hash64(bytes, 0, bytes.length);
  const [low, high] = [hashLow, hashHigh];
  for (let sequence = 1; sequence <= 3; sequence++) seen.add(low, high, sequence, sequence, -1);
  const locations: number[] = [];
  for (let slot = seen.find(bytes, 0, bytes.length); slot >= 0; slot = seen.findNext()) {
    locations.push(seen.location(slot));
  }
  t.same(locations.sort(), [1, 2, 3]);
});

t.test('a settled id fills an empty entry and replaces no newer one', async (t) => {
  const seen = new Seen(4);
  hash64(bytesOf(5), 0, 4);
  seen.add(hashLow, hashHigh, 6, 600, -1);
  hash64(bytesOf(1), 0, 4);
  seen.loadSettled(hashLow, hashHigh, 2);
  t.equal(seen.size, 1, 'sequence 6 uses the entry of sequence 2');
  seen.loadSettled(hashLow, hashHigh, 3);
  const slot = seen.find(bytesOf(1), 0, 4);
  t.equal(seen.location(slot), locationSettled);
  hash64(bytesOf(5), 0, 4);
  seen.loadSettled(hashLow, hashHigh, 4);
  t.equal(seen.size, 2, 'a known id is not entered twice');
});

t.test('the capacity is a power of two', async (t) => {
  t.throws(() => new Seen(12), InvariantError);
});
