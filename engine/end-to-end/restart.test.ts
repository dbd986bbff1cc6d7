/**
 * What Postgres gives back to an engine that starts: tombstones, transactions that later messages follow, spent
 * windows.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { killThread } from '../testing/dying-storage.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until } from '../testing/engine-process.js';

t.test('transactions, tombstones and spent limits continue after a restart', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  await engine.sql`insert into limits (level, entity_id, limits)
    select 0, id, ${engine.sql.json({ daily: { amount: 1000 } })} from cards where token = 'card_000001_2'`;
  const ask = async (message: object) => answerOf(await engine.client.native({ currency: 'USD', ...message }));
  const card = 'card_000001_1';
  const limited = 'card_000001_2';
  t.ok((await ask({ id: 'stay', type: 'authorization', card, amount: 500 })).approved);
  t.equal((await ask({ id: 'r1', type: 'reversal', card, original: 'ghost' })).reason, 'original_not_found');
  t.ok((await ask({ id: 'limited-1', type: 'authorization', card: limited, amount: 900 })).approved);
  await until('all of it is settled', async () => (await metric(engine.place, 'shipper_settled_records_total')) >= 3);
  const before = await engineBooks(engine.place, 'acct_000001');
  await engine.restart();
  t.same(await engineBooks(engine.place, 'acct_000001'), before);
  t.equal((await ask({ id: 'ghost', type: 'authorization', card, amount: 1 })).reason, 'original_closed');
  const over = await ask({ id: 'limited-2', type: 'authorization', card: limited, amount: 101 });
  t.match(over, { reason: 'limit_exceeded', detail: 'card.daily.amount' });
  t.ok((await ask({ id: 'more', type: 'incremental', card, original: 'stay', amount: 50 })).approved);
  // By the id of the increment: it leads to the same transaction.
  const cleared = await ask({ id: 'c1', type: 'clearing', card, original: 'more', amount: 540 });
  t.match(cleared, { approved: true, authorizationId: 'stay' });
  const after = await engineBooks(engine.place, 'acct_000001');
  t.equal(after.held, 900, 'the rest of the hold is free');
  t.equal(after.posted, 540);
});

t.test('the windows of a user count separately in each currency, also after a restart', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const { sql } = engine;
  const [row] = await sql<{ user: number; yen: number }[]>`
    with opened as (
      insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      select 'acct_yen', kind, user_id, owner_key, 'JPY', funds, available from accounts returning id, user_id)
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select 'card_yen', 'card_yen', id, user_id, 'Yen', date '2099-12-31' from opened
    returning user_id::integer as user, account_id::integer as yen`;
  const { user, yen } = row!;
  await sql`insert into limits (level, entity_id, limits)
    values (1, ${user}, ${sql.json({ lifetime: { amount: 10_000 } })})`;
  let asked = 0;
  const pay = async (amount: number, currency: string) => {
    const card = currency === 'JPY' ? 'card_yen' : 'card_000001_1';
    const message = { id: `a${++asked}`, type: 'authorization', card, amount, currency };
    const { approved, detail } = answerOf(await engine.client.native(message));
    return approved ? 'approved' : detail;
  };
  const spent = async (query: string) => {
    const reply = await opsGet(engine.place, `/admin/windows?user=${user}${query}`);
    return JSON.parse(reply.text).user.amounts[4];
  };
  t.equal(await pay(9_900, 'JPY'), 'approved');
  t.equal(await pay(9_000, 'USD'), 'approved', 'yen take nothing from the dollar limit');
  await until('all of it is settled', async () => (await metric(engine.place, 'shipper_settled_records_total')) >= 2);
  await engine.restart();
  t.equal(await spent(`&account=${yen}`), 9_900, 'the windows are in the currency of the requested account');
  t.equal(
    await spent(''),
    9_000,
    'without an account the windows are in the currency of the first account with a card of the user',
  );
  t.equal(await pay(101, 'JPY'), 'user.lifetime.amount');
  // What is not settled when the engine ends is in the journal alone.
  const held = await sql.reserve();
  await held`begin`;
  await held`lock table spend_windows in exclusive mode`;
  t.equal(await pay(90, 'JPY'), 'approved');
  t.equal(await pay(1_000, 'USD'), 'approved');
  await engine.restartUnsettled();
  t.same([await spent(`&account=${yen}`), await spent('')], [9_990, 10_000]);
  await held`commit`;
  held.release();
  t.equal(await pay(11, 'JPY'), 'user.lifetime.amount');
  t.equal(await pay(1, 'USD'), 'user.lifetime.amount');
  t.equal(await pay(10, 'JPY'), 'approved');
  const settled = async () => {
    const rows = await sql<{ amount: number }[]>`
      select lifetime_amount::float8 as amount from spend_windows
      where entity_id in (user_currency(${user}, 'JPY'), user_currency(${user}, 'USD')) order by entity_id`;
    return rows.map(({ amount }) => amount).join();
  };
  await until('both currencies are in Postgres', async () => (await settled()) === '10000,10000');
});

t.test('a partition whose syncer exits during startup gets a new syncer', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  await engine.stop();
  killThread(engine.disk, 0, 'syncerStart');
  // The start fails, or, where the news comes later, a replacement makes up for it.
  await engine.restart().catch(() => engine.restart());
  const message = { id: 'q', type: 'authorization', card: 'card_000001_1', amount: 500, currency: 'USD' };
  await until('it approves', async () => answerOf(await engine.client.native(message)).approved);
});

t.test('with permission an engine continues from Postgres in place of a lost journal', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const ask = async (id: string) => {
    const message = { id, type: 'authorization', card: 'card_000001_1', amount: 500, currency: 'USD' };
    return answerOf(await engine.client.native(message));
  };
  t.ok((await ask('before')).approved);
  await engine.stop();
  const folder = join(engine.place.dataDir, 'journal', 'p0');
  rmSync(folder, { recursive: true });
  await t.rejects(engine.restart(), /older than the database.* begin-anew .*see docs.runbook.md#deleted-journal/);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'begin-anew'), '');
  await engine.restart();
  t.equal((await ask('before')).available, 99_500, 'a settled message is answered from Postgres');
  t.equal((await ask('after')).available, 99_000);
  const settled = async () =>
    (await engine.sql`select held from accounts where public_id = 'acct_000001'`)[0]?.['held'];
  await until('it settles behind it', async () => Number(await settled()) === 1000);
});
