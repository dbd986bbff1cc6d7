/** The check that chaos is judged by finds no order where an engine lies, or says another one than the client saw. */
import t from 'tap';
import { type Decided, type Operation, whyNoOrder } from './linearizability.js';

const start = { funds: 1000, held: 0, posted: 0 };

function hold(requestId: string, held: number, isRevocation = false): Decided {
  return { requestId, isRevocation, moved: { funds: 0, held, posted: 0 } };
}

function seen(requestId: string, available: number, askedAtMs: number, answeredAtMs: number): Operation {
  return { requestId, name: requestId, askedAtMs, answeredAtMs, available, books: null };
}

t.test('answers that overlap may be decided in any order', async (t) => {
  const answers = [seen('a', 970, 0, 9), seen('b', 980, 1, 8)];
  t.equal(whyNoOrder(answers, [hold('b', 20), hold('a', 10)], start), '');
  t.match(whyNoOrder(answers, [hold('a', 10), hold('b', 20)], start), /at its place .* held 10.*: a/);
});

t.test('a message that was answered before another was asked must be decided before it', async (t) => {
  const answers = [seen('a', 990, 0, 1), seen('b', 990, 2, 3)];
  t.equal(whyNoOrder(answers, [hold('a', 10), hold('b', 0)], start), '');
  const later = [seen('a', 1000, 0, 1), seen('b', 1000, 2, 3)];
  t.match(whyNoOrder(later, [hold('b', 0), hold('a', 0)], start), 'a was answered before b, and decided after it');
});

t.test('an answer that shows books before an earlier decision has no place', async (t) => {
  const answers = [seen('a', 990, 0, 1), seen('look', 1000, 2, 3)];
  t.match(whyNoOrder(answers, [hold('a', 10), hold('look', 0)], start), /held 10.*: look/);
  const books = { funds: 1000, held: 9, posted: 1 };
  t.match(whyNoOrder([{ ...seen('a', 990, 0, 1), books }], [hold('a', 10)], start), /held 10, posted 0: a/);
});

t.test('what was revoked before the answer may be seen meanwhile', async (t) => {
  const decided = [hold('late', 10), hold('look', 0), hold('late', -10, true), hold('late', 10)];
  t.equal(whyNoOrder([seen('late', 990, 0, 9), seen('look', 990, 1, 2)], decided, start), '');
  t.match(whyNoOrder([seen('late', 990, 0, 9), seen('look', 1000, 1, 2)], decided, start), /held 10.*: look/);
});

t.test('what was acknowledged and then revoked, or never decided, is found', async (t) => {
  const answers = [seen('a', 990, 0, 1)];
  t.match(whyNoOrder(answers, [hold('a', 10), hold('a', -10, true)], start), 'answered and not decided: a');
  t.match(whyNoOrder(answers, [], start), 'answered and not decided: a');
  t.match(whyNoOrder([], [hold('a', 10)], start), 'a was decided, and no answer to it is known');
});
