/**
 * What the engine obeys is in Postgres alone. The API says what the engine does. That holds with any state of the
 * copies in MongoDB, and after a restore of either store from an older copy.
 */
import { MongoClient } from 'mongodb';
import t, { type Test } from 'tap';
import { findFreePort } from '../../deploy/free-port.js';
import { databaseFor, folderFor, mongoFor } from '../../deploy/testing/for-test.js';
import { backUp } from '../../deploy/testing/older-copy.js';
import { enginePlace, startEngineProcess, until } from '../../engine/testing/engine-process.js';
import { request, startTestApi } from '../testing/api-inside.js';
import { ApiProcess } from '../testing/api-process.js';
import { type ApiUnderTest, Customer, pay } from '../testing/customer.js';

interface CardDocument {
  readonly _id: string;
  readonly version: number;
  readonly status: string;
}

async function copiesFor(t: Test) {
  const { uri } = await mongoFor(t);
  const client = new MongoClient(uri);
  t.teardown(() => client.close());
  return { uri, copies: client.db().collection<CardDocument>('personalCards') };
}

t.test('an older, a removed and a hundred foreign documents change no answer', async (t) => {
  const { uri, copies } = await copiesFor(t);
  const api = await startTestApi(t, { engine: true, env: { MONGODB_URI: uri } });
  const customer = await Customer.register(api, 'personal');
  const accountId = await customer.accountId();
  await customer.post(`/api/accounts/${accountId}/deposits`, { amount: 1_000_000 });
  const card = await customer.card(accountId);
  const path = `/api/cards/${card.id}`;
  const patch = (status: string) => customer.change('PATCH', path, { status });
  const copied = (version: number) =>
    until(`version ${version} is copied`, async () => (await copies.findOne({ _id: card.id }))?.version === version);
  await copied(1);
  const old = (await copies.findOne({ _id: card.id }))!;
  for (const status of ['frozen', 'active', 'frozen', 'active']) await patch(status);
  await copied(5);

  t.test('a freeze over an older copy is confirmed with the version in force, and holds', async (t) => {
    await copies.replaceOne({ _id: card.id }, old);
    t.match((await patch('frozen')).json, { status: 'frozen', version: 6, effective: true });
    t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
    t.match((await customer.get(path)).json, { status: 'frozen', version: 6 });
    await copied(6);
  });

  t.test('a card whose copy was removed is shown, changed and refused as before', async (t) => {
    await copies.deleteOne({ _id: card.id });
    t.match(await customer.get(path), { status: 200, json: { status: 'frozen' } });
    t.match((await patch('active')).json, { version: 7, effective: true });
    t.match(await pay(api, card.token), { approved: true });
    t.match((await patch('frozen')).json, { version: 8, effective: true });
    t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
    await copied(8);
  });

  t.test('documents that are no copies do not hold up copying', async (t) => {
    const pending = new Date(0);
    await copies.insertMany(
      Array.from({ length: 100 }, (_, n) => ({
        ...old,
        _id: `crd_foreign${n}`,
        userId: 'usr_gone',
        token: `t${n}`,
        pending,
      })),
    );
    const limited = await customer.change('PUT', `${path}/limits`, { perAuthorization: 1 });
    t.match(limited.json, { version: 9, effective: true });
    await copied(9);
  });
});

t.test('API, engine and copy agree after Postgres is restored from an older copy', async (t) => {
  const { uri, copies } = await copiesFor(t);
  const database = await databaseFor(t);
  const { sql } = database;
  const folder = folderFor(t);
  const place = await enginePlace(database.url, folder);
  const startApi = async () => {
    const process = new ApiProcess(await findFreePort(), {
      DATABASE_URL: database.url,
      MONGODB_URI: uri,
      ENGINE_URL: `http://127.0.0.1:${place.opsPort}`,
      LOG_LEVEL: 'warn',
    });
    t.teardown(() => process.stop());
    await process.ready();
    const api: ApiUnderTest = {
      engine: place,
      request: (method, path, options) => request(process.url, method, path, options),
    };
    return { process, api };
  };
  const before = await startApi();
  const customer = await Customer.register(before.api, 'personal');
  const [account] = await sql<{ id: string }[]>`select public_id as id from accounts`;
  const card = await customer.card(account!.id);
  const path = `/api/cards/${card.id}`;
  await customer.change('PATCH', path, { name: 'Two' });
  const restore = await backUp(sql, ['cards', 'outbox', 'feed_position']);
  const frozen = await customer.change('PATCH', path, { status: 'frozen' });
  t.match(frozen.json, { version: 3, effective: true });
  await until('the freeze is copied', async () => (await copies.findOne({ _id: card.id }))?.version === 3);
  await before.process.stop();
  await restore();
  const engine = await startEngineProcess(place);
  t.teardown(() => engine.kill('SIGTERM'));
  const { api } = await startApi();
  const again = new Customer(api, customer.token, customer.userId, customer.email);
  t.match((await again.get(path)).json, { status: 'active', version: 2 });
  t.match(await pay(api, card.token), { reason: 'insufficient_funds' }, 'the card is active for the engine too');
  await until('the copy goes back', async () => (await copies.findOne({ _id: card.id }))?.version === 2);
  const change = await again.change('PATCH', path, { status: 'frozen' });
  t.match(change.json, { status: 'frozen', version: 3, effective: true });
  t.match(await pay(api, card.token), { approved: false, reason: 'card_inactive' });
  await until('the new freeze is copied', async () => (await copies.findOne({ _id: card.id }))?.status === 'frozen');
});
