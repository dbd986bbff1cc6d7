import fc from 'fast-check';
import t from 'tap';
import { runs } from '../testing/runs.js';
import { Accounts, Status } from './accounts.js';
import { packLetters } from './codes.js';
import { InvariantError } from './invariant.js';
import { amountMinorMax } from './request.js';
import { compileRules } from './rules.js';

/** As large as a message can carry, so that thirty of them come near to what a double counts exactly. */
const delta = fc.oneof(
  fc.integer({ min: -1000, max: 1000 }),
  fc.constantFrom(amountMinorMax, -amountMinorMax),
  fc.integer({ min: -amountMinorMax, max: amountMinorMax }),
);

t.test('funds are available + held + posted after every move, and a negative hold is an error', async () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.array(fc.tuple(delta, delta, delta), { maxLength: 30 }), (opening, moves) => {
      const accounts = new Accounts(1);
      const slot = accounts.open(5, packLetters('USD'), opening, 0, 0);
      let [funds, held, posted] = [BigInt(opening), 0n, 0n];
      for (const [fundsDelta, heldDelta, postedDelta] of moves) {
        funds += BigInt(fundsDelta);
        held += BigInt(heldDelta);
        posted += BigInt(postedDelta);
        try {
          accounts.move(slot, fundsDelta, heldDelta, postedDelta);
        } catch (error) {
          // After a broken invariant the partition ends; nothing is compared any more.
          return error instanceof InvariantError && held < 0n;
        }
        if (held < 0n || BigInt(accounts.available(slot)) !== funds - held - posted) return false;
        if (BigInt(accounts.funds(slot)) !== funds || BigInt(accounts.held(slot)) !== held) return false;
        if (BigInt(accounts.posted(slot)) !== posted) return false;
      }
      return true;
    }),
    runs(1000),
  );
});

t.test('an amount beyond the integers that a double counts exactly is an error in every field', async (t) => {
  const most = Number.MAX_SAFE_INTEGER;
  const moves: ReadonlyArray<readonly [number, number, number]> = [
    [1, 0, 0],
    [1, 1, 0],
    [0, 0, -1],
    [1, 0, 1],
  ];
  for (const move of moves) {
    const accounts = new Accounts(1);
    const slot = accounts.open(1, 0, most, 0, 0);
    t.throws(() => accounts.move(slot, ...move), InvariantError, move.join());
  }
});

t.test('an account whose books do not balance cannot be opened', async (t) => {
  const accounts = new Accounts(4);
  t.throws(() => accounts.open(1, 0, 100, -1, 0), InvariantError);
  t.throws(() => accounts.open(2, 0, 0.5, 0, 0), InvariantError);
  const slot = accounts.open(3, 0, 100, 30, -20);
  t.equal(accounts.available(slot), 90);
});

t.test('moving one account changes no other, and a full store opens no further account', async (t) => {
  const accounts = new Accounts(2);
  const first = accounts.open(10, packLetters('USD'), 100, 0, 0);
  const second = accounts.open(20, packLetters('EUR'), 200, 0, 0);
  t.equal(accounts.open(30, 0, 0, 0, 0), -1);
  accounts.move(first, 0, 40, 0);
  t.equal(accounts.available(second), 200);
  t.equal(accounts.find(10), first);
  t.equal(accounts.find(30), -1);
  t.equal(accounts.size, 2);
});

t.test('an account ignores an older description and replaces all of it by a newer one', async (t) => {
  const accounts = new Accounts(1);
  const slot = accounts.open(1, 0, 0, 0, 0);
  accounts.describe(slot, 5, Status.frozen, 'Europe/Berlin', true, compileRules({ perAuthorization: 5 }));
  accounts.describe(slot, 4, Status.active, 'UTC', false, null);
  t.equal(accounts.status(slot), Status.frozen);
  t.equal(accounts.zone(slot).name, 'Europe/Berlin');
  t.equal(accounts.partialApproval(slot), true);
  t.equal(accounts.rules(slot)?.perAuthorization, 5);
  accounts.describe(slot, 6, Status.active, 'Asia/Kolkata', false, null);
  t.equal(accounts.status(slot), Status.active);
  t.equal(accounts.zone(slot).name, 'Asia/Kolkata');
  t.equal(accounts.partialApproval(slot), false);
  t.equal(accounts.rules(slot), null);
});

t.test('a full store evicts settled accounts, unused ones first, and rejects an older lookup', async (t) => {
  const accounts = new Accounts(4);
  for (let number = 1; number <= 4; number++) accounts.journaled(accounts.open(number, 0, 100, 0, 0), number);
  t.equal(accounts.makeRoom(0), false, 'no account is settled');
  t.equal(accounts.makeRoom(3), true, 'where all accounts are in use any of them may be evicted');
  t.equal(accounts.find(1), -1);
  t.ok(accounts.isOutdated(1, 0));
  t.notOk(accounts.isOutdated(1, 1));
  const slot = accounts.open(5, 0, 7, 0, 0);
  t.equal(accounts.version(slot), 0, 'the slot keeps nothing of the evicted account');
  accounts.touch(accounts.find(2));
  t.equal(accounts.makeRoom(3), true);
  t.equal(accounts.find(3), -1);
  t.ok(accounts.find(2) >= 0, 'the account that was used meanwhile stays');
});
