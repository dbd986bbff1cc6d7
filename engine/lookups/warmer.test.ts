/** Cards that were used last are in memory again after a start. */
import t from 'tap';
import { answerOf } from '../testing/client.js';
import { startTestEngine } from '../testing/engine-inside.js';
import { metric, until } from '../testing/engine-process.js';
import { Warmer } from './warmer.js';

t.test('a restarted engine has the cards of the last messages in memory, in their current state', async (t) => {
  const engine = await startTestEngine(t);
  const ask = async (id: string, card: string) => answerOf(await engine.client.authorize(id, card)).reason;
  for (let account = 1; account <= 5; account++) {
    t.equal(await ask(`before-${account}`, `card_00000${account}_1`), 'approved');
  }
  await engine.stop();
  await engine.sql`update cards set status = 'frozen' where token = 'card_000003_1'`;
  await engine.restart();
  await until('the five are in memory', async () => (await metric(engine.place, 'card_cache_entries')) >= 5);
  const missesBefore = await metric(engine.place, 'card_cache_misses');
  t.equal(await ask('after-1', 'card_000001_1'), 'approved');
  t.equal(await ask('after-3', 'card_000003_1'), 'card_inactive');
  await until('it was counted', async () => (await metric(engine.place, 'card_cache_hits')) >= 2);
  t.equal(await metric(engine.place, 'card_cache_misses'), missesBefore);
});

t.test('the warmer yields to lookups that a message waits for, and ends with its partition', async (t) => {
  const reads: number[] = [];
  const tokens = Array.from({ length: 300 }, (_, index) => `card-${index}`);
  let waiting = 3;
  const loadsOfTest = {
    async warm(_target: unknown, part: readonly string[]) {
      reads.push(part.length);
      if (reads.length === 2) host.state = 'restarting';
    },
  };
  const host = { partition: 0, state: 'ready', lane: null as never };
  const warmer = new Warmer({ recentCards: async () => tokens }, loadsOfTest, () => waiting, 1000, 1, {
    info: () => undefined,
  });
  const warming = warmer.warm(host);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.same(reads, []);
  waiting = 0;
  await warming;
  t.same(reads, [128, 128]);
});

t.test('without a database the warmer does nothing', async (t) => {
  const absent = async () => {
    throw new Error('away');
  };
  const warmer = new Warmer({ recentCards: absent }, { warm: absent }, () => 0, 1000, 1, {
    info: () => t.fail('the warmer logs nothing'),
  });
  await warmer.warm({ partition: 0, state: 'ready', lane: null as never });
  t.pass('the warmer did nothing');
});

t.test('a freshly seeded database is warmed too, each card in its own partition', async (t) => {
  const engine = await startTestEngine(t, {
    changes: { PARTITIONS: '2' },
    accounts: 9,
    cardsPerAccount: 2,
  });
  await until('all cards are in memory', async () => (await metric(engine.place, 'card_cache_entries')) === 18);
  await engine.stop();
  await engine.sql`update cards set status = 'closed' where token = 'card_000009_2'`;
  await engine.restart();
  await until('the open ones are in memory', async () => (await metric(engine.place, 'card_cache_entries')) === 17);
});
