/**
 * Older copies of either store: whichever is restored, the history ends with what the ledger has, nothing more and
 * nothing less.
 */
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { backUp } from '../../deploy/testing/older-copy.js';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { until } from '../../engine/testing/engine-process.js';
import type { MongoConnection } from '../stores/personal/mongo-connection.js';
import { MongoHistory } from '../stores/personal/mongo-history.js';
import { PostgresTransactions } from '../stores/postgres-transactions.js';
import { LedgerIdentity } from '../stores/settled-ledger.js';
import type { TransactionStore } from '../stores/transactions.js';
import {
  backUpMongo,
  createStoreBench,
  personalPrincipal,
  quietLog,
  type StoreBench,
} from '../testing/personal-stores.js';
import { settleClearing, settleTransactions, transactionsOf } from '../testing/settled-ledger.js';
import { thinned } from './ledger-tail.js';
import { PersonalHistory } from './personal-history.js';

t.setTimeout(300_000);

const principals = [1, 2].map(personalPrincipal);
const ledgerTables = ['transactions', 'transaction_events', 'journal_positions'];
const collections = ['personalTransactions', 'followerPositions'];

interface Scene {
  readonly bench: StoreBench;
  readonly sql: postgres.Sql;
  readonly history: MongoHistory;
  readonly connection: MongoConnection;
  /** Copies what is settled, as an API does that has just started. */
  catchUp(): Promise<PersonalHistory>;
}

async function sceneOf(t: Test): Promise<Scene> {
  const bench = await createStoreBench(t);
  const { sql, connection } = bench;
  await createTestAccounts(sql, 2, 0);
  const identity = new LedgerIdentity(bench.database);
  const history = new MongoHistory(connection, () => identity.read());
  const catchUp = async () => {
    const follower = new PersonalHistory(history, bench.database, identity, quietLog);
    t.equal(await follower.tail.catchUp(), true);
    t.equal(follower.tail.lag, 0);
    await follower.tail.stop();
    return follower;
  };
  return { bench, sql, history, connection, catchUp };
}

async function everything(store: TransactionStore): Promise<unknown[]> {
  const lists = await Promise.all(
    principals.map((principal) => store.list(principal, {}, { after: null, limit: 200 })),
  );
  // The two stores keep times to the millisecond and to the microsecond.
  return lists
    .flat()
    .map((row) => ({ ...row, createdAt: Date.parse(row.createdAt), updatedAt: Date.parse(row.updatedAt) }));
}

async function sameAsLedger(t: Test, { bench, history }: Scene, count: number): Promise<void> {
  const expected = await everything(new PostgresTransactions(bench.database));
  t.equal(expected.length, count);
  t.same(await everything(history), expected);
}

for (const [name, regrown] of [
  ['Postgres restored, and nothing settled since', 0],
  ['Postgres restored, and grown to less than what was copied', 5],
  ['Postgres restored, and grown to exactly where it was', 17],
  ['Postgres restored, and grown beyond where it was', 30],
] as const) {
  t.test(`${name}: the history loses phantom records and gains missing ones`, async (t) => {
    const scene = await sceneOf(t);
    const { sql, catchUp } = scene;
    await settleTransactions(sql, transactionsOf('old', 20));
    await catchUp();
    const restore = await backUp(sql, ledgerTables);
    // What the backup has not: 15 purchases, and two clearings of earlier ones.
    await settleTransactions(sql, transactionsOf('phantom', 15));
    await settleClearing(sql, 'old-3');
    await settleClearing(sql, 'old-19');
    await catchUp();
    await sameAsLedger(t, scene, 35);
    await restore();
    await settleTransactions(sql, transactionsOf('new', regrown));
    const follower = await catchUp();
    await sameAsLedger(t, scene, 20 + regrown);
    t.equal(follower.removed, 15);
    await settleClearing(sql, 'old-3');
    await catchUp();
    await sameAsLedger(t, scene, 20 + regrown);
  });
}

t.test('Postgres may be restored after an API ended between copying a window and recording it', async (t) => {
  const scene = await sceneOf(t);
  const { sql, connection, catchUp } = scene;
  await settleTransactions(sql, transactionsOf('old', 20));
  await catchUp();
  const restore = await backUp(sql, ledgerTables);
  const positions = connection.collection('followerPositions');
  const [before] = await positions.find().toArray();
  await settleTransactions(sql, transactionsOf('phantom', 15));
  await settleClearing(sql, 'old-3');
  await catchUp();
  await positions.replaceOne({ _id: before!._id }, before!);
  await restore();
  const follower = await catchUp();
  t.equal(follower.removed, 15);
  await sameAsLedger(t, scene, 20);
});

t.test('Postgres may be restored under a running API', async (t) => {
  const scene = await sceneOf(t);
  const { bench, sql, history } = scene;
  const identity = new LedgerIdentity(bench.database);
  const follower = new PersonalHistory(history, bench.database, identity, quietLog);
  t.teardown(() => follower.tail.stop());
  await settleTransactions(sql, transactionsOf('old', 20));
  await follower.tail.catchUp();
  const restore = await backUp(sql, ledgerTables);
  await settleTransactions(sql, transactionsOf('phantom', 15));
  await follower.tail.catchUp();
  await restore();
  await settleTransactions(sql, transactionsOf('new', 40));
  await follower.tail.catchUp();
  await sameAsLedger(t, scene, 60);
});

t.test('after MongoDB is restored from an older copy all later records are copied again', async (t) => {
  const scene = await sceneOf(t);
  const { sql, connection, catchUp } = scene;
  await settleTransactions(sql, transactionsOf('old', 20));
  await catchUp();
  const restoreMongo = await backUpMongo(connection, collections);
  await settleTransactions(sql, transactionsOf('new', 15));
  await settleClearing(sql, 'old-3');
  await catchUp();
  await restoreMongo();
  await catchUp();
  await sameAsLedger(t, scene, 35);
});

t.test('Postgres and MongoDB may be restored from copies of different times', async (t) => {
  const scene = await sceneOf(t);
  const { sql, connection, catchUp } = scene;
  await settleTransactions(sql, transactionsOf('old', 20));
  await catchUp();
  const restore = await backUp(sql, ledgerTables);
  await settleTransactions(sql, transactionsOf('phantom', 10));
  await catchUp();
  const restoreMongo = await backUpMongo(connection, collections);
  await settleTransactions(sql, transactionsOf('later', 10));
  await catchUp();
  await restore();
  await restoreMongo();
  await settleTransactions(sql, transactionsOf('new', 25));
  await catchUp();
  await sameAsLedger(t, scene, 45);
});

t.test('a MongoDB without data or without its positions is filled from the beginning', async (t) => {
  const scene = await sceneOf(t);
  const { sql, connection, catchUp } = scene;
  await settleTransactions(sql, transactionsOf('old', 20));
  await catchUp();
  await connection.collection('followerPositions').deleteMany({});
  await connection.collection('personalTransactions').deleteMany({});
  await catchUp();
  await sameAsLedger(t, scene, 20);
  // As the runbook has it after a copy whose documents and positions are not of one moment.
  const [one, two] = await connection.collection('personalTransactions').find().limit(2).toArray();
  await connection.collection('personalTransactions').deleteOne({ _id: one!._id });
  await connection.collection('personalTransactions').insertOne({ ...two, _id: `${two!._id}-phantom` as never });
  await connection.collection('followerPositions').deleteMany({});
  const follower = await catchUp();
  t.equal(follower.removed, 1);
  await sameAsLedger(t, scene, 20);
});

t.test('two ledgers beside one MongoDB neither see nor remove each other’s history', async (t) => {
  const scene = await sceneOf(t);
  const other = await createStoreBench(t, scene.bench);
  const { sql } = other;
  await createTestAccounts(sql, 2, 0);
  await sql`update ledger_identity set id = gen_random_uuid()`;
  await settleTransactions(scene.sql, transactionsOf('one', 20));
  await settleTransactions(sql, transactionsOf('two', 30));
  await scene.catchUp();
  const identity = new LedgerIdentity(other.database);
  const history = new MongoHistory(other.connection, () => identity.read());
  const follower = new PersonalHistory(history, other.database, identity, quietLog);
  await follower.tail.catchUp();
  await follower.tail.stop();
  t.same(await everything(history), await everything(new PostgresTransactions(other.database)));
  await scene.catchUp();
  await sameAsLedger(t, scene, 20);
});

t.test('of several APIs beside one FerretDB one copies at a time, and no state of a transaction is lost', async (t) => {
  const { bench, sql, history } = await sceneOf(t);
  const identity = new LedgerIdentity(bench.database);
  await settleTransactions(sql, transactionsOf('old', 4));
  let turns = 0;
  let isDone = false;
  const running = [1, 2, 3].map(async () => {
    while (!isDone) {
      const { tail } = new PersonalHistory(history, bench.database, identity, quietLog);
      if (await tail.catchUp()) turns++;
      // Gives the lease up, so that another one goes on in the middle.
      await tail.stop();
    }
  });
  for (let clearing = 0; clearing < 120; clearing++) {
    await settleClearing(sql, `old-${clearing % 4}`);
    // Turns fall among the clearings, however slow the machine is.
    await until('a follower has its turn', () => turns >= clearing / 10);
  }
  isDone = true;
  await Promise.all(running);
  const last = new PersonalHistory(history, bench.database, identity, quietLog);
  t.equal(await last.tail.catchUp(), true);
  await last.tail.stop();
  t.ok(turns > 10, `${turns} turns`);
  for (let transaction = 0; transaction < 4; transaction++) {
    const found = await history.find(principals[transaction % 2]!, `old-${transaction}`);
    t.match(found, { eventCount: 31, status: 'completed' });
  }
});

t.test('checkpoints are few, close together, and reach back to the beginning', async (t) => {
  let checkpoints: { sequence: number; mark: string }[] = [];
  let sequence = 0;
  for (let window = 0; window < 20_000; window++) {
    sequence += 1 + ((window * 7919) % 2000);
    checkpoints = thinned([{ sequence, mark: '' }, ...checkpoints]);
  }
  t.ok(checkpoints.length < 32, `${checkpoints.length} of them`);
  const distances = checkpoints.map((checkpoint) => sequence - checkpoint.sequence);
  t.same(
    distances,
    [...distances].sort((a, b) => a - b),
  );
  for (const [index, distance] of distances.entries()) {
    const before = distances[index - 1] ?? 0;
    t.ok(distance <= Math.max(4000, 5 * before), `${before} to ${distance}`);
  }
  t.ok(distances.at(-1)! > sequence / 5);
});
