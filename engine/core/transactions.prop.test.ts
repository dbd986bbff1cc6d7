import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { TransactionStatus } from './codes.js';
import { InvariantError } from './invariant.js';
import { type TransactionState, Transactions } from './transactions.js';

/** Ids of every length class: short, the longest that stands inline, longer in bytes than in characters. */
const ids = [
  ...Array.from({ length: 10 }, (_, index) => `id-${index}`),
  'x'.repeat(64),
  `${'x'.repeat(63)}y`,
  'é'.repeat(64),
  `${'é'.repeat(63)}ü`,
  '💳'.repeat(64),
  '',
];

function stateOf(account: number): TransactionState {
  return {
    accountNumber: account,
    cardNumber: account + 1,
    userNumber: account + 2,
    status: TransactionStatus.open,
    held: account,
    posted: 0,
    refunded: 0,
    firstDay: 10,
    newestDay: 10,
    newestAmount: account,
    expiresAtMs: account * 5,
  };
}

const step = fc.record({
  id: fc.nat({ max: ids.length - 1 }),
  amount: fc.integer({ min: 1, max: 1000 }),
  /** How much of the journal has been settled by now, counted back from the newest sequence. */
  lag: fc.integer({ min: 0, max: 8 }),
});

t.test('a transaction leaves memory only after Postgres has all of it', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 120 }), (capacity, steps) => {
      const transactions = new Transactions(capacity);
      const model = new Map<string, { held: number; account: number; sequence: number }>();
      let sequence = 0;
      let settled = 0;
      const find = (id: string): number => {
        const bytes = Buffer.from(`>${id}`);
        return transactions.find(bytes, 1, bytes.length);
      };
      for (const { id: index, amount, lag } of steps) {
        const id = ids[index]!;
        sequence++;
        settled = Math.max(settled, sequence - 1 - lag);
        // As a partition does it: find, make room whatever comes, then move or open.
        const slot = find(id);
        const full =
          model.size === capacity && ![...model.values()].some((transaction) => transaction.sequence <= settled);
        if (transactions.makeRoom(settled) === full) return false;
        if (full) continue;
        if (slot >= 0) {
          const transaction = model.get(id)!;
          transactions.move(slot, TransactionStatus.open, amount, 0, 0, 10, amount, 0, sequence);
          transaction.held += amount;
          transaction.sequence = sequence;
        } else {
          const bytes = Buffer.from(id);
          transactions.open(bytes, 0, bytes.length, stateOf(amount), sequence);
          model.set(id, { held: amount, account: amount, sequence });
        }
        for (const [name, transaction] of [...model]) {
          const found = find(name);
          if (found < 0) {
            if (transaction.sequence > settled) return false;
            model.delete(name);
          } else if (
            transactions.held(found) !== transaction.held ||
            transactions.account(found) !== transaction.account
          )
            return false;
        }
        if (transactions.size !== model.size || transactions.size > capacity) return false;
      }
      return true;
    }),
    runs(500),
  );
});

t.test('a transaction is not evicted while a message changes it', async (t) => {
  const transactions = new Transactions(1);
  const a = Buffer.from('a');
  const b = Buffer.from('b');
  transactions.makeRoom(0);
  const slot = transactions.open(a, 0, 1, stateOf(100), 1);
  t.equal(transactions.makeRoom(1), true, 'the only transaction is settled, so it can be evicted');
  t.equal(transactions.find(a, 0, 1), slot, 'the transaction is still in memory');
  transactions.move(slot, TransactionStatus.open, -40, 40, 0, 10, 0, 0, 2);
  t.equal(transactions.makeRoom(1), false, 'a moved transaction is no longer settled');
  t.equal(transactions.held(transactions.find(a, 0, 1)), 60);
  t.throws(() => transactions.open(b, 0, 1, stateOf(1), 3), InvariantError);
  t.equal(transactions.makeRoom(2), true);
  transactions.open(b, 0, 1, stateOf(1), 3);
  t.equal(transactions.find(a, 0, 1), -1);
});

t.test('a tombstone is evicted only when no other transaction can be', async (t) => {
  const transactions = new Transactions(2);
  const open = (id: string, status: TransactionStatus, sequence: number) => {
    transactions.makeRoom(sequence - 1);
    return transactions.open(Buffer.from(id), 0, 1, { ...stateOf(1), held: 0, newestAmount: 0, status }, sequence);
  };
  const find = (id: string) => transactions.find(Buffer.from(id), 0, 1);
  open('t', TransactionStatus.tombstone, 1);
  for (let sequence = 2; sequence < 10; sequence++) open(`${sequence}`, TransactionStatus.completed, sequence);
  t.ok(find('t') >= 0, 'seven transactions came and went beside it');
  open('u', TransactionStatus.tombstone, 10);
  t.ok(find('t') >= 0 && find('u') >= 0);
  open('a', TransactionStatus.open, 11);
  t.equal([find('t'), find('u')].filter((slot) => slot >= 0).length, 1);
});

t.test('every field that a transaction is opened with can be read back', async (t) => {
  const transactions = new Transactions(2);
  const state: TransactionState = {
    ...stateOf(7),
    status: TransactionStatus.completed,
    posted: -3,
    refunded: 3,
    newestAmount: 2,
  };
  const slot = transactions.open(Buffer.from('abc'), 1, 3, state, 9);
  t.same(
    {
      accountNumber: transactions.account(slot),
      cardNumber: transactions.card(slot),
      userNumber: transactions.user(slot),
      status: transactions.status(slot),
      held: transactions.held(slot),
      posted: transactions.posted(slot),
      refunded: transactions.refunded(slot),
      firstDay: transactions.firstDay(slot),
      newestDay: transactions.newestDay(slot),
      newestAmount: transactions.newestAmount(slot),
      expiresAtMs: transactions.expiresAtMs(slot),
    },
    state,
  );
  t.equal(transactions.find(Buffer.from('bc'), 0, 2), slot);
  t.equal(transactions.find(Buffer.from('abc'), 0, 3), -1);
});

t.test('the newest part of a hold follows the newest day of spending, and never exceeds the hold', async (t) => {
  const transactions = new Transactions(1);
  const slot = transactions.open(Buffer.from('a'), 0, 1, { ...stateOf(100), newestAmount: 100 }, 1);
  transactions.move(slot, TransactionStatus.open, 50, 0, 0, 11, 50, 0, 2);
  t.same([transactions.newestDay(slot), transactions.newestAmount(slot)], [11, 50]);
  transactions.move(slot, TransactionStatus.open, 20, 0, 0, 11, 20, 0, 3);
  t.same([transactions.newestDay(slot), transactions.newestAmount(slot)], [11, 70]);
  transactions.move(slot, TransactionStatus.open, -30, 0, 0, 10, -30, 0, 4);
  t.same(
    [transactions.newestDay(slot), transactions.newestAmount(slot)],
    [11, 70],
    'an older day takes nothing from the newest part',
  );
  transactions.move(slot, TransactionStatus.open, -100, 100, 0, 11, 0, 0, 5);
  t.same(
    [transactions.newestDay(slot), transactions.newestAmount(slot)],
    [11, 40],
    'a cleared amount is not given back',
  );
  t.throws(() => transactions.move(slot, TransactionStatus.open, -41, 0, 0, 11, -41, 0, 6), InvariantError);
});
