/** Fields that the native form does not know: a typing error must not move money without a trace. */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { metric, opsGet, until } from '../testing/engine-process.js';
import { UnknownFieldCounts } from './unknown-fields.js';

t.setTimeout(120_000);

t.test('an unknown field is counted by name, once for each message', async (t) => {
  const { client, place } = await startTestEngine(t, { accounts: 1 });
  const message = { id: 'a', type: 'authorization', card: 'card_000001_1', amount: 5, currency: 'USD' };
  // The card is not in memory, so the first message is read twice.
  t.ok(answerOf(await client.native({ ...message, merchnt: { mcc: '7995' } })).approved);
  t.ok(answerOf(await client.native({ ...message, id: 'b', merchnt: {}, merchant: { MCC: '7995' } })).approved);
  const counted = (field: string) => metric(place, `authorization_unknown_fields_total{field="${field}"}`);
  await until('they are counted', async () => (await opsGet(place, '/metrics')).text.includes('field="merchant.MCC"'));
  t.equal(await counted('merchnt'), 2);
  t.equal(await counted('merchant.MCC'), 1);
});

t.test('with STRICT_FIELDS a misspelt field is refused with the nearest known name', async (t) => {
  const { client } = await startTestEngine(t, { accounts: 1, changes: { STRICT_FIELDS: 'true' } });
  const clearing = { id: 'c', type: 'clearing', card: 'card_000001_1', amount: 5, currency: 'USD' };
  const { status, body } = await client.native({ ...clearing, orginal: 'a' });
  t.equal(status, 400);
  t.match(JSON.parse(body), {
    field: 'orginal',
    detail: 'orginal is not a field of this message; did you mean original?',
  });
});

t.test('each name is logged once, whichever partitions count it', async (t) => {
  const logged: string[] = [];
  const fields = new UnknownFieldCounts((field) => logged.push(field));
  fields.see([{ unknownFields: [['a', 1]] }, { unknownFields: [] }]);
  fields.see([
    { unknownFields: [['a', 2]] },
    {
      unknownFields: [
        ['a', 3],
        ['b', 1],
      ],
    },
  ]);
  t.same(logged, ['a', 'b']);
  t.same(
    [...fields.counts],
    [
      ['a', 5],
      ['b', 1],
    ],
  );
});
