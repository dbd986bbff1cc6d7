/** An engine whose Postgres refuses a record goes on, says so, and is whole again once the record is retried. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until } from '../testing/engine-process.js';

t.test('a record that Postgres refuses stops no other, survives a restart, and can be retried', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2 });
  const { sql, client, place } = engine;
  await sql`alter table transactions add constraint no_poison check (merchant_name <> 'poison')`;
  const ask = async (id: string, account: number, more: object = {}) => {
    const card = `card_00000${account}_1`;
    const merchant = { name: account === 1 ? 'poison' : 'baker' };
    const message = { id, type: 'authorization', card, amount: 100, currency: 'USD', merchant, ...more };
    return answerOf(await client.native(message));
  };
  const isSettled = async (id: string) =>
    until(
      `${id} is settled`,
      async () => (await sql`select from transaction_events where request_id = ${id}`).length > 0,
    );
  const settling = async () => {
    const { text } = await opsGet(place, '/health');
    const { status, components } = JSON.parse(text) as {
      status: string;
      components: Record<string, { status: string; detail: string }>;
    };
    return { status, ...components['settling'] };
  };
  /** Postgres' books are the engine's, although a transaction is missing. */
  const booksAgree = async () => {
    const [row] = await sql`select held::float8, posted::float8, available::float8 from accounts where id = 1`;
    t.match(await engineBooks(place, 'acct_000001'), { ...row });
  };
  const waiting = async () =>
    (await sql<{ count: number }[]>`select count(*)::integer as count from quarantined_records`)[0]!.count;

  t.equal((await ask('bad', 1)).approved, true);
  t.equal((await ask('good', 2)).approved, true);
  await isSettled('good');
  await until('health names it', async () => /\(bad\): .*no_poison/.test((await settling()).detail ?? ''));
  t.match(await settling(), { status: 'unhealthy' });
  t.equal(await metric(place, 'quarantined_records'), 1);
  await booksAgree();

  await engine.restart();
  const again = await ask('bad', 1);
  t.match(again, { approved: true, available: 99_900 }, 'its message keeps its answer');
  const first = { type: 'clearing', amount: 30, original: 'bad', final: false };
  t.match(await ask('bad-first', 1, first), { approved: true, available: 99_900 }, 'the next message finds the hold');
  await until('it is set apart too', async () => (await waiting()) === 2);
  await booksAgree();
  await engine.restart();
  t.match(await ask('bad-last', 1, { type: 'clearing', amount: 60, original: 'bad' }), { available: 99_910 });
  await until('and the last', async () => (await waiting()) === 3);
  await booksAgree();
  t.match(await engineBooks(place, 'acct_000001'), { held: 0, posted: 90 });

  const command = (...words: string[]) =>
    spawnSync(process.execPath, [new URL('../../deploy/quarantine.js', import.meta.url).pathname, ...words], {
      env: { ...process.env, DATABASE_URL: place.databaseUrl },
      encoding: 'utf8',
    });
  t.match(command('list'), { status: 0, stdout: /0\/1 bad .*no_poison[\s\S]*3 records are quarantined/ });
  t.match(command('retry', 'all'), { status: 1, stderr: /refused again: .*no_poison/ });
  t.match(command('retry', 'nothing'), { status: 1, stderr: /nothing is quarantined under nothing/ });
  await sql`alter table transactions drop constraint no_poison`;
  t.match(command('retry', 'all'), {
    status: 0,
    stdout: /bad is settled\n.* bad-first is settled\n.* bad-last is settled/,
  });
  t.same((await auditBooks(sql)).findings, []);
  const [row] =
    await sql`select status, held_amount::integer as held, posted_amount::integer as posted from transactions
    where id = 'bad'`;
  t.same({ ...row }, { status: 2, held: 0, posted: 90 });
  await until('health is well again', async () => (await settling()).status === 'healthy');
});

t.test('the money of a quarantined record counts after a restart until the record is retried', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, balanceMinor: 1000 });
  const { sql, client, place } = engine;
  await sql`alter table accounts add constraint no_spending check (available >= 500)`;
  const ask = async (id: string, amount: number) => answerOf(await client.authorize(id, 'card_000001_1', amount));
  t.match(await ask('refused', 600), { approved: true, available: 400 });
  await until(
    'it is quarantined',
    async () => (await sql`select from quarantined_records where not books_kept`).length === 1,
  );
  await engine.restart();
  t.match(await engineBooks(place, 'acct_000001'), { funds: 1000, held: 600, available: 400 });
  t.match(await ask('too much', 600), { approved: false, reason: 'insufficient_funds', available: 400 });
  t.match(await ask('enough', 300), { approved: true, available: 100 });
  await sql`alter table accounts drop constraint no_spending`;
  const retry = spawnSync(
    process.execPath,
    [new URL('../../deploy/quarantine.js', import.meta.url).pathname, 'retry', 'all'],
    { env: { ...process.env, DATABASE_URL: place.databaseUrl }, encoding: 'utf8' },
  );
  t.equal(retry.status, 0, retry.stderr);
  await until('Postgres has what the engine has', async () => {
    const [row] = await sql`select held::integer, available::integer from accounts`;
    return row!['held'] === 900 && row!['available'] === 100;
  });
  t.match(await engineBooks(place, 'acct_000001'), { held: 900, available: 100 });
  t.same((await auditBooks(sql)).findings, []);
});
