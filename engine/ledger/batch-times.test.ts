import t from 'tap';
import { Slab } from '../exchange/slab.js';
import { BatchTimes } from './batch-times.js';

const slab = new Slab({ entries: 4, requestBytes: 64 });

function add(times: BatchTimes, lastSequence: number, atMs: number): void {
  slab.seal(atMs, 100);
  slab.lastSequence = lastSequence;
  slab.decidedAtMs = atMs + 1;
  slab.returnedAtMs = atMs + 3;
  times.add(slab, 0.5);
}

t.test('a record finds the times of the batch that it was in, as long as they are kept', async (t) => {
  const times = new BatchTimes();
  t.equal(times.find(1, 0), null);
  add(times, 10, 1000);
  t.equal(times.find(10, 999), null, 'how far back the first batch reaches is not known');
  add(times, 10, 1500);
  t.equal(times.find(10, 999), null, 'a batch without records is none');
  add(times, 12, 2000);
  t.same(times.find(11, 1998), { wait: 2, decide: 1, journal: 2, send: 0.5 });
  t.same(times.find(12, 1999.5), { wait: 0.5, decide: 1, journal: 2, send: 0.5 });
  t.equal(times.find(13, 2000), null);
  for (let batch = 1; batch <= 4096; batch++) add(times, 12 + batch, 3000);
  t.equal(times.find(12, 1998), null, 'its batch is forgotten');
  t.match(times.find(13, 3000), { wait: 0 });
  t.match(times.find(12 + 4096, 3001), { wait: 0 }, 'a clock that was set back counts as no time');
  times.begin();
  t.equal(times.find(13, 3000), null);
});
