/** A hold whose lifetime ends is released by a journaled record: seen in the books, in Postgres, and after a restart. */
import t from 'tap';
import { answerOf } from './testing/client.js';
import { startTestEngine } from './testing/engine-inside.js';
import { engineBooks, until } from './testing/engine-process.js';

t.test('a hold lapses, is settled as expired, and stays so after a restart; lodging holds live on', async (t) => {
  // A tenth of a second for most merchants, a day for lodging and car rental.
  const changes = { HOLD_DAYS: String(0.1 / 86_400), HOLD_DAYS_LONG: '1', DEADLINE_MS: '2000' };
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
  // 4 expired, 1 pending (ChainStatus).
  const expected = JSON.stringify([
    { id: 'grocer', status: 4, held: 0 },
    { id: 'hotel', status: 1, held: 40 },
  ]);
  await until('Postgres has it', async () => (await settled()) === expected);
  await engine.restart();
  t.same(await engineBooks(engine.place, 'acct_000001'), lapsed);
  t.ok((await ask('grocer', 700, '5411')).approved, 'the question keeps its first answer');
});
