/** `GET /admin/decisions/:id`: why a decision was made, from its record, wherever that is. */
import t from 'tap';
import type { DecisionView } from '../ledger/decision-view.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { type EnginePlace, opsCommand, opsGet, until } from '../testing/engine-process.js';
import { accounts, card, type Engine, owned, severalEngines, untilSpread } from '../testing/several-engines.js';

async function explanation(place: Pick<EnginePlace, 'opsPort'>, id: string): Promise<DecisionView> {
  const { status, text } = await opsGet(place, `/admin/decisions/${encodeURIComponent(id)}`);
  if (status !== 200) throw new Error(`decision ${id}: ${status} ${text}`);
  return JSON.parse(text) as DecisionView;
}

/** All but the hops, which only the engine that decided knows, and for a while. */
async function lasting(place: Pick<EnginePlace, 'opsPort'>, id: string): Promise<Omit<DecisionView, 'hopsMs'>> {
  const { hopsMs: _, ...rest } = await explanation(place, id);
  return rest;
}

const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
const limited = 'card_000001_2';

t.test('a decision is explained alike unsettled, settled, after a restart and after every change', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1 });
  const { place, client, sql } = engine;
  const limits = { perAuthorization: 20_000, daily: { amount: 10_000, count: 9 }, mcc: { block: ['7995'] } };
  await sql`insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json(limits)} from cards where token = ${limited}`;
  const held = await sql.reserve();
  await held`begin`;
  await held`lock table transaction_events in exclusive mode`;
  t.ok(answerOf(await client.authorize('first', limited, 5000, { merchant })).approved);
  t.equal(answerOf(await client.authorize('second', limited, 8000, { merchant })).reason, 'limit_exceeded');
  const bet = { merchant: { ...merchant, mcc: '7995' } };
  t.equal(answerOf(await client.authorize('bet', limited, 10, bet)).reason, 'mcc_blocked');
  await client.native({
    id: 'more',
    type: 'incremental',
    card: limited,
    amount: 5,
    currency: 'USD',
    original: 'first',
  });
  await client.authorize('absent', 'no-such-card', 10);
  await opsCommand(place, 'deposits', 'acct_000001', { id: 'money', amount: 100 });
  const ids = ['first', 'second', 'bet', 'more', 'absent', 'money'];

  const second = await explanation(place, 'second');
  t.match(second, { id: 'second', authorizationId: 'second', approved: false, reason: 'limit_exceeded' });
  t.match(second, {
    detail: 'card.daily.amount',
    amount: 8000,
    currency: 'USD',
    card: limited,
    merchant,
    partition: 0,
  });
  const daily = second.checks.find(({ detail }) => detail === 'card.daily.amount');
  t.match(daily, { passed: false, numbers: { used: 5000, added: 8000, limit: 10_000, timeZone: 'UTC' } });
  t.equal(Number(daily!.numbers['endsAtMs']) % 86_400_000, 0, 'the window ends at midnight');
  t.ok(Number(daily!.numbers['endsAtMs']) > second.atMs);
  t.match(second.checks[1], { reason: 'card_inactive', passed: true, numbers: { status: 'active', version: Number } });
  t.match(second.checks.at(-1), { reason: 'insufficient_funds', passed: null, numbers: { available: 95_000 } });
  t.match(
    second.checks.find(({ detail }) => detail === 'card.perAuthorization'),
    { passed: true },
  );
  t.ok(Object.values(second.hopsMs!).every((ms) => ms >= 0 && ms < 10_000) && second.hopsMs!.journal > 0);
  const list = (await explanation(place, 'bet')).checks.find(({ reason }) => reason === 'mcc_blocked');
  t.match(list, { passed: false, numbers: { value: '7995', entry: '7995', card: 'block', declinedBy: 'card' } });
  t.match(await explanation(place, 'more'), { authorizationId: 'first', original: 'first', type: 'incremental' });
  t.match((await explanation(place, 'absent')).checks, [{ reason: 'card_not_found', passed: false }]);
  t.match(await explanation(place, 'money'), { type: 'deposit', approved: true, card: 'acct_000001' });

  const before = await Promise.all(ids.map((id) => lasting(place, id)));
  await engine.restartUnsettled();
  t.same(await Promise.all(ids.map((id) => lasting(place, id))), before, 'after a restart, unsettled');
  await held`rollback`;
  held.release();
  await sql`update limits set limits = ${sql.json({ daily: { amount: 1 } })}`;
  await sql`update cards set status = 'frozen', version = version + 1`;
  const isSettled = async () => (await sql`select from transaction_events`).length === ids.length;
  await until('all of it is settled', isSettled);
  t.same(await Promise.all(ids.map((id) => lasting(place, id))), before, 'settled');
  await engine.restart();
  t.same(await Promise.all(ids.map((id) => lasting(place, id))), before, 'after a restart, settled');
  t.equal((await opsGet(place, '/admin/decisions/unknown')).status, 404);
  t.equal((await opsGet(place, '/admin/decisions/%00')).status, 404);
  t.equal((await opsGet(place, '/admin/decisions/%E0')).status, 400);
});

t.test('any engine explains the decisions of all, also those of an engine that died', async (t) => {
  const { start } = await severalEngines(t);
  const [first, second] = (await Promise.all([start(), start()])) as [Engine, Engine];
  await untilSpread([first, second]);
  const ids = Array.from({ length: accounts }, (_, index) => `asked-${index + 1}`);
  for (const [index, id] of ids.entries()) {
    const ask = () => first.client.authorize(id, card(index + 1), 100 + index);
    // A 503 of a busy machine decides nothing.
    await until(`${id} is approved`, async () => answerOf(await ask()).approved === true);
  }
  const before = await Promise.all(ids.map((id) => lasting(first.place, id)));
  t.same(await Promise.all(ids.map((id) => lasting(second.place, id))), before);
  t.equal(new Set(before.map(({ partition }) => partition)).size, 6, 'of every partition');
  await first.kill('SIGKILL');
  await until('the other engine has all partitions', async () => (await owned(second)) === 6);
  t.same(await Promise.all(ids.map((id) => lasting(second.place, id))), before);
  t.equal((await opsGet(second.place, '/admin/decisions/unknown')).status, 404);
});
