/** Types of cards and replacements in a whole engine: side by side, after a restart, and from Postgres alone. */
import t from 'tap';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { answerOf, marqetaPath } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { metric, until } from '../testing/engine-process.js';

async function addCard(engine: TestEngine, token: string, type: string, spendOf: string | null = null): Promise<void> {
  await engine.sql`
    insert into cards (public_id, token, account_id, user_id, name, expires, type, spend_of)
    select ${token}, ${token}, account_id, user_id, ${token}, date '2099-12-31', ${type},
      (select coalesce(spend_of, id) from cards where token = ${spendOf}::text)
    from cards where token = 'card_000001_1'`;
}

async function start(t: Parameters<typeof startTestEngine>[0]) {
  const engine = await startTestEngine(t, { accounts: 1 });
  let asked = 0;
  const pay = async (card: string, merchant?: string, more: object = {}) => {
    const message = { id: `a${++asked}`, type: 'authorization', card, amount: 1, currency: 'USD', ...more };
    const said = { ...message, ...(merchant === undefined ? {} : { merchant: { id: merchant } }) };
    const { approved, reason, detail } = answerOf(await engine.client.native(said));
    return approved ? 'approved' : (detail ?? reason);
  };
  const settled = (records: number) =>
    until('all of it is settled', async () => (await metric(engine.place, 'shipper_settled_records_total')) >= records);
  return { engine, pay, settled, asked: () => asked };
}

t.test('a single-use card makes one of many concurrent purchases, a locked card those of one merchant', async (t) => {
  const { engine, pay } = await start(t);
  await addCard(engine, 'single', 'single_use');
  await addCard(engine, 'locked', 'merchant_locked');
  const single = await Promise.all(Array.from({ length: 60 }, () => pay('single', 'm-1')));
  t.equal(single.filter((said) => said === 'approved').length, 1);
  t.equal(single.filter((said) => said === 'card.lifetime.count').length, 59);
  const locked = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => [index % 3, await pay('locked', `m-${index % 3}`)] as const),
  );
  const merchants = new Set(locked.filter(([, said]) => said === 'approved').map(([merchant]) => merchant));
  t.equal(merchants.size, 1);
  t.equal(locked.filter(([, said]) => said === 'approved').length, 20);
  t.equal(locked.filter(([, said]) => said === 'merchant_blocked').length, 40);
});

t.test('the purchases of a card survive a restart, settled or not, and count for its replacement', async (t) => {
  const { engine, pay, settled, asked } = await start(t);
  const { sql } = engine;
  for (const name of ['early', 'late']) {
    await addCard(engine, `single-${name}`, 'single_use');
    await addCard(engine, `locked-${name}`, 'merchant_locked');
  }
  await sql`insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ lifetime: { amount: 3 } })} from cards where token = 'card_000001_2'`;
  t.equal(await pay('single-early', 'm-1'), 'approved');
  t.equal(await pay('locked-early', 'm-1'), 'approved');
  t.equal(await pay('card_000001_2', 'm-1', { amount: 2 }), 'approved');
  await settled(3);
  // What is not settled when the engine ends is in the journal alone.
  const held = await sql.reserve();
  await held`begin`;
  await held`lock table spend_windows in exclusive mode`;
  t.equal(await pay('single-late', 'm-1'), 'approved');
  t.equal(await pay('locked-late', 'm-1'), 'approved');
  await engine.restartUnsettled();
  const check = async (when: string) => {
    for (const name of ['early', 'late']) {
      t.equal(await pay(`single-${name}`, 'm-1'), 'card.lifetime.count', when);
      t.equal(await pay(`locked-${name}`, 'm-2'), 'merchant_blocked', when);
      t.equal(await pay(`locked-${name}`), 'merchant_blocked', when);
      t.equal(await pay(`locked-${name}`, 'm-1'), 'approved', when);
    }
  };
  await check('from the journal');
  await held`commit`;
  held.release();
  await until('all of it is in Postgres', async () => {
    const [row] = await sql`select coalesce(max(sequence), 0)::int as sequence from journal_positions`;
    return row!['sequence'] >= asked();
  });
  await engine.restart();
  await check('from Postgres');

  for (const [old, type] of [
    ['single-late', 'single_use'],
    ['locked-late', 'merchant_locked'],
    ['card_000001_2', 'virtual'],
  ] as const) {
    await sql`update cards set status = 'closed' where token = ${old}`;
    await addCard(engine, `${old}-again`, type, old);
  }
  await sql`insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ lifetime: { amount: 3 } })} from cards where token = 'card_000001_2-again'`;
  const checkReplacements = async (when: string) => {
    t.equal(await pay('single-late-again', 'm-1'), 'card.lifetime.count', when);
    t.equal(await pay('locked-late-again', 'm-2'), 'merchant_blocked', when);
    t.equal(await pay('locked-late-again', 'm-1'), 'approved', when);
    t.equal(await pay('card_000001_2-again', 'm-1', { amount: 2 }), 'card.lifetime.amount', when);
  };
  await checkReplacements('at once');
  t.equal(await pay('card_000001_2-again', 'm-1', { amount: 1 }), 'approved');
  await engine.restart();
  await checkReplacements('after a restart');
  t.equal(
    await pay('card_000001_2-again', 'm-1', { amount: 1 }),
    'card.lifetime.amount',
    'the replacement counts its own purchase',
  );
});

t.test('Marqeta messages follow the same card type rules', async (t) => {
  const { engine } = await start(t);
  await addCard(engine, 'single', 'single_use');
  const ask = async (number: number) => {
    const order = `5b0c7f6e-0000-4000-8000-00000000a00${number}`;
    const text = sampleText({ ...marqetaSample(), card_token: 'single' });
    const body = text.replaceAll('5b0c7f6e-0000-4000-8000-00000000a001', order).replaceAll('b001', `b00${number}`);
    return engine.client.ask({ path: marqetaPath, body });
  };
  t.equal((await ask(1)).status, 200);
  const second = await ask(2);
  t.equal(second.status, 402);
  t.match(second.body, /TRANSACTION_COUNT_LIMIT_EXCEEDED/);
});
