/**
 * Whatever ids and originals meet, settling reaches the end and Postgres has the engine's books: a short try of each.
 */
import fc from 'fast-check';
import t from 'tap';
import { CollidingIds, histories } from '../testing/colliding-ids.js';
import { runs } from '../testing/runs.js';

t.setTimeout(240_000);

let shared = 0;

for (const workers of [1, 2, 3, 4]) {
  t.test(`with ${workers} partitions all histories settle`, async (t) => {
    const stage = await CollidingIds.start(t, workers);
    // Histories go on where the one before ended, so that a failure cannot be made smaller.
    const property = fc.asyncProperty(histories(40), (groups) => stage.play(groups));
    await fc.assert(property, { ...runs(1), endOnFailure: true });
    shared += await stage.collisions();
  });
}

// A single short history may meet no collision; all of them together do.
t.test('the random histories contain ids that name several transactions', async (t) => {
  t.ok(shared > 0, `${shared} ids name several transactions`);
});
