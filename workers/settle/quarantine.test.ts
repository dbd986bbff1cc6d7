/**
 * Records that Postgres refuses are set apart, everything else settles, and they are settled once they are accepted.
 */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import type { Quarantined } from '../../engine/exchange/shipper-messages.js';
import { booksOf, ledgerFor } from '../testing/ledger-for.js';
import { type RecordSketch, writeRecords } from '../testing/record-writer.js';
import { quarantined, retryQuarantined, settleAround } from './quarantine.js';
import { readJournalPosition } from './settle.js';

interface Ledger {
  readonly sql: postgres.Sql;
  readonly apart: Quarantined[];
  readonly settle: (sketches: readonly RecordSketch[], firstSequence?: number) => Promise<number>;
}

async function ledger(test: Test): Promise<Ledger> {
  const { sql } = await ledgerFor(test);
  const apart: Quarantined[] = [];
  return {
    sql,
    apart,
    async settle(sketches, firstSequence = 1) {
      const batch = { partition: 0, firstSequence, ...writeRecords(sketches) };
      const result = await settleAround(sql, batch, (record) => apart.push(record));
      if (!result.applied) throw new Error('not applied');
      return result.sequence;
    },
  };
}

const auth = (id: string, held: number, more: RecordSketch | object = {}): RecordSketch => ({
  id,
  amount: held,
  held,
  spend: held,
  spendCount: 1,
  ...more,
});
const clearing = (id: string, root: string, amount: number): RecordSketch => ({
  id,
  root,
  original: root,
  type: MessageType.clearing,
  status: TransactionStatus.completed,
  amount,
  held: -amount,
  posted: amount,
});
const poison = { merchantName: 'poison' };

t.test('a refused record is quarantined with its followers, and every other record settles', async (t) => {
  const { sql, apart, settle } = await ledger(t);
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const records: RecordSketch[] = [];
  for (let index = 0; index < 60; index++) records.push(auth(`a${index}`, 1, { account: 2, card: 2, user: 2 }));
  records.splice(17, 0, auth('bad', 100, poison));
  records.splice(40, 0, { ...clearing('bad-clearing', 'bad', 60), status: TransactionStatus.open });
  records.push({ id: 'bad-declined', amount: 5000, approved: false, merchantName: 'poison' });
  t.equal(await settle(records), records.length);
  t.equal(await readJournalPosition(sql, 0), records.length);
  t.same(
    apart.map(({ id, sequence }) => [id, sequence]),
    [
      ['bad', 18],
      ['bad-clearing', 41],
      ['bad-declined', 63],
    ],
  );
  t.match(apart[0], { error: /no_poison/ });
  t.same(await booksOf(sql, 1), [1000, 900, 40, 60], 'the amounts of the quarantined records are kept');
  t.same(await booksOf(sql, 2), [1000, 940, 60, 0]);
  const [windows] = await sql`select lifetime_amount from spend_windows where level = 2 and entity_id = 1`;
  t.equal(Number(windows!['lifetime_amount']), 100);

  const { findings } = await auditBooks(sql);
  t.equal(findings.length, 3, 'an audit names the quarantined records and finds nothing else');
  t.match(findings[0], /record 0\/18 \(bad\) is quarantined: .*no_poison/);

  await t.rejects(retryQuarantined(sql, 0, 41), /an earlier record of the transaction is quarantined/);
  await t.rejects(retryQuarantined(sql, 0, 18), /no_poison/);
  t.equal((await quarantined(sql)).length, 3, 'a refused retry changes nothing');
  await sql`alter table transactions drop constraint no_poison`;
  for (const { partition, sequence } of await quarantined(sql)) {
    t.equal(await retryQuarantined(sql, partition, sequence), true);
    t.equal(await retryQuarantined(sql, partition, sequence), false, 'a record is retried once');
  }
  t.same((await auditBooks(sql)).findings, []);
  const [row] = await sql`select held_amount, posted_amount from transactions where id = 'bad'`;
  t.match(row, { held_amount: '40', posted_amount: '60' });
  t.same(await booksOf(sql, 1), [1000, 900, 40, 60]);
});

t.test('a record is quarantined whichever part of the statement refuses it', async (t) => {
  const cases: { name: string; refuse: string; record: RecordSketch; accept: string; kept: boolean }[] = [
    {
      name: 'its event',
      refuse: "alter table transaction_events add constraint no_bad check (request_id <> 'bad')",
      record: auth('bad', 100),
      accept: 'alter table transaction_events drop constraint no_bad',
      kept: true,
    },
    {
      name: 'its account',
      refuse: 'alter table accounts add constraint no_rest check (id <> 1 or available > 950) not valid',
      record: auth('bad', 100),
      accept: 'alter table accounts drop constraint no_rest',
      kept: false,
    },
    {
      name: 'its windows',
      refuse: 'alter table spend_windows add constraint no_daily check (entity_id <> 1 or daily_amount < 100)',
      record: auth('bad', 100),
      accept: 'alter table spend_windows drop constraint no_daily',
      kept: true,
    },
    {
      name: 'a function raises',
      refuse: `create function no_bad() returns trigger language plpgsql as $$
        begin if new.id = 'bad' then raise exception 'no bad'; end if; return new; end $$;
        create trigger no_bad before insert on transactions for each row execute function no_bad()`,
      record: auth('bad', 100),
      accept: 'drop trigger no_bad on transactions',
      kept: true,
    },
    {
      name: 'it follows what was never opened',
      refuse: 'select 1',
      record: { id: 'bad', root: 'nothing', type: MessageType.incremental, amount: 100, held: 100, spend: 100 },
      accept: `insert into transactions (id, account_id, amount, approved_amount, held_amount, posted_amount,
        refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
        status, reason, detail, channel, forced) values ('nothing', 1, 0, 0, 0, 0, 0, 0, now(), now(), 0, 0, 0, 1, 1,
        0, 0, 0, false)`,
      kept: true,
    },
  ];
  for (const { name, refuse, record, accept, kept } of cases) {
    t.test(name, async (t) => {
      const { sql, apart, settle } = await ledger(t);
      await sql.unsafe(refuse);
      await settle([auth('a', 1, { account: 2 }), record, auth('b', 2, { account: 2 })]);
      t.match(apart, [{ sequence: 2, id: 'bad' }]);
      t.same(await booksOf(sql, 2), [1000, 997, 3, 0]);
      t.same(await booksOf(sql, 1), kept ? [1000, 900, 100, 0] : [1000, 1000, 0, 0]);
      t.match((await auditBooks(sql)).findings, [/record 0\/2 \(bad\) is quarantined/]);
      await sql.unsafe(accept);
      t.equal(await retryQuarantined(sql, 0, 2), true);
      t.same((await auditBooks(sql)).findings, []);
      t.same(await booksOf(sql, 1), [1000, 900, 100, 0]);
    });
  }
});

t.test('an unreachable database quarantines no record', async (t) => {
  const { sql, apart, settle } = await ledger(t);
  await sql`alter table transactions rename to elsewhere`;
  await t.rejects(settle([auth('a', 1)]), { code: '42P01' });
  await sql`alter table elsewhere rename to transactions`;
  t.equal(await settle([auth('a', 1)]), 1);
  t.same(apart, []);
});

t.test('sending the batch again quarantines no record twice', async (t) => {
  const { sql, apart, settle } = await ledger(t);
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const records = [auth('a', 1), auth('bad', 100, poison), auth('b', 1)];
  t.equal(await settle(records), 3);
  await t.rejects(settle(records), /not applied/);
  t.equal(apart.length, 1);
  t.same(await booksOf(sql, 1), [1000, 898, 102, 0]);
});
