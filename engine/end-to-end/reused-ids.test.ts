/**
 * Ids that meet: in another partition, for another card, after they were forgotten. An id means something within the
 * partition that decides it, so whatever comes is decided, settled, and the same in Postgres as in the engine.
 */
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { partitionOf } from '../ledger/router.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine, type TestEngineOptions } from '../testing/engine-inside.js';
import { engineBooks, until } from '../testing/engine-process.js';

const onePartition = { PARTITIONS: '1' };
const twoPartitions = { PARTITIONS: '2' };

interface Asked {
  readonly id: string;
  readonly type: string;
  readonly card: string;
  readonly amount?: number;
  readonly original?: string;
}

interface Stage {
  readonly engine: TestEngine;
  readonly ask: (message: Asked) => Promise<{ readonly approved: boolean; readonly reason: string }>;
  /** Waits until all is settled, and compares Postgres with itself and with the engine. */
  readonly isSettled: (t: Test) => Promise<void>;
  /** Holds that push every older one out of a memory of 16. */
  readonly push: (t: Test, name: string) => Promise<void>;
}

async function start(t: Test, options: TestEngineOptions): Promise<Stage> {
  const engine = await startTestEngine(t, options);
  /** Where Postgres and the engine differ; '' where they do not. */
  const difference = async () => {
    const rows = await engine.sql<{ id: string; held: number; posted: number; available: number }[]>`
      select public_id as id, held::float8, posted::float8, available::float8 from accounts`;
    for (const { id, ...settled } of rows) {
      const { held, posted, available } = await engineBooks(engine.place, id);
      const [left, right] = [JSON.stringify(settled), JSON.stringify({ held, posted, available })];
      if (left !== right) return `${id}: ${left} in Postgres, ${right} in the engine`;
    }
    const settled = await engine.sql`select from transaction_events where request_id = any(${asked})`;
    return settled.length >= asked.length ? '' : 'records wait';
  };
  const asked: string[] = [];
  const isSettled = async (t: Test) => {
    // On a busy machine a look at the books may be refused: it is tried again.
    await until('Postgres has what the engine has', async () => (await difference().catch(String)) === '');
    t.same((await auditBooks(engine.sql)).findings, []);
  };
  const ask = async (message: Asked) => {
    asked.push(message.id);
    return answerOf(await engine.client.native({ ...message, currency: 'USD' }));
  };
  const push = async (t: Test, name: string) => {
    for (let index = 0; index < 40; index++) {
      const id = `${name}-${index}`;
      const { approved } = await ask({ id, type: 'authorization', card: cardOf(2), amount: 1 });
      t.equal(approved, true, id);
      // What is not settled stays in memory.
      if (index % 8 === 7) await isSettled(t);
    }
  };
  return { engine, ask, isSettled, push };
}

/** An account of each of two partitions. */
async function oneOfEach({ sql }: TestEngine): Promise<readonly [number, number]> {
  const rows = await sql<{ number: number; owner: number }[]>`
    select id::integer as number, owner_key::float8 as owner from accounts order by id`;
  const of = (partition: number) => rows.find(({ owner }) => partitionOf(owner, 2) === partition)!.number;
  return [of(0), of(1)];
}

const cardOf = (account: number) => `card_00000${account}_1`;

t.test('a forgotten id that comes again for the same account is decided as a new message', async (t) => {
  const changes = { SEEN_IDS_MAX: '16', HOLDS_MAX: '16' };
  const { ask, isSettled, push, engine } = await start(t, { accounts: 2, changes });
  const card = cardOf(1);
  t.equal((await ask({ id: 'Z', type: 'authorization', card, amount: 10_000_000 })).reason, 'insufficient_funds');
  t.equal((await ask({ id: 'H', type: 'authorization', card, amount: 500 })).approved, true);
  const pass = async (name: string) => {
    for (let index = 0; index < 20; index++) await ask({ id: `${name}-${index}`, type: 'balance_inquiry', card });
    // Holds leave memory for newer ones, once they are settled.
    await push(t, name);
  };
  await pass('a');
  t.equal((await ask({ id: 'Z', type: 'authorization', card, amount: 100 })).approved, true);
  t.equal((await ask({ id: 'H', type: 'authorization', card, amount: 70 })).approved, true);
  await isSettled(t);
  t.equal((await ask({ id: 'C', type: 'clearing', card, amount: 70, original: 'H' })).approved, true);
  await isSettled(t);
  await engine.restart();
  t.equal((await ask({ id: 'D', type: 'clearing', card, amount: 100, original: 'Z' })).approved, true);
  await isSettled(t);
  t.match(
    await engineBooks(engine.place, 'acct_000001'),
    { held: 500, posted: 170 },
    'only the first hold of H remains',
  );
});

t.test('a hold lapses although its id has opened another transaction since', async (t) => {
  const changes = { SEEN_IDS_MAX: '16', HOLDS_MAX: '16' };
  const { ask, isSettled, push, engine } = await start(t, { accounts: 2, changes });
  for (const amount of [500, 70]) {
    t.equal((await ask({ id: 'H', type: 'authorization', card: cardOf(1), amount })).approved, true);
    await push(t, String(amount));
  }
  await engine.sql`update transactions set expires_at = now() where account_id = 1 and held_amount = 500`;
  await until('it has lapsed', async () => (await engineBooks(engine.place, 'acct_000001')).held === 70);
  await isSettled(t);
});

t.test('a reversal of an authorization for a then unknown card settles, also right after a start', async (t) => {
  for (const changes of [onePartition, twoPartitions]) {
    t.test(`with ${'PARTITIONS' in changes ? 2 : 1} partition(s)`, async (t) => {
      const { ask, isSettled, engine } = await start(t, { accounts: 6, changes });
      const accounts = changes === onePartition ? ([1] as const) : await oneOfEach(engine);
      for (const account of accounts) {
        const [card, id] = [`tok_${account}`, `X-${account}`];
        t.equal((await ask({ id, type: 'authorization', card, amount: 100 })).reason, 'card_not_found');
        await isSettled(t);
        await engine.sql`
          insert into cards (public_id, token, account_id, user_id, name, expires)
          select ${card}, ${card}, account_id, user_id, 'new', date '2099-12-31' from cards
          where token = ${cardOf(account)}`;
        await engine.restart();
        await ask({ id: `R-${account}`, type: 'reversal', card, original: id });
        await isSettled(t);
        t.equal((await ask({ id: `N-${account}`, type: 'authorization', card, amount: 100 })).approved, true);
        await isSettled(t);
      }
    });
  }
});

t.test('partitions that name the same original never change each other’s transaction', async (t) => {
  const changes = { ...twoPartitions, HOLD_DAYS: String(2 / 86_400), HOLD_DAYS_LONG: String(2 / 86_400) };
  const { ask, isSettled, engine } = await start(t, { accounts: 6, changes });
  const [first, second] = await oneOfEach(engine);
  for (const [mine, other] of [
    [first, second],
    [second, first],
  ] as const) {
    const id = (name: string) => `${name}-${mine}`;
    // Before the authorization is settled, and after it.
    const [held, reversed] = await Promise.all([
      ask({ id: id('Y'), type: 'authorization', card: cardOf(mine), amount: 100 }),
      ask({ id: id('R'), type: 'reversal', card: cardOf(other), original: id('Y') }),
    ]);
    t.equal(held.approved, true);
    t.equal(reversed.reason, 'original_not_found');
    // The other way round.
    t.equal((await ask({ id: id('S'), type: 'reversal', card: cardOf(other), original: id('W') })).approved, false);
    await isSettled(t);
    t.equal((await ask({ id: id('W'), type: 'authorization', card: cardOf(mine), amount: 40 })).approved, true);
    // Acknowledged, for the tombstone that the reversal before it left.
    t.equal((await ask({ id: id('T'), type: 'reversal', card: cardOf(other), original: id('W') })).approved, true);
    await isSettled(t);
    await engine.restart();
    t.equal(
      (await ask({ id: id('P'), type: 'clearing', card: cardOf(mine), amount: 40, original: id('W') })).approved,
      true,
    );
    await isSettled(t);
  }
  await until('the other holds have lapsed', async () => {
    const books = await Promise.all(
      [first, second].map((account) => engineBooks(engine.place, `acct_00000${account}`)),
    );
    return books.every(({ held }) => held === 0);
  });
  await isSettled(t);
});
