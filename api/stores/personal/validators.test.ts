/**
 * The validators of sql/mongo accept every document that we write. Servers that take validators refuse what they do not
 * accept, and those that tests run on may take none: so the schemas are tried here.
 */
import { Ajv } from 'ajv';
import t from 'tap';
import { readMongoSchemas } from '../../../sql/mongo-schemas.js';
import { createStoreBench } from '../../testing/personal-stores.js';
import { MongoCopies } from './mongo-copies.js';
import { MongoHistory } from './mongo-history.js';

/** BSON types as the driver gives them back. */
const isOfType: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  date: (value) => value instanceof Date,
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date),
  array: Array.isArray,
  int: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  long: Number.isSafeInteger,
  double: (value) => typeof value === 'number',
};

const ajv = new Ajv({ strict: false });
ajv.addKeyword({
  keyword: 'bsonType',
  validate: (types: string | string[], value: unknown) => [types].flat().some((type) => isOfType[type]!(value)),
});

t.test('the validators accept every document that the stores write', async (t) => {
  const bench = await createStoreBench(t);
  const createdAt = '2026-01-01T00:00:00.000Z';
  const copies = new MongoCopies(bench.connection);
  const stamp = { ledger: 'ledger', generation: 1_795_000_000_000 };
  const person = { userId: 'usr_1', version: 1, createdAt: new Date(createdAt) };
  await copies.write('personalUsers', stamp, [{ ...person, _id: 'usr_1', email: 'one@example.com', name: 'One' }]);
  const limits = { daily: { amount: 5 } };
  const card = { accountId: 'acct_1', token: 'tok_1', name: 'Card', type: 'virtual', status: 'active' } as const;
  await copies.write('personalCards', stamp, [{ ...person, ...card, _id: 'card_1', expires: '2030-01-31', limits }]);
  const history = new MongoHistory(bench.connection, async () => 'ledger');
  await history.update([
    {
      _id: 'ledger/0/1750000000000/tx-1',
      ledger: 'ledger',
      partition: 0,
      // Beyond 32 bits.
      lastSequence: 5_000_000_000,
      eventTotals: [],
      transactionId: 'tx-1',
      userId: 'usr_1',
      cardId: 'card_1',
      accountId: 'acct_1',
      type: 'authorization',
      status: 'pending',
      currency: 'JPY',
      // Beyond 32 bits.
      amount: 90_000_000_000_000,
      approvedAmount: 90_000_000_000_000,
      heldAmount: 90_000_000_000_000,
      postedAmount: 0,
      refundedAmount: 0,
      reason: 'approved',
      detail: null,
      merchant: { id: null, name: null, mcc: null, country: null },
      channel: null,
      createdAt: new Date(createdAt),
      updatedAt: new Date(createdAt),
      spentAmount: 90_000_000_000_000,
      spendDay: 20_454,
      events: [],
      eventCount: 1,
    },
  ]);
  const schemas = await readMongoSchemas();
  t.same(
    schemas.map(({ collection }) => collection),
    ['personalCards', 'personalTransactions', 'personalUsers'],
  );
  for (const { collection, validator } of schemas) {
    const validate = ajv.compile(validator['$jsonSchema'] as object);
    const documents = await bench.connection.collection(collection).find({}).toArray();
    t.ok(documents.length > 0, `${collection} has documents`);
    for (const document of documents) t.ok(validate(document), `${collection}: ${ajv.errorsText(validate.errors)}`);
    t.notOk(validate({ _id: 'x' }), `${collection} refuses other documents`);
  }
});
