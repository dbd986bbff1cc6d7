/** Migrations on a real Postgres: once, concurrently, after an edit, after a failure. */
import { appendFile, cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { repositoryRoot } from '../deploy/repository-root.js';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { migrate } from './migrate.js';

interface Fixture {
  readonly url: string;
  /** A copy of the migrations that the test may change. */
  readonly folder: string;
  readonly sql: postgres.Sql;
}

async function emptyDatabase(t: Test): Promise<Fixture> {
  const database = await createTestDatabase({ migrated: false });
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'));
  await cp(join(repositoryRoot(), 'sql', 'migrations'), folder, { recursive: true });
  const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
  t.teardown(async () => {
    await sql.end({ timeout: 5 });
    await database.close();
    await rm(folder, { recursive: true });
  });
  return { url: database.url, folder, sql };
}

t.test('everything is applied once, the second run finds nothing to do', async (t) => {
  const { url, folder } = await emptyDatabase(t);
  const lines: string[] = [];
  const applied = await migrate({ databaseUrl: url, folder, log: (line) => lines.push(line) });
  t.ok(applied.length > 10);
  t.equal(lines.length, applied.length);
  t.same(await migrate({ databaseUrl: url, folder }), []);
});

t.test('of several processes at once, each migration is applied by one', async (t) => {
  const { url, folder } = await emptyDatabase(t);
  const runs = await Promise.all(Array.from({ length: 4 }, () => migrate({ databaseUrl: url, folder })));
  const names = runs.flat();
  t.ok(names.length > 10);
  t.equal(new Set(names).size, names.length);
});

t.test('a file that was edited after it was applied is named, and nothing more is applied', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  await migrate({ databaseUrl: url, folder });
  await appendFile(join(folder, '003.do.ledger.sql'), '\n-- changed\n');
  await writeFile(join(folder, '900.do.later.sql'), 'CREATE TABLE later ();');
  await t.rejects(migrate({ databaseUrl: url, folder }), /003\.do\.ledger\.sql was edited .* restore the file/);
  t.same([...(await sql`select 1 from pg_class where relname = 'later'`)], []);
});

t.test('a file that fails leaves nothing of itself and is tried again', async (t) => {
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

t.test('who waits too long for another migration is told so', async (t) => {
  const { url, folder, sql } = await emptyDatabase(t);
  const holder = await sql.reserve();
  await holder`select pg_advisory_lock(4155310112)`;
  await t.rejects(migrate({ databaseUrl: url, folder, lockWaitMs: 0 }), /another process has been migrating/);
  holder.release();
});

t.test('a folder without migrations is an incomplete installation', async (t) => {
  const { url } = await emptyDatabase(t);
  const empty = await mkdtemp(join(tmpdir(), 'migrations-'));
  t.teardown(() => rm(empty, { recursive: true }));
  await t.rejects(migrate({ databaseUrl: url, folder: empty }), /no migrations in .* incomplete/);
});
