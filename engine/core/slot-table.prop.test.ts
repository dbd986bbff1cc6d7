import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { InvariantError } from './invariant.js';
import { SlotTable } from './slot-table.js';

const capacity = 1000;
/** Hashes that crowd: few places at both ends of a page, few pages that must be split again and again, few tags. */
const crowded = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 7, 0xfe, 0xff),
    fc.integer({ min: 0, max: 31 }),
    fc.constantFrom(0, 1, 0x3ff),
    fc.constantFrom(0, 1, 0x1ff),
  )
  .map(([place, low, middle, high]) => (place | (low << 8) | (middle << 13) | (high << 23)) >>> 0);
const hash = fc.oneof(crowded, fc.integer({ min: 0, max: 0xffff_ffff }));
const step = fc.record({ slot: fc.integer({ min: 0, max: capacity - 1 }), hash });

/** Slots that the table answers for a hash, less the other keys that the caller would refuse. */
function found(table: SlotTable, hashes: ReadonlyMap<number, number>, wanted: number): string {
  const slots: number[] = [];
  for (let slot = table.find(wanted); slot >= 0; slot = table.findNext()) {
    if (!hashes.has(slot)) return `${slot} is not in`;
    if (hashes.get(slot) === wanted) slots.push(slot);
  }
  return slots.sort((a, b) => a - b).join();
}

t.test(
  'the table finds all slots of a hash after any additions and removals, through every split of a page',
  async () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(step, { maxLength: 1500, size: 'max' }), (keepsHashes, steps) => {
        const hashes = new Map<number, number>();
        const table = new SlotTable(capacity, (slot) => hashes.get(slot)!, keepsHashes);
        const check = (wanted: number) => {
          const expected = [...hashes].filter(([, its]) => its === wanted).map(([slot]) => slot);
          return found(table, hashes, wanted) === expected.sort((a, b) => a - b).join();
        };
        for (const { slot, hash } of steps) {
          if (hashes.has(slot)) {
            table.remove(slot);
            hashes.delete(slot);
          } else {
            table.add(slot, hash);
            hashes.set(slot, hash);
          }
          if (!check(hash)) return false;
        }
        return [...new Set(hashes.values())].every(check);
      }),
      runs(60),
    );
  },
);

t.test('each of a hundred thousand slots is found in a few probes', async (t) => {
  const count = 100_000;
  const hashOf = (slot: number) => Math.imul(slot + 1, 0x9e3779b1) >>> 0;
  const table = new SlotTable(count, hashOf);
  for (let slot = 0; slot < count; slot++) table.add(slot, hashOf(slot));
  let otherKeys = 0;
  for (let slot = 0; slot < count; slot++) {
    let found = table.find(hashOf(slot));
    for (; found !== slot && found >= 0; found = table.findNext()) otherKeys++;
    if (found !== slot) t.fail(`${slot} is lost`);
  }
  t.ok(otherKeys < count / 50, `${otherKeys} other keys had the tag of the key looked for`);
});

t.test('removing a slot that is not in the table throws an error', async (t) => {
  const table = new SlotTable(4, () => 5);
  t.throws(() => table.remove(2), InvariantError);
  table.add(2, 5);
  table.remove(2);
  t.throws(() => table.remove(2), InvariantError);
  t.equal(table.find(5), -1);
});

t.test('keys chosen to share one hash are all found, and cost no memory beyond their own', async (t) => {
  const hashOf = (slot: number) => (slot % 3 === 0 ? 0xffff_ff4d : 77);
  for (const keepsHashes of [false, true]) {
    const table = new SlotTable(1000, hashOf, keepsHashes);
    const model = new Map<number, number>();
    for (let slot = 0; slot < 1000; slot++) {
      table.add(slot, hashOf(slot));
      model.set(slot, hashOf(slot));
    }
    for (const hash of [77, 0xffff_ff4d, 78]) {
      const expected = [...model].filter(([, its]) => its === hash).map(([slot]) => slot);
      t.equal(found(table, model, hash), expected.join());
    }
    for (let slot = 0; slot < 1000; slot += 2) {
      table.remove(slot);
      model.delete(slot);
      t.throws(() => table.remove(slot), InvariantError);
    }
    for (const hash of [77, 0xffff_ff4d]) {
      const expected = [...model].filter(([, its]) => its === hash).map(([slot]) => slot);
      t.equal(found(table, model, hash), expected.join());
    }
  }
});

t.test('an unusable capacity is rejected', async (t) => {
  t.throws(() => new SlotTable(0, () => 0), InvariantError);
  t.throws(() => new SlotTable(2 ** 28 + 1, () => 0), InvariantError);
});
