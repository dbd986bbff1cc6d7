/**
 * Settled transactions and spend windows against the engine's own memory: random messages, cut into random stretches,
 * must leave in Postgres what Transactions and Spend hold. TEST_SEED repeats a run.
 */
import t from 'tap';
import { MessageType, packLetters, TransactionStatus } from '../../engine/core/codes.js';
import { Level, levels } from '../../engine/core/limit-names.js';
import { Spend } from '../../engine/core/spend.js';
import { storedUserLevel } from '../../engine/core/spend-key.js';
import { Transactions } from '../../engine/core/transactions.js';
import { dayOfCivil } from '../../engine/core/window.js';
import { testSeed } from '../../engine/testing/runs.js';
import { spendNumber } from '../../engine/testing/world.js';
import { ledgerFor } from '../testing/ledger-for.js';
import { type RecordSketch, writeRecords } from '../testing/record-writer.js';
import { settle } from './settle.js';

/** Columns of the two tables that are compared; bigints come as text. */
interface Row {
  readonly id: string;
  readonly status: number;
  readonly held_amount: string;
  readonly posted_amount: string;
  readonly refunded_amount: string;
  readonly newest_spend_day: number;
  readonly newest_spend_amount: string;
  readonly level: 0 | 2 | typeof storedUserLevel;
  readonly entity_id: string;
  readonly spend_day: number;
  readonly [windowSum: `${string}_amount` | `${string}_count`]: string | number;
}

/** Whose windows a record counts in. */
interface Owner {
  readonly account: number;
  readonly card: number;
  readonly user: number;
  readonly currency: string;
}

/** Park and Miller: small, and the same sequence everywhere. */
function randomOf(seed: number): (below: number) => number {
  let state = (seed % 2_147_483_646) + 1;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

t.test('random messages settle to the same transactions and windows as in memory', async (t) => {
  const random = randomOf(testSeed);
  const accountCount = 4;
  const { sql } = await ledgerFor(t, accountCount, 0);
  // Users have accounts of both.
  const currencies = ['USD', 'USD', 'JPY', 'JPY'];
  const spend = new Spend(1000);
  const transactions = new Transactions(10_000);
  const encoder = new TextEncoder();
  // Around the turn of a year that is also the middle of a week, and the end of a month.
  const firstDay = dayOfCivil(2025, 12, 28);
  const recordCount = 1500;
  const ids: string[] = [];
  const sketches: RecordSketch[] = [];

  const funds = Array.from({ length: accountCount + 1 }, () => 0);

  for (let number = 0; number < recordCount; number++) {
    if (random(8) === 0) {
      // Money in or out, among everything else.
      const amount = 1 + random(1000);
      const isDeposit = random(3) > 0;
      const account = 1 + random(accountCount);
      funds[account]! += isDeposit ? amount : -amount;
      sketches.push({
        id: `\u0001ledger:${number}`,
        type: isDeposit ? MessageType.deposit : MessageType.withdrawal,
        status: TransactionStatus.none,
        opensTransaction: false,
        amount,
        funds: isDeposit ? amount : -amount,
        account,
        card: 0,
        user: 0,
      });
      continue;
    }
    // Mostly forward; sometimes a message of another time zone's yesterday or of last month.
    const today = firstDay + Math.floor(number / 40);
    const spendDay = random(5) === 0 ? today - random(40) : today;
    const account = 1 + random(accountCount);
    const effects = {
      day: spendDay,
      spend: random(3) === 0 ? -random(300) : random(200),
      spendCount: random(3) - 1,
      olderDay: today - random(10),
      olderSpend: random(3) === 0 ? -random(100) : 0,
      olderSpendCount: random(6) === 0 ? -1 : 0,
    };
    const currency = currencies[account - 1]!;
    const owner = { account, card: account, user: 1 + (account % 2), currency };
    if (effects.olderSpend !== 0 || effects.olderSpendCount !== 0) {
      for (const level of levels) {
        spend.add(level, numberOf(owner, level), effects.olderDay, effects.olderSpend, effects.olderSpendCount, number);
      }
    }
    if (effects.spend !== 0 || effects.spendCount !== 0) {
      for (const level of levels)
        spend.add(level, numberOf(owner, level), spendDay, effects.spend, effects.spendCount, number);
    }
    const opens = ids.length === 0 || random(3) === 0;
    const root = opens ? `transaction-${number}` : ids[Math.max(0, ids.length - 1 - random(6))]!;
    const bytes = encoder.encode(root);
    if (opens) {
      const held = random(500);
      ids.push(root);
      sketches.push({ id: root, amount: held, held, ...owner, ...effects });
      transactions.open(
        bytes,
        0,
        bytes.length,
        {
          accountNumber: account,
          cardNumber: account,
          userNumber: owner.user,
          status: TransactionStatus.open,
          held,
          posted: 0,
          refunded: 0,
          firstDay: spendDay,
          newestDay: spendDay,
          newestAmount: Math.min(effects.spend, held),
          expiresAtMs: 0,
        },
        number,
      );
      continue;
    }
    const slot = transactions.find(bytes, 0, bytes.length);
    const held = random(2) === 0 ? random(100) : -random(transactions.held(slot) + 1);
    const posted = random(200) - 50;
    const status = (1 + random(4)) as TransactionStatus;
    const type = random(4) === 0 ? MessageType.refund : MessageType.clearing;
    const approvedAmount = random(100);
    sketches.push({
      id: `message-${number}`,
      root,
      type,
      status,
      held,
      posted,
      approvedAmount,
      ...owner,
      account: transactions.account(slot),
      ...effects,
    });
    // The windows count for the sketch's parties: keep them equal to what was added above.
    const last = sketches[sketches.length - 1]!;
    sketches[sketches.length - 1] = { ...last, account };
    transactions.move(
      slot,
      status,
      held,
      posted,
      type === MessageType.refund ? approvedAmount : 0,
      spendDay,
      effects.spend,
      0,
      number,
    );
  }
  // Account books may go below zero held in this test: only transactions and windows are compared.
  await sql`alter table accounts drop constraint accounts_held_check`;

  for (let start = 0; start < recordCount; ) {
    const size = random(3) === 0 ? 1 : 1 + random(200);
    const part = sketches.slice(start, start + size);
    const result = await settle(sql, { partition: 0, firstSequence: start + 1, ...writeRecords(part) });
    t.ok(result.applied && result.sequence === start + part.length, `settled to ${result.sequence}`);
    start += part.length;
  }

  const accounts = await sql<{ id: number; funds: string }[]>`select id::integer, funds from accounts order by id`;
  t.same(
    accounts.map((row) => Number(row.funds)),
    funds.slice(1),
    'funds are deposits less withdrawals',
  );
  const rows = await sql<Row[]>`select * from transactions`;
  t.equal(rows.length, ids.length);
  for (const row of rows) {
    const bytes = encoder.encode(row.id);
    const slot = transactions.find(bytes, 0, bytes.length);
    t.same(
      [
        row.status,
        row.held_amount,
        row.posted_amount,
        row.refunded_amount,
        row.newest_spend_day,
        row.newest_spend_amount,
      ].map(Number),
      [
        transactions.status(slot),
        transactions.held(slot),
        transactions.posted(slot),
        transactions.refunded(slot),
        transactions.newestDay(slot),
        transactions.newestAmount(slot),
      ],
      `transaction ${row.id}`,
    );
  }
  const windows = await sql<Row[]>`select * from spend_windows`;
  t.equal(windows.length, spend.size);
  for (const row of windows) {
    const level = row.level === storedUserLevel ? Level.user : row.level;
    const slot = spend.find(level, Number(row.entity_id));
    const names = ['daily', 'weekly', 'monthly', 'yearly', 'lifetime'];
    t.same(
      names.flatMap((name) => [Number(row[`${name}_amount`]), Number(row[`${name}_count`])]),
      names.flatMap((_, index) => [spend.amount(slot, index, row.spend_day), spend.count(slot, index, row.spend_day)]),
      `windows of ${row.level}/${row.entity_id}`,
    );
  }
});

function numberOf({ account, card, user, currency }: Owner, level: Level): number {
  return spendNumber(level, [card, user, account][level]!, packLetters(currency));
}
