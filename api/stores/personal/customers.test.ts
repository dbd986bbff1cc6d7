/** Customers that are in Postgres and not yet, or not any more, in the personal store. */
import postgres from 'postgres';
import t from 'tap';
import { createTestAccounts } from '../../../deploy/testing/test-accounts.js';
import { createStoreBench, storeKinds } from '../../testing/personal-stores.js';
import { PersonalCustomers } from './customers.js';

for (const kind of storeKinds) {
  t.test(`${kind} store`, async (t) => {
    const bench = await createStoreBench(kind);
    t.teardown(() => bench.close());
    const sql = postgres(bench.databaseUrl, { max: 1 });
    t.teardown(() => sql.end());
    await createTestAccounts(sql, 2, 0);
    await sql`insert into limits (level, entity_id, limits) values (0, 1, ${sql.json({ perAuthorization: 5 })})`;
    const { store, database } = bench;

    t.test('profile and cards are taken over from Postgres, once, and wait for nothing', async (t) => {
      const customers = new PersonalCustomers(store, database);
      await Promise.all([customers.ensure('usr_1'), customers.ensure('usr_1'), customers.ensure('usr_1')]);
      t.match(await store.profile('usr_1'), { email: 'user1@example.com', name: 'User 1', kycStatus: 'pending' });
      const [card] = await store.cards('usr_1', { after: null, limit: 10 });
      const [row] = await sql<{ version: number }[]>`select version from cards where id = 1`;
      t.match(card, { cardId: 'card_1', token: 'card_1', limits: { perAuthorization: 5 }, expires: '2099-12-31' });
      t.equal(card?.version, row?.version, 'the version goes on from where the row is');
      t.same(await store.pendingCards(10), []);
      t.equal(customers.repairs, 1);
      await customers.ensure('usr_1');
      await new PersonalCustomers(store, database).ensure('usr_1');
      t.equal((await store.cards('usr_1', { after: null, limit: 10 })).length, 1);
    });

    t.test('a repair that was cut off between cards and profile begins anew', async (t) => {
      const customers = new PersonalCustomers(store, database);
      await customers.ensure('usr_2');
      const [card] = await store.cards('usr_2', { after: null, limit: 10 });
      t.equal(card?.cardId, 'card_2');
      // As if the profile had never been written: the card is there already.
      const cut = await createStoreBench(kind);
      t.teardown(() => cut.close());
      await cut.store.addCard(card!, true);
      await new PersonalCustomers(cut.store, database).ensure('usr_2');
      t.match(await cut.store.profile('usr_2'), { userId: 'usr_2' });
      t.equal((await cut.store.cards('usr_2', { after: null, limit: 10 })).length, 1);
    });

    t.test('nobody gets no profile', async (t) => {
      await new PersonalCustomers(store, database).ensure('usr_none');
      t.equal(await store.profile('usr_none'), null);
    });
  });
}
