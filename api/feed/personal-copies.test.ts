/**
 * People and cards in MongoDB follow Postgres, whatever is restored, removed or refused. In the end MongoDB has what
 * Postgres has, nothing more and nothing less.
 */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { backUp } from '../../deploy/testing/older-copy.js';
import { until } from '../../engine/testing/engine-process.js';
import type { Document } from '../stores/personal/mongo-connection.js';
import { MongoCopies } from '../stores/personal/mongo-copies.js';
import { LedgerIdentity } from '../stores/settled-ledger.js';
import { backUpMongo, createStoreBench, quietLog, type StoreBench } from '../testing/personal-stores.js';
import { createCompany, createPerson } from '../testing/tenants.js';
import { PersonalCopies } from './personal-copies.js';
import { rebuildPersonal } from './rebuild-personal.js';

t.setTimeout(300_000);

interface Scene {
  readonly bench: StoreBench;
  readonly sql: postgres.Sql;
  /** Copies what there is, as an API does that has just started. */
  catchUp(): Promise<PersonalCopies>;
  newFollower(): PersonalCopies;
}

async function sceneOf(t: Test): Promise<Scene> {
  const bench = await createStoreBench(t);
  const { sql } = bench;
  const identity = new LedgerIdentity(bench.database);
  const newFollower = () => new PersonalCopies(new MongoCopies(bench.connection), bench.database, identity, quietLog);
  const catchUp = async () => {
    await sql`select feed_number()`;
    const follower = newFollower();
    // A transaction of any database of the server, such as another test's, holds back what is copied.
    await until('everything is copied', async () => (await follower.catchUp()) && follower.lag === 0);
    await follower.stop();
    return follower;
  };
  return { bench, sql, catchUp, newFollower };
}

async function copiesOf({ bench }: Scene, collection: string): Promise<Document[]> {
  const documents = await bench.connection.collection(collection).find().sort({ _id: 1 }).toArray();
  return documents.map(({ ledger: _, generation: __, ...rest }) => rest);
}

async function sameAsPostgres(t: Test, scene: Scene, counts: { people: number; cards: number }): Promise<void> {
  const { sql } = scene;
  const people = await sql`
    select public_id as "_id", public_id as "userId", email, name, version, date_trunc('milliseconds',
    created_at) as "createdAt"
    from users where kind = 'personal' order by public_id collate "C"`;
  const cards = await sql`
    select c.public_id as "_id", u.public_id as "userId", a.public_id as "accountId", c.token, c.name, c.type, c.status,
      c.expires::text, coalesce(l.limits, '{}') as limits, c.version, date_trunc('milliseconds',
      c.created_at) as "createdAt"
    from cards c join users u on u.id = c.user_id and u.kind = 'personal' join accounts a on a.id = c.account_id
    left join limits l on l.level = 0 and l.entity_id = c.id order by c.public_id collate "C"`;
  t.equal(people.length, counts.people);
  t.equal(cards.length, counts.cards);
  t.same(await copiesOf(scene, 'personalUsers'), [...people]);
  t.same(await copiesOf(scene, 'personalCards'), [...cards]);
}

const tables = ['users', 'accounts', 'cards', 'limits', 'outbox', 'feed_position'];

const collections = ['personalUsers', 'personalCards', 'followerPositions'];

async function freeze(sql: postgres.Sql, name: string): Promise<void> {
  await sql`update cards set status = 'frozen' where public_id = ${`card_${name}`}`;
}

t.test('new and changed rows of people are copied, and those of companies are not', async (t) => {
  const scene = await sceneOf(t);
  const { sql, catchUp } = scene;
  await createPerson(sql, 'one');
  await createCompany(sql, 'acme');
  await catchUp();
  await sameAsPostgres(t, scene, { people: 1, cards: 1 });
  await createPerson(sql, 'two');
  await freeze(sql, 'one');
  await sql`insert into limits (level, entity_id, limits) select 0, id, '{"perAuthorization": 5}' from cards
    where public_id = 'card_two'`;
  await sql`update cards set status = 'frozen' where public_id = 'card_acme_owner'`;
  await sql`update users set name = 'Renamed', email = 'renamed@person.example' where public_id = 'usr_one'`;
  const follower = await catchUp();
  await sameAsPostgres(t, scene, { people: 2, cards: 2 });
  t.equal(follower.rebuilds, 0);
});

t.test('more rows than one read returns are all copied', async (t) => {
  const scene = await sceneOf(t);
  const { sql, catchUp } = scene;
  await createPerson(sql, 'one');
  await sql`
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select 'card_n' || n, 'tok_n' || n, account_id, user_id, 'Card', expires from cards, generate_series(1, 210) n`;
  await catchUp();
  await sql`update cards set name = 'Renamed'`;
  await sql`update cards set name = 'Renamed again'`;
  await catchUp();
  await sameAsPostgres(t, scene, { people: 1, cards: 211 });
});

t.test('a card is copied although its transaction ends after later ones', async (t) => {
  const scene = await sceneOf(t);
  const { sql, catchUp, newFollower } = scene;
  await createPerson(sql, 'one');
  await catchUp();
  const addCard = (on: postgres.Sql | postgres.TransactionSql, name: string) => on`
    insert into cards (public_id, token, account_id, user_id, name, expires)
    select ${name}, ${name}, account_id, user_id, 'Card', expires from cards where public_id = 'card_one'`;
  await sql.begin(async (tx) => {
    await addCard(tx, 'card_early');
    await addCard(sql, 'card_late');
    const follower = newFollower();
    for (let look = 0; look < 3; look++) await follower.catchUp();
    await follower.stop();
  });
  await catchUp();
  await sameAsPostgres(t, scene, { people: 1, cards: 3 });
});

t.test('repeating a step after a crash changes nothing, and an older version replaces no newer one', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, catchUp } = scene;
  await createPerson(sql, 'one');
  await catchUp();
  const before = await bench.connection.collection('followerPositions').find().toArray();
  await freeze(sql, 'one');
  await createPerson(sql, 'two');
  await catchUp();
  await bench.connection.collection('followerPositions').deleteMany({});
  await bench.connection.collection('followerPositions').insertMany(before);
  await catchUp();
  await sameAsPostgres(t, scene, { people: 2, cards: 2 });
  // As a process writes that was held up and has lost its lease.
  const [card] = await bench.connection.collection('personalCards').find().toArray();
  const copies = new MongoCopies(bench.connection);
  const { _id, ledger, generation, ...rest } = card!;
  const older = { _id, ...(rest as object), status: 'active', version: 1 } as never;
  await copies.write('personalCards', { ledger: ledger!, generation: generation! }, [older]);
  await copies.write('personalCards', { ledger: ledger!, generation: generation! - 1 }, [
    { ...(older as object), version: 9 } as never,
  ]);
  await sameAsPostgres(t, scene, { people: 2, cards: 2 });
});

t.test('when Postgres is restored during an uncertain step, the copies of that step are removed', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, catchUp } = scene;
  await createPerson(sql, 'one');
  await catchUp();
  const restore = await backUp(sql, tables);
  const positions = bench.connection.collection('followerPositions');
  const [before] = await positions.find().toArray();
  for (const [change, undone] of [
    [() => freeze(sql, 'one'), 'a change'],
    [() => createPerson(sql, 'two'), 'a new row'],
  ] as const) {
    await change();
    await catchUp();
    const [after] = await positions.find().toArray();
    // As it is between the copies and the last word of the step.
    const { sequence, entry, users, cards } = after!['position'];
    const ahead = { sequence, entry, users, cards };
    await positions.updateOne({ _id: before!._id }, { $set: { position: { ...before!['position'], ahead } } });
    await restore();
    const follower = await catchUp();
    t.equal(follower.rebuilds, 1, undone);
    await sameAsPostgres(t, scene, { people: 1, cards: 1 });
  }
});

for (const isPruned of [false, true]) {
  t.test(
    `an older MongoDB catches up ${isPruned ? 'also where the feed has lost the changes' : 'by the feed'}`,
    async (t) => {
      const scene = await sceneOf(t);
      const { sql, catchUp } = scene;
      await createPerson(sql, 'one');
      await createPerson(sql, 'two');
      await catchUp();
      const restoreMongo = await backUpMongo(scene.bench.connection, collections);
      await freeze(sql, 'one');
      await createPerson(sql, 'three');
      await catchUp();
      await restoreMongo();
      if (isPruned) await sql`select feed_prune('0 seconds', 0)`;
      const follower = await catchUp();
      t.equal(follower.rebuilds, isPruned ? 1 : 0);
      await sameAsPostgres(t, scene, { people: 3, cards: 3 });
    },
  );
}

for (const [name, regrow] of [
  ['nothing since', async () => undefined],
  ['fewer changes since', (sql: postgres.Sql) => freeze(sql, 'two')],
  [
    'as many rows and changes since',
    async (sql: postgres.Sql) => {
      await createPerson(sql, 'other');
      await freeze(sql, 'two');
      await freeze(sql, 'other');
    },
  ],
  [
    'more rows and no change since',
    async (sql: postgres.Sql) => {
      for (const other of ['other', 'another', 'last']) await createPerson(sql, other);
    },
  ],
  [
    'more changes since and a feed that lost some',
    async (sql: postgres.Sql) => {
      for (const status of ['frozen', 'active', 'frozen', 'active', 'frozen']) {
        await sql`update cards set status = ${status} where public_id = 'card_two'`;
      }
      await sql`select feed_number()`;
      await sql`select feed_prune('0 seconds', 0)`;
    },
  ],
] as const) {
  t.test(`the copies go back with Postgres after a restore from an older copy, and ${name}`, async (t) => {
    const scene = await sceneOf(t);
    const { sql, catchUp } = scene;
    await createPerson(sql, 'one');
    await createPerson(sql, 'two');
    await freeze(sql, 'one');
    await catchUp();
    const restore = await backUp(sql, tables);
    await createPerson(sql, 'phantom');
    await sql`update cards set status = 'active' where public_id = 'card_one'`;
    await freeze(sql, 'phantom');
    await catchUp();
    await sameAsPostgres(t, scene, { people: 3, cards: 3 });
    await restore();
    await regrow(sql);
    const follower = await catchUp();
    t.equal(follower.rebuilds, 1);
    const [{ count }] = await sql<[{ count: number }]>`select count(*)::integer as count from users`;
    await sameAsPostgres(t, scene, { people: count, cards: count });
  });
}

t.test('a hundred cards that cannot be copied are named and counted, and hold up no other card', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, catchUp } = scene;
  await createPerson(sql, 'one');
  await catchUp();
  // A name that no document may have (the driver or the server refuses it).
  const refused = `{"${'$'}set": 1, "a": {"${'$'}b": 2}}`;
  await sql`
    with added as (
      insert into cards (public_id, token, account_id, user_id, name, expires)
      select 'card_bad' || n, 'tok_bad' || n, account_id, user_id, 'Card', expires from cards, generate_series(1, 100) n
      returning id
    )
    insert into limits (level, entity_id, limits) select 0, id, ${refused}::text::jsonb from added`;
  await createPerson(sql, 'two');
  await freeze(sql, 'one');
  const follower = await catchUp();
  t.equal(follower.apart, 100);
  t.match(follower.apartName, /^personalCards card_bad\d+$/);
  const apart = await bench.connection.collection('personalCopiesApart').find().toArray();
  t.equal(apart.length, 100);
  t.match(apart[0], { kind: 'personalCards', id: /^card_bad\d+$/, reason: /\w/ });
  const copies = await copiesOf(scene, 'personalCards');
  t.match(copies, [{ _id: 'card_one', status: 'frozen' }, { _id: 'card_two' }]);
  t.equal(copies.length, 2);
  await sql`update limits set limits = '{}' where level = 0`;
  const healed = await catchUp();
  t.equal(healed.apart, 0);
  await sameAsPostgres(t, scene, { people: 2, cards: 102 });
});

t.test('a rebuild restores copies that were removed by hand, even twice and beside a running follower', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, catchUp, newFollower } = scene;
  await createPerson(sql, 'one');
  await createPerson(sql, 'two');
  await catchUp();
  const damage = async () => {
    await bench.connection.collection('personalCards').deleteOne({ _id: 'card_one' as never });
    await bench.connection
      .collection('personalUsers')
      .updateOne({ _id: 'usr_two' as never }, { $set: { version: 9, name: 'Wrong' } });
  };
  const rebuild = () => rebuildPersonal(bench.database, bench.connection, quietLog, () => undefined);
  await damage();
  t.equal(await rebuild(), 0);
  await sameAsPostgres(t, scene, { people: 2, cards: 2 });
  t.equal(await rebuild(), 0);
  await sameAsPostgres(t, scene, { people: 2, cards: 2 });
  const follower = newFollower();
  follower.start();
  await createPerson(sql, 'three');
  await until('the follower copies', async () => (await copiesOf(scene, 'personalCards')).length === 3);
  await damage();
  await Promise.all([rebuild(), rebuild()]);
  await sameAsPostgres(t, scene, { people: 3, cards: 3 });
  t.ok(follower.rebuilds > 0, 'the follower, which has the lease, restored the copies');
  await follower.stop();
});

t.test('documents of an earlier form are replaced, and those without a card are removed', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, catchUp } = scene;
  await createPerson(sql, 'one');
  const old = { userId: 'usr_one', status: 'frozen', version: 7, pending: new Date() };
  await bench.connection.collection('personalCards').insertMany([
    { _id: 'card_one' as never, ...old },
    { _id: 'card_gone' as never, ...old },
  ]);
  await catchUp();
  await sameAsPostgres(t, scene, { people: 1, cards: 1 });
});
