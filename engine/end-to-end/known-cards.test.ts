/** Known cards are decided with Postgres down, however many partitions there are. */
import t from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { metric, until } from '../testing/engine-process.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

const accounts = [1, 2, 3, 4, 5, 6];

async function reasons(engine: TestEngine, name: string): Promise<string[]> {
  const replies = accounts.map((account) => {
    const question = { type: 'authorization', card: `card_00000${account}_1`, amount: 1, currency: 'USD' };
    return engine.client.native({ id: `${name}-${account}`, ...question });
  });
  return (await Promise.all(replies)).map((reply) => answerOf(reply).reason);
}

const approved = accounts.map(() => 'approved');

for (const PARTITIONS of ['1', '2', '3']) {
  t.test(`after a warm start with ${PARTITIONS} partitions cards are decided while Postgres is away`, async (t) => {
    const database = await databaseFor(t);
    const proxy = await TcpProxy.start(Number(new URL(database.url).port));
    t.teardown(() => proxy.close());
    const changes = { PARTITIONS };
    const engine = await startTestEngine(t, { accounts: 6, databaseUrl: proxy.url(database.url), changes });
    t.same(await reasons(engine, 'before'), approved);
    await engine.restart();
    await until('all cards are in memory', async () => (await metric(engine.place, 'card_cache_entries')) >= 6);
    proxy.cut();
    t.same(await reasons(engine, 'cut'), approved);
    proxy.heal();
    await engine.stop();
  });
}
