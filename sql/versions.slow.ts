/**
 * The oldest version of PostgreSQL that works beside the embedded one: the same schema in meaning, and the tests that
 * stand closest to the database pass on it. `TEST_POSTGRES=15` runs any other file so.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { repositoryRoot } from '../deploy/repository-root.js';
import { debianVersion } from '../deploy/testing/debian-postgres.js';
import { createTestDatabase } from '../deploy/testing/test-database.js';

/** What speaks SQL of its own. Freezes, engine and API run on this version in api/end-to-end/failover.slow.ts. */
const files = [
  'sql/migrate.test.js',
  'sql/rights.test.js',
  'sql/feed.test.js',
  'engine/membership/registry.test.js',
  'workers/settle/settle.test.js',
  'workers/settle/settle-uses.test.js',
  'workers/settle/quarantine.test.js',
  'engine/end-to-end/settled-rows.test.js',
  'api/stores/transactions.test.js',
  'deploy/audit/audit-trail.test.js',
];
const outputCharsMax = 20_000;

t.test('a fresh database has the same tables, indexes, constraints and functions on both versions', async (t) => {
  const [embedded, oldest] = await Promise.all([schemaOn(t, ''), schemaOn(t, debianVersion)]);
  t.ok(embedded.length > 300);
  t.same(oldest, embedded);
});

t.test(`the tests that stand closest to the database pass on PostgreSQL ${debianVersion}`, async (t) => {
  const left = [...files];
  const lane = async () => {
    for (let file = left.shift(); file !== undefined; file = left.shift()) t.equal(await failureOf(file), '', file);
  };
  await Promise.all([lane(), lane()]);
});

/** One line each. A column that is computed is the same whether that happens when it is written or read. */
async function schemaOn(t: Test, version: string): Promise<string[]> {
  const database = await createTestDatabase({ version });
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(async () => {
    await sql.end({ timeout: 5 });
    await database.close();
  });
  const rows = await sql<{ line: string }[]>`
    select concat_ws(' ', table_name, column_name, udt_name, is_nullable, column_default, is_generated,
      generation_expression, is_identity) as line
    from information_schema.columns where table_schema = 'public'
    union all select indexdef from pg_indexes where schemaname = 'public'
    union all select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
      where connamespace = 'public'::regnamespace and contype <> 'n'
    union all select concat_ws(' ', oid::regprocedure, md5(prosrc), prosecdef, proconfig) from pg_proc
      where pronamespace = 'public'::regnamespace
    union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    order by 1`;
  return rows.map(({ line }) => line);
}

/** What the file printed; '' when it passed. */
async function failureOf(file: string): Promise<string> {
  const child = spawn(process.execPath, [join(repositoryRoot(), 'dist', file)], {
    env: { ...process.env, TEST_POSTGRES: debianVersion, TAP_CHILD_ID: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (text: Buffer) => {
    output = (output + text.toString()).slice(-outputCharsMax);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const [code] = await once(child, 'close');
  return code === 0 ? '' : output;
}
