/** What the triggers of the feed promise: a change of a profile and its outbox entry are one, numbered as committed. */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../deploy/testing/for-test.js';
import { createTestAccounts } from '../deploy/testing/test-accounts.js';

interface Entry {
  readonly sequence: string | null;
  readonly topic: string;
  readonly key: string;
  readonly version: string;
  readonly payload: { readonly status: string; readonly limits: unknown; readonly version: number };
}

async function database(t: Test, connections = 1): Promise<postgres.Sql> {
  const { sql } = await databaseFor(t, { connections });
  await createTestAccounts(sql, 3, 1000);
  return sql;
}

const entries = (sql: postgres.Sql) =>
  sql<Entry[]>`select sequence, topic, key, version, payload from outbox order by id`;

t.test('inserting a card adds no change, and updating it adds its whole profile with the next version', async (t) => {
  const sql = await database(t);
  t.same(await entries(sql), []);
  await sql`update cards set status = 'frozen', version = version + 1 where id = 2`;
  await sql`update users set status = 'closed', version = version + 1 where id = 1`;
  await sql`update accounts set time_zone = 'Asia/Tokyo', version = version + 1 where id = 3`;
  const [card, user, account] = await entries(sql);
  t.match(card, { topic: 'card', key: '2', version: '2', sequence: null });
  t.match(card!.payload, { token: 'card_2', number: 2, version: 2, status: 'frozen', limits: null, ownerKey: 4 });
  t.match(user, { topic: 'user', key: '1', version: '2', payload: { status: 'closed', ownerKey: 2 } });
  t.match(account, { topic: 'account', key: '3', payload: { timeZone: 'Asia/Tokyo', currency: 'USD', ownerKey: 6 } });
});

t.test('an update without a version gets the next one', async (t) => {
  const sql = await database(t);
  await sql`update cards set status = 'frozen' where id = 1`;
  await sql`update users set status = 'frozen' where id = 1`;
  await sql`update accounts set status = 'frozen' where id = 1`;
  await sql`update cards set status = 'frozen' where id = 1`;
  t.same(
    (await entries(sql)).map(({ topic, version }) => `${topic} ${version}`),
    ['card 2', 'user 2', 'account 2'],
    'writing the same values again is no change',
  );
});

t.test('settling records adds no change to the feed', async (t) => {
  const sql = await database(t);
  await sql`update accounts set available = available - 5, held = held + 5`;
  t.same(await entries(sql), []);
});

t.test('each change of limits raises the version of their owner once, whichever role makes it', async (t) => {
  const sql = await database(t);
  const limits = sql.json({ perAuthorization: 5 });
  await sql`
    with changed as (
      insert into limits (level, entity_id, limits) values (0, 1, ${limits})
      on conflict (level, entity_id) do update set limits = excluded.limits
    )
    update cards set version = version + 1 where id = 1`;
  await sql`insert into limits (level, entity_id, limits)
    values (0, 2, ${limits}), (1, 2, ${limits}), (2, 2, ${limits})`;
  await sql`update limits set limits = '{}' where level = 0 and entity_id = 2`;
  await sql`update limits set limits = '{}' where level = 0 and entity_id = 2`;
  await sql`delete from limits where level = 2`;
  t.same(
    (await entries(sql)).map(({ topic, key, version, payload }) => [topic, key, version, payload.limits]),
    [
      ['card', '1', '2', { perAuthorization: 5 }],
      ['card', '2', '2', { perAuthorization: 5 }],
      ['user', '2', '2', { perAuthorization: 5 }],
      ['account', '2', '2', { perAuthorization: 5 }],
      ['card', '2', '3', {}],
      ['account', '2', '3', null],
    ],
  );
});

t.test('a new card with limits adds no change', async (t) => {
  const sql = await database(t);
  await sql`
    with made as (
      insert into cards (public_id, token, account_id, user_id, name, expires)
      values ('c', 'c', 1, 1, 'c', '2099-12-31') returning id
    )
    insert into limits (level, entity_id, limits) select 0, id, '{"perAuthorization": 5}' from made`;
  t.same(await entries(sql), []);
});

t.test('changes are numbered in the order of commits, without gaps, by several sessions at once', async (t) => {
  const sql = await database(t, 4);
  const slow = await sql.reserve();
  await slow`begin`;
  await slow`update cards set status = 'frozen' where id = 1`;
  await sql`update cards set status = 'frozen' where id = 2`;
  t.match(await sql`select * from feed_number()`, [{ newest: '1', more: false }], 'an uncommitted change waits');
  await slow`commit`;
  slow.release();
  await sql`update cards set status = 'closed'`;
  await Promise.all([sql`select feed_number(1)`, sql`select feed_number(1)`, sql`select feed_number(1)`]);
  t.match(await sql`select * from feed_number(1)`, [{ newest: '5', more: true }]);
  t.match(await sql`select * from feed_number(1)`, [{ newest: '5', more: false }]);
  const numbered = (await entries(sql)).sort((a, b) => Number(a.sequence) - Number(b.sequence));
  t.same(
    numbered.map(({ sequence }) => sequence),
    ['1', '2', '3', '4', '5'],
  );
  t.same(
    numbered.slice(0, 2).map(({ key }) => key),
    ['2', '1'],
    'the first commit comes first, not the first insert',
  );
});

t.test('numbering notifies once of each card and each owner whose cached answers became stale', async (t) => {
  const sql = await database(t, 2);
  const received: string[] = [];
  await sql.listen('cache', (name) => received.push(name));
  await sql`update cards set status = 'frozen' where id in (1, 2)`;
  await sql`update cards set name = 'New' where id = 1`;
  await sql`update accounts set status = 'frozen' where id = 3`;
  await sql`update users set status = 'frozen' where id = 3`;
  await sql`select feed_number()`;
  // Heard in order: what a later transaction says comes last.
  await sql`select pg_notify('cache', 'end')`;
  while (received.at(-1) !== 'end') await new Promise((resolve) => setImmediate(resolve));
  const tokens = await sql<{ token: string }[]>`select token from cards where id in (1, 2) order by id`;
  const cards = tokens.map(({ token }) => `card ${token}`);
  t.same(received.slice(0, -1).sort(), ['accounts:6', ...cards, 'cards:2', 'cards:4']);
});

t.test('only the oldest entries are removed, and the feed says how far', async (t) => {
  const sql = await database(t);
  for (let round = 0; round < 4; round++) await sql`update cards set version = version + 1`;
  await sql`select feed_number()`;
  t.match(await sql`select feed_prune('1 hour', 1000) as gone`, [{ gone: '0' }]);
  t.match(await sql`select feed_prune('1 hour', 10) as gone`, [{ gone: '2' }]);
  t.match(await sql`select feed_prune('0 s', 1000, 5) as gone`, [{ gone: '5' }]);
  t.match(await sql`select newest, pruned, (select count(*) from outbox) as kept from feed_position`, [
    { newest: '12', pruned: '7', kept: '5' },
  ]);
});

t.test('the feed has one name from the first request on', async (t) => {
  const sql = await database(t, 3);
  const ask = () => sql<{ id: string }[]>`select feed_id() as id`;
  const names = (await Promise.all([ask(), ask(), ask()])).map(([row]) => row!.id);
  t.match(names[0], /^[0-9a-f-]{36}$/);
  t.equal(new Set(names).size, 1);
});

t.test('a missing change is not confirmed, and an existing one has a number', async (t) => {
  const sql = await database(t);
  await sql`update cards set status = 'frozen' where id = 1`;
  const [row] = await sql`
    select * from feed_confirm_live(
      ${['card', 'card', 'user', 'account', 'card']}, ${[1, 1, 1, 1, 99]}, ${[2, 3, 1, 2, 1]}, 2)`;
  t.match(row, { newest: '1', more: false, present: [true, false, true, false, false], engines: [] });
  t.match(row!['entries'], [{ sequence: 1, topic: 'card', payload: { number: 1, status: 'frozen' } }]);
});

t.test('numbering returns the numbered changes in order, or none when they are too many', async (t) => {
  const sql = await database(t);
  const number = async (carry: number) =>
    (
      await sql<{ entries: { sequence: number; payload: { number: number } }[] | null }[]>`
      select entries from feed_number(carry => ${carry})`
    )[0]!.entries;
  await sql`update cards set status = 'frozen' where id in (2, 3)`;
  const entries = await number(2);
  t.same(
    entries!.map(({ sequence, payload }) => [sequence, payload.number]),
    [
      [1, 2],
      [2, 3],
    ],
  );
  t.equal(await number(2), null, 'there is no new change');
  await sql`update cards set status = 'closed'`;
  t.equal(await number(2), null);
  t.match(await sql`select newest from feed_position`, [{ newest: '5' }]);
});

t.test('numbers that a crash of Postgres may have lost are never given again', async (t) => {
  const sql = await database(t);
  await sql`update cards set status = 'frozen' where id = 1`;
  await sql`select feed_number()`;
  // What recovery does to a table that is not logged.
  await sql`truncate feed_run`;
  t.match(
    await sql`select * from feed_number()`,
    [{ newest: '1', more: false }],
    'the number stays while there is no new change',
  );
  await sql`update cards set status = 'frozen' where id = 2`;
  t.match(await sql`select * from feed_number()`, [{ newest: '10000001', more: true }]);
  t.match(await sql`select * from feed_number()`, [{ newest: '10000002', more: false }]);
  t.match(await sql`select * from feed_position`, [{ newest: '10000002', pruned: '10000001' }]);
});

t.test('an engine counts until it has stopped by itself, plus one second and a twentieth', async (t) => {
  const sql = await database(t);
  await sql`
    insert into feed_engines (id, place, pid, stale_ms, applied, seen_at)
    select gen_random_uuid(), name, 1, 10000, 0, clock_timestamp() - age * interval '1 ms'
    from (values ('fresh', 0), ('stopped', 11000), ('counts', 11400), ('gone', 11600)) as engine (name, age)`;
  const live = await sql<{ place: string }[]>`select place from feed_engines_live order by seen_at desc`;
  t.same(
    live.map(({ place }) => place),
    ['fresh', 'stopped', 'counts'],
  );
});

t.test('a change that no engine would follow is refused with words that say what to do', async (t) => {
  const sql = await database(t);
  await sql`insert into companies (public_id, name) values ('co', 'co')`;
  await sql`insert into limits (level, entity_id, limits) values (0, 1, '{"perAuthorization": 5}')`;
  const before = (await entries(sql)).length;
  const refused: readonly (readonly [statement: string, words: RegExp])[] = [
    ["update cards set token = 'another' where id = 1", /^token, account and user of cards cannot be changed: close/],
    ['update cards set account_id = 2 where id = 1', /of cards cannot be changed/],
    ['update cards set user_id = 2 where id = 1', /of cards cannot be changed/],
    ["update users set kind = 'business', company_id = 1, role = 'owner' where id = 1", /of users cannot be changed/],
    ["update accounts set currency = 'EUR' where id = 1", /owner and currency of accounts cannot be changed/],
    ["update accounts set public_id = 'another' where id = 1", /of accounts cannot be changed/],
    ['update accounts set user_id = 2, owner_key = 4 where id = 1', /of accounts cannot be changed/],
    [
      "update accounts set kind = 'business', company_id = 1, user_id = null, owner_key = 3 where id = 1",
      /of accounts cannot be changed/,
    ],
    ['update limits set entity_id = 2', /of limits cannot be changed: delete these limits/],
    ['update limits set level = 1', /of limits cannot be changed/],
    ['truncate limits', /of limits cannot be changed: no engine would be .*; use DELETE/],
    [
      "update cards set status = 'frozen', version = 1 where id = 1",
      /version of cards cannot be changed: it only rises/,
    ],
    ["update users set status = 'frozen', version = 0 where id = 1", /version of users/],
    ["update accounts set status = 'frozen', version = 0 where id = 1", /version of accounts/],
  ];
  for (const [statement, words] of refused) await t.rejects(sql.unsafe(statement), words, statement);
  await t.rejects(sql`update cards set expires = 'infinity' where id = 1`, /cards_expires_finite/);
  await t.rejects(
    sql`insert into limits (level, entity_id, limits) values (0, 2, ${sql.json({ mcc: 'x'.repeat(80_000) })})`,
  );
  await sql`update cards set token = token, account_id = account_id, user_id = user_id`;
  await sql`update accounts set currency = currency, owner_key = owner_key`;
  t.equal((await entries(sql)).length, before, 'writing the same values again is no change');
});

t.test('a page ends at its byte bound, has at least one entry, and leaves long limits out', async (t) => {
  const sql = await database(t);
  for (let round = 0; round < 4; round++) await sql`update cards set name = ${'n'.repeat(1000 + round)}`;
  await sql`alter table limits drop constraint limits_bytes`;
  await sql`insert into limits (level, entity_id, limits) values (0, 1, ${sql.json({ mcc: 'x'.repeat(80_000) })})`;
  await sql`select feed_number()`;
  const page = (after: number, bytes: number) => sql<{ sequence: string; payload: Record<string, unknown> }[]>`
    select sequence, payload from feed_page(${after}, 100, ${bytes}, 10000)`;
  t.equal((await page(0, 1_000_000)).length, 13);
  t.equal((await page(0, 4000)).length, 3);
  t.equal((await page(0, 1)).length, 1);
  t.match(await page(12, 1), [
    { sequence: '13', payload: { number: 1, version: 6, limits: undefined, name: undefined } },
  ]);
  const snapshot = await sql`select number, payload from feed_snapshot_page('card', 0, 2, 1000000, 10000)`;
  t.match(snapshot, [
    { number: '1', payload: { version: 6, limits: undefined } },
    { number: '2', payload: { version: 5 } },
  ]);
  t.equal((await sql`select 1 from feed_snapshot_page('card', 0, 100, 1, 10000)`).length, 1);
});
