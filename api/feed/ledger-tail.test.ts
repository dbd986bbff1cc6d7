/** The promises of LedgerTail, with a sink and positions in memory beside a real ledger in Postgres. */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { databaseFor } from '../../deploy/testing/for-test.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { Database } from '../stores/postgres.js';
import { LedgerIdentity, type Positions } from '../stores/settled-ledger.js';
import { quietLog, testPostgresConfig } from '../testing/personal-stores.js';
import { settleTransactions, transactionsOf } from '../testing/settled-ledger.js';
import { type LedgerSink, LedgerTail, type PositionStore } from './ledger-tail.js';

t.setTimeout(120_000);

interface Scene {
  readonly sql: postgres.Sql;
  readonly sink: LedgerSink & { readonly taken: string[]; readonly comparedAfter: number[]; fault: Error | null };
  readonly positions: PositionStore & { saved: Positions | null; readonly log: string[] };
  newTail(): LedgerTail;
}

async function sceneOf(t: Test): Promise<Scene> {
  const { url, sql } = await databaseFor(t);
  const database = new Database(testPostgresConfig(url), quietLog);
  t.teardown(() => database.close());
  await createTestAccounts(sql, 2, 0);
  await database.start();
  const log: string[] = [];
  const sink: Scene['sink'] = {
    taken: [],
    comparedAfter: [],
    fault: null,
    begin: async () => void log.push('begin'),
    take: async (_, records, turn) => {
      await turn.keepLease();
      log.push(`take to ${records.at(-1)!.sequence}`);
      if (sink.fault !== null) throw sink.fault;
      sink.taken.push(...records.map(({ sequence, transaction }) => `${sequence} ${transaction}`));
    },
    compare: async (_, sequence) => void sink.comparedAfter.push(sequence),
  };
  const positions: Scene['positions'] = {
    saved: null,
    log,
    find: async () => ({ position: positions.saved, rebuild: null }),
    save: async (_, saved) => {
      log.push(`save ${saved['0']?.sequence}`);
      positions.saved = saved;
    },
  };
  const newTail = () => {
    const parts = { database, identity: new LedgerIdentity(database), log: quietLog, positions, sink };
    const tail = new LedgerTail({ ...parts, name: 'tail under test', everyMs: 1_000, customers: 'all' });
    t.teardown(() => tail.stop());
    return tail;
  };
  return { sql, sink, positions, newTail };
}

/** As the sink keeps them. */
function recordsOf(name: string, count: number, before = 0): string[] {
  return transactionsOf(name, count).map(({ id }, index) => `${before + index + 1} ${id}`);
}

t.test('the sink gets every record in the order of the journal, over several windows', async (t) => {
  const { sql, sink, newTail } = await sceneOf(t);
  await settleTransactions(sql, transactionsOf('old', 450));
  const tail = newTail();
  t.equal(await tail.catchUp(), true);
  t.same(sink.taken, recordsOf('old', 450));
  await settleTransactions(sql, transactionsOf('new', 3));
  await tail.catchUp();
  t.same(sink.taken.slice(450), recordsOf('new', 3, 450), 'the window has only new records');
  t.equal(tail.lag, 0);
});

t.test('the position is stored after the sink has the records', async (t) => {
  const { sql, positions, newTail } = await sceneOf(t);
  await settleTransactions(sql, transactionsOf('old', 3));
  await newTail().catchUp();
  t.same(positions.log, ['begin', 'take to 3', 'save 3']);
});

t.test('a window that the sink refused is handed over again, also to another process', async (t) => {
  const { sql, sink, positions, newTail } = await sceneOf(t);
  await settleTransactions(sql, transactionsOf('old', 3));
  const tail = newTail();
  sink.fault = new Error('the store is away');
  await t.rejects(tail.catchUp(), /the store is away/);
  t.equal(positions.saved, null);
  await tail.stop();
  sink.fault = null;
  t.equal(await newTail().catchUp(), true);
  t.same(sink.taken, recordsOf('old', 3));
});

t.test('one process at a time works, and the next one continues where it stopped', async (t) => {
  const { sql, sink, newTail } = await sceneOf(t);
  const [first, second] = [newTail(), newTail()];
  await settleTransactions(sql, transactionsOf('old', 3));
  t.equal(await first.catchUp(), true);
  t.equal(await second.catchUp(), false, 'another process has the lease');
  await t.rejects(second.keepLease(), /another process has the lease of tail under test/);
  await first.stop();
  await settleTransactions(sql, transactionsOf('new', 2));
  t.equal(await second.catchUp(), true);
  t.same(sink.taken, [...recordsOf('old', 3), ...recordsOf('new', 2, 3)]);
});

t.test('a tail that was stopped starts again', async (t) => {
  const { sql, sink, newTail } = await sceneOf(t);
  const tail = newTail();
  await tail.stop();
  await settleTransactions(sql, transactionsOf('old', 3));
  t.equal(await tail.catchUp(), true);
  t.same(sink.taken, [], 'a stopped tail reads nothing');
  tail.start();
  t.equal(await tail.catchUp(), true);
  t.same([...new Set(sink.taken)], recordsOf('old', 3));
});

t.test('in a restored ledger the tail goes back to the newest record that both have', async (t) => {
  const { sql, sink, newTail } = await sceneOf(t);
  const tail = newTail();
  await settleTransactions(sql, transactionsOf('old', 5));
  await tail.catchUp();
  await settleTransactions(sql, transactionsOf('lost', 5));
  await tail.catchUp();
  await sql`delete from transactions where id like 'lost%'`;
  await sql`delete from transaction_events where sequence > 5`;
  await settleTransactions(sql, transactionsOf('new', 9));
  await tail.catchUp();
  t.equal(sink.comparedAfter.at(-1), 5);
  t.same(sink.taken.slice(10), recordsOf('new', 9, 5));
});
