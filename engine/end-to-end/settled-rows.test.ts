/** What the rows in Postgres say of messages that change or miss their transaction: real engine, real Postgres. */
import t from 'tap';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { NumberText } from '../protocols/testing/mutate.js';
import { answerOf, marqetaPath } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { engineBooks, until, untilSettled } from '../testing/engine-process.js';

t.setTimeout(120_000);

t.test('an advice replaces the hold of its original, in Postgres and after a restart', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const ask = async (message: object) =>
    answerOf(await engine.client.native({ card: 'card_000001_1', currency: 'USD', ...message }));
  const settled = () => untilSettled(engine.place);
  t.ok((await ask({ id: 'pump', type: 'authorization', amount: 100 })).approved);
  await settled();
  const advice = await ask({ id: 'dispensed', type: 'advice', amount: 4500, original: 'pump' });
  t.match(advice, { approved: true, authorizationId: 'pump', amount: 4500, available: 95_500 });
  await settled();
  const row = async () => {
    const [found] = await engine.sql`
      select amount::int, held_amount::int as held, posted_amount::int as posted, status from transactions
      where id = 'pump'`;
    return { ...found };
  };
  t.same(await row(), { amount: 4500, held: 4500, posted: 0, status: 1 });
  await engine.restart();
  t.match(await engineBooks(engine.place, 'acct_000001'), { held: 4500, available: 95_500 });
  const cleared = await ask({ id: 'cleared', type: 'clearing', amount: 4500, original: 'dispensed' });
  t.match(cleared, { approved: true, authorizationId: 'pump', available: 95_500 });
  await settled();
  t.same(await row(), { amount: 4500, held: 0, posted: 4500, status: 2 });
  t.equal((await engine.sql`select from transactions where id = 'dispensed'`).length, 0);
});

t.test(
  'a foreign currency is declined with the amount and currency of the message, and an unknown one is a 400',
  async (t) => {
    const engine = await startTestEngine(t, { accounts: 1 });
    const card = 'card_000001_1';
    const foreign = { id: 'eur', type: 'authorization', card, amount: 10_000, currency: 'EUR' };
    t.match(answerOf(await engine.client.native(foreign)), {
      approved: false,
      reason: 'currency_mismatch',
      amount: 10_000,
      currency: 'EUR',
    });
    const unknown = await engine.client.native({ ...foreign, id: 'zzz', currency: 'ZZZ' });
    t.match([unknown.status, JSON.parse(unknown.body).field], [400, 'currency']);
    const sample = marqetaSample({ token: 'jpy', amount: new NumberText('5000') }) as Record<
      string,
      Record<string, unknown>
    >;
    sample['gpa_order']!['currency_code'] = 'JPY';
    const body = sampleText({ ...sample, card_token: card });
    const { jit_funding: funding } = JSON.parse((await engine.client.ask({ path: marqetaPath, body })).body);
    t.equal(funding.amount, 5000);
    await until('both are settled', async () => (await engine.sql`select from transactions`).length === 2);
    const rows = await engine.sql`select id, amount::int, currency, status from transactions order by id`;
    t.same(
      rows.map((row) => ({ ...row })),
      [
        { id: 'eur', amount: 10_000, currency: 'EUR', status: 5 },
        { id: 'jpy', amount: 5000, currency: 'JPY', status: 5 },
      ],
    );
  },
);

t.test('a refund above the posted amount is approved and flagged', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const ask = async (message: object) =>
    answerOf(await engine.client.native({ card: 'card_000001_1', currency: 'USD', ...message }));
  await ask({ id: 'a', type: 'authorization', amount: 100 });
  await ask({ id: 'c', type: 'clearing', amount: 100, original: 'a' });
  t.equal((await ask({ id: 'r1', type: 'refund', amount: 60, original: 'a' })).detail, undefined);
  t.match(await ask({ id: 'r2', type: 'refund', amount: 60, original: 'a' }), { approved: true, detail: 'force_post' });
  await until('it is settled', async () => {
    const [row] = await engine.sql`select refunded_amount::int as refunded, forced from transactions where id = 'a'`;
    return row?.['refunded'] === 120 && row['forced'] === true;
  });
});
