/** Lookups that began before a change may bring what was before it. */
import t from 'tap';
import { Status } from '../core/accounts.js';
import type { PartitionRows } from '../core/partition-rows.js';
import { LookupGuard } from './lookup-guard.js';

const cardAt = (number: number, version: number): PartitionRows => ({
  cards: [
    {
      token: `t${number}`,
      number,
      version,
      status: Status.active,
      expiresDay: 1,
      limits: null,
      accountNumber: 1,
      userNumber: 1,
    },
  ],
});
const userAt = (number: number, version: number): PartitionRows => ({
  users: [{ number, version, status: Status.active, limits: null }],
});

t.test('a lookup under way during a change must return the version of that change', async (t) => {
  const guard = new LookupGuard();
  const lookup = guard.begin();
  guard.changed('card', 7, 3);
  t.equal(guard.isStale(lookup, cardAt(7, 2)), true);
  t.equal(guard.isStale(lookup, cardAt(7, 3)), false);
  t.equal(guard.isStale(lookup, cardAt(8, 1)), false, 'another card is not stale');
  t.equal(guard.isStale(lookup, userAt(7, 1)), false, 'a user with the same number is not stale');
  guard.changed('user', 7, 2);
  t.equal(guard.isStale(lookup, userAt(7, 1)), true);
});

t.test('a change is kept until every lookup that began before it has ended', async (t) => {
  const guard = new LookupGuard();
  const [first, second] = [guard.begin(), guard.begin()];
  guard.changed('card', 7, 3);
  const third = guard.begin();
  guard.end(first);
  t.equal(guard.isStale(second, cardAt(7, 2)), true);
  guard.end(second);
  t.equal(guard.isStale(third, cardAt(7, 2)), false, 'a lookup that began after the change is not stale');
  guard.changed('card', 7, 2);
  guard.changed('card', 7, 5);
  guard.changed('card', 7, 4);
  t.equal(guard.isStale(third, cardAt(7, 4)), true, 'the newest version counts');
});

t.test('without a lookup under way no change is kept', async (t) => {
  const guard = new LookupGuard();
  guard.changed('card', 7, 3);
  t.equal(guard.isStale(guard.begin(), cardAt(7, 1)), false);
});

t.test('a flood of changes makes every lookup under way stale and is then forgotten', async (t) => {
  const guard = new LookupGuard();
  const lookup = guard.begin();
  for (let number = 0; number < 70_000; number++) guard.changed('card', number, 2);
  t.equal(guard.isStale(lookup, cardAt(1_000_000, 1)), true);
  guard.end(lookup);
  t.equal(guard.isStale(guard.begin(), cardAt(1, 1)), false);
});
