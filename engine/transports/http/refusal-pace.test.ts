/** When a refusal for overload leaves, by virtual time. */
import t from 'tap';
import { Reason } from '../../core/reasons.js';
import { RefusalPace, refusalHoldMs, refusalsAtOnce, refusalsHeldMax } from './refusal-pace.js';

function fixture() {
  let nowMs = 1_000;
  const answered: number[] = [];
  const pace = new RefusalPace(() => nowMs);
  return {
    pace,
    answered,
    refuse: (number: number) =>
      pace.refuse({
        refuse(reason) {
          if (reason === Reason.overloaded) answered.push(number);
        },
      }),
    pass(ms: number) {
      nowMs += ms;
      pace.answerDue();
    },
  };
}

t.test('a few refusals leave at once', async (t) => {
  const { answered, refuse, pass } = fixture();
  for (let window = 0; window < 3; window++) {
    for (let number = 0; number < refusalsAtOnce; number++) refuse(number);
    t.equal(answered.length, (window + 1) * refusalsAtOnce);
    pass(10);
  }
});

t.test('a flood of refusals waits a bounded time and leaves in order', async (t) => {
  const { pace, answered, refuse, pass } = fixture();
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  for (const number of numbers) refuse(number);
  t.equal(answered.length, refusalsAtOnce);
  pass(refusalHoldMs - 1);
  t.equal(answered.length, refusalsAtOnce, 'the others wait');
  pass(1);
  t.same(answered, numbers, 'each is refused once, in order');
  t.equal(pace.heldCount, 0);
});

t.test('no more refusals wait than the bound: the rest leaves at once', async (t) => {
  const { pace, answered, refuse, pass } = fixture();
  const count = refusalsAtOnce + refusalsHeldMax + 5;
  for (let number = 0; number < count; number++) refuse(number);
  t.equal(pace.heldCount, refusalsHeldMax);
  t.equal(answered.length, refusalsAtOnce + 5);
  pass(refusalHoldMs);
  t.equal(answered.length, count);
});

t.test('the end of the port answers what still waits', async (t) => {
  const { pace, answered, refuse } = fixture();
  for (let number = 0; number < 50; number++) refuse(number);
  pace.end();
  t.equal(answered.length, 50);
});
