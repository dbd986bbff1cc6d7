/** The directory of ids against the obvious list of each partition's newest ones. */
import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { IdDirectory } from './id-directory.js';

const perPartition = 8;
const partitions = 3;

t.test('an id is found in its partition while it is among the newest there', async () => {
  const steps = fc.array(fc.tuple(fc.nat(partitions - 1), fc.nat(60)), { maxLength: 200 });
  const journals = fc.uniqueArray(fc.tuple(fc.nat(partitions - 1), fc.nat(60)), { selector: ([, id]) => id });
  fc.assert(
    fc.property(journals, steps, (journaled, steps) => {
      const directory = new IdDirectory(partitions, perPartition);
      /** By partition: ids by sequence. */
      const obvious = Array.from({ length: partitions }, () => new Map<number, number>());
      const newest = (partition: number) => Math.max(0, ...obvious[partition]!.keys());
      const find = (id: number) => {
        for (const [partition, ids] of obvious.entries()) {
          const oldest = newest(partition) - perPartition;
          for (const [sequence, known] of ids) if (known === id && sequence > oldest) return partition;
        }
        return -1;
      };
      // The newest first, as a start brings them.
      for (const [index, [partition, id]] of journaled.entries()) {
        const sequence = journaled.length - index;
        directory.learnJournaled(id % 4, id, partition, sequence);
        obvious[partition]!.set(sequence, id);
      }
      for (const [partition, id] of steps) {
        const known = directory.find(id % 4, id);
        // Sequences without an id leave older ids their place a little longer.
        if (known !== find(id) && find(id) >= 0) return false;
        if (known >= 0) continue;
        directory.learn(id % 4, id, partition);
        obvious[partition]!.set(newest(partition) + 1, id);
      }
      return true;
    }),
    runs(300),
  );
});

t.test('a busy partition replaces no ids of a quiet one', async (t) => {
  const directory = new IdDirectory(2, perPartition);
  directory.learn(1, 1, 0);
  for (let id = 2; id < 500; id++) directory.learn(id, id, 1);
  t.equal(directory.find(1, 1), 0);
  t.equal(directory.find(499, 499), 1);
  t.equal(directory.find(2, 2), -1);
});

t.test('after a restart, which brings the newest ids first, new ids replace the oldest', async (t) => {
  const directory = new IdDirectory(2, perPartition);
  for (let sequence = 100; sequence > 80; sequence--) directory.learnJournaled(sequence, sequence, 0, sequence);
  t.equal(directory.find(92, 92), -1, 'the directory holds no more ids than it has room for');
  t.equal(directory.find(93, 93), 0);
  directory.learn(7, 7, 0);
  t.equal(directory.find(93, 93), -1);
  t.equal(directory.find(100, 100), 0);
});
