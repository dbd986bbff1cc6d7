/** What rolling windows count, settled on a real Postgres with the journal's position: as memory has it. */
import type postgres from 'postgres';
import t from 'tap';
import { MessageType } from '../../engine/core/codes.js';
import { cellOf, Rolling, type RollingRow } from '../../engine/core/rolling.js';
import { storedLevel } from '../../engine/core/spend-key.js';
import { Random } from '../../engine/testing/generator.js';
import { ledgerFor } from '../testing/ledger-for.js';
import { type RecordSketch, writeRecords } from '../testing/record-writer.js';
import { settleAround } from './quarantine.js';
import { settle } from './settle.js';

const dayMs = 86_400_000;
const firstMs = Date.UTC(2026, 0, 5, 20);

async function rowOf(sql: postgres.Sql, level: number, entity: number): Promise<RollingRow | null> {
  const [row] = await sql<
    { row: RollingRow | null }[]
  >`select rolling_use(${level}::smallint, ${entity}::bigint) as row`;
  return row!.row;
}

const usedOf = (rolling: Rolling, nowMs: number) =>
  [1, 24, 25, 720, 2160].flatMap((hours) => [
    rolling.used('amount', hours, nowMs),
    rolling.used('count', hours, nowMs),
  ]);

t.test('any spending and giving back settles to what memory counts', async (t) => {
  const { sql } = await ledgerFor(t);
  const random = new Random(23);
  const memory = new Map<number, Rolling>();
  const level = storedLevel(0);
  let [settled, nowMs] = [0, firstMs];
  const spent: { id: string; card: number; day: number; amount: number }[] = [];
  for (let stretch = 0; stretch < 25; stretch++) {
    const sketches: RecordSketch[] = [];
    for (let index = 0; index < 10; index++) {
      nowMs += random.below(random.pick([60_000, 3_600_000, dayMs]));
      const day = Math.floor(nowMs / dayMs);
      const undone = random.chance(0.4) ? spent.splice(random.below(spent.length), 1)[0] : undefined;
      const card = undone?.card ?? 1 + random.below(2);
      const amount = undone?.amount ?? 1 + random.below(500);
      const id = `r${stretch}-${index}`;
      const counted = memory.get(card) ?? new Rolling(day);
      memory.set(card, counted);
      const common = { id, card, atMs: nowMs, amount, rollingLevels: 1 };
      if (undone === undefined) {
        counted.add(day, cellOf(nowMs), amount, 1);
        spent.push({ id, card, day, amount });
        sketches.push({ ...common, held: amount, day, spend: amount, spendCount: 1 });
        continue;
      }
      counted.add(undone.day, cellOf(nowMs), 0 - amount, -1);
      const back = { olderDay: undone.day, olderSpend: 0 - amount, olderSpendCount: -1 };
      sketches.push({ ...common, type: MessageType.reversal, root: undone.id, held: 0 - amount, ...back });
    }
    const batch = { partition: 0, firstSequence: settled + 1, ...writeRecords(sketches) };
    t.ok((await settle(sql, batch)).applied);
    t.notOk((await settle(sql, batch)).applied, 'settling the same records again counts nothing');
    settled += sketches.length;
    for (const [card, counted] of memory) {
      const loaded = new Rolling((await rowOf(sql, level, card))!);
      t.same(usedOf(loaded, nowMs), usedOf(counted, nowMs), `card ${card} after stretch ${stretch}`);
    }
  }
  const [other] = await sql`select count(*)::int as count from rolling_spend where level <> 0`;
  t.equal(other!['count'], 0, 'no other level counts');
});

t.test('a record that is quarantined counts, and what no window counts any more is removed', async (t) => {
  const { sql } = await ledgerFor(t);
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const purchase = (id: string, atMs: number, more: Partial<RecordSketch> = {}): RecordSketch => ({
    ...{ id, card: 7, atMs, amount: 5, held: 5, day: Math.floor(atMs / dayMs), spend: 5, spendCount: 1 },
    ...{ rollingLevels: 0b101, usesCard: true, merchantName: 'shop', ...more },
  });
  const apart: string[] = [];
  const records = [purchase('a', firstMs), purchase('b', firstMs + 1000, { merchantName: 'poison' })];
  await settleAround(sql, { partition: 0, firstSequence: 1, ...writeRecords(records) }, ({ id }) => apart.push(id));
  t.same(apart, ['b']);
  const of = async (level: number, entity: number) => new Rolling((await rowOf(sql, level, entity))!);
  t.equal((await of(0, 7)).used('amount', 1, firstMs), 10);
  t.equal((await of(2, 1)).used('count', 1, firstMs), 2);
  const later = firstMs + 92 * dayMs;
  await settle(sql, { partition: 0, firstSequence: 3, ...writeRecords([purchase('c', later)]) });
  t.equal((await of(0, 7)).used('amount', 2160, later), 5);
  const [left] = await sql`select count(*)::int as count from rolling_spend`;
  t.equal(left!['count'], 2);
});
