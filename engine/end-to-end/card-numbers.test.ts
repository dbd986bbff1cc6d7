/**
 * Card numbers in identifiers and texts: taken, answered as they were sent, and kept nowhere. Real engine, real
 * Postgres.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { NumberText } from '../protocols/testing/mutate.js';
import { answerOf, marqetaPath, stableBody } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { opsCommand, untilSettled } from '../testing/engine-process.js';

t.setTimeout(120_000);

/** Digits of the card numbers that are sent below; separators are taken out before they are looked for. */
const secrets = ['411111111111', '378282246310', '2200700012345673', '4419834459135033'];

/** Everything that the engine has kept: rows as text, records as bytes, the files of its journal. */
async function kept({ sql, place }: TestEngine): Promise<string> {
  const rows = await sql`
    select t::text as text from transactions t union all
    select e::text || encode(e.record, 'escape') from transaction_events e`;
  const files = readdirSync(place.dataDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  return [...rows.map((row) => String(row['text'])), ...files].join('\n');
}

function assertNothingKept(t: Test, text: string): void {
  const digits = text.replace(/[ _/.-]/g, '');
  for (const secret of secrets)
    t.notOk(digits.includes(secret), `nothing kept on disk contains ${secret.slice(0, 6)}…`);
}

t.test('ids that hold card numbers work through a whole transaction, across restarts and a new key', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2, changes: { PAN_KEY: 'first-key' } });
  const { client, place } = engine;
  const card = 'card_000001_1';
  const stable = async (message: object) => {
    const { status, body } = await client.native({ currency: 'USD', ...message });
    return `${status} ${stableBody(body)}`;
  };
  const merchant = { id: 'm 378282246310005', name: 'SHOP 4419834459135033 942472608929' };
  const opened = { id: 'auth4111111111111111', type: 'authorization', card, amount: 500, merchant };
  const increased = { id: '4111.1111.1111.1111', type: 'incremental', card, amount: 50, original: opened.id };
  const open = await stable(opened);
  t.match(JSON.parse(open.slice(4)), { id: opened.id, approved: true, authorizationId: opened.id, available: 99_500 });
  const increase = await stable(increased);
  t.match(JSON.parse(increase.slice(4)), { id: increased.id, approved: true, authorizationId: opened.id });
  t.equal(await stable(opened), open, 'the same bytes are a repeat');
  t.equal(answerOf(await client.native({ ...opened, currency: 'USD', amount: 501 })).reason, 'duplicate_conflict');
  const unknown = { id: 'x', type: 'authorization', card: 'tok 2200700012345673', amount: 1 };
  t.match(JSON.parse((await stable(unknown)).slice(4)), { approved: false, reason: 'card_not_found' });
  const refused = await client.native({ ...opened, id: 'y', card: '4111 1111 1111 1111', currency: 'USD' });
  t.equal(refused.status, 400);
  t.match(JSON.parse(refused.body), { field: 'card', detail: /is a card number, which is never kept/ });
  const deposit = { id: 'top-up 4111-1111-1111-1111', amount: 100 };
  const paid = await opsCommand(place, 'deposits', 'acct_000002', deposit);
  t.match(JSON.parse(paid.text), { id: deposit.id, approved: true });
  const marqeta = sampleText(
    marqetaSample({ token: '4111_1111_1111_1111', user_token: 'u4111111111111111', amount: new NumberText('1.00') }),
  ).replace('card-77', 'card_000002_1');
  const funded = await client.ask({ path: marqetaPath, body: marqeta });
  t.match(JSON.parse(funded.body).jit_funding, { token: '4111_1111_1111_1111', user_token: 'u4111111111111111' });

  await untilSettled(place);
  assertNothingKept(t, await kept(engine));
  for (const key of ['first-key', 'second-key,first-key']) {
    await engine.restart({ PAN_KEY: key });
    t.equal(await stable(opened), open, `a repeat after a restart with ${key} receives the first answer`);
    t.equal(await stable(increased), increase);
    t.same(await opsCommand(place, 'deposits', 'acct_000002', deposit), paid);
    t.equal((await client.ask({ path: marqetaPath, body: marqeta })).body, funded.body);
  }
  const cleared = answerOf(
    await client.native({ id: 'c1', type: 'clearing', card, amount: 550, currency: 'USD', original: increased.id }),
  );
  t.match(cleared, { approved: true, available: 99_450 });
  t.match(cleared.authorizationId, /^hidden_[a-p]{40}$/, 'Postgres keeps the hashed form of the id');
  await untilSettled(place);
  assertNothingKept(t, await kept(engine));
});

/**
 * Restarts it without its journal, so that the ids of settled records must come from Postgres. They cannot be read
 * there, so the partition knows none of them during the test.
 */
async function restartWithoutIds({ sql, place, stop, restart }: TestEngine, panKey: string): Promise<void> {
  await untilSettled(place);
  await stop();
  const journal = join(place.dataDir, 'journal');
  rmSync(journal, { recursive: true });
  mkdirSync(join(journal, 'p0'), { recursive: true });
  writeFileSync(join(journal, 'p0', 'begin-anew'), '');
  await sql`alter table transaction_events rename column id_hash to id_hash_held_back`;
  await restart({ PAN_KEY: panKey });
}

t.test('after PAN_KEY is rotated, ids that are not in memory yet are looked up under the older key too', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2, changes: { PAN_KEY: 'first-key' } });
  const { client, place } = engine;
  const card = 'card_000001_1';
  const stable = async (message: object) => {
    const { status, body } = await client.native({ currency: 'USD', ...message });
    return `${status} ${stableBody(body)}`;
  };
  const opened = { id: 'auth4111111111111111', type: 'authorization', card, amount: 500 };
  const increased = { id: '4111.1111.1111.1111', type: 'incremental', card, amount: 50, original: opened.id };
  const overtaken = { id: 'r4111111111111111', type: 'reversal', card, amount: 7, original: 'a 4111111111111111' };
  const unknown = { id: 'x', type: 'authorization', card: 'tok 2200700012345673', amount: 1 };
  const follows = { id: 'y', type: 'incremental', card, amount: 5, original: '4111111111111111' };
  const questions = [opened, increased, overtaken, unknown, follows];
  const first: string[] = [];
  for (const question of questions) first.push(await stable(question));
  t.match(first[0], /"approved":true/);
  t.match(first[1], /"approved":true/);
  t.match(first[3], /card_not_found/);
  t.match(first[4], /original_not_found/);
  const deposit = { id: 'top-up 4111-1111-1111-1111', amount: 100 };
  const paid = await opsCommand(place, 'deposits', 'acct_000001', deposit);
  t.match(JSON.parse(paid.text), { approved: true });
  const last = { id: 'last', type: 'authorization', card, amount: 1000 };
  t.match(await stable(last), /"available":98550/);
  const other = { currency: 'USD', card: 'card_000002_1' };
  for (const index of [0, 1]) {
    const opening = { ...other, id: `auth${index} 4111111111111111`, type: 'authorization', amount: 500 };
    t.match(answerOf(await client.native(opening)), { approved: true });
    const more = { ...opening, id: `more${index} 4111111111111111`, type: 'incremental', original: opening.id };
    t.match(answerOf(await client.native(more)), { approved: true });
  }

  await restartWithoutIds(engine, 'second-key,first-key');
  // The increase first: its original is in no memory yet.
  for (const index of [1, 0, 2, 3, 4]) {
    t.equal(await stable(questions[index]!), first[index], `the repeat of ${questions[index]!.id} gets its answer`);
  }
  t.same(await opsCommand(place, 'deposits', 'acct_000001', deposit), paid);
  t.match(await stable({ ...opened, amount: 501 }), /duplicate_conflict/);
  t.match(await stable({ ...increased, original: 'x 4111111111111111' }), /duplicate_conflict/);
  t.match(await opsCommand(place, 'deposits', 'acct_000001', { ...deposit, amount: 101 }), { status: 409 });
  for (const original of ['auth0 4111111111111111', 'more1 4111111111111111']) {
    const clearing = { ...other, id: `clears ${original}`, type: 'clearing', amount: 1000, original };
    t.match(answerOf(await client.native(clearing)), { approved: true, available: 98_000 }, `follows ${original}`);
  }
});

t.test('a message that waited for a lookup counts as the same message when it returns', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const message = {
    ...{ id: 'cold', type: 'authorization', card: 'card_000001_1', amount: 5, currency: 'USD' },
    merchant: { id: '4419834459135033 942472608929', name: 'SHOP 4419834459135033 942472608929' },
  };
  // The card is not in memory: the first time it is loaded, and the message is read twice.
  t.match(answerOf(await engine.client.native(message)), { approved: true });
  const again = await engine.client.native(message);
  t.equal(again.status, 200);
  t.match(answerOf(again), { approved: true });
});
