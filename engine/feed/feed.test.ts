/** Changes in Postgres reach a running engine by themselves, without a relay and without Redis. */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { metric, opsGet, until } from '../testing/engine-process.js';

let asked = 0;

async function ask(engine: TestEngine, card: string, amount = 1): Promise<string> {
  const id = `feed-${++asked}`;
  const reply = await engine.client.authorize(id, card, amount);
  return answerOf(reply).reason;
}

const says = (engine: TestEngine, card: string, reason: string, amount = 1) =>
  until(`${card} answers ${reason}`, async () => (await ask(engine, card, amount)) === reason);

t.test("an update of a card's row freezes and unfreezes a card in memory", async (t) => {
  const engine = await startTestEngine(t);
  const { sql } = engine;
  const card = 'card_000001_1';
  t.equal(await ask(engine, card), 'approved');
  await sql`update cards set status = 'frozen' where token = ${card}`;
  await says(engine, card, 'card_inactive');
  await sql`update cards set status = 'active' where token = ${card}`;
  await says(engine, card, 'approved');
  t.equal(await ask(engine, 'card_000001_2'), 'approved', 'the other card of the account was never changed');
});

t.test('the engine follows users, accounts and limits at every level', async (t) => {
  const engine = await startTestEngine(t, { changes: { PARTITIONS: '2' } });
  const { sql } = engine;
  const card = 'card_000002_1';
  t.equal(await ask(engine, card, 50), 'approved');
  await sql`update users set status = 'frozen' where public_id = 'usr_000002'`;
  await says(engine, card, 'user_inactive');
  await sql`update users set status = 'active' where public_id = 'usr_000002'`;
  await sql`update accounts set status = 'closed' where public_id = 'acct_000002'`;
  await says(engine, card, 'account_inactive');
  await sql`update accounts set status = 'active' where public_id = 'acct_000002'`;
  await says(engine, card, 'approved', 50);
  for (const [level, owner] of ['id', 'user_id', 'account_id'].entries()) {
    await sql`
      insert into limits (level, entity_id, limits)
      select ${level}::smallint, ${sql(owner)}, ${sql.json({ perAuthorization: 10 })} from cards where token = ${card}`;
    await says(engine, card, 'limit_exceeded', 50);
    await sql`delete from limits where level = ${level}`;
    await says(engine, card, 'approved', 50);
  }
});

t.test('the engine follows expiry, time zone and partial approval, and the name decides nothing', async (t) => {
  const engine = await startTestEngine(t);
  const { sql } = engine;
  const card = 'card_000005_1';
  t.equal(await ask(engine, card), 'approved');
  await sql`update cards set expires = '2020-01-01' where token = ${card}`;
  await says(engine, card, 'card_expired');
  // Far enough apart that the local dates always differ.
  const [west, east] = ['Etc/GMT+12', 'Pacific/Kiritimati'];
  await sql`update accounts set time_zone = ${west} where public_id = 'acct_000005'`;
  await sql`update cards set expires = (now() at time zone 'UTC' - interval '12 hours')::date where token = ${card}`;
  await says(engine, card, 'approved');
  await sql`update accounts set time_zone = ${east} where public_id = 'acct_000005'`;
  await says(engine, card, 'card_expired');
  await sql`update cards set expires = '2099-12-31', name = 'another name' where token = ${card}`;
  await says(engine, card, 'approved');
  const askForTooMuch = async () =>
    answerOf(await engine.client.authorize(`feed-${++asked}`, 'card_000006_1', 200_000, { partialAllowed: true }));
  await sql`update accounts set partial_approval = false where public_id = 'acct_000006'`;
  // Changes come into force in their order. A question that was asked too early would take the whole balance.
  await sql`update cards set status = 'frozen' where token = ${card}`;
  await says(engine, card, 'card_inactive');
  await until('nothing is approved in part', async () => (await askForTooMuch()).reason === 'insufficient_funds');
  await sql`update accounts set partial_approval = true where public_id = 'acct_000006'`;
  await until('a part is approved', async () => (await askForTooMuch()).approvedAmount === 100_000);
});

t.test('the engine reports up to which place changes are in force', async (t) => {
  const engine = await startTestEngine(t);
  await ask(engine, 'card_000001_1');
  await engine.sql`update cards set status = 'frozen' where token = 'card_000001_1'`;
  await until('it is in force', async () => (await metric(engine.place, 'feed_sequence')) === 1);
  t.equal(await metric(engine.place, 'feed_gaps'), 0);
  t.ok((await metric(engine.place, 'feed_lag_ms')) < 5000);
  const { components } = JSON.parse((await opsGet(engine.place, '/health')).text);
  t.match(components.feed, { status: 'healthy', detail: /change 1 of 1 in force/ });
  t.match(components.redis, { status: 'disabled' });
  const rows = await engine.sql`select applied from feed_engines`;
  t.equal(rows.length, 1);
  await until('its row says so', async () => {
    const [row] = await engine.sql`select applied from feed_engines_live`;
    return row?.['applied'] === '1';
  });
  await engine.stop();
  t.same(await engine.sql`select * from feed_engines`, [], 'no change waits for a stopped engine');
});

t.test('changes from while the outbox was emptied are read from the rows', async (t) => {
  const engine = await startTestEngine(t);
  const { sql } = engine;
  await ask(engine, 'card_000003_1');
  await sql.begin(async (tx) => {
    await tx`update cards set status = 'frozen' where token = 'card_000003_1'`;
    await tx`update users set status = 'frozen' where public_id = 'usr_000004'`;
    await tx`select feed_number()`;
    await tx`select feed_prune('0 s', 1000)`;
  });
  await says(engine, 'card_000003_1', 'card_inactive');
  await says(engine, 'card_000004_1', 'user_inactive');
  t.ok((await metric(engine.place, 'feed_snapshots')) >= 1);
});
