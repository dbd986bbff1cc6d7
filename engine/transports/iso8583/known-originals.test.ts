import t from 'tap';
import { KnownOriginals } from './known-originals.js';

const reference = (number: number, trace = '') => ({
  ...{ id: `id-${number}`, retrieval: `retrieval-${number}`, trace, isPosted: false },
});

t.test('the newest originals are found by either reference, and the oldest are forgotten', async (t) => {
  const originals = new KnownOriginals(2);
  for (const number of [1, 2, 3]) originals.note(reference(number, 'trace'));
  t.equal(originals.size, 2);
  t.same(
    [1, 2, 3].map((number) => originals.find({ retrieval: `retrieval-${number}`, trace: '' }) !== undefined),
    [false, true, true],
  );
  t.equal(originals.find({ retrieval: 'retrieval-1', trace: '' }), undefined);
  t.equal(originals.find({ retrieval: 'retrieval-3', trace: '' })?.id, 'id-3');
  t.equal(originals.find({ retrieval: '', trace: '' }), undefined, 'what is absent names nothing');
});

t.test('a trace id names the first message that had it', async (t) => {
  const originals = new KnownOriginals();
  for (const number of [1, 2]) originals.note(reference(number, 'trace'));
  originals.note(reference(1, 'another'));
  t.equal(originals.find({ retrieval: '', trace: 'trace' })?.id, 'id-1');
  t.equal(originals.find({ retrieval: '', trace: 'another' }), undefined, 'a repeat changes nothing');
});
