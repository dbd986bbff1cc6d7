/** The API behind a pooler in transaction mode, with a direct URL for what needs a session. */
import postgres from 'postgres';
import t from 'tap';
import { startPgBouncer } from '../../deploy/testing/pgbouncer.js';
import { createTestDatabase, processUrl } from '../../deploy/testing/test-database.js';
import { until } from '../../engine/testing/engine-process.js';
import { createLog } from '../../platform/log.js';
import { Listener } from '../../platform/postgres/listener.js';
import { Database } from '../stores/postgres.js';
import { Program } from '../stores/program.js';
import { Customer } from '../testing/customer.js';
import { startProcesses } from '../testing/engine-and-api.js';
import { testPostgresConfig } from '../testing/personal-stores.js';

t.test('the API serves many customers over few sessions of a pooler, and hears changes directly', async (t) => {
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const directUrl = processUrl(database.url, 'api');
  const pooler = await startPgBouncer(directUrl);
  t.teardown(() => pooler.stop());
  const sql = postgres(database.url, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  const { username: role, pathname } = new URL(directUrl);

  await t.test('a pooler that drops the setting of the gate is refused', async (t) => {
    const behind = new Database({ ...testPostgresConfig(pooler.url), directUrl }, createLog('silent', 'test'));
    t.teardown(() => behind.close());
    const refused = new Program(behind, false, createLog('silent', 'test')).check();
    await t.rejects(refused, /the pooler of DATABASE_URL drops the setting audit\.required/);
  });

  const settings = { 'audit.required': 'on', statement_timeout: '5000', enable_bitmapscan: 'off' };
  for (const [name, value] of Object.entries(settings)) {
    await sql.unsafe(`alter role ${role} in database ${pathname.slice(1)} set ${name} = '${value}'`);
  }
  // Sessions of before have the settings of before.
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity where usename = ${role} and datname = current_database()`;
  const env = { DATABASE_URL: pooler.url, DATABASE_DIRECT_URL: directUrl };
  const { api } = await startProcesses(t, database.url, env);
  const customers = await Promise.all(Array.from({ length: 6 }, () => Customer.register(api, 'business')));
  await Promise.all(
    customers.map(async (customer) => {
      const card = await customer.card(await customer.accountId());
      let frozen = await customer.change('PATCH', `/api/cards/${card.id}`, { status: 'frozen' });
      await until('the freeze is in force', async () => {
        if (frozen.json.effective === true) return true;
        frozen = await customer.get(`/api/cards/${card.id}/effective`);
        return false;
      });
      t.equal((await customer.get(`/api/cards/${card.id}`)).json.status, 'frozen');
    }),
  );
  const [pooled] = await sql<{ count: number }[]>`
    select count(*)::integer as count from pg_stat_activity
    where application_name = 'api' and datname = current_database()`;
  t.ok(pooled!.count <= 3, `${pooled!.count} sessions served all of it`);
});

t.test('through the pooler itself nothing is heard', async (t) => {
  const database = await createTestDatabase();
  t.teardown(() => database.close());
  const directUrl = processUrl(database.url, 'api');
  const pooler = await startPgBouncer(directUrl);
  t.teardown(() => pooler.stop());
  const heard: string[] = [];
  const open = async (url: string, way: string) => {
    const listener = new Listener(url, 'pooler test');
    t.teardown(() => listener.close());
    await listener.listen(
      'test',
      (text) => heard.push(`${way} ${text}`),
      () => undefined,
    );
  };
  await open(pooler.url, 'pooled');
  await open(directUrl, 'direct');
  const sql = postgres(directUrl, { max: 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 1 }));
  await until('the direct one hears', async () => {
    await sql`select pg_notify('test', 'news')`;
    return heard.length > 3;
  });
  t.same([...new Set(heard)], ['direct news']);
});
