/** Deposits and withdrawals: every answer, in the language of engine/testing/table.ts. */
import t from 'tap';
import { testTables } from '../testing/table.js';
import { accountName, World } from '../testing/world.js';
import { Outcome } from './outcome.js';
import { amountMinorMax, fundsMinorMax } from './request.js';
import { decideRevocation } from './revoke-and-expire.js';

testTables(`
= a deposit adds to the available money and a withdrawal takes from it
d1 deposit A 500         -> approved 00 500 1500/0/0
w1 withdrawal A 1500     -> approved 00 1500 0/0/0
w2 withdrawal A 1        -> insufficient_funds 51 0 0/0/0
a1 authorization C 1     -> insufficient_funds 51 0 0/0/0
d2 deposit A 1           -> approved 00 1 1/0/0
a1b authorization C 1    -> approved 00 1 0/1/0

= held or posted money cannot be withdrawn, and refunded money can
a1 authorization C 600               -> approved 00 600 400/600/0
w1 withdrawal A 401                  -> insufficient_funds 51 0 400/600/0
c1 clearing C 500 original=a1 more   -> approved 00 500 400/100/500
w2 withdrawal A 400                  -> approved 00 400 0/100/500
f1 refund C 50 original=a1           -> approved 00 50 50/100/450
w3 withdrawal A 51                   -> insufficient_funds 51 0 50/100/450
w4 withdrawal A 50                   -> approved 00 50 0/100/450
r1 reversal C original=a1            -> approved 00 100 100/0/450
w5 withdrawal A 100                  -> approved 00 100 0/0/450

= after a force post took the balance below zero, deposits make up for it before a withdrawal is approved
account A funds=100
card C of A U
c1 clearing C 300          -> approved(force_post) 00 300 -200/0/300
w1 withdrawal A 1          -> insufficient_funds 51 0 -200/0/300
d1 deposit A 200           -> approved 00 200 0/0/300
w2 withdrawal A 1          -> insufficient_funds 51 0 0/0/300
d2 deposit A 1             -> approved 00 1 1/0/300
w3 withdrawal A 1          -> approved 00 1 0/0/300

= a frozen account accepts deposits and declines withdrawals, and a closed account declines both
account A funds=1000 status=frozen
d1 deposit A 1             -> approved 00 1 1001/0/0
w1 withdrawal A 1          -> account_inactive 62 0 1001/0/0
account A status=closed
d2 deposit A 1             -> account_inactive 62 0 1001/0/0
w2 withdrawal A 1          -> account_inactive 62 0 1001/0/0
account A
w3 withdrawal A 1001       -> approved 00 1001 0/0/0

= a command ignores limits and cards, and counts in no window
account A funds=1000 perAuthorization=10 daily=10/1 lifetime=10
card C of A U status=frozen daily=1
d1 deposit A 500           -> approved 00 500 1500/0/0
w1 withdrawal A 900        -> approved 00 900 600/0/0
w2 withdrawal A 100        -> approved 00 100 500/0/0
used account A daily       -> 0/0
used account A lifetime    -> 0/0
used card C daily          -> 0/0
transaction d1             -> none
transaction w1             -> none

= a command that fails several checks is declined for the first of status, amount and funds
account A funds=10 status=closed
d1 deposit A 0                     -> account_inactive 62 0 10/0/0
account A status=frozen
w1 withdrawal A 0                  -> account_inactive 62 0 10/0/0
account A
d2 deposit A 0                     -> amount_invalid 13 0 10/0/0
w2 withdrawal A 0                  -> amount_invalid 13 0 10/0/0
d3 deposit A ${amountMinorMax + 1} -> amount_invalid 13 0 10/0/0
w3 withdrawal A ${amountMinorMax + 1} -> amount_invalid 13 0 10/0/0
w4 withdrawal A ${amountMinorMax}  -> insufficient_funds 51 0 10/0/0
d4 deposit A ${amountMinorMax}     -> approved 00 ${amountMinorMax} ${amountMinorMax + 10}/0/0
`);

t.test('the books stay exact however many deposits an account receives', async (t) => {
  const world = new World();
  world.setAccount({ number: 1, currency: 'USD', funds: fundsMinorMax - amountMinorMax - 1 });
  const deposit = (id: string, amount: number) =>
    world.send({ id, type: 'deposit', card: accountName(1), amount }).reason;
  t.equal(deposit('d1', amountMinorMax), 'approved');
  t.equal(deposit('d2', 2), 'amount_invalid');
  t.equal(deposit('d3', 1), 'approved', 'a deposit up to the bound is approved');
  t.equal(deposit('d4', 1), 'amount_invalid');
  t.equal(world.books.accounts.funds(0), fundsMinorMax);
});

t.test('a deposit is declined when refunds have brought the available money to its bound', async (t) => {
  const world = World.withCard(0);
  const refunds = fundsMinorMax / amountMinorMax;
  for (let count = 0; count < refunds; count++) {
    world.send({ id: `f${count}`, type: 'refund', card: 'C', amount: amountMinorMax });
  }
  t.equal(world.send({ id: 'd1', type: 'deposit', card: accountName(1), amount: 1 }).reason, 'amount_invalid');
  const paidOut = world.send({ id: 'w1', type: 'withdrawal', card: accountName(1), amount: amountMinorMax });
  t.equal(paidOut.reason, 'approved');
  t.equal(world.books.accounts.funds(0), -amountMinorMax, 'the withdrawal takes money that a merchant has refunded');
});

t.test('a command and an authorization with the same id do not affect each other', async (t) => {
  const world = World.withCard(100);
  t.equal(world.send({ id: 'x', type: 'deposit', card: accountName(1), amount: 5 }).reason, 'approved');
  t.equal(world.send({ id: 'x', type: 'authorization', card: 'C', amount: 105 }).reason, 'approved');
  t.equal(world.send({ id: 'r', type: 'reversal', card: 'C', original: 'x' }).approvedAmount, 105);
});

t.test('only a command has an outcome with posted money, and revoking one moves nothing', async (t) => {
  const world = new World();
  world.setAccount({ number: 1, currency: 'USD', funds: 100 });
  world.send({ id: 'd', type: 'deposit', card: accountName(1), amount: 5 });
  t.equal(world.revoke('d'), null, 'a command can never be revoked');
  const outcome = new Outcome();
  // No caller asks for it; if one did, the money would stay where it is.
  decideRevocation(world.books, 0, -1, Object.assign(new Outcome(), world.outcome), false, outcome);
  t.equal(outcome.fundsDelta, 0);
});
