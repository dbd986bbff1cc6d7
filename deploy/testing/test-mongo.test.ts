/** The MongoDB-protocol server that other tests stand on. */
import { MongoClient } from 'mongodb';
import t from 'tap';
import { createTestMongo, withMongoDatabase } from './test-mongo.js';

t.test('each test has a database of its own on one server', async (t) => {
  const first = await createTestMongo();
  const second = await createTestMongo();
  t.teardown(() => first.close());
  t.teardown(() => second.close());
  const client = new MongoClient(first.uri);
  t.teardown(() => client.close());
  await client.db().collection('things').insertOne({ name: 'one' });
  t.equal(client.db().databaseName, first.databaseName);
  t.equal(await client.db().collection('things').countDocuments({}), 1);
  t.equal(await client.db(second.databaseName).collection('things').countDocuments({}), 0);
});

t.test('a unique index refuses the second document, on which idempotency relies', async (t) => {
  const mongo = await createTestMongo();
  t.teardown(() => mongo.close());
  const client = new MongoClient(mongo.uri);
  t.teardown(() => client.close());
  const things = client.db().collection('things');
  await things.createIndex({ name: 1 }, { unique: true });
  await things.insertOne({ name: 'one' });
  await t.rejects(things.insertOne({ name: 'one' }), { code: 11000 });
});

t.test('the database enters the path, and the rest of the connection string stays', async (t) => {
  t.equal(withMongoDatabase('mongodb://127.0.0.1:27017', 'a'), 'mongodb://127.0.0.1:27017/a');
  t.equal(withMongoDatabase('mongodb://u:p@h1:1,h2:2/old?replicaSet=r', 'a'), 'mongodb://u:p@h1:1,h2:2/a?replicaSet=r');
  t.throws(() => withMongoDatabase('postgres://h/x', 'a'));
});
