/** The pool on a real Postgres: bounded waiting, slow queries, lost connections, values as the API writes them. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { until } from '../../engine/testing/engine-process.js';
import { readApiConfig } from '../config.js';
import { DatabaseUnavailable } from './database-errors.js';
import { Database } from './postgres.js';

async function fixture(t: Test, env: Record<string, string> = {}) {
  const testDatabase = await databaseFor(t);
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const { postgres: config } = readApiConfig({
    DATABASE_URL: testDatabase.url,
    JWT_SECRET: 'x'.repeat(32),
    ENGINE_TOKEN: 'x',
    PAN_KEY: 'x',
    ...env,
  });
  const database = new Database(config, pino(sink), 'pool under test');
  t.teardown(() => database.close());
  await database.start();
  const sql = postgres(testDatabase.url, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  return { database, lines, sql };
}

t.test('values arrive as the API writes them', async (t) => {
  const { database } = await fixture(t);
  const [row] = await database.run(
    'test',
    (sql) => sql`
    select 9007199254740991::bigint as big, '2026-11-24 05:44:50.123456+01'::timestamptz as at,
      '2026-11-24 05:44:50+00'::timestamptz as whole, date '2026-11-24' as day, null::bigint as nothing`,
  );
  t.same(row, {
    big: Number.MAX_SAFE_INTEGER,
    at: '2026-11-24T04:44:50.123456Z',
    whole: '2026-11-24T05:44:50Z',
    day: '2026-11-24',
    nothing: null,
  });
  const [back] = await database.run(
    'test',
    (sql) => sql`select ${row!['at']}::timestamptz as at, ${row!['big']}::bigint as big`,
  );
  t.same(back, { at: row!['at'], big: row!['big'] }, 'values are written back without loss');
});

t.test('a slow query is logged with its values masked, and is counted', async (t) => {
  const { database, lines } = await fixture(t, { SLOW_QUERY_MS: '1' });
  await database.run('cards.sleepy', (sql) => sql`select pg_sleep(0.01), ${'a secret value'}::text as value`);
  t.ok(database.slowQueries >= 1);
  const line = lines.find((candidate) => candidate.includes('cards.sleepy'))!;
  t.match(line, /slow query/);
  t.match(line, /\$1::text as value/);
  t.notMatch(line, /a secret value/);
});

t.test(
  'a query that waits too long for a connection fails with that reason, and the others run in order',
  async (t) => {
    const { database, sql } = await fixture(t, { POSTGRES_POOL_MAX: '1' });
    await sql`select pg_advisory_lock(1)`;
    const holder = database.run('holder', (sql) => sql`select pg_advisory_lock(1)`);
    const order: string[] = [];
    const first = database.run('first', (sql) => sql`select 1`).then(() => order.push('first'));
    const second = database.run('second', (sql) => sql`select 2`).then(() => order.push('second'));
    await t.rejects(
      database.run('impatient', (sql) => sql`select 3`, 10),
      { name: 'DatabaseUnavailable', message: 'no connection was free within 10 ms' },
    );
    t.equal(database.waiting, 2);
    await sql`select pg_advisory_unlock(1)`;
    await Promise.all([holder, first, second]);
    t.same(order, ['first', 'second']);
    t.equal(database.active, 0);
  },
);

t.test('a statement that runs too long is ended by the server', async (t) => {
  const { database } = await fixture(t, { POSTGRES_STATEMENT_MS: '50' });
  await t.rejects(
    database.run('endless', (sql) => sql`select pg_sleep(30)`),
    DatabaseUnavailable,
  );
  t.equal((await database.run('next', (sql) => sql`select 1 as one`))[0]!['one'], 1);
});

t.test('a query whose backend is killed fails, and the next one works', async (t) => {
  const { database, sql } = await fixture(t);
  const killed = database.run('killed', (sql) => sql`select pg_sleep(30)`);
  killed.catch(() => undefined);
  await until('the query runs', async () => {
    const [row] = await sql`
      select count(*)::integer as count from pg_stat_activity
      where application_name = 'pool under test' and query like '%pg_sleep(30)%'`;
    return row!['count'] === 1;
  });
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'pool under test' and query like '%pg_sleep(30)%'`;
  await t.rejects(killed, DatabaseUnavailable);
  await until('Postgres is known to answer', () => database.health().isUp);
  await until('the next query works', () =>
    database
      .run('next', (sql) => sql`select 1`)
      .then(
        () => true,
        () => false,
      ),
  );
  t.equal(database.active, 0, 'every permit is returned');
});

t.test('errors of a statement are passed on as they are', async (t) => {
  const { database } = await fixture(t);
  await t.rejects(
    database.run('bad', (sql) => sql`select 1/0`),
    { code: '22012' },
  );
  t.equal(database.failedQueries, 1);
});

t.test('without a server the start continues, and queries fail at once', async (t) => {
  const { postgres: config } = readApiConfig({
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    JWT_SECRET: 'x'.repeat(32),
    ENGINE_TOKEN: 'x',
    PAN_KEY: 'x',
  });
  const database = new Database(config, pino({ level: 'silent' }));
  t.teardown(() => database.close());
  await database.start();
  t.equal(database.health().isUp, false);
  await t.rejects(
    database.run('any', (sql) => sql`select 1`),
    DatabaseUnavailable,
  );
});
