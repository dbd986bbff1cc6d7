/** As colliding-ids.test.ts, for longer; FUZZ_RUNS=100 makes a night of it. */
import fc from 'fast-check';
import t from 'tap';
import { CollidingIds, histories } from '../testing/colliding-ids.js';
import { runs } from '../testing/runs.js';

t.setTimeout(0);

for (const workers of [1, 2, 3, 4]) {
  t.test(`with ${workers} partitions all histories settle`, async (t) => {
    t.setTimeout(0);
    const stage = await CollidingIds.start(t, workers);
    const property = fc.asyncProperty(histories(150), (groups) => stage.play(groups));
    await fc.assert(property, { ...runs(1), endOnFailure: true });
    const shared = await stage.collisions();
    t.ok(shared > 0, `${shared} ids name several transactions`);
  });
}
