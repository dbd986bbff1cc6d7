/** The audit finds what was tampered with, and nothing in books that balance. */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { settle } from '../../workers/settle/settle.js';
import { ledgerFor } from '../../workers/testing/ledger-for.js';
import { writeRecords } from '../../workers/testing/record-writer.js';
import { databaseFor } from '../testing/for-test.js';
import { createTestAccounts } from '../testing/test-accounts.js';
import { auditBooks } from './audit-books.js';

/** Three accounts, two open holds, of which one is a single-use card's, and one purchase that was cleared. */
async function books(t: Test): Promise<postgres.Sql> {
  const { sql } = await ledgerFor(t);
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires, type)
    values ('card_4', 'card_4', 3, 3, 'Single', '2099-12-31', 'single_use')`;
  const clearing = {
    type: MessageType.clearing,
    status: TransactionStatus.completed,
    amount: 70,
    held: -70,
    posted: 70,
  };
  await settle(sql, {
    partition: 0,
    firstSequence: 1,
    ...writeRecords([
      { id: 'a', amount: 100, held: 100 },
      { id: 'b', amount: 70, held: 70, account: 2 },
      { id: 'c', root: 'b', account: 2, ...clearing },
      { id: 'd', amount: 1, approved: false, account: 0, card: 0, user: 0 },
      { id: 's', amount: 10, held: 10, spend: 10, spendCount: 1, account: 3, card: 4, user: 3, usesCard: true },
    ]),
  });
  return sql;
}

t.test('books that balance are reported with their totals', async (t) => {
  const report = await auditBooks(await books(t));
  t.same(report, {
    accounts: 3,
    postings: 8,
    funds: 3000n,
    held: 110n,
    posted: 70n,
    findings: [],
    findingCount: 0,
  });
});

t.test('an empty database balances', async (t) => {
  const { sql } = await databaseFor(t);
  t.match(await auditBooks(sql), { accounts: 0, postings: 0, funds: 0n, findingCount: 0 });
});

t.test('every kind of tampering is found', async (t) => {
  const sql = await books(t);
  const cases: [name: string, tamper: string, finding: RegExp][] = [
    [
      'money given to an account',
      "update accounts set funds = funds + 5, available = available + 5 where public_id = 'acct_3'",
      /account acct_3: funds 1005 .* but its postings give 1000/,
    ],
    [
      'a balance that does not add up',
      'alter table accounts drop constraint accounts_balance; update accounts set available = 1 where public_id = ' +
        "'acct_1'",
      /account acct_1: funds 1000 are not available 1 \+ held 100 \+ posted 0/,
    ],
    [
      'a hold that was made smaller',
      "update transactions set held_amount = 50 where id = 'a'",
      /account acct_1: held 100 and posted 0, but its transactions hold 50/,
    ],
    [
      'a hold that was deleted',
      "delete from transactions where id = 'a'",
      /transaction a of partition 0: holds .* its events give 100/,
    ],
    [
      'a posting that is not double entry',
      'alter table transaction_events drop constraint transaction_events_balance; update transaction_events set ' +
        'held_delta = 101 where sequence = 1',
      /event 0\/1 does not sum to zero/,
    ],
    [
      'an event that was deleted',
      'delete from transaction_events where sequence = 1',
      /account acct_1: .* but its postings/,
    ],
    ['an account that was deleted', 'delete from cards; delete from accounts where id = 2', /does not exist: number 2/],
    [
      'a closed transaction that still holds',
      "update transactions set status = 3 where id = 'a'",
      /transaction a holds 100 although it is closed/,
    ],
    [
      'a purchase of a single-use card that was forgotten',
      'delete from card_uses',
      /card card_4: 0 purchases are counted, its transactions give 1 to 1/,
    ],
    [
      'a purchase that was made up',
      'update card_uses set uses = 2',
      /card card_4: 2 purchases are counted, its transactions give 1 to 1/,
    ],
  ];
  for (const [name, tamper, finding] of cases) {
    t.test(name, async (t) => {
      // Undone afterwards by a transaction that never commits.
      await sql.unsafe('begin').simple();
      await sql.unsafe(tamper).simple();
      const inside = Object.assign(sql, {
        begin: (_options: string, work: (snapshot: postgres.Sql) => Promise<unknown>) => work(sql),
      });
      const report = await auditBooks(inside as postgres.Sql);
      await sql.unsafe('rollback').simple();
      t.ok(report.findingCount > 0);
      t.ok(
        report.findings.some((line) => finding.test(line)),
        report.findings.join('\n'),
      );
    });
  }
});

t.test('the list of findings is bounded, and their count is not', async (t) => {
  const { sql } = await databaseFor(t);
  await createTestAccounts(sql, 300, 10);
  await sql`delete from ledger_adjustments`;
  const report = await auditBooks(sql);
  t.equal(report.findings.length, 20);
  t.equal(report.findingCount, 301, 'each account and the total are findings');
});
