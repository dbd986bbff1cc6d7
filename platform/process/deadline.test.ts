/** One deadline for every wait on a service that may hang. */
import t from 'tap';
import { noAnswer, withDeadline } from './deadline.js';

const never = new Promise<string>(() => undefined);

t.test('work that ends in time settles with its own value or error', async (t) => {
  t.equal(await withDeadline(Promise.resolve('done'), 1000, () => noAnswer(1000)), 'done');
  await t.rejects(
    withDeadline(Promise.reject(new Error('refused')), 1000, () => noAnswer(1000)),
    {
      message: 'refused',
    },
  );
});

t.test('work that hangs settles at the deadline with the given value or error', async (t) => {
  t.equal(await withDeadline(never, 1, () => 'late'), 'late');
  await t.rejects(
    withDeadline(never, 1, () => noAnswer(1)),
    { message: 'no answer within 1 ms' },
  );
});

t.test('the outcome of work after its deadline is dropped', async (t) => {
  let fail: (error: Error) => void = () => undefined;
  const work = new Promise<string>((_, reject) => {
    fail = reject;
  });
  t.equal(await withDeadline(work, 1, () => 'late'), 'late');
  // An error without a handler would end the process.
  fail(new Error('too late'));
  await new Promise((resolve) => setImmediate(resolve));
});
