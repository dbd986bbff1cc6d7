/** Steps of background work follow the speed of the store. */
import t from 'tap';
import { Pace } from './pace.js';

t.test('steps grow while the store is fast, and are small from the first slow one on', async (t) => {
  const pace = new Pace({ first: 10, max: 200, targetMs: 20 });
  const sizes = [];
  for (let step = 0; step < 6; step++) {
    pace.took(pace.size, 1);
    sizes.push(pace.size);
  }
  t.same(sizes, [20, 40, 80, 160, 200, 200], 'doubled, up to the most');
  pace.took(200, 400);
  t.equal(pace.size, 10, 'as many as take 20 ms');
  pace.took(10, 5000);
  t.equal(pace.size, 1, 'never none');
  pace.took(1, 15);
  t.equal(pace.size, 1);
  pace.took(1, 10);
  t.equal(pace.size, 2);
  pace.took(1, 1);
  t.equal(pace.size, 2, 'one that was fast says nothing of many');
  pace.took(0, 5000);
  t.equal(pace.size, 2);
});
