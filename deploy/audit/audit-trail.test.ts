/** The audit of the trail names what was changed, and finds nothing in a trail that is whole. */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../testing/for-test.js';
import { auditTrail } from './audit-trail.js';

/** Eleven companies, of which the last is not sealed. */
async function trailOfTen(t: Test): Promise<postgres.Sql> {
  const { sql } = await databaseFor(t, { connections: 4 });
  const add = (number: number) => sql`insert into companies (public_id, name) values (${`co_${number}`}, 'C')`;
  for (let number = 1; number <= 10; number++) await add(number);
  await sql`select audit_seal(4)`;
  await sql`select audit_seal()`;
  await add(11);
  return sql;
}

/** As someone does who owns the database: without the triggers that refuse it. */
async function tamper(sql: postgres.Sql, statement: string): Promise<void> {
  const tables = await sql<{ name: string }[]>`
    select 'audit_fresh' as name union all select 'audit_trail'
    union all select inhrelid::regclass::text from pg_inherits where inhparent = 'audit_trail'::regclass`;
  for (const { name } of tables) await sql.unsafe(`alter table ${name} disable trigger user`);
  await sql.unsafe(statement);
}

t.test('an unbroken trail has no findings, and unsealed entries are counted', async (t) => {
  const sql = await trailOfTen(t);
  const report = await auditTrail(sql);
  t.match(report, { sealed: 10, fresh: 1, head: { place: 10 }, findings: [] });
  t.match(report.head.hash, /^[0-9a-f]{64}$/);
});

t.test('one changed byte in any column names its entry', async (t) => {
  const sql = await trailOfTen(t);
  const changes = [
    'id = id + 1',
    "at = at + interval '1 microsecond'",
    "actor_kind = 'operator'",
    "actor_id = actor_id || 'x'",
    "address = '10.0.0.1'",
    "request_id = 'x'",
    "action = 'company.createe'",
    "object_kind = 'compane'",
    "object_id = 'co_6'",
    "before = '{}'",
    'after = \'{"name": "D"}\'',
    "outcome = 'refused'",
    'hash = set_byte(hash, 31, get_byte(hash, 31) # 1)',
  ];
  for (const change of changes) {
    await sql`create table kept as select * from audit_trail where place = 5`;
    await tamper(sql, `update audit_trail set ${change} where place = 5`);
    const { findings } = await auditTrail(sql);
    t.match(findings[0], /entry 5 \(id \d+, .* UTC\) was changed after it was sealed/, change);
    await tamper(
      sql,
      'delete from audit_trail where place = 5; insert into audit_trail select * from kept; drop table kept',
    );
    t.same((await auditTrail(sql)).findings, []);
  }
});

t.test('a missing entry, a cut end and a forged head are found', async (t) => {
  const sql = await trailOfTen(t);
  await sql`create table kept as select * from audit_trail`;
  const cases: [string, RegExp][] = [
    ['delete from audit_trail where place between 4 and 6', /entries 4 to 6 are missing/],
    ['delete from audit_trail where place <= 2', /entries 1 to 2 are missing/],
    ['delete from audit_trail where place >= 9', /entries 9 to 10 are missing: the end was cut/],
    ['delete from audit_trail', /entries 1 to 10 are missing: the end was cut/],
    ['update audit_head set place = 9', /the head is place 9, and not the last entry, place 10/],
    ["update audit_head set hash = sha256('x')", /the head is place 10, and not the last entry/],
  ];
  for (const [statement, finding] of cases) {
    await tamper(sql, statement);
    t.match((await auditTrail(sql)).findings[0], finding, statement);
    await tamper(
      sql,
      `delete from audit_trail; insert into audit_trail select * from kept;
      update audit_head h set place = k.place, hash = k.hash from kept k where k.place = 10`,
    );
    t.same((await auditTrail(sql)).findings, []);
  }
});

t.test('no role can change an entry, not even its owner', async (t) => {
  const sql = await trailOfTen(t);
  for (const statement of [
    "update audit_trail set action = 'x'",
    'delete from audit_trail',
    'truncate audit_trail',
    "update audit_fresh set action = 'x'",
    'delete from audit_fresh',
    'truncate audit_fresh',
  ]) {
    await t.rejects(sql.unsafe(statement), { message: /never changed or deleted/ }, statement);
  }
});

t.test('concurrent writers and sealers make one chain', async (t) => {
  const sql = await trailOfTen(t);
  const write = async (name: string) => {
    for (let number = 0; number < 30; number++) {
      await sql`insert into companies (public_id, name) values (${`${name}_${number}`}, 'C')`;
    }
  };
  const seal = async () => {
    for (let round = 0; round < 20; round++) await sql`select audit_seal(7)`;
  };
  await Promise.all([write('a'), write('b'), seal(), seal()]);
  await sql`select audit_seal()`;
  t.match(await auditTrail(sql), { sealed: 71, fresh: 0, findings: [] });
});

t.test('a removed month leaves an anchor that proves the rest of the chain', async (t) => {
  const sql = await trailOfTen(t);
  await tamper(
    sql,
    "delete from audit_trail; delete from audit_fresh; update audit_head set place = 0, hash = sha256(''), month = " +
      "'2000-01-01'",
  );
  const entries = (months: number) => sql`
    insert into audit_fresh (at, actor_kind, action, outcome)
    select now() - make_interval(months => ${months}), 'system', 'test', 'done' from generate_series(1, 3)`;
  for (const months of [15, 14, 13, 0]) {
    await entries(months);
    await sql`select audit_seal()`;
  }
  t.match(await auditTrail(sql), { sealed: 12, findings: [] });
  await sql`select audit_upkeep()`;
  t.match(await auditTrail(sql), { sealed: 6, head: { place: 12 }, findings: [] }, '13 months stay');
  t.same([...(await sql`select place::integer from audit_anchors order by place`)], [{ place: 3 }, { place: 6 }]);
  const tables =
    await sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'audit_trail'::regclass`;
  t.equal(tables.length, 4, 'the oldest kept month, this month and two future ones exist');
  await tamper(sql, 'delete from audit_trail where place = 7');
  t.match((await auditTrail(sql)).findings, [/entries 7 to 7 are missing/]);
});
