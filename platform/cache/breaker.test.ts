/** What does not answer is left alone, and looked at again. */
import t from 'tap';
import { Breaker } from './breaker.js';

t.test('the breaker opens after three failures in a row, and each pause is longer than the one before', async (t) => {
  let nowMs = 0;
  const breaker = new Breaker(() => nowMs);
  for (let failure = 0; failure < 3; failure++) {
    t.equal(breaker.tryPass(), true);
    breaker.failed();
  }
  for (const restMs of [100, 200, 400, 800, 1600, 2000, 2000]) {
    t.equal(breaker.tryPass(), false);
    t.equal(breaker.isResting, true);
    nowMs += restMs - 1;
    t.equal(breaker.tryPass(), false);
    nowMs += 1;
    t.equal(breaker.isResting, false);
    t.equal(breaker.tryPass(), true, 'one call is permitted');
    t.equal(breaker.tryPass(), false, 'no second call is permitted beside it');
    breaker.failed();
  }
  nowMs += 2000;
  t.equal(breaker.tryPass(), true);
  breaker.succeeded();
  t.equal(breaker.tryPass(), true);
  t.equal(breaker.tryPass(), true);
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  t.equal(breaker.isResting, false, 'the failures were not in a row');
});
