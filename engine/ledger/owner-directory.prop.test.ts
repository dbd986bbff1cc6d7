import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { OwnerDirectory } from './owner-directory.js';

function find(directory: OwnerDirectory, token: string): number {
  const bytes = Buffer.from(`<${token}>`);
  return directory.find(bytes, 1, bytes.length - 1);
}

t.test('the directory returns the partition learnt last, for as many cards as it holds', async () => {
  const learnt = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 63 }));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(learnt, { maxLength: 80 }), (capacity, entries) => {
      const directory = new OwnerDirectory(capacity);
      const model = new Map<string, number>();
      for (const [card, partition] of entries) {
        const token = `card_ü_${card}`;
        directory.learn(token, partition);
        model.set(token, partition);
        if (find(directory, token) !== partition) return false;
      }
      const known = [...model.keys()].filter((token) => find(directory, token) >= 0);
      if (known.length !== Math.min(capacity, model.size)) return false;
      return known.every((token) => find(directory, token) === model.get(token));
    }),
    runs(300),
  );
});

t.test('in a full directory a card in use stays, and a card that was never used is evicted', async (t) => {
  const directory = new OwnerDirectory(8);
  for (let card = 0; card < 8; card++) directory.learn(`card-${card}`, card);
  for (let other = 0; other < 100; other++) {
    t.equal(find(directory, 'card-3'), 3);
    directory.learn(`other-${other}`, 1);
  }
  t.equal(find(directory, 'card-3'), 3);
  t.equal(find(directory, 'card-4'), -1);
});
