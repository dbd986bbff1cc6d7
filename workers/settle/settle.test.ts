/** Settling on a real Postgres: exactly once, all or nothing, and the same books that the engine keeps in memory. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { detailForcePost } from '../../engine/core/limit-names.js';
import { Reason } from '../../engine/core/reasons.js';
import { until } from '../../engine/testing/engine-process.js';
import { booksOf, ledgerFor } from '../testing/ledger-for.js';
import { type RecordSketch, writeRecords } from '../testing/record-writer.js';
import { openSettleConnection, readJournalPosition, settle } from './settle.js';

const { authorization: auth, incremental, reversal, clearing, refund, expiry, revocation } = MessageType;
const { none, open, completed, reversed, expired, declined, tombstone } = TransactionStatus;
const day = 20_000;
/** A ledger command: a deposit, unless the test says otherwise. */
const command = (sketch: RecordSketch): RecordSketch => ({
  type: MessageType.deposit,
  status: none,
  opensTransaction: false,
  card: 0,
  user: 0,
  ...sketch,
});
const authorization: RecordSketch = { id: 'a', amount: 100, held: 100, day, spend: 100, spendCount: 1 };
const increment: RecordSketch = { id: 'i', root: 'a', type: incremental, amount: 50, held: 50, spend: 50 };
const cleared: RecordSketch = { id: 'c', root: 'a', original: 'a', type: clearing, status: completed };
const released: RecordSketch = { id: 'r', root: 'a', original: 'a', type: reversal, status: reversed };
const tombstoneOf = (original: string, id: string): RecordSketch => ({
  ...{ id, original, type: reversal, tombstone: true, status: none },
  ...{ approved: false, reason: Reason.originalNotFound },
});
const revoked = { type: revocation, approved: false, reason: Reason.systemError };

/** Back to the state that ledgerFor() returns. */
async function empty(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    truncate transactions, transaction_events, spend_windows;
    update accounts set funds = 1000, held = 0, posted = 0, available = 1000;
    update journal_positions set sequence = 0`);
}

async function settleAll(sql: postgres.Sql, sketches: readonly RecordSketch[], firstSequence = 1): Promise<number> {
  const result = await settle(sql, { partition: 0, firstSequence, ...writeRecords(sketches) });
  if (!result.applied) throw new Error('not applied');
  return result.sequence;
}

async function transaction(sql: postgres.Sql, id: string): Promise<Record<string, unknown>> {
  const [row] = await sql`
    select status, type, reason, amount, approved_amount, held_amount, posted_amount, refunded_amount, forced,
      newest_spend_day, newest_spend_amount
    from transactions where id = ${id} order by type = ${reversal}, created_at desc limit 1`;
  return Object.fromEntries(Object.entries(row ?? {}).map(([key, value]) => [key, numeric(value)]));
}

/** postgres.js returns bigint as text. */
function numeric(value: unknown): unknown {
  return typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
}

async function eventCount(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::integer as count from transaction_events`;
  return row!.count;
}

t.test('a batch settles once, however often it is sent', async (t) => {
  const { sql } = await ledgerFor(t);
  const batch = { partition: 0, firstSequence: 1, ...writeRecords([authorization]) };
  t.same(await settle(sql, batch), { applied: true, sequence: 1 });
  t.same(await settle(sql, batch), { applied: false, sequence: 0 });
  t.same(
    await settle(sql, { ...batch, firstSequence: 3 }),
    { applied: false, sequence: 2 },
    'a later batch does not settle early',
  );
  t.equal(await eventCount(sql), 1);
  t.same(await booksOf(sql), [1000, 900, 100, 0]);
  t.equal(await readJournalPosition(sql, 0), 1);
});

t.test('of two senders of the same batch one applies it', async (t) => {
  const { sql, url } = await ledgerFor(t);
  const other = openSettleConnection(url);
  t.teardown(() => other.end());
  const batch = { partition: 0, firstSequence: 1, ...writeRecords([authorization]) };
  const results = await Promise.all([settle(sql, batch), settle(other, batch)]);
  t.same(results.map((result) => result.applied).sort(), [false, true]);
  t.same(await booksOf(sql), [1000, 900, 100, 0]);
});

t.test('a statement of a lower epoch, or of another holder of the same epoch, settles nothing', async (t) => {
  const { sql } = await ledgerFor(t);
  const [ours, theirs] = [randomUUID(), randomUUID()];
  const batch = { partition: 0, firstSequence: 1, ...writeRecords([authorization]) };
  const refused = { code: 'WRITER_FENCED' };
  await t.rejects(settle(sql, batch, { scope: 'ledger', epoch: 4, holder: ours }), refused, 'the epoch is not known');
  await sql`insert into writer_epochs (scope, epoch, holder) values ('ledger', 4, ${theirs})`;
  await t.rejects(settle(sql, batch, { scope: 'ledger', epoch: 3, holder: theirs }), refused);
  await t.rejects(settle(sql, batch, { scope: 'ledger', epoch: 4, holder: ours }), refused);
  t.same([await eventCount(sql), await readJournalPosition(sql, 0)], [0, 0]);
  t.same(await settle(sql, batch, { scope: 'ledger', epoch: 4, holder: theirs }), { applied: true, sequence: 1 });
});

t.test('a fence of one partition, or of the ledger, is none of another partition', async (t) => {
  const { sql } = await ledgerFor(t);
  const holder = randomUUID();
  const batch = { partition: 0, firstSequence: 1, ...writeRecords([authorization]) };
  await sql`insert into writer_epochs (scope, epoch, holder) values ('partition 0', 1, ${holder})`;
  for (const scope of ['ledger', 'partition 1']) {
    await t.rejects(settle(sql, batch, { scope, epoch: 1, holder }), { code: 'WRITER_FENCED' }, scope);
  }
  t.same(await settle(sql, batch, { scope: 'partition 0', epoch: 1, holder }), { applied: true, sequence: 1 });
});

t.test('a take-over waits for a running statement, and a waiting statement fails after the take-over', async (t) => {
  const { sql, url } = await ledgerFor(t);
  const [other, watch] = [openSettleConnection(url), openSettleConnection(url)];
  t.teardown(() => Promise.all([other.end(), watch.end()]));
  const fence = { scope: 'ledger', epoch: 1, holder: randomUUID() };
  await sql`insert into writer_epochs (scope, epoch, holder) values ('ledger', 1, ${fence.holder})`;
  const waits = (statement: string) =>
    until(`${statement} waits`, async () => {
      const rows = await watch`select 1 from pg_stat_activity where datname = current_database()
        and wait_event_type = 'Lock' and query like ${`%${statement}%`}`;
      return rows.length === 1;
    });
  const batch = (firstSequence: number, id: string) => ({
    ...{ partition: 0, firstSequence },
    ...writeRecords([{ ...authorization, id }]),
  });
  const locker = openSettleConnection(url);
  t.teardown(() => locker.end());
  const started = await locker.begin(async (account) => {
    await account`select from accounts where id = 1 for update`;
    const settling = settle(sql, batch(1, 'a'), fence);
    await waits('select settle(');
    const takingOver = other`update writer_epochs set epoch = 2`.then(() => 'taken over');
    await waits('update writer_epochs');
    return [settling, takingOver];
  });
  t.same(await Promise.all(started), [{ applied: true, sequence: 1 }, 'taken over']);
  const behind = await locker.begin(async (successor) => {
    await successor`update writer_epochs set epoch = 3`;
    const settling = settle(sql, batch(2, 'b'), { ...fence, epoch: 2 }).catch((error: Error) => error.name);
    await waits('select settle(');
    return [settling];
  });
  t.same(await Promise.all(behind), ['WriterFencedError']);
  t.equal(await eventCount(sql), 1);
});

t.test('a partition without a position settles nothing', async (t) => {
  const { sql } = await ledgerFor(t);
  const batch = { partition: 7, firstSequence: 1, ...writeRecords([authorization]) };
  await t.rejects(settle(sql, batch), /partition 7 has no journal position/);
  await t.rejects(readJournalPosition(sql, 7), /no journal position/);
});

t.test('each message type settles its transaction and its account', async (t) => {
  const cases: {
    name: string;
    records: RecordSketch[];
    transaction: Record<string, unknown>;
    books: number[];
  }[] = [
    {
      name: 'an authorization holds',
      records: [authorization],
      transaction: {
        status: 1,
        type: 1,
        amount: 100,
        approved_amount: 100,
        held_amount: 100,
        newest_spend_amount: 100,
      },
      books: [1000, 900, 100, 0],
    },
    {
      name: 'a declined authorization holds nothing',
      records: [{ id: 'a', amount: 100, approved: false }],
      transaction: { status: 5, reason: 3, amount: 100, approved_amount: 0, held_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'a card that was not found leaves a declined row without an owner',
      records: [{ id: 'a', amount: 5, approved: false, reason: Reason.cardNotFound, account: 0, card: 0, user: 0 }],
      transaction: { status: 5, reason: 5 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'an increment adds to what is held and asked',
      records: [authorization, increment],
      transaction: { status: 1, amount: 150, approved_amount: 150, held_amount: 150, newest_spend_amount: 150 },
      books: [1000, 850, 150, 0],
    },
    {
      name: 'an increment on a later day is the newest part',
      records: [authorization, { ...increment, day: day + 1 }],
      transaction: { newest_spend_day: day + 1, newest_spend_amount: 50, held_amount: 150 },
      books: [1000, 850, 150, 0],
    },
    {
      name: 'a declined increment is an event only',
      records: [authorization, { ...increment, amount: 5000, held: 0, spend: 0, approved: false, status: none }],
      transaction: { status: 1, reason: 0, held_amount: 100 },
      books: [1000, 900, 100, 0],
    },
    {
      name: 'a part of the hold is released',
      records: [authorization, { ...released, status: open, amount: 40, held: -40, spend: -40 }],
      transaction: { status: 1, held_amount: 60, newest_spend_amount: 60, approved_amount: 100 },
      books: [1000, 940, 60, 0],
    },
    {
      name: 'all of it is released',
      records: [authorization, { ...released, held: -100, spend: -100, spendCount: -1 }],
      transaction: { status: 3, held_amount: 0, newest_spend_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'a part is cleared, the rest stays held and the newest part is never more than that',
      records: [authorization, { ...cleared, status: open, amount: 30, held: -30, posted: 30 }],
      transaction: { status: 1, held_amount: 70, posted_amount: 30, newest_spend_amount: 70 },
      books: [1000, 900, 70, 30],
    },
    {
      name: 'the last clearing completes',
      records: [authorization, { ...cleared, amount: 80, held: -100, posted: 80, spend: -20 }],
      transaction: { status: 2, held_amount: 0, posted_amount: 80, forced: false },
      books: [1000, 920, 0, 80],
    },
    {
      name: 'a clearing without an authorization is a forced transaction',
      records: [
        {
          ...{ id: 'a', type: clearing, status: completed, detail: detailForcePost },
          ...{ amount: 70, posted: 70, spend: 70, spendCount: 1 },
        },
      ],
      transaction: { status: 2, type: 4, posted_amount: 70, forced: true, newest_spend_amount: 0 },
      books: [1000, 930, 0, 70],
    },
    {
      name: 'a refund of a cleared purchase',
      records: [
        authorization,
        { ...cleared, amount: 100, held: -100, posted: 100 },
        { id: 'f', root: 'a', type: refund, status: completed, amount: 30, posted: -30 },
      ],
      transaction: { status: 2, posted_amount: 70, refunded_amount: 30 },
      books: [1000, 930, 0, 70],
    },
    {
      name: 'a refund that stands alone',
      records: [{ id: 'a', type: refund, status: completed, amount: 30, posted: -30 }],
      transaction: { status: 2, type: 5, posted_amount: -30, refunded_amount: 30 },
      books: [1000, 1030, 0, -30],
    },
    {
      name: 'a hold that lapses',
      records: [authorization, { id: 'x', root: 'a', type: expiry, status: expired, amount: 100, held: -100 }],
      transaction: { status: 4, held_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'an approval that came too late is declined in the end',
      records: [
        authorization,
        {
          ...{ ...revoked, id: 'a', status: declined, opensTransaction: false },
          ...{ amount: 100, held: -100, spend: -100, spendCount: -1 },
        },
      ],
      transaction: { status: 5, type: 1, reason: 4, amount: 100, approved_amount: 0, held_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'an increment that came too late is revoked',
      records: [
        authorization,
        increment,
        { ...revoked, id: 'i', root: 'a', status: open, amount: 50, held: -50, spend: -50 },
      ],
      transaction: { status: 1, reason: 0, amount: 100, approved_amount: 100, held_amount: 100 },
      books: [1000, 900, 100, 0],
    },
    {
      name: 'a reversal that overtook its authorization shows as reversed',
      records: [{ ...tombstoneOf('a', 'r'), amount: 100 }],
      transaction: { status: 3, type: 3, amount: 0, approved_amount: 0, held_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'its authorization is declined when it arrives, and stays so after another reversal',
      records: [
        tombstoneOf('a', 'r'),
        { id: 'a', amount: 100, approved: false, reason: Reason.originalClosed },
        { id: 'r2', root: 'a', original: 'a', type: reversal, status: tombstone },
      ],
      transaction: { status: 5, reason: 15, amount: 100, approved_amount: 0, held_amount: 0 },
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'a deposit is an event only, of an account without a card',
      records: [command({ id: '\u0001ledger:d', amount: 500, funds: 500 })],
      transaction: {},
      books: [1500, 1500, 0, 0],
    },
    {
      name: 'a withdrawal takes from what is available, a refused one moves nothing',
      records: [
        authorization,
        command({ id: '\u0001ledger:w', type: MessageType.withdrawal, amount: 300, funds: -300 }),
        command({ id: '\u0001ledger:n', type: MessageType.withdrawal, amount: 900, approved: false }),
      ],
      transaction: { status: 1, held_amount: 100 },
      books: [700, 600, 100, 0],
    },
    {
      name: 'a deposit with the id of an authorization leaves its transaction alone',
      records: [authorization, command({ id: '\u0001ledger:a', amount: 5, funds: 5 })],
      transaction: { status: 1, type: 1, amount: 100, held_amount: 100 },
      books: [1005, 905, 100, 0],
    },
    {
      name: 'a balance inquiry is an event only',
      records: [{ id: 'q', type: MessageType.balanceInquiry, status: none, opensTransaction: false }],
      transaction: {},
      books: [1000, 1000, 0, 0],
    },
  ];
  // One database for all cases, emptied in between: making one takes longer than a case.
  const { sql } = await ledgerFor(t);
  for (const { name, records, transaction: expected, books: expectedBooks } of cases) {
    t.test(name, async (t) => {
      await empty(sql);
      await settleAll(sql, records);
      const row = await transaction(sql, 'a');
      t.match(row, expected, 'the database has the expected rows after one statement');
      t.same(Object.keys(row).length > 0, Object.keys(expected).length > 0);
      t.same(await booksOf(sql), expectedBooks);
      t.equal(await eventCount(sql), records.length);

      await empty(sql);
      for (const [index, record] of records.entries()) await settleAll(sql, [record], index + 1);
      t.same(await transaction(sql, 'a'), row, 'one statement has the same result as one statement for each message');
      t.same(await booksOf(sql), expectedBooks);
    });
  }
});

/** Every way to cut a list into stretches. */
function cuts<T>(list: readonly T[]): (readonly T[])[][] {
  if (list.length === 0) return [[]];
  return list.flatMap((_, index) => cuts(list.slice(index + 1)).map((rest) => [list.slice(0, index + 1), ...rest]));
}

/** Rows of an id: the one that what follows the id belongs to comes first. */
async function occurrences(sql: postgres.Sql, id: string): Promise<(number | null)[][]> {
  const rows = await sql<Record<string, string | null>[]>`
    select partition, account_id, type, status, held_amount, posted_amount from transactions where id = ${id}
    order by partition, occurrence <> 0, created_at`;
  return rows.map((row) => Object.values(row).map((value) => (value === null ? null : Number(value))));
}

t.test('an id that is opened again gets a row of its own and changes no other row', async (t) => {
  const refusal: RecordSketch = { id: 'a', amount: 5000, approved: false };
  const unknownCard = { ...refusal, reason: Reason.cardNotFound, account: 0, card: 0, user: 0 };
  const hold = { ...authorization, amount: 70, held: 70, spend: 70 };
  const clear = { ...cleared, amount: 70, held: -70, posted: 70 };
  const cases: { name: string; records: RecordSketch[]; rows: (number | null)[][]; books: number[] }[] = [
    {
      name: 'declined, and approved when it is asked again: what follows belongs to the approval',
      records: [refusal, hold, clear],
      rows: [
        [0, 1, auth, completed, 0, 70],
        [0, 1, auth, declined, 0, 0],
      ],
      books: [1000, 930, 0, 70],
    },
    {
      name: 'approved, and declined when it is asked again: what follows belongs to the approval',
      records: [hold, refusal, clear],
      rows: [
        [0, 1, auth, completed, 0, 70],
        [0, 1, auth, declined, 0, 0],
      ],
      books: [1000, 930, 0, 70],
    },
    {
      name: 'approved, and declined with a card that is unknown: what follows belongs to the approval',
      records: [hold, unknownCard, clear],
      rows: [
        [0, 1, auth, completed, 0, 70],
        [0, null, auth, declined, 0, 0],
      ],
      books: [1000, 930, 0, 70],
    },
    {
      name: 'approved, declined with a card that is unknown, and revoked for the first: the approval is revoked',
      records: [
        hold,
        unknownCard,
        { ...hold, type: MessageType.revocation, status: declined, held: -70, spend: -70, opensTransaction: false },
      ],
      rows: [
        [0, 1, auth, declined, 0, 0],
        [0, null, auth, declined, 0, 0],
      ],
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'approved twice: what follows belongs to the newer one, and the older hold lapses under its own name',
      records: [
        { ...hold, amount: 30, held: 30, spend: 30 },
        { ...hold, account: 2, card: 2, user: 2 },
        { ...cleared, held: -70, posted: 70, account: 2 },
        { id: '', root: '\u0002-2:a', type: expiry, status: expired, held: -30 },
      ],
      rows: [
        [0, 2, auth, completed, 0, 70],
        [0, 1, auth, expired, 0, 0],
      ],
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'declined three times, each a row',
      records: [refusal, { ...refusal, account: 2 }, { ...refusal, account: 3 }],
      rows: [
        [0, 3, auth, declined, 0, 0],
        [0, 1, auth, declined, 0, 0],
        [0, 2, auth, declined, 0, 0],
      ],
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'a reversal of an authorization whose card was unknown then leaves a tombstone beside it',
      records: [unknownCard, tombstoneOf('a', 'r'), { ...refusal, reason: Reason.originalClosed }],
      rows: [
        [0, 1, reversal, reversed, 0, 0],
        [0, null, auth, declined, 0, 0],
        [0, 1, auth, declined, 0, 0],
      ],
      books: [1000, 1000, 0, 0],
    },
    {
      name: 'a forgotten tombstone gives its id to an authorization',
      records: [tombstoneOf('a', 'r'), hold],
      rows: [
        [0, 1, auth, open, 70, 0],
        [0, 1, reversal, reversed, 0, 0],
      ],
      books: [1000, 930, 70, 0],
    },
    {
      name: 'a clearing that stands alone under the id of an older transaction',
      records: [hold, { id: 'a', type: clearing, status: completed, amount: 20, posted: 20, account: 2 }],
      rows: [
        [0, 2, clearing, completed, 0, 20],
        [0, 1, auth, open, 70, 0],
      ],
      books: [1000, 930, 70, 0],
    },
  ];
  const { sql } = await ledgerFor(t);
  for (const { name, records, rows, books: expectedBooks } of cases) {
    t.test(name, async (t) => {
      const timed = records.map((record, index) => ({ ...record, atMs: 1_750_000_000_000 + index }));
      for (const stretches of cuts(timed)) {
        await empty(sql);
        let from = 1;
        for (const stretch of stretches) {
          await settleAll(sql, stretch, from);
          from += stretch.length;
        }
        const how = `in stretches of ${stretches.map(({ length }) => length).join(', ')}`;
        t.same(await occurrences(sql, 'a'), rows, how);
        t.same(await booksOf(sql), expectedBooks, how);
        t.same((await auditBooks(sql)).findings, [], how);
      }
    });
  }
});

t.test('two partitions with the same id write rows of their own', async (t) => {
  const { sql } = await ledgerFor(t);
  await sql`insert into journal_positions (partition, partition_count) values (1, 2)`;
  const settleIn = (partition: number, sketches: readonly RecordSketch[], firstSequence = 1) =>
    settle(sql, { partition, firstSequence, ...writeRecords(sketches) });
  await settleIn(0, [tombstoneOf('a', 'r')]);
  await settleIn(1, [{ ...authorization, account: 2, card: 2, user: 2 }]);
  await settleIn(0, [{ id: 'a', amount: 5, approved: false, reason: Reason.originalClosed }], 2);
  await settleIn(1, [{ id: 'x', root: 'a', type: clearing, status: completed, held: -100, posted: 80, account: 2 }], 2);
  t.same(await occurrences(sql, 'a'), [
    [0, 1, reversal, reversed, 0, 0],
    [0, 1, auth, declined, 0, 0],
    [1, 2, auth, completed, 0, 80],
  ]);
  t.same((await auditBooks(sql)).findings, []);
  await t.rejects(sql`update transactions set account_id = 3 where partition = 1`, /cannot become one of account/);
});

t.test('a transaction keeps its owner, its merchant and its times', async (t) => {
  const { sql } = await ledgerFor(t);
  const merchantName = 'Caf\u00e9 "O\'Neil\\", {NULL}, \u{1f355}\u0000';
  await settleAll(sql, [
    {
      ...authorization,
      account: 2,
      card: 3,
      user: 1,
      merchantName,
      merchantId: 'NULL',
      mcc: 65_535,
      atMs: 1_750_000_000_123,
      expiresAtMs: 1_751_000_000_000,
    },
    { ...increment, amount: 1, held: 1, spend: 0, account: 2, atMs: 1_750_000_001_456, expiresAtMs: 1 },
  ]);
  const [row] = await sql`select * from transactions`;
  t.match(row, {
    account_id: '2',
    card_id: '3',
    user_id: '1',
    partition: 0,
    currency: 'USD',
    country: 'US',
    merchant_id: 'NULL',
    merchant_name: merchantName.replace('\0', '\ufffd'),
    mcc: null,
    channel: 1,
    created_at: new Date(1_750_000_000_123),
    updated_at: new Date(1_750_000_001_456),
    expires_at: new Date(1_751_000_000_000),
  });
  const [hold] = await sql`select * from holds`;
  t.match(hold, { id: 'a', held_amount: '101' });
});

t.test('an event keeps the record byte by byte, and the history of a transaction is found', async (t) => {
  const { sql } = await ledgerFor(t);
  const sketches: RecordSketch[] = [
    authorization,
    { id: 'other', amount: 1, held: 1, account: 2 },
    { ...cleared, amount: 100, held: -100, posted: 100 },
  ];
  const { source, offsets } = writeRecords(sketches);
  // Framing between the records, as in a journal segment.
  const framed = Buffer.alloc(source.length + 100, 0xff);
  const framedOffsets = offsets.map((offset, index) => offset + 20 * (index + 1));
  for (const [index, offset] of offsets.entries()) {
    framed.set(source.subarray(offset, offsets[index + 1] ?? source.length), framedOffsets[index]!);
  }
  await settle(sql, { partition: 0, firstSequence: 1, source: framed, offsets: framedOffsets });
  const events = await sql<{ record: Uint8Array; request_id: string }[]>`
    select record, request_id from transaction_events order by sequence`;
  for (const [index, event] of events.entries()) {
    t.same(
      Buffer.from(event.record),
      Buffer.from(source.subarray(offsets[index]!, offsets[index + 1] ?? source.length)),
    );
  }
  const history = await sql<{ request_id: string }[]>`select request_id from transaction_history(0, 'a')`;
  t.same(
    history.map((event) => event.request_id),
    ['a', 'c'],
  );
  const [sums] = await sql`
    select count(*)::integer as postings, max(total)::integer as most, min(total)::integer as least
    from (select sum(amount) as total from postings group by source, partition, sequence) as posting`;
  t.same({ ...sums }, { postings: 6, most: 0, least: 0 }, 'the postings of each event sum to zero');
});

t.test('the postings of a command sum to zero, and its only event belongs to the account alone', async (t) => {
  const { sql } = await ledgerFor(t);
  const id = '\u0001ledger:d-1';
  await settleAll(sql, [command({ id, amount: 500, funds: 500 })]);
  const [event] = await sql`select * from transaction_events`;
  t.match(event, {
    ...{ request_id: id, transaction_id: id, type: 11, approved: true, amount: '500', approved_amount: '500' },
    ...{ account_id: '1', card_id: null, user_id: null, funds_delta: '500' },
    ...{ available_delta: '500', held_delta: '0', posted_delta: '0', external_delta: '-500' },
  });
  const legs = await sql`select ledger, amount from postings where source = 'event' order by ledger`;
  t.same(
    legs.map((leg) => ({ ...leg })),
    [
      { ledger: 'available', amount: '500' },
      { ledger: 'external', amount: '-500' },
    ],
  );
  t.equal((await sql`select 1 from transaction_history(0, ${id})`).length, 1);
  t.equal((await sql`select 1 from transactions`).length, 0);
  t.equal((await sql`select 1 from spend_windows`).length, 0);
  t.same((await auditBooks(sql)).findings, []);
  await t.rejects(settleAll(sql, [command({ id: 'x', account: 99, amount: 1, funds: 1 })], 2), /1 of 1 accounts/);
});

t.test('a batch with an impossible record is refused whole, and the error names the record', async (t) => {
  const { sql } = await ledgerFor(t);
  await t.rejects(
    settleAll(sql, [authorization, { ...authorization, id: 'b', account: 99 }]),
    /sequences 1 to 2: 1 of 2 accounts/,
  );
  const orphan: RecordSketch = { id: 'c', root: 'missing', type: clearing, posted: 1 };
  await t.rejects(settleAll(sql, [authorization, orphan]), /never opened: missing/);
  t.equal(await eventCount(sql), 0);
  t.equal(await readJournalPosition(sql, 0), 0);
  t.same(await booksOf(sql), [1000, 1000, 0, 0]);
});

t.test('a statement whose connection is killed changes nothing, and the next attempt settles the batch', async (t) => {
  const { sql, url } = await ledgerFor(t);
  const observer = openSettleConnection(url);
  const blocker = openSettleConnection(url);
  t.teardown(() => Promise.all([observer.end(), blocker.end()]));
  // The events are in by the time settle() reaches the account, which another session has locked.
  await blocker.unsafe('begin').simple();
  await blocker.unsafe('select 1 from accounts where id = 1 for update').simple();
  const [backend] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const settling = settleAll(sql, [authorization, { ...authorization, id: 'b', account: 2 }]);
  const rejected = t.rejects(settling, 'the caller learns that the outcome is unknown');
  for (;;) {
    const waiting = await observer`
      select 1 from pg_stat_activity where pid = ${backend!.pid} and wait_event_type = 'Lock'`;
    if (waiting.length > 0) break;
  }
  await observer`select pg_terminate_backend(${backend!.pid})`;
  await rejected;
  await blocker.unsafe('rollback').simple();
  // postgres.js 3.4.9 answers the first query of the next connection with the error that ended the last one.
  const position = await readJournalPosition(sql, 0).catch(() => readJournalPosition(sql, 0));
  t.equal(position, 0, 'the position did not move');
  t.equal(await eventCount(sql), 0);
  t.same(await booksOf(sql, 2), [1000, 1000, 0, 0]);
  t.equal(await settleAll(sql, [authorization, { ...authorization, id: 'b', account: 2 }]), 2);
  t.same(await booksOf(sql, 1), [1000, 900, 100, 0]);
  t.same(await booksOf(sql, 2), [1000, 900, 100, 0]);
});

t.test('on a new database a follow-up is settled by its key, however many transactions came since', async (t) => {
  const { sql } = await ledgerFor(t);
  // Plans are made now, while there is no transaction.
  await settleAll(sql, [authorization]);
  await settleAll(sql, [cleared], 2);
  await sql`
    insert into transactions (id, account_id, amount, approved_amount, held_amount, posted_amount, refunded_amount,
      newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type, status, reason, detail,
      channel, forced)
    select 'other-' || n, 1, 0, 0, 0, 0, 0, 0, now(), now(), 0, 0, 0, 1, 1, 0, 0, 0, false
    from generate_series(1, 3000) n`;
  const read = async (): Promise<number> => {
    await sql`select pg_stat_force_next_flush()`;
    const [row] = await sql<{ read: number }[]>`
      select sum(idx_tup_read)::integer as read from pg_stat_user_indexes where relname = 'transactions'`;
    return row!.read;
  };
  await settleAll(sql, [{ ...authorization, id: 'b' }], 3);
  const before = await read();
  await settleAll(sql, [{ ...cleared, id: 'd', root: 'b', original: 'b' }], 4);
  t.ok((await read()) - before < 100, 'and not by a look at all of them');
});
