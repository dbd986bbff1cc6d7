/** More accounts than memory has room for: everything is decided all the same, and where room is short it is named. */
import t from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { answerOf, type Reply } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, opsGet, until } from '../testing/engine-process.js';

const cardOf = (account: number) => `card_${String(account).padStart(6, '0')}_1`;
const askersMax = 8;

/** Each account once, a few at a time. @returns the replies in the order of the accounts, the last of each */
async function askAll(
  engine: TestEngine,
  name: string,
  accounts: readonly number[],
  { amount = 1, attemptsMax = 1 } = {},
): Promise<Reply[]> {
  const replies: Reply[] = [];
  let next = 0;
  const asker = async () => {
    while (next < accounts.length) {
      const index = next++;
      const question = { id: `${name}-${accounts[index]}`, card: cardOf(accounts[index]!), amount };
      for (let attempt = 1; attempt <= attemptsMax; attempt++) {
        const reply = await engine.client.native({ ...question, type: 'authorization', currency: 'USD' });
        replies[index] = reply;
        if (reply.status !== 503) break;
      }
    }
  };
  await Promise.all(Array.from({ length: askersMax }, asker));
  return replies;
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

for (const PARTITIONS of ['1', '2']) {
  t.test(`${PARTITIONS} partitions decide for ten times the accounts that fit in memory`, async (t) => {
    const perPartition = 32;
    const count = 10 * perPartition * Number(PARTITIONS);
    const changes = { PARTITIONS, ACCOUNTS_MAX: String(perPartition) };
    const engine = await startTestEngine(t, { accounts: count, cardsPerAccount: 1, balanceMinor: 25, changes });
    // A busy machine may take seconds to settle for the first time: a 503 is asked again.
    const asked = { amount: 10, attemptsMax: 10 };
    // 10 + 10 + 10 of 25: the third must not be approved, whatever left memory meanwhile.
    for (const [round, reason] of ['approved', 'approved', 'insufficient_funds'].entries()) {
      const reasons = (await askAll(engine, `round-${round}`, upTo(count), asked)).map(
        (reply) => answerOf(reply).reason,
      );
      t.same(
        reasons.filter((said) => said !== reason),
        [],
        `round ${round}`,
      );
      if (round === 1) await engine.restart();
    }
    t.ok((await metric(engine.place, 'memory_evictions_total{store="accounts"}')) > 0, 'accounts left memory');
    t.ok((await metric(engine.place, 'memory_evictions_total{store="spend"}')) > 0, 'spend rows left memory');
    for (const account of [1, count]) {
      const books = await engineBooks(engine.place, `acct_${String(account).padStart(6, '0')}`);
      t.match(books, { funds: 25, available: 5, held: 20, posted: 0 });
    }
    await engine.stop();
    t.same((await auditBooks(engine.sql)).findings, []);
  });
}

/** What waits for room is settled no more until the returned function is called: lookups go on. */
async function holdSettling(engine: TestEngine): Promise<() => Promise<void>> {
  const session = await engine.sql.reserve();
  await session`begin`;
  await session`lock table transaction_events in exclusive mode`;
  return async () => {
    await session`rollback`;
    session.release();
  };
}

const rows = 32;
for (const { variable, store } of [
  { variable: 'ACCOUNTS_MAX', store: 'accounts' },
  { variable: 'HOLDS_MAX', store: 'transactions' },
]) {
  t.test(`a full memory declines with the name ${variable} until Postgres has settled its rows`, async (t) => {
    const count = rows + 2 * askersMax;
    const changes = { PARTITIONS: '1', [variable]: String(rows), DEADLINE_MS: '2500' };
    const engine = await startTestEngine(t, { accounts: count, cardsPerAccount: 1, changes });
    const health = async () => JSON.parse((await opsGet(engine.place, '/health')).text);
    const isSettled = async () => (await metric(engine.place, 'shipper_lag_records{partition="0"}')) === 0;
    t.match((await health()).components.memory, { status: 'healthy', detail: /accounts \d+ %/ });
    await askAll(engine, 'before', upTo(count), { attemptsMax: 10 });
    await until('the books have everything', isSettled);
    const release = await holdSettling(engine);
    const replies = await askAll(engine, 'held', upTo(count));
    const refused = replies.filter(({ status }) => status === 503);
    t.ok(refused.length >= count - rows, `${refused.length} messages were declined for lack of room`);
    t.ok(refused.length < count, 'messages that found room were approved');
    // On a busy machine some reach their deadline in a lookup, before they ask for room.
    const causes = refused.map((reply) => answerOf(reply).reason).filter((reason) => reason !== 'system_error');
    t.same([...new Set(causes)], ['overloaded']);
    t.ok((await metric(engine.place, 'messages_without_room')) >= causes.length);
    await until('health names it', async () => (await health()).components.memory.status === 'unhealthy');
    const { status, components } = await health();
    t.equal(status, 'degraded');
    t.match(components.memory.detail, new RegExp(variable));
    t.ok((await metric(engine.place, `memory_full_total{store="${store}"}`)) > 0);
    await release();
    const again = await askAll(engine, 'held', upTo(count), { attemptsMax: 10 });
    const reasons = new Set(again.map((reply) => answerOf(reply).reason));
    t.same([...reasons], ['approved'], 'a declined message is decided when it is repeated');
  });
}
