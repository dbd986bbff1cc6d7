/**
 * An engine without a free file descriptor: what needs one waits and is tried again, and nothing has to be restarted.
 */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { killThread } from '../testing/dying-storage.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { metric, until } from '../testing/engine-process.js';

t.test('a syncer that cannot open its segment continues once a file descriptor is free', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, changes: { DEADLINE_MS: '50' } });
  // The first frame after a start has its segment opened.
  engine.disk.outOfDescriptors(true);
  const message = { id: 'first', type: 'authorization', card: 'card_000001_1', amount: 500, currency: 'USD' };
  // The worker writes a frame of a few messages itself, into a file that it has open.
  const many = Array.from({ length: 100 }, (_, index) => ({ ...message, id: `first-${index}` }));
  const answers = await Promise.all(many.map((one) => engine.client.native(one)));
  t.ok(
    answers.some(({ status }) => status === 503),
    'messages of a frame that the syncer writes are declined at their deadline',
  );
  engine.disk.outOfDescriptors(false);
  let number = 0;
  const ask = async () => answerOf(await engine.client.native({ ...message, id: `next-${++number}` }));
  await until('it approves', async () => (await ask()).approved);
  t.equal(await metric(engine.place, 'worker_restarts'), 0, 'no worker was replaced');
  t.equal(await metric(engine.place, 'partitions_ready'), 1);
});

t.test('a worker that dies while no file descriptor is free is replaced once one is free', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, changes: { DEADLINE_MS: '2000' } });
  const message = { id: 'q', type: 'authorization', card: 'card_000001_1', amount: 500, currency: 'USD' };
  t.ok(answerOf(await engine.client.native(message)).approved);
  killThread(engine.disk, 0, 'beforeWrite');
  engine.disk.outOfDescriptors(true);
  t.equal((await engine.client.native({ ...message, id: 'r' })).status, 503);
  await until('it is being replaced', async () => (await metric(engine.place, 'worker_restarts')) === 1);
  t.equal((await engine.client.native({ ...message, id: 's' })).status, 503);
  engine.disk.outOfDescriptors(false);
  let number = 0;
  const ask = async () => answerOf(await engine.client.native({ ...message, id: `next-${++number}` }));
  await until('it approves', async () => (await ask()).approved);
  t.equal(answerOf(await engine.client.native(message)).available, 99_500, 'an answered message keeps its answer');
});
