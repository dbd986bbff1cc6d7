import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { type ChainState, Chains } from './chains.js';
import { ChainStatus } from './codes.js';
import { InvariantError } from './invariant.js';

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

function stateOf(account: number): ChainState {
  return {
    accountNumber: account,
    cardNumber: account + 1,
    userNumber: account + 2,
    status: ChainStatus.open,
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

t.test('a chain leaves memory only after the books have all of it', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { maxLength: 120 }), (capacity, steps) => {
      const chains = new Chains(capacity);
      const model = new Map<string, { held: number; account: number; sequence: number }>();
      let sequence = 0;
      let shipped = 0;
      const find = (id: string): number => {
        const bytes = Buffer.from(`>${id}`);
        return chains.find(bytes, 1, bytes.length);
      };
      for (const { id: index, amount, lag } of steps) {
        const id = ids[index]!;
        sequence++;
        shipped = Math.max(shipped, sequence - 1 - lag);
        // As a partition does it: find, make room whatever comes, then move or open.
        const slot = find(id);
        const full = model.size === capacity && ![...model.values()].some((chain) => chain.sequence <= shipped);
        if (chains.makeRoom(shipped) === full) return false;
        if (full) continue;
        if (slot >= 0) {
          const chain = model.get(id)!;
          chains.move(slot, ChainStatus.open, amount, 0, 0, 10, amount, 0, sequence);
          chain.held += amount;
          chain.sequence = sequence;
        } else {
          const bytes = Buffer.from(id);
          chains.open(bytes, 0, bytes.length, stateOf(amount), sequence);
          model.set(id, { held: amount, account: amount, sequence });
        }
        for (const [name, chain] of [...model]) {
          const found = find(name);
          if (found < 0) {
            if (chain.sequence > shipped) return false;
            model.delete(name);
          } else if (chains.held(found) !== chain.held || chains.account(found) !== chain.account) return false;
        }
        if (chains.size !== model.size || chains.size > capacity) return false;
      }
      return true;
    }),
    runs(500),
  );
  t.end();
});

t.test('the chain that a message is about is not the one that gives up its place to it', (t) => {
  const chains = new Chains(1);
  const a = Buffer.from('a');
  const b = Buffer.from('b');
  chains.makeRoom(0);
  const slot = chains.open(a, 0, 1, stateOf(100), 1);
  t.equal(chains.makeRoom(1), true, 'the only chain is settled: its place can be had');
  t.equal(chains.find(a, 0, 1), slot, 'but it is still there');
  chains.move(slot, ChainStatus.open, -40, 40, 0, 10, 0, 0, 2);
  t.equal(chains.makeRoom(1), false, 'what was moved is not settled any more');
  t.equal(chains.held(chains.find(a, 0, 1)), 60);
  t.throws(() => chains.open(b, 0, 1, stateOf(1), 3), InvariantError);
  t.equal(chains.makeRoom(2), true);
  chains.open(b, 0, 1, stateOf(1), 3);
  t.equal(chains.find(a, 0, 1), -1);
  t.end();
});

t.test('a tombstone gives up its place only when nothing else can', (t) => {
  const chains = new Chains(2);
  const open = (id: string, status: ChainStatus, sequence: number) => {
    chains.makeRoom(sequence - 1);
    return chains.open(Buffer.from(id), 0, 1, { ...stateOf(1), held: 0, newestAmount: 0, status }, sequence);
  };
  const find = (id: string) => chains.find(Buffer.from(id), 0, 1);
  open('t', ChainStatus.tombstone, 1);
  for (let sequence = 2; sequence < 10; sequence++) open(`${sequence}`, ChainStatus.completed, sequence);
  t.ok(find('t') >= 0, 'seven chains came and went beside it');
  open('u', ChainStatus.tombstone, 10);
  t.ok(find('t') >= 0 && find('u') >= 0);
  open('a', ChainStatus.open, 11);
  t.equal([find('t'), find('u')].filter((slot) => slot >= 0).length, 1);
  t.end();
});

t.test('everything that a chain is opened with can be read back', (t) => {
  const chains = new Chains(2);
  const state: ChainState = { ...stateOf(7), status: ChainStatus.completed, posted: -3, refunded: 3, newestAmount: 2 };
  const slot = chains.open(Buffer.from('abc'), 1, 3, state, 9);
  t.same(
    {
      accountNumber: chains.account(slot),
      cardNumber: chains.card(slot),
      userNumber: chains.user(slot),
      status: chains.status(slot),
      held: chains.held(slot),
      posted: chains.posted(slot),
      refunded: chains.refunded(slot),
      firstDay: chains.firstDay(slot),
      newestDay: chains.newestDay(slot),
      newestAmount: chains.newestAmount(slot),
      expiresAtMs: chains.expiresAtMs(slot),
    },
    state,
  );
  t.equal(chains.find(Buffer.from('bc'), 0, 2), slot);
  t.equal(chains.find(Buffer.from('abc'), 0, 3), -1);
  t.end();
});

t.test('the newest part of a hold follows the newest day that spent, and is never more than is held', (t) => {
  const chains = new Chains(1);
  const slot = chains.open(Buffer.from('a'), 0, 1, { ...stateOf(100), newestAmount: 100 }, 1);
  chains.move(slot, ChainStatus.open, 50, 0, 0, 11, 50, 0, 2);
  t.same([chains.newestDay(slot), chains.newestAmount(slot)], [11, 50]);
  chains.move(slot, ChainStatus.open, 20, 0, 0, 11, 20, 0, 3);
  t.same([chains.newestDay(slot), chains.newestAmount(slot)], [11, 70]);
  chains.move(slot, ChainStatus.open, -30, 0, 0, 10, -30, 0, 4);
  t.same(
    [chains.newestDay(slot), chains.newestAmount(slot)],
    [11, 70],
    'an older day took nothing from the newest part',
  );
  chains.move(slot, ChainStatus.open, -100, 100, 0, 11, 0, 0, 5);
  t.same([chains.newestDay(slot), chains.newestAmount(slot)], [11, 40], 'what was cleared is not given back');
  t.throws(() => chains.move(slot, ChainStatus.open, -41, 0, 0, 11, -41, 0, 6), InvariantError);
  t.end();
});
