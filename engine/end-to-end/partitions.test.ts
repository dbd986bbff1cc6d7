/**
 * Several partitions behind one front: one question has one answer whichever partition's card it names, also after a
 * restart.
 */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';

t.test('an id that one partition answered is a conflict for a card of another, also after a restart', async (t) => {
  const engine = await startTestEngine(t, { accounts: 6, changes: { PARTITIONS: '2' } });
  const ask = (id: string, account: number) => engine.client.authorize(id, `card_00000${account}_1`, 100);
  const accounts = [1, 2, 3, 4, 5, 6];
  for (const account of accounts) t.equal((await ask(`first-${account}`, account)).status, 200);
  const conflicts = async () => {
    for (const asked of accounts) {
      for (const account of accounts) {
        const reply = await ask(`first-${asked}`, account);
        if (account === asked) t.ok(answerOf(reply).approved, `first-${asked} receives its first answer`);
        else t.equal(reply.status, 409, `first-${asked} with account ${account} is a conflict`);
      }
    }
  };
  await conflicts();
  await engine.restart();
  await conflicts();
});

t.test('a start with another number of partitions is refused with the right number', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2, changes: { PARTITIONS: '2' } });
  const ask = () => engine.client.authorize('q', 'card_000001_1', 100);
  const { approved } = answerOf(await ask());
  t.equal(approved, true);
  await t.rejects(engine.restart({ PARTITIONS: '1' }), /start with PARTITIONS=2/);
  await engine.restart();
  t.equal(answerOf(await ask()).approved, true);
});
