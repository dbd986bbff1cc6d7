/** The roles of the engine and of the API on a real Postgres: what they may do, and what they must not. */
import postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../deploy/testing/for-test.js';
import { createTestAccounts } from '../deploy/testing/test-accounts.js';
import { processUrl } from '../deploy/testing/test-database.js';
import { migrate } from './migrate.js';

interface Sessions {
  readonly url: string;
  readonly admin: postgres.Sql;
  readonly engine: postgres.Sql;
  readonly api: postgres.Sql;
}

async function openSessions(t: Test): Promise<Sessions> {
  const { url, sql: admin } = await databaseFor(t);
  const signIn = (as: 'engine' | 'api') => {
    const sql = postgres(processUrl(url, as), { max: 1, onnotice: () => undefined });
    t.teardown(() => sql.end({ timeout: 1 }));
    return sql;
  };
  return { url, admin, engine: signIn('engine'), api: signIn('api') };
}

const denied = { code: '42501' };

t.test('no process role is a superuser or owns anything', async (t) => {
  const { admin, engine, api } = await openSessions(t);
  for (const sql of [engine, api]) {
    const [role] = await sql<{ name: string }[]>`
      select rolname as name, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls
      from pg_roles where rolname = current_user`;
    const { name, ...powers } = role!;
    t.same(Object.values(powers), [false, false, false, false, false]);
    const owned = await admin`
      select relname from pg_class where pg_get_userbyid(relowner) = ${name}
      union all select proname from pg_proc where pg_get_userbyid(proowner) = ${name}`;
    t.same([...owned], []);
    await t.rejects(sql`create table of_my_own ()`, denied);
    await t.rejects(sql`drop table sessions`, { code: '42501' });
    await t.rejects(sql`alter table accounts disable trigger all`, denied);
    await t.rejects(sql`set session_replication_role = 'replica'`, denied);
  }
});

t.test('the role of the API moves no money and rewrites no history', async (t) => {
  const { admin, api } = await openSessions(t);
  await createTestAccounts(admin, 1, 100);
  for (const statement of [
    'update accounts set funds = funds + 1, available = available + 1',
    `insert into accounts (public_id, kind, user_id, owner_key, currency, funds, available)
      values ('acct_rich', 'personal', 1, 2, 'USD', 1, 1)`,
    'delete from accounts',
    `insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
      values (1, 1, 1, -1, 'gift')`,
    'update transactions set held_amount = 0',
    'delete from transaction_events',
    'update spend_windows set daily_amount = 0',
    'delete from quarantined_records',
    'update journal_positions set sequence = 0',
    'update writer_epochs set epoch = epoch + 1',
    'update partition_leases set holder = null',
    'delete from engines',
    `insert into operators (public_id, email, name, role, password_hash) values ('op', 'e@example.com', 'E', ` +
      `'admin', 'x')`,
    "update operators set role = 'admin'",
    'update program set demo = true',
    'delete from users',
    'delete from feed_engines',
    'truncate limits',
  ]) {
    await t.rejects(api.unsafe(statement), denied, statement);
  }
  t.same([...(await api`update accounts set status = 'frozen' where id = 1 returning status`)], [{ status: 'frozen' }]);
});

t.test('the role of the engine changes no card, limit, person or history', async (t) => {
  const { admin, engine } = await openSessions(t);
  await createTestAccounts(admin, 1, 100);
  for (const statement of [
    "update cards set status = 'active'",
    "insert into limits (level, entity_id, limits) values (0, 1, '{}')",
    'delete from limits',
    "update users set password_hash = 'x'",
    "update accounts set status = 'active'",
    'select email, password_hash from users',
    'update transaction_events set amount = 1',
    'select * from sessions',
    'select * from operators',
    'select * from api_keys',
    'delete from transactions',
    "insert into outbox (topic, key, version, payload) values ('card', '1', 9, '{}')",
  ]) {
    await t.rejects(engine.unsafe(statement), denied, statement);
  }
});

t.test('a migration restores the rights, removing extra ones and adding missing ones', async (t) => {
  const { url, admin, api } = await openSessions(t);
  const roles = { engine: 'afc_test_engine', api: 'afc_test_api' };
  const lines: string[] = [];
  const again = () => migrate({ databaseUrl: url, roles, log: (line) => lines.push(line) });
  await again();
  t.same(lines, [], 'no right had to change');
  await admin`grant insert on ledger_adjustments to afc_test_api`;
  await admin`revoke select on transactions from afc_test_api`;
  await admin`revoke update (version) on accounts from afc_test_api`;
  await t.rejects(api`select from transactions`, denied);
  await again();
  t.same(lines, ['granted the rights on 3 tables to afc_test_engine and afc_test_api']);
  await api`select from transactions`;
  await api`update accounts set version = 2 where false`;
  await t.rejects(
    api`insert into ledger_adjustments (account_id, funds_delta, available_delta, external_delta, reason)
      values (1, 1, 1, -1, 'gift')`,
    denied,
  );
});

t.test('an unrestricted role is refused, and a missing role is named', async (t) => {
  const { url } = await openSessions(t);
  const { username: owner } = new URL(url);
  await t.rejects(
    migrate({ databaseUrl: url, roles: { engine: 'afc_test_engine', api: owner } }),
    /the role \w+ of the api is a superuser|owns the database: make one of its own/,
  );
  const lines: string[] = [];
  const roles = { engine: 'afc_test_engine', api: 'nowhere' };
  await migrate({ databaseUrl: url, roles, log: (line) => lines.push(line) });
  t.same(lines, ['there is no database role nowhere for the api: it gets no rights']);
});

t.test('only the named roles may call a function with the rights of the owner', async (t) => {
  const { url, admin, api } = await openSessions(t);
  const roles = { engine: 'afc_test_engine', api: 'afc_test_api' };
  await admin.unsafe(`create function all_powerful() returns integer language sql security definer
    set search_path = pg_catalog as 'select 1'`);
  await api`select all_powerful()`;
  await migrate({ databaseUrl: url, roles });
  await t.rejects(api`select all_powerful()`, denied);
});
