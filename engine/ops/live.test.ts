/** `GET /admin/live` of a real engine: what it decides is counted and shown. */
import t from 'tap';
import { samplesMax } from '../../platform/live/engine-line.js';
import { marqetaSample, sampleText } from '../protocols/testing/marqeta-sample.js';
import { answerOf, marqetaPath } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { opsCommand, opsGet } from '../testing/engine-process.js';
import { LiveLines, total } from '../testing/live-lines.js';

const card = 'card_000001_1';
const merchant = { id: 'm-1', name: 'Corner "Store" 4111 1111 1111 1111', mcc: '0742', country: 'US' };

t.test('a line counts every decided answer, and shows each decision once', async (t) => {
  const { place, client } = await startTestEngine(t, { accounts: 2, changes: { DEADLINE_MS: '3000' } });
  t.ok(answerOf(await client.authorize('before', card)).approved);
  const lines = await LiveLines.open(t, place);
  const first = (await lines.next())!;
  t.same(first.decided, { approved: 1 });
  t.same(first.last, [], 'what was decided before a reader came is not shown');

  await client.authorize('a', card, 500, { merchant });
  await client.authorize('a', card, 500, { merchant });
  await client.authorize('too-much', card, 99_999_999);
  await client.native({ id: 'more', type: 'incremental', card, amount: 5, currency: 'USD', original: 'a' });
  await client.authorize('absent', 'no-such-card');
  await client.authorize('a', card, 700, { merchant });
  await client.ask({ body: '{' });
  await opsCommand(place, 'deposits', 'acct_000001', { id: 'money', amount: 100 });
  const jit = { ...marqetaSample({ token: 'jit-1' }), card_token: 'card_000002_1' };
  await client.ask({ path: marqetaPath, body: sampleText(jit) });
  const line = await lines.until(({ decided }) => total(decided) === 8);
  t.match(line.decided, { approved: 5, insufficient_funds: 1, card_not_found: 1, duplicate_conflict: 1 });
  t.same(line.refused, {});
  t.equal(line.latency.counts.length, line.latency.boundsMs.length + 1);
  t.equal(
    line.latency.counts.reduce((sum, count) => sum + count),
    8,
  );
  t.ok(line.hops.journal[0] > first.hops.journal[0] && line.hops.send[1] > 0);
  t.match(line, { epoch: Number, partitions: [0], journalUsedShare: Number, feedAgeMs: Number });
  t.match(lines.shown, [
    { id: 'a', authorizationId: 'a', approved: true, reason: 'approved', amount: 500, currency: 'USD', card: '…01_1' },
    { id: 'too-much', approved: false, reason: 'insufficient_funds', merchant: null },
    { id: 'more', authorizationId: 'a', approved: true, amount: 5 },
    { id: 'absent', approved: false, reason: 'card_not_found', card: '…card' },
    { id: 'a', approved: false, reason: 'duplicate_conflict', amount: 700 },
    { id: 'jit-1', authorizationId: 'jit-1', approved: true, card: '…02_1' },
  ]);
  t.match(lines.shown[0]!.merchant, { name: 'Corner "Store" **** **** **** 1111', mcc: '0742', country: 'US' });
  for (const { atMs, tookMs } of lines.shown) {
    t.ok(atMs > first.atMs - 250 && atMs <= line.atMs && tookMs! > 0 && tookMs! < 10_000);
  }
});

t.test('of more decisions than a line has room for the newest are shown', async (t) => {
  const { place, client } = await startTestEngine(t, { changes: { DEADLINE_MS: '3000' } });
  const lines = await LiveLines.open(t, place);
  await lines.next();
  const asked = Array.from({ length: 400 }, (_, index) => client.authorize(`q-${index}`, card));
  t.ok((await Promise.all(asked)).every((reply) => answerOf(reply).approved));
  let linesRead = 0;
  await lines.until(({ decided, last }) => {
    linesRead++;
    t.ok(last.length <= samplesMax);
    return total(decided) === 400;
  });
  t.ok(lines.shown.length >= samplesMax && lines.shown.length <= linesRead * samplesMax);
  t.equal(new Set(lines.shown.map(({ id }) => id)).size, lines.shown.length, 'none twice');
});

t.test('readers beyond the bound are refused until another one leaves, and a stop ends all', async (t) => {
  const engine = await startTestEngine(t);
  const readers = await Promise.all(Array.from({ length: 16 }, () => LiveLines.open(t, engine.place)));
  t.match(await opsGet(engine.place, '/admin/live'), { status: 503, text: /overloaded/ });
  const [first, second] = readers;
  t.same(await first!.next(), await second!.next(), 'all get the same line');
  first!.close();
  await t.resolves(async () => {
    for (;;) {
      try {
        return await LiveLines.open(t, engine.place);
      } catch {
        // The engine has not seen yet that the first one left.
      }
    }
  });
  await engine.stop();
  // Lines that were on their way, then the end: of the connection, not of the answer.
  await t.rejects(second!.until(() => false));
});
