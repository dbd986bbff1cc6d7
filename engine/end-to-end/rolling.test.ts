/** Rolling limits over restarts, journal and settling: real server, real Postgres. */
import t from 'tap';
import { answerOf, nativePath } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { opsGet, until, untilSettled } from '../testing/engine-process.js';
import { card as cardOf, type Engine, owned, severalEngines, untilSpread } from '../testing/several-engines.js';

const rolling = [
  { hours: 24, amount: 1000, count: 4 },
  { hours: 720, amount: 5000 },
];

t.test('a rolling window counts on over restarts, from the journal and from PostgreSQL', async (t) => {
  const engine = await startTestEngine(t, {
    accounts: 2,
    changes: { DEADLINE_MS: '1500', FEED_STALE_MS_MAX: '20000' },
  });
  const { sql, place } = engine;
  const card = 'card_000001_1';
  await sql`insert into limits (level, entity_id, limits)
    select 0, id, ${sql.json({ rolling })} from cards where token = ${card}`;
  await engine.restart();
  const ask = async (id: string, amount: number, type = 'authorization', original?: string) => {
    const body = { id, type, card, amount, currency: 'USD', original };
    return answerOf(await engine.client.ask({ path: nativePath, body: JSON.stringify(body) }));
  };
  const exceeded = (window: string) => ({
    approved: false,
    reason: 'limit_exceeded',
    detail: `card.rolling.${window}`,
  });
  t.match(await ask('first', 600), { approved: true });
  t.match(await ask('second', 401), exceeded('0.amount'));
  // The lock keeps what follows in the journal alone.
  const held = await sql.reserve();
  await held`begin`;
  await held`lock table spend_windows in exclusive mode`;
  t.match(await ask('third', 100), { approved: true });
  await engine.restartUnsettled();
  t.match(await ask('fourth', 301), exceeded('0.amount'), 'replayed from the journal');
  await held`rollback`;
  held.release();
  t.match(await ask('fifth', 200), { approved: true });
  await untilSettled(place);
  await engine.restart();
  t.match(await ask('sixth', 101), exceeded('0.amount'), 'loaded from PostgreSQL');
  t.match(await ask('seventh', 50, 'incremental', 'first'), { approved: true });
  t.match(await ask('eighth', 51), exceeded('0.amount'));
  t.match(await ask('ninth', 1), { approved: true });
  t.match(await ask('tenth', 1), { ...exceeded('0.count'), responseCode: '65' });
  const { checks } = JSON.parse((await opsGet(place, '/admin/decisions/eighth')).text);
  const found = checks.find(({ detail }: { detail: string }) => detail === 'card.rolling.0.amount');
  t.match(found, { passed: false, numbers: { used: 950, added: 51, limit: 1000, hours: 24 } });
  const [row] = await sql`select id::int as id from cards where token = ${card}`;
  const shown = JSON.parse((await opsGet(place, `/admin/windows?card=${row!['id']}`)).text);
  const sum = shown.card.rolling.fine.reduce((total: number, [, , amount]: number[]) => total + amount!, 0);
  t.equal(sum, 951, 'the windows of the ops port have the cells');
});

t.test('a rolling window counts on at the engine that takes a lost one over', async (t) => {
  const { start, sql } = await severalEngines(t);
  await sql`insert into limits (level, entity_id, limits) select 0, id, ${sql.json({ rolling })} from cards`;
  const slow = { DEADLINE_MS: '3000' };
  const [first, second] = (await Promise.all([start(slow), start(slow)])) as [Engine, Engine];
  await untilSpread([first, second]);
  const cards = Array.from({ length: 12 }, (_, index) => cardOf(index + 1));
  for (const [index, card] of cards.entries()) {
    // A 503 of a busy machine decides nothing.
    const ask = () => first.client.authorize(`before-${index}`, card, 700);
    await until(`${card} has spent`, async () => answerOf(await ask()).approved === true);
  }
  await first.kill('SIGKILL');
  await until('the other engine has all partitions', async () => (await owned(second)) === 6);
  for (const [index, card] of cards.entries()) {
    let answer: ReturnType<typeof answerOf> | null = null;
    const ask = async () => {
      answer = answerOf(await second.client.authorize(`after-${index}`, card, 301));
      return answer.responseCode !== undefined && answer.reason !== 'system_error';
    };
    await until(`${card} is decided`, ask);
    t.match(answer, { approved: false, reason: 'limit_exceeded', detail: 'card.rolling.0.amount' }, card);
  }
});
