/** Personal cards on their way to the rows that the engine reads, with processes killed in between. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Limits } from '../../engine/core/rules.js';
import type { PersonalCard } from '../stores/personal/store.js';
import { createStoreBench, quietLog, type StoreBench, storeKinds } from '../testing/personal-stores.js';
import { PersonalRelay } from './personal-relay.js';

const card: PersonalCard = {
  cardId: 'crd_one',
  userId: 'usr_one',
  accountId: 'acct_one',
  token: 'card_one',
  name: 'One',
  status: 'active',
  expires: '2030-01-31',
  limits: {},
  version: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
};

async function addOwner({ database }: StoreBench): Promise<void> {
  await database.run(
    'test.owner',
    (sql) => sql`
      with person as (
        insert into users (public_id, email, name, kind) values ('usr_one', 'one@example.com', 'One', 'personal')
        returning id
      )
      insert into accounts (public_id, kind, user_id, owner_key, currency)
      select 'acct_one', 'personal', id, id * 2, 'USD' from person`,
  );
}

interface Projected {
  readonly status: string;
  readonly name: string;
  readonly version: number;
  readonly limits: Limits | null;
}

async function projected({ database }: StoreBench, cardId = 'crd_one'): Promise<Projected | undefined> {
  const [row] = await database.run(
    'test.card',
    (sql) => sql<Projected[]>`
      select c.status, c.name, c.version, l.limits from cards c
      left join limits l on l.level = 0 and l.entity_id = c.id where c.public_id = ${cardId}`,
  );
  return row;
}

async function outboxVersions({ database }: StoreBench): Promise<number[]> {
  const rows = await database.run(
    'test.outbox',
    (sql) => sql<{ version: number }[]>`select version from outbox where topic = 'card' order by id`,
  );
  return rows.map((row) => row.version);
}

/** Starts a process that changes the card, and kills it where it stops. */
async function changeAndDie(bench: StoreBench, kind: string, stopAt: string): Promise<void> {
  const script = fileURLToPath(new URL('../testing/relay-child.js', import.meta.url));
  const child: ChildProcess = spawn(
    process.execPath,
    [script, kind, bench.databaseUrl, bench.mongoUri, card.userId, card.cardId, stopAt],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  child.kill('SIGKILL');
  await ended;
  if (!said.toString().includes(stopAt)) throw new Error(`the child said ${said}`);
}

for (const kind of storeKinds) {
  t.test(`${kind} store`, async (t) => {
    t.test('a new card, its changes and its limits reach the rows, each with one entry in the outbox', async (t) => {
      const bench = await createStoreBench(kind);
      t.teardown(() => bench.close());
      await addOwner(bench);
      const { store } = bench;
      const relay = new PersonalRelay(store, bench.database, quietLog);
      await store.addCard(card);
      t.ok((await relay.publish(card)) > 0);
      t.same(await projected(bench), { status: 'active', name: 'One', version: 1, limits: null });
      t.same(await outboxVersions(bench), [], 'engines load a new card when it is first used');
      const limits: Limits = { perAuthorization: 500 };
      const changed = await store.changeCard('usr_one', 'crd_one', { limits, status: 'frozen' }, null);
      t.equal(changed.outcome, 'changed');
      if (changed.outcome !== 'changed') return;
      await relay.publish(changed.card);
      t.same(await projected(bench), { status: 'frozen', name: 'One', version: 2, limits });
      t.same(await outboxVersions(bench), [2]);
      t.same(await store.pendingCards(10), []);
      const [entry] = await bench.database.run(
        'test.payload',
        (sql) => sql<{ payload: unknown }[]>`select payload from outbox`,
      );
      t.match(
        entry?.payload,
        { status: 'frozen', version: 2, limits },
        'the entry has the limits of the same statement',
      );
      const unlimited = await store.changeCard('usr_one', 'crd_one', { limits: {} }, null);
      if (unlimited.outcome !== 'changed') throw new Error('not changed');
      await relay.publish(unlimited.card);
      t.same((await projected(bench))?.limits, {});
      t.same(await outboxVersions(bench), [2, 3]);
    });

    t.test('an older version never overwrites a newer one, and the same one does nothing', async (t) => {
      const bench = await createStoreBench(kind);
      t.teardown(() => bench.close());
      await addOwner(bench);
      const relay = new PersonalRelay(bench.store, bench.database, quietLog);
      await bench.store.addCard(card);
      await relay.publish({ ...card, version: 5, status: 'frozen', limits: { perAuthorization: 1 } });
      await relay.publish({ ...card, version: 4, status: 'active', limits: { perAuthorization: 9 } });
      await relay.publish({ ...card, version: 5, status: 'active' });
      t.same(await projected(bench), { status: 'frozen', name: 'One', version: 5, limits: { perAuthorization: 1 } });
    });

    for (const stopAt of ['changed', 'projected']) {
      t.test(`a process killed when the card was ${stopAt} leaves nothing undone and nothing twice`, async (t) => {
        const bench = await createStoreBench(kind);
        t.teardown(() => bench.close());
        await addOwner(bench);
        const relay = new PersonalRelay(bench.store, bench.database, quietLog);
        await bench.store.addCard(card);
        await relay.repair();
        await changeAndDie(bench, kind, stopAt);
        t.equal((await projected(bench))?.status, stopAt === 'changed' ? 'active' : 'frozen');
        t.match(await bench.store.pendingCards(10), [{ cardId: 'crd_one', version: 2 }]);
        t.equal(await relay.repair(), 1);
        t.match(await projected(bench), { status: 'frozen', version: 2 });
        t.same(await outboxVersions(bench), [2], 'the engines are told once');
        t.same(await bench.store.pendingCards(10), []);
        t.equal(await relay.repair(), 0);
      });
    }

    t.test('a card that cannot be published keeps none of the others from it', async (t) => {
      const bench = await createStoreBench(kind);
      t.teardown(() => bench.close());
      await addOwner(bench);
      const relay = new PersonalRelay(bench.store, bench.database, quietLog);
      await bench.store.addCard({ ...card, cardId: 'crd_lost', token: 'card_lost', userId: 'usr_gone' });
      await bench.store.addCard(card);
      t.equal(await relay.repair(), 1);
      t.match(await projected(bench), { version: 1 });
      t.equal(relay.pending, 1);
    });

    t.test('more such cards than are looked at together keep none of the others from it either', async (t) => {
      const bench = await createStoreBench(kind);
      t.teardown(() => bench.close());
      await addOwner(bench);
      const relay = new PersonalRelay(bench.store, bench.database, quietLog);
      for (let lost = 1; lost <= 120; lost++) {
        await bench.store.addCard({ ...card, cardId: `crd_${lost}`, token: `card_${lost}`, userId: 'usr_gone' });
      }
      await bench.store.addCard(card);
      await relay.repair();
      t.equal(await projected(bench), undefined, 'the first look finds those that were there first');
      t.equal(await relay.repair(), 1);
      t.match(await projected(bench), { version: 1 });
      t.equal((await bench.store.pendingCards(1000)).length, 120, 'and none of those is forgotten');
    });
  });
}
