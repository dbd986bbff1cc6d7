/** Migrations on a real Postgres: once, concurrently, after an edit, after a failure. */
import { appendFile, cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { repositoryRoot } from '../deploy/repository-root.js';
import { databaseFor, folderFor } from '../deploy/testing/for-test.js';
import { createTestAccounts } from '../deploy/testing/test-accounts.js';
import { packLetters } from '../engine/core/codes.js';
import { userSpendNumber } from '../engine/core/spend-key.js';
import { rightsOutOfPlace } from './grant-rights.js';
import { migrate } from './migrate.js';

interface Fixture {
  readonly url: string;
  /** A copy of the migrations that the test may change. */
  readonly folder: string;
  readonly sql: postgres.Sql;
}

async function emptyDatabase(t: Test): Promise<Fixture> {
  const { url, sql } = await databaseFor(t, { migrated: false, connections: 2 });
  const folder = folderFor(t);
  await cp(join(repositoryRoot(), 'sql', 'migrations'), folder, { recursive: true });
  return { url, folder, sql };
}

t.test('every migration is applied once, and the second run finds nothing to do', async (t) => {
  const { url, folder } = await emptyDatabase(t);
  const lines: string[] = [];
  const applied = await migrate({ databaseUrl: url, folder, log: (line) => lines.push(line) });
  t.ok(applied.length > 10);
  t.equal(lines.filter((line) => line.startsWith('applied')).length, applied.length);
  t.same(await migrate({ databaseUrl: url, folder }), []);
});

t.test('every table, view and function with the rights of the owner has its entry in sql/rights.ts', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  await migrate({ databaseUrl: url, folder });
  t.same(await rightsOutOfPlace(sql), []);
  await sql.unsafe(`
    create table forgotten (); create view seen as select;
    create function all_powerful() returns void language sql security definer as ''`);
  t.match(await rightsOutOfPlace(sql), [
    /^add the function all_powerful to functionRights in sql\/rights.ts/,
    /^set search_path in the function all_powerful/,
    /^add the table or view forgotten to tableRights in sql\/rights.ts/,
    /^add the table or view seen to tableRights/,
  ]);
});

t.test('of several processes at once, one applies each migration', async (t) => {
  const { url, folder } = await emptyDatabase(t);
  const runs = await Promise.all(Array.from({ length: 4 }, () => migrate({ databaseUrl: url, folder })));
  const names = runs.flat();
  t.ok(names.length > 10);
  t.equal(new Set(names).size, names.length);
});

t.test('a migration that was edited after it was applied is named, and no later one is applied', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  await migrate({ databaseUrl: url, folder });
  await appendFile(join(folder, '003.do.ledger.sql'), '\n-- changed\n');
  await writeFile(join(folder, '900.do.later.sql'), 'CREATE TABLE later ();');
  await t.rejects(migrate({ databaseUrl: url, folder }), /003\.do\.ledger\.sql was edited .* restore the file/);
  t.same([...(await sql`select 1 from pg_class where relname = 'later'`)], []);
});

t.test('a failed migration leaves nothing of itself and is tried again', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  const file = join(folder, '900.do.later.sql');
  await writeFile(file, 'CREATE TABLE later (); SELECT 1 / 0;');
  await t.rejects(
    migrate({ databaseUrl: url, folder }),
    /900\.do\.later\.sql failed and was not recorded: division by zero/,
  );
  t.same([...(await sql`select 1 from pg_class where relname = 'later'`)], []);
  await writeFile(file, 'CREATE TABLE later ();');
  t.same(await migrate({ databaseUrl: url, folder }), ['900.later']);
});

t.test('the spending of users is carried over to each of their currencies', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  const later = (await readdir(folder)).filter((name) => Number(name.slice(0, 3)) >= 206);
  await mkdir(join(folder, 'later'));
  for (const name of later) await rename(join(folder, name), join(folder, 'later', name));
  await migrate({ databaseUrl: url, folder });
  await createTestAccounts(sql, 3, 0);
  // User 1 has accounts 1 and 3 in dollars and one in yen; user 2 has spent nothing.
  await sql`
    insert into accounts (public_id, kind, user_id, owner_key, currency) values ('yen', 'personal', 1, 2, 'JPY')`;
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires)
    values ('card_4', 'card_4', 4, 1, 'Yen', '2099-12-31'), ('card_5', 'card_5', 1, 1, 'Dollars', '2099-12-31')`;
  const spend = (level: number, entity: number, day: number, amount: number) => sql`
    insert into spend_windows values (${entity}, ${amount}, ${amount}, ${amount}, ${amount}, ${amount}, ${day}, 1, 1, 1,
    1, 1,
      ${level})
    on conflict (level, entity_id) do update set spend_day = excluded.spend_day, daily_amount = excluded.daily_amount,
      weekly_amount = excluded.weekly_amount, monthly_amount = excluded.monthly_amount,
      yearly_amount = excluded.yearly_amount, lifetime_amount = excluded.lifetime_amount`;
  const dayOf = (date: string) => Date.parse(date) / 86_400_000;
  const newest = dayOf('2026-11-27');
  await spend(0, 4, newest, 9_900);
  await spend(0, 1, newest - 1, 300);
  await spend(0, 5, dayOf('2026-10-31'), 20);
  await spend(1, 1, newest, 10_220);
  await spend(0, 3, newest, 7);
  await spend(1, 3, newest, 7);
  for (const name of later) await rename(join(folder, 'later', name), join(folder, name));
  await rm(join(folder, 'later'), { recursive: true });
  await migrate({ databaseUrl: url, folder });
  const carried = () => sql`
    select entity_id - user_currency(1, '') as entity, newest.day, amounts, counts
    from spend_windows s,
      lateral (select spend_day as day) newest,
      lateral (select json_build_array(daily_amount, weekly_amount, monthly_amount, yearly_amount,
      lifetime_amount) as amounts,
        json_build_array(daily_count, weekly_count, monthly_count, yearly_count, lifetime_count) as counts) sums
    where level = 3 order by entity_id`;
  const key = (user: number, currency: string) => String(userSpendNumber(user, packLetters(currency)) - 2 ** 15);
  const ones = [1, 1, 1, 1, 1];
  const yen = { entity: key(1, 'JPY'), day: newest, amounts: Array(5).fill(9_900), counts: ones };
  const dollars = {
    entity: key(1, 'USD'),
    day: newest - 1,
    amounts: [300, 300, 300, 320, 320],
    counts: [1, 1, 1, 2, 2],
  };
  const other = { entity: key(3, 'USD'), day: newest, amounts: Array(5).fill(7), counts: ones };
  t.same([...(await carried())], [yen, dollars, other]);
  // As an engine does that was started before: all levels in one statement, the user before the card.
  await sql`select settle_windows('{2}'::int[], '{1,0}'::smallint[], '{3,3}'::bigint[], ${[newest, newest]}::int[],
    '{3,3}'::bigint[], '{0,0}'::bigint[], '{0,0}'::bigint[], '{0,0}'::bigint[])`;
  t.same([...(await carried())], [yen, dollars, { ...other, amounts: Array(5).fill(10) }]);
});

t.test('an index whose concurrent build was interrupted is built again', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  await migrate({ databaseUrl: url, folder });
  // A unique build over duplicates fails in its second phase and leaves the index behind, marked invalid.
  await sql.unsafe('create table twice (n integer); insert into twice values (1), (1)');
  await t.rejects(sql.unsafe('create unique index concurrently twice_n on twice (n)'));
  await writeFile(join(folder, '900.do.twice.sql'), 'CREATE INDEX CONCURRENTLY IF NOT EXISTS twice_n ON twice (n);');
  t.same(await migrate({ databaseUrl: url, folder }), ['900.twice']);
  const [index] = await sql<{ valid: boolean }[]>`
    select indisvalid as valid from pg_index where indexrelid = 'twice_n'::regclass`;
  t.equal(index?.valid, true);
});

t.test('a database that is newer than the program is refused', async (t) => {
  const { url, folder } = await emptyDatabase(t);
  const newer = join(folder, '900.do.later.sql');
  await writeFile(newer, 'CREATE TABLE later ();');
  await migrate({ databaseUrl: url, folder });
  await rm(newer);
  await t.rejects(migrate({ databaseUrl: url, folder }), /at migration 900, this program knows \d+: start a newer/);
});

t.test('a migration that waits too long for another one fails with that reason', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  const holder = await sql.reserve();
  await holder`select pg_advisory_lock(4155310112)`;
  await t.rejects(migrate({ databaseUrl: url, folder, lockWaitMs: 0 }), /another process has been migrating/);
  holder.release();
});

t.test('a folder without migrations is an incomplete installation', async (t) => {
  const { url } = await emptyDatabase(t);
  const empty = folderFor(t);
  await t.rejects(migrate({ databaseUrl: url, folder: empty }), /no migrations in .* incomplete/);
});
