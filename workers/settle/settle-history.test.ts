/**
 * Decisions settled in stretches of any length are the same in Postgres as in memory: transactions, books and windows.
 * Approvals are revoked, withdrawn, decided again, joined, reversed and renewed. TEST_SEED repeats a run.
 */
import t, { type Test } from 'tap';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { windowNames } from '../../engine/core/limit-names.js';
import { storedUserLevel } from '../../engine/core/spend-key.js';
import { EntryStatus } from '../../engine/exchange/slab.js';
import { accountNumbers, cardNumbers, Generator, lineOfCard, type Step } from '../../engine/testing/generator.js';
import { testSeed } from '../../engine/testing/runs.js';
import { policyDefault } from '../../engine/testing/world.js';
import { ledgerFor } from '../testing/ledger-for.js';
import { PartitionHost } from '../testing/test-partition.js';
import { Withdrawals } from '../testing/withdrawals.js';
import { settle } from './settle.js';

const historyCount = 4;
const stepCount = 250;
let withdrawnInAll = 0;

/** A history of one partition, and the journal that it left. */
function decide(seed: number): { host: PartitionHost; funds: readonly number[]; withdrawn: number } {
  const generator = new Generator(seed, { repeats: true, overtakes: true, startMs: Date.UTC(2026, 2, 27, 20) });
  const { random } = generator;
  const host = new PartitionHost(policyDefault);
  const setup = generator.setup();
  host.run(setup, generator.nowMs, false);
  const withdrawals = new Withdrawals(seed + 2);
  let withdrawn = 0;
  for (let done = 0; done < stepCount; ) {
    const steps: Step[] = [];
    for (let size = 1 + random.below(12); size > 0; size--, done++) steps.push(generator.next());
    const handled = host.run(withdrawals.among(steps), generator.nowMs, random.chance(0.05));
    withdrawn += handled.filter(({ status }) => status === EntryStatus.withdrawn).length;
  }
  return { host, withdrawn, funds: setup.flatMap((step) => (step.kind === 'account' ? [step.config.funds] : [])) };
}

async function compareWithPostgres(t: Test, seed: number): Promise<void> {
  const { host, funds, withdrawn } = decide(seed);
  withdrawnInAll += withdrawn;
  const { random } = new Generator(seed + 1);
  const { sql } = await ledgerFor(t, accountNumbers.length, 0);
  for (const [index, amount] of funds.entries()) {
    await sql`update accounts set funds = ${amount}, available = ${amount} where id = ${index + 1}`;
  }
  const { source, offsets } = host.journal();
  for (let from = 0; from < offsets.length; ) {
    const part = offsets.slice(from, from + 1 + random.below(random.chance(0.5) ? 3 : 80));
    const result = await settle(sql, { partition: 0, firstSequence: from + 1, source, offsets: part });
    if (!result.applied) throw new Error(`stretch after ${from} was not applied`);
    from += part.length;
  }

  const { accounts, spend } = host.partition.books;
  const books = await sql<{ id: number; sums: number[] }[]>`
    select id::integer, json_build_array(funds, available, held, posted) as sums from accounts order by id`;
  t.same(
    books.map(({ sums }) => sums),
    accountNumbers.map((number) => {
      const slot = accounts.find(number);
      return [accounts.funds(slot), accounts.available(slot), accounts.held(slot), accounts.posted(slot)];
    }),
    'the books are the same',
  );
  const rows = await sql<{ id: string; type: number; status: number; sums: number[]; expires: number }[]>`
    select id, type, status, json_build_array(held_amount, posted_amount, refunded_amount) as sums,
      coalesce(extract(epoch from expires_at) * 1000, 0)::float8 as expires
    from transactions where occurrence = 0`;
  let compared = 0;
  for (const row of rows) {
    const transaction = host.transaction(row.id);
    if (transaction === null) {
      if (row.status !== TransactionStatus.declined) t.fail(`${row.id} is not in memory`);
      continue;
    }
    compared++;
    const isTombstone = row.type === MessageType.reversal;
    const status = isTombstone ? TransactionStatus.tombstone : row.status;
    const isOpen = status === TransactionStatus.open;
    const [said, expected] = [
      JSON.stringify([status, ...row.sums, isOpen ? Math.round(row.expires) : 0]),
      JSON.stringify([
        transaction.status,
        transaction.held,
        transaction.posted,
        transaction.refunded,
        isOpen ? Math.round(transaction.expiresAtMs) : 0,
      ]),
    ];
    if (said !== expected) t.fail(`transaction ${row.id}: Postgres ${said}, memory ${expected}`);
  }
  t.ok(compared > 20, `${compared} transactions are the same`);
  const windows = await sql<{ level: 0 | 1 | 2; entity: number; day: number; sums: number[] }[]>`
    select case level when ${storedUserLevel} then 1 else level end as level, entity_id::float8 as entity,
    spend_day as day, json_build_array(
      daily_amount, daily_count, weekly_amount, weekly_count, monthly_amount, monthly_count, yearly_amount,
      yearly_count,
      lifetime_amount, lifetime_count) as sums
    from spend_windows`;
  for (const { level, entity, day, sums } of windows) {
    const slot = spend.find(level, entity);
    const inMemory = windowNames.flatMap((_, window) => [
      spend.amount(slot, window, day),
      spend.count(slot, window, day),
    ]);
    if (JSON.stringify(sums) !== JSON.stringify(inMemory))
      t.fail(`windows of ${level}/${entity}: ${sums}, ${inMemory}`);
  }
  t.ok(windows.length > 5, `${windows.length} rows of windows are the same`);
  const uses = await sql<{ card: number; count: number; merchant: string }[]>`
    select card_id::float8 as card, uses as count, merchant_id as merchant from card_uses`;
  const used = new Map(uses.map(({ card, ...use }) => [card, use]));
  for (const card of new Set(cardNumbers.map(lineOfCard))) {
    t.same(used.get(card) ?? null, spend.purchases(card), `purchases of card ${card}`);
  }
}

for (let number = 1; number <= historyCount; number++) {
  t.test(`history ${number} settles as it was decided`, (t) => compareWithPostgres(t, testSeed + number));
}

t.test('approvals were withdrawn in these histories', async (t) => {
  t.ok(withdrawnInAll > 0, `${withdrawnInAll}`);
});
