/** Purchases of cards that are not virtual, settled on a real Postgres with the journal's position. */
import type postgres from 'postgres';
import t from 'tap';
import { type CardUse, usedAgain } from '../../engine/core/card-types.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { Reason } from '../../engine/core/reasons.js';
import { Random } from '../../engine/testing/generator.js';
import { ledgerFor } from '../testing/ledger-for.js';
import { type RecordSketch, writeRecords } from '../testing/record-writer.js';
import { settleAround } from './quarantine.js';
import { settle } from './settle.js';

async function usesOf(sql: postgres.Sql): Promise<Record<string, CardUse>> {
  const rows = await sql<{ card: string; count: number; merchant: string }[]>`
    select card_id as card, uses as count, merchant_id as merchant from card_uses order by card_id`;
  return Object.fromEntries(rows.map(({ card, count, merchant }) => [card, { count, merchant }]));
}

const purchase = (id: string, cardSpend: number, merchantId: string): RecordSketch => ({
  ...{ id, card: cardSpend + 100, cardSpend, merchantId, usesCard: true },
  ...{ amount: 1, held: 1, spend: 1, spendCount: 1 },
});
const revoke = (id: string, cardSpend: number, merchantId: string): RecordSketch => ({
  ...purchase(id, cardSpend, merchantId),
  ...{ type: MessageType.revocation, approved: false, reason: Reason.systemError, status: TransactionStatus.declined },
  ...{ opensTransaction: false, held: -1, spend: -1, spendCount: 0, olderSpendCount: -1 },
});

t.test('any purchases and revocations settle to the same counts and merchants as in memory', async (t) => {
  const { sql } = await ledgerFor(t);
  const random = new Random(11);
  const known = new Map<number, CardUse | null>();
  const open: { id: string; card: number; merchant: string }[] = [];
  let settled = 0;
  for (let stretch = 0; stretch < 30; stretch++) {
    const sketches: RecordSketch[] = [];
    for (let index = 0; index < 12; index++) {
      const undone = random.chance(0.45) ? open.splice(random.below(open.length), 1)[0] : undefined;
      const card = undone?.card ?? 1 + random.below(3);
      const merchant = undone?.merchant ?? random.pick(['', 'm-1', 'm-2']);
      const id = undone?.id ?? `a${stretch}-${index}`;
      known.set(card, usedAgain(known.get(card) ?? null, undone === undefined ? 1 : -1, merchant));
      if (undone === undefined) open.push({ id, card, merchant });
      sketches.push(undone === undefined ? purchase(id, card, merchant) : revoke(id, card, merchant));
    }
    const batch = { partition: 0, firstSequence: settled + 1, ...writeRecords(sketches) };
    t.ok((await settle(sql, batch)).applied);
    t.notOk((await settle(sql, batch)).applied, 'settling the same records again counts nothing');
    settled += sketches.length;
    const expected = Object.fromEntries([...known].filter(([, use]) => use !== null).sort(([a], [b]) => a - b));
    t.same(await usesOf(sql), expected, `both agree after batch ${stretch}`);
  }
  const [windows] = await sql`select count(*)::int as count from spend_windows where level = 0 and entity_id > 100`;
  t.equal(windows!['count'], 0, 'a replacement spends in the windows of the card that it replaced');
  const [event] = await sql`select card_id from transaction_events order by sequence limit 1`;
  t.ok(Number(event!['card_id']) > 100, 'the replacement has its own transactions');
});

t.test('a purchase whose record is quarantined still uses the card', async (t) => {
  const { sql } = await ledgerFor(t);
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const apart: string[] = [];
  const records = [purchase('a', 1, 'm-1'), { ...purchase('b', 2, 'm-2'), merchantName: 'poison' }];
  const batch = { partition: 0, firstSequence: 1, ...writeRecords(records) };
  const { applied } = await settleAround(sql, batch, ({ id }) => apart.push(id));
  t.ok(applied);
  t.same(apart, ['b']);
  t.same(await usesOf(sql), { 1: { count: 1, merchant: 'm-1' }, 2: { count: 1, merchant: 'm-2' } });
  const [row] = await sql`select chain_state ->> 'cardSpend' as card from quarantined_records`;
  t.equal(row!['card'], '2');
});
