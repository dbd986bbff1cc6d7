/**
 * How fast settling is: journal records per second into a real Postgres. A control of the same run inserts the same
 * bytes into a bare table, so that the number means something on any machine.
 *
 *   node dist/bench/micro/settle.js [records] [batch] [accounts]
 *
 * Half of the messages are authorizations, half their clearings, spread evenly over the accounts: nearly every row of a
 * batch is another account, which is the expensive case.
 */

import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { openSettleConnection, settle, settleRecordsMax } from '../../workers/settle/settle.js';
import { SettleFold } from '../../workers/settle/settle-fold.js';
import { openFirstPosition } from '../../workers/testing/open-position.js';
import { type RecordSketch, writeRecords } from '../../workers/testing/record-writer.js';

const records = Number(process.argv[2] ?? 200_000);
const batchSize = Math.min(Number(process.argv[3] ?? settleRecordsMax), settleRecordsMax);
const accountCount = Number(process.argv[4] ?? 10_000);

const database = await createTestDatabase({ durable: true });
const sql = openSettleConnection(database.url);
try {
  await sql.unsafe(`
    insert into users (public_id, email, name, kind)
      select 'u' || n, 'u' || n || '@example.com', 'n', 'personal' from generate_series(1, ${accountCount}) n
      order by n;
    insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'a' || n, 'personal', n, n * 2, 'USD', 1000000000, 1000000000 from generate_series(1, ${accountCount}) n
      order by n;
    create table control (sequence bigint primary key, record bytea not null)`);
  await openFirstPosition(sql);
  let foldMs = 0;
  let settleMs = 0;
  let controlMs = 0;
  let sequence = 1;
  for (let done = 0; done < records; done += batchSize) {
    const { source, offsets } = writeRecords(sketches(done, Math.min(batchSize, records - done)));
    let startedMs = performance.now();
    const fold = new SettleFold(source, 1);
    for (const offset of offsets) fold.add(offset);
    fold.columns();
    foldMs += performance.now() - startedMs;

    startedMs = performance.now();
    const result = await settle(sql, { partition: 0, firstSequence: sequence, source, offsets });
    settleMs += performance.now() - startedMs;
    if (!result.applied) throw new Error('not applied');

    startedMs = performance.now();
    const ends = [...offsets.slice(1), source.length];
    await sql`
      insert into control select ${sequence}::bigint + n - 1, substring(${source}::bytea from o + 1 for e - o)
      from unnest(${`{${offsets.join()}}`}::text::integer[],
      ${`{${ends.join()}}`}::text::integer[]) with ordinality x (o, e, n)`;
    controlMs += performance.now() - startedMs;
    sequence += offsets.length;
  }
  const perSecond = (ms: number): string => Math.round((records / ms) * 1000).toLocaleString('en-US');
  console.log(`${records} records in batches of ${batchSize}, ${accountCount} accounts`);
  console.log(
    `settle   ${perSecond(settleMs)} records/s (of which folding ${((foldMs / settleMs) * 100).toFixed(0)} %)`,
  );
  console.log(`control  ${perSecond(controlMs)} records/s (the same bytes into a bare table)`);
} finally {
  await sql.end();
  await database.close();
}

function sketches(start: number, count: number): RecordSketch[] {
  const list: RecordSketch[] = [];
  for (let number = start; number < start + count; number++) {
    // The clearing of a message half a batch earlier, so that both cases occur: same stretch, and an earlier one.
    const isClearing = number % 2 === 1;
    const transaction = isClearing ? Math.max(0, number - 1 - Math.floor(batchSize / 4) * 2) : number;
    const account = (transaction % accountCount) + 1;
    const owner = { account, card: account, user: account, day: 20_000 + Math.floor(number / 100_000) };
    const id = `auth-${transaction.toString().padStart(12, '0')}-5f3a`;
    const opened = !isClearing || number - 1 >= Math.floor(batchSize / 4) * 2;
    if (!isClearing)
      list.push({ id, amount: 100, held: 100, spend: 100, spendCount: 1, expiresAtMs: 1.76e12, ...owner });
    else if (!opened)
      list.push({
        id: `inquiry-${number}`,
        type: MessageType.balanceInquiry,
        status: TransactionStatus.none,
        opensTransaction: false,
        ...owner,
      });
    else {
      const clearing = {
        type: MessageType.clearing,
        status: TransactionStatus.completed,
        amount: 100,
        held: -100,
        posted: 100,
      };
      list.push({
        id: `clear-${number.toString().padStart(12, '0')}-5f3a`,
        root: id,
        original: id,
        ...clearing,
        ...owner,
      });
    }
  }
  return list;
}
