import t from 'tap';
import { createTestAccounts } from '../../deploy/testing/test-accounts.js';
import { MessageType, messageTypeNames } from '../../engine/core/codes.js';
import type { Principal } from '../auth/principal.js';
import { PersonalHistory } from '../feed/personal-history.js';
import { createStoreBench, personalPrincipal, quietLog } from '../testing/personal-stores.js';
import { type SettledTransaction, settleClearing, settleTransactions } from '../testing/settled-ledger.js';
import { MongoHistory } from './personal/mongo-history.js';
import { PostgresTransactions } from './postgres-transactions.js';
import { LedgerIdentity } from './settled-ledger.js';
import {
  eventsShown,
  type TransactionFilter,
  type TransactionKey,
  type TransactionStore,
  transactionStatuses,
} from './transactions.js';

/** 2026-03-01 and on; every third pair shares its instant. */
const transactions: SettledTransaction[] = Array.from({ length: 80 }, (_, index) => ({
  id: `tx-${String(index * 37).padStart(5, '0')}`,
  owner: 1 + (index % 2),
  amount: 100 + ((index * 7919) % 5000),
  status: 1 + (index % 5),
  createdAt: new Date(Date.UTC(2026, 2, 1) + Math.floor(index / 6) * 3_600_000).toISOString(),
  mcc: [5411, 742, null][index % 3]!,
  spendDay: 20_513 + Math.floor(index / 40),
  type: [MessageType.authorization, MessageType.advice, MessageType.clearing][index % 3]!,
  merchant: ['Corner Store', 'Bäckerei (50%_off)', 'a.b*c', 'CORNER bar'][index % 4]!,
}));

/** A refund without an original: the engine gives it no day of its own. 23:00 UTC is the next day in Auckland. */
const lonelyRefund: SettledTransaction = {
  ...transactions[0]!,
  id: 'tx-refund',
  owner: 3,
  amount: 700,
  status: 2,
  type: MessageType.refund,
  createdAt: '2026-03-05T23:00:00.000Z',
  spendDay: 0,
};

/** A reversal of an authorization that never came: a row of the engine's, and nothing that happened to a customer. */
const tombstone: SettledTransaction = {
  ...transactions[2]!,
  id: 'tx-never',
  amount: 0,
  status: 3,
  type: MessageType.reversal,
};

/** All of a filter's transactions, by pages of `limit`. */
async function walk(store: TransactionStore, principal: Principal, filter: TransactionFilter, limit: number) {
  const ids: string[] = [];
  let after: readonly [string, string] | null = null;
  for (;;) {
    const page: readonly { createdAt: string; transactionId: string }[] = await store.list(principal, filter, {
      after,
      limit,
    });
    ids.push(...page.map(({ transactionId }) => transactionId));
    const last = page.at(-1);
    if (last === undefined) return ids;
    after = [last.createdAt, last.transactionId];
  }
}

function obvious(owner: number, filter: TransactionFilter): string[] {
  const { card, account, status, type, reason, merchant, from, to, min, max } = filter;
  return transactions
    .filter((transaction) => transaction.owner === owner)
    .filter((transaction) => card === undefined || card === `card_${transaction.owner}`)
    .filter((transaction) => status === undefined || transactionStatuses[transaction.status - 1] === status)
    .filter(({ createdAt }) => (from === undefined || createdAt >= from) && (to === undefined || createdAt < to))
    .filter((transaction) => account === undefined || account === `acct_${transaction.owner}`)
    .filter((transaction) => type === undefined || transaction.type === MessageType[type])
    .filter(
      (transaction) =>
        reason === undefined || reason === (transaction.status === 5 ? 'insufficient_funds' : 'approved'),
    )
    .filter(
      (transaction) => merchant === undefined || transaction.merchant?.toLowerCase().includes(merchant.toLowerCase()),
    )
    .filter(({ amount }) => (min === undefined || amount >= min) && (max === undefined || amount <= max))
    .sort((a, b) => (a.createdAt === b.createdAt ? (a.id < b.id ? 1 : -1) : a.createdAt < b.createdAt ? 1 : -1))
    .map(({ id }) => id);
}

t.setTimeout(120_000);

t.test('both stores', async (t) => {
  const bench = await createStoreBench(t);
  const { sql } = bench;
  await createTestAccounts(sql, 3, 0);
  await sql`update accounts set time_zone = 'Pacific/Auckland' where id = 3`;
  await settleTransactions(sql, transactions.slice(0, 50));
  const identity = new LedgerIdentity(bench.database);
  const history = new MongoHistory(bench.connection, () => identity.read());
  const follower = new PersonalHistory(history, bench.database, identity, quietLog);
  t.equal(await follower.tail.catchUp(), true);
  t.equal(follower.tail.lag, 0);
  await settleTransactions(sql, [tombstone, ...transactions.slice(50), lonelyRefund]);
  await follower.tail.catchUp();
  t.equal(follower.copied, 81, 'each transaction is listed once');

  const ledger = new PostgresTransactions(bench.database);
  const stores: [string, TransactionStore][] = [
    ['postgres', ledger],
    ['mongodb', history],
  ];
  const filters: TransactionFilter[] = [
    {},
    ...transactionStatuses.map((status) => ({ status })),
    { card: 'card_1' },
    { card: 'card_2' },
    { card: 'card_none' },
    { from: '2026-03-01T03:00:00.000Z', to: '2026-03-01T09:00:00.000Z' },
    { min: 1000, max: 3000 },
    { account: 'acct_1' },
    { account: 'acct_none' },
    { type: 'advice' },
    { type: 'refund' },
    { reason: 'insufficient_funds' },
    { reason: 'card_not_found' },
    { merchant: 'corner' },
    { merchant: 'R B' },
    // What means something to databases means itself.
    { merchant: '%' },
    { merchant: '_' },
    { merchant: '.b*' },
    { merchant: '(50%_' },
    { merchant: '\\' },
    { merchant: 'nowhere' },
    { merchant: 'corner', type: 'advice', account: 'acct_2', status: 'pending', min: 200 },
    { card: 'card_1', status: 'completed', from: '2026-03-01T01:00:00.000Z', min: 500 },
  ];
  for (const [name, store] of stores) {
    t.test(`${name} lists matching transactions newest first, each once`, async (t) => {
      for (const owner of [1, 2]) {
        for (const filter of filters) {
          const expected = obvious(owner, filter);
          const text = `${owner} ${JSON.stringify(filter)}`;
          t.same(await walk(store, personalPrincipal(owner), filter, 7), expected, text);
          t.same(await walk(store, personalPrincipal(owner), filter, 200), expected, text);
        }
      }
    });

    t.test(`${name} stops a search at its bound and continues from there`, async (t) => {
      for (const filter of [
        { merchant: 'nowhere' },
        { merchant: 'corner' },
        { card: 'card_1', status: 'declined' },
      ] as const) {
        const all = obvious(1, {});
        const found: string[] = [];
        let after: TransactionKey | null = null;
        let looks = 0;
        for (; looks < 20; looks++) {
          const until: TransactionKey | null = await store.horizon(personalPrincipal(1), filter, after, 6);
          const rows = await store.list(personalPrincipal(1), filter, { after, until, limit: 100 });
          found.push(...rows.map(({ transactionId }) => transactionId));
          if (until === null) break;
          t.equal(until[1], all[looks * 6 + 5], 'the search went six transactions further, matching or not');
          after = until;
        }
        t.equal(looks, Math.floor(all.length / 6));
        t.same(found, obvious(1, filter));
      }
      t.equal(await store.horizon(personalPrincipal(1), { from: '2026-04-01T00:00:00.000Z' }, null, 1), null);
    });

    t.test(`${name} shows nothing of a reversal whose authorization never came`, async (t) => {
      t.equal(await store.find(personalPrincipal(tombstone.owner), tombstone.id), null);
      const all = await walk(store, personalPrincipal(tombstone.owner), {}, 200);
      t.notOk(all.includes(tombstone.id));
    });

    t.test(`${name} shows a transaction to its owner alone`, async (t) => {
      const completed = transactions.find(({ status, owner }) => status === 2 && owner === 2)!;
      const found = await store.find(personalPrincipal(2), completed.id);
      t.match(found, {
        transactionId: completed.id,
        cardId: 'card_2',
        accountId: 'acct_2',
        type: messageTypeNames[completed.type!],
        status: 'completed',
        amount: completed.amount,
        postedAmount: completed.amount,
        merchant: { id: 'm-1', name: completed.merchant, country: 'US' },
        channel: 'chip',
        events: [
          {
            type: messageTypeNames[completed.type!],
            amount: completed.amount,
            approved: true,
            reason: 'approved',
            requestId: completed.id,
          },
          { type: 'clearing', requestId: `${completed.id}-clearing` },
        ],
      });
      t.equal(Date.parse(found!.createdAt), Date.parse(completed.createdAt));
      t.equal(await store.find(personalPrincipal(1), completed.id), null);
      t.equal(await store.find(personalPrincipal(1), 'tx-none'), null);
      const declined = transactions.find(({ status, owner }) => status === 5 && owner === 1)!;
      t.match(await store.find(personalPrincipal(1), declined.id), {
        status: 'declined',
        reason: 'insufficient_funds',
      });
    });

    t.test(`${name} counts a refund without an original on its day in the account’s zone`, async (t) => {
      const spent = await store.spending(
        personalPrincipal(3),
        'day',
        '2026-03-01T00:00:00.000Z',
        '2026-04-01T00:00:00.000Z',
      );
      t.same(
        spent.map(({ key }) => key),
        ['2026-03-06'],
      );
    });

    t.test(`${name} adds up what was spent`, async (t) => {
      const from = '2026-03-01T00:00:00.000Z';
      const to = '2026-03-01T10:00:00.000Z';
      const counted = transactions.filter(
        ({ owner, status, createdAt }) => owner === 1 && status <= 2 && createdAt >= from && createdAt < to,
      );
      const total = (list: SettledTransaction[]) => list.reduce((sum, { amount }) => sum + amount, 0);
      t.same(await store.spending(personalPrincipal(1), 'card', from, to), [
        { key: 'card_1', currency: 'USD', amount: total(counted), count: counted.length },
      ]);
      const byDay = await store.spending(personalPrincipal(1), 'day', from, to);
      t.same(
        byDay.map(({ key, count }) => [key, count]),
        ['2026-03-01', '2026-03-02']
          .map((key, index) => [key, counted.filter(({ spendDay }) => spendDay === 20_513 + index).length])
          .filter(([, count]) => count !== 0),
      );
      const byMcc = await store.spending(personalPrincipal(1), 'mcc', from, to);
      t.same(byMcc.map(({ key }) => key).sort(), ['', '0742', '5411']);
      for (const { key, amount, count } of byMcc) {
        const of = counted.filter(({ mcc }) => key === (mcc === null ? '' : String(mcc).padStart(4, '0')));
        t.same([amount, count], [total(of), of.length], key);
      }
    });
  }

  t.test('a transaction of any length keeps its opening, its totals and every event, a page at a time', async (t) => {
    const long: SettledTransaction = { ...transactions[0]!, id: 'tx-long', owner: 3, status: 1, amount: 40 };
    await settleTransactions(sql, [long]);
    await settleClearing(sql, long.id, 700);
    t.equal(await follower.tail.catchUp(), true);
    const expected = { count: 701, totals: [1, 700] };
    for (const [name, store] of stores) {
      const found = await store.find(personalPrincipal(3), long.id);
      t.equal(found!.events.length, eventsShown, name);
      t.match(found!.events[0], { type: 'authorization', requestId: long.id });
      t.equal(found!.eventCount, expected.count);
      t.same(found!.eventTotals, [
        { type: 'authorization', count: 1, approvedAmount: 40 },
        { type: 'clearing', count: 700, approvedAmount: 700 * 40 },
      ]);
      // As either store says it: one to the microsecond, one to the millisecond.
      const seen = found!.events.map(({ requestId }) => requestId);
      for (;;) {
        const next = await ledger.events(personalPrincipal(3), long.id, {
          after: [found!.createdAt, seen.length],
          limit: 200,
        });
        if (next!.events.length === 0) break;
        seen.push(...next!.events.map(({ requestId }) => requestId));
      }
      t.equal(new Set(seen).size, expected.count);
      t.equal(seen.length, expected.count);
    }
    // As increments and reversals in turn leave it.
    await sql`update transactions set amount = 10::bigint ^ 17, approved_amount = 10::bigint ^ 17
      where id = ${long.id}`;
    t.match(await ledger.find(personalPrincipal(3), long.id), { amount: 2 ** 53 - 1, approvedAmount: 2 ** 53 - 1 });
    t.equal(
      await ledger.events(personalPrincipal(1), long.id, { after: null, limit: 200 }),
      null,
      'a transaction of another customer is not found',
    );
    const other = await ledger.events(personalPrincipal(3), long.id, {
      after: ['2026-01-01T00:00:00.000Z', 0],
      limit: 1,
    });
    t.equal(other, null, 'a transaction of this id that began at another time is not found');
    const [document] = await bench
      .connection!.collection('personalTransactions')
      .find({ transactionId: long.id })
      .toArray();
    t.equal(document!['events'].length, eventsShown, 'a document does not grow with its transaction');
    t.ok(JSON.stringify(document).length < 20_000);
  });

  t.test('a follower repeats steps harmlessly after a crash, and never goes back', async (t) => {
    const before = await walk(history, personalPrincipal(1), {}, 200);
    const one = await history.find(personalPrincipal(1), before[0]!);
    const crashed = new PersonalHistory(history, bench.database, identity, quietLog);
    t.equal(await crashed.tail.catchUp(), false, 'the lease is taken');
    await follower.tail.stop();
    const raw = bench.connection.collection('followerPositions');
    await raw.updateOne({}, { $set: { partitions: { 0: { sequence: 3, checkpoints: [] } } } });
    t.equal(await crashed.tail.catchUp(), true);
    t.same(await walk(history, personalPrincipal(1), {}, 200), before);
    t.same(await history.find(personalPrincipal(1), before[0]!), one);
    // A slower process that read the transaction earlier.
    const stored = await bench.connection
      .collection('personalTransactions')
      .findOne({ userId: 'usr_1', status: 'completed' });
    const { _id, ...rest } = stored!;
    await history.update([{ ...rest, _id: String(_id), status: 'pending', eventCount: 1 } as never]);
    t.match(await history.find(personalPrincipal(1), String(rest['transactionId'])), { status: 'completed' });
    await crashed.tail.stop();
  });
});
