/** Steps of background work follow the speed of the store. */
import t from 'tap';
import { Pace } from './pace.js';

t.test('steps grow while the store is fast and shrink with the first slow one', async (t) => {
  const pace = new Pace({ first: 10, max: 200, targetMs: 20 });
  const sizes = [];
  for (let step = 0; step < 6; step++) {
    pace.took(pace.size, 1);
    sizes.push(pace.size);
  }
  t.same(sizes, [20, 40, 80, 160, 200, 200], 'the step doubles up to the bound');
  pace.took(200, 400);
  t.equal(pace.size, 10, 'the step is what takes 20 ms');
  pace.took(10, 5000);
  t.equal(pace.size, 1, 'the step is at least one');
  pace.took(1, 15);
  t.equal(pace.size, 1);
  pace.took(1, 10);
  t.equal(pace.size, 2);
  pace.took(1, 1);
  t.equal(pace.size, 2, 'one fast document does not predict many');
  pace.took(0, 5000);
  t.equal(pace.size, 2);
});
