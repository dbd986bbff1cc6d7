/**
 * A hold whose lifetime ends is released by a journaled record: seen in the books, in Postgres, and after a restart.
 */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, until } from '../testing/engine-process.js';

t.test('a hold lapses, settles as expired and stays so after a restart, while lodging holds live on', async (t) => {
  // A tenth of a second for most merchants, a day for lodging and car rental.
  const changes = { HOLD_DAYS: String(0.1 / 86_400), HOLD_DAYS_LONG: '1' };
  const engine = await startTestEngine(t, { accounts: 1, changes });
  const ask = async (id: string, amount: number, mcc: string) => {
    const message = { id, type: 'authorization', card: 'card_000001_1', amount, currency: 'USD', merchant: { mcc } };
    return answerOf(await engine.client.native(message));
  };
  const before = await engineBooks(engine.place, 'acct_000001');
  t.ok((await ask('grocer', 700, '5411')).approved);
  t.ok((await ask('hotel', 40, '7011')).approved);
  const lapsed = { ...before, available: before.available - 40, held: 40 };
  await until('the hold has lapsed', async () => (await engineBooks(engine.place, 'acct_000001')).held === 40);
  t.same(await engineBooks(engine.place, 'acct_000001'), lapsed);
  const settled = async () => {
    const rows = await engine.sql<{ id: string; status: number; held: number }[]>`
      select id, status, held_amount::int as held from transactions order by id`;
    return JSON.stringify([...rows]);
  };
  // 4 expired, 1 pending (TransactionStatus).
  const expected = JSON.stringify([
    { id: 'grocer', status: 4, held: 0 },
    { id: 'hotel', status: 1, held: 40 },
  ]);
  await until('Postgres has it', async () => (await settled()) === expected);
  await engine.restart();
  t.same(await engineBooks(engine.place, 'acct_000001'), lapsed);
  t.ok((await ask('grocer', 700, '5411')).approved, 'the lapsed authorization keeps its first answer');
});

t.test('thousands of holds that lapse at once end in pages, and transactions without a hold close too', async (t) => {
  const changes = { HOLD_DAYS: String(6 / 86_400) };
  const engine = await startTestEngine(t, { accounts: 1, changes });
  const card = 'card_000001_1';
  const count = 1250;
  for (let from = 0; from < count; from += 50) {
    const asked = Array.from({ length: 50 }, async (_, index) => {
      const message = { id: `hold-${from + index}`, type: 'authorization', card, amount: 2, currency: 'USD' };
      t.ok(answerOf(await engine.client.native(message)).approved);
    });
    await Promise.all(asked);
  }
  for (const final of [false, true]) {
    const original = `hold-${final ? 1 : 0}`;
    const message = { id: `clear-${original}`, type: 'clearing', card, amount: 2, currency: 'USD', original, final };
    t.ok(answerOf(await engine.client.native(message)).approved);
  }
  await until('all have lapsed', async () => (await engineBooks(engine.place, 'acct_000001')).held === 0, 60_000);
  const settled = async () => {
    const rows = await engine.sql<{ status: number; count: number }[]>`
      select status, count(*)::int as count from transactions group by status order by status`;
    return JSON.stringify([...rows]);
  };
  // 2 completed, 4 expired; none is pending.
  const expected = JSON.stringify([
    { status: 2, count: 2 },
    { status: 4, count: count - 2 },
  ]);
  await until('Postgres has it', async () => (await settled()) === expected, 60_000);
});
