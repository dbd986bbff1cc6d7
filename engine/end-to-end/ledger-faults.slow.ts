/**
 * Money in and out when things go wrong: slow and broken disks, a full queue, a database that hangs, several
 * partitions, a stop. A client that got a 503 asks again with the same id and gets one answer; money moves once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { answerOf } from '../testing/client.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { engineBooks, metric, type OpsReply, opsCommand, opsGet, until } from '../testing/engine-process.js';

// The runner has a limit of its own.
t.setTimeout(0);

type Kind = 'deposits' | 'withdrawals';
const accountOf = (number: number) => `acct_${String(number).padStart(6, '0')}`;
const cardOf = (number: number) => `card_${String(number).padStart(6, '0')}_1`;
const reasonOf = ({ text }: OpsReply) => JSON.parse(text).reason;
const fundsOf = async (engine: TestEngine, account: string) => (await engineBooks(engine.place, account)).funds;

const answerMsMax = 60_000;

/** Asks until there is an answer. @returns it, and how often it was 503 */
async function answered(engine: TestEngine, kind: Kind, account: string, body: object): Promise<[OpsReply, number]> {
  let reply: OpsReply = { status: 503, text: '' };
  let refused = -1;
  // Often: with a deadline of 1 ms most attempts of a busy machine are refused.
  const giveUpAtMs = performance.now() + answerMsMax;
  for (; reply.status === 503 && performance.now() < giveUpAtMs; refused++) {
    if (refused >= 0) await delay(5);
    reply = await opsCommand(engine.place, kind, account, body);
  }
  return [reply, refused];
}

/** As many as the engine opens (engine/lookups/database.ts). */
const lookupConnections = 5;

/** Holds a lock on the table while `run` runs: every query that reads it hangs. */
async function whileLocked(engine: TestEngine, table: string, run: (sql: postgres.Sql) => Promise<void>) {
  const { sql } = engine;
  // The engine opens its connections for lookups after its start, and tries each: behind the lock they would all wait.
  await until('all connections for lookups are free', async () => {
    const [free] = await sql<{ count: number }[]>`
      select count(*)::integer as count from pg_stat_activity
      where datname = current_database() and application_name = 'engine lookups' and state = 'idle'`;
    return free!.count === lookupConnections;
  });
  const locked = await sql.reserve();
  await locked.unsafe('begin').simple();
  await locked.unsafe(`lock table ${table} in access exclusive mode`).simple();
  try {
    await run(sql);
  } finally {
    await locked.unsafe('rollback').simple();
    locked.release();
  }
}

async function settledOnce(t: Test, engine: TestEngine): Promise<void> {
  await engine.stop();
  t.same((await auditBooks(engine.sql)).findings, [], 'the books balance');
  const twice = await engine.sql`select request_id from transaction_events group by 1 having count(*) > 1`;
  t.equal(twice.length, 0, 'no command was journaled twice');
}

t.test('a command that misses its deadline moves money once, and its repeat receives the answer', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2, balanceMinor: 1000, changes: { DEADLINE_MS: '50' } });
  await answered(engine, 'deposits', accountOf(1), { id: 'first', amount: 1 });
  for (const [kind, amount, funds] of [
    ['deposits', 500, 1501],
    ['withdrawals', 200, 1301],
  ] as const) {
    engine.disk.holdSyncs();
    const late = opsCommand(engine.place, kind, accountOf(1), { id: kind, amount });
    await until('the worker stands in its sync', () => engine.disk.syncHeld);
    const { status, text } = await late;
    t.match([status, JSON.parse(text).title], [503, 'system_error'], kind);
    t.notOk('approved' in JSON.parse(text), 'a 503 does not say whether the command was executed');
    engine.disk.releaseSyncs();
    const [again] = await answered(engine, kind, accountOf(1), { id: kind, amount });
    t.match(JSON.parse(again.text), { id: kind, approved: true, amount, account: { funds } });
    t.equal(await fundsOf(engine, accountOf(1)), funds);
  }
  t.equal(await metric(engine.place, 'authorization_late_total'), 0, 'nothing was revoked');
  await settledOnce(t, engine);
});

t.test('every command is executed once with a deadline of 1 ms', async (t) => {
  const engine = await startTestEngine(t, { accounts: 4, balanceMinor: 1000, changes: { DEADLINE_MS: '1' } });
  let refusals = 0;
  let next = 0;
  const commands = 400;
  const loop = async () => {
    while (next < commands) {
      const number = next++;
      const kind = number % 4 === 0 ? 'withdrawals' : 'deposits';
      const [reply, refused] = await answered(engine, kind, accountOf(1 + (number % 2)), {
        id: `c${number}`,
        amount: 7,
      });
      refusals += refused;
      if (reasonOf(reply) !== 'approved') t.fail(reply.text);
    }
  };
  await Promise.all(Array.from({ length: 16 }, loop));
  t.comment(`${refusals} times 503`);
  t.equal(await fundsOf(engine, accountOf(1)), 1000 + 7 * (100 - 100));
  t.equal(await fundsOf(engine, accountOf(2)), 1000 + 7 * 200);
  await settledOnce(t, engine);
});

t.test('a command beyond MAX_IN_FLIGHT is refused at once, and its id is decided later', async (t) => {
  const engine = await startTestEngine(t, { accounts: 2, changes: { DEADLINE_MS: '3000', MAX_IN_FLIGHT: '2' } });
  await answered(engine, 'deposits', accountOf(1), { id: 'first', amount: 1 });
  engine.disk.holdSyncs();
  const inside = ['a', 'b'].map((id) => opsCommand(engine.place, 'deposits', accountOf(1), { id, amount: 1 }));
  await until('both are inside', async () => (await metric(engine.place, 'authorization_in_flight')) === 2);
  const beyond = await opsCommand(engine.place, 'deposits', accountOf(1), { id: 'c', amount: 1 });
  t.match([beyond.status, JSON.parse(beyond.text).title], [503, 'overloaded']);
  engine.disk.releaseSyncs();
  for (const reply of await Promise.all(inside)) t.equal(reasonOf(reply), 'approved');
  t.equal(reasonOf((await answered(engine, 'deposits', accountOf(1), { id: 'c', amount: 1 }))[0]), 'approved');
  t.equal(await fundsOf(engine, accountOf(1)), 100_004);
});

t.test('each command has one answer after a failed disk and a restart', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, balanceMinor: 1000, changes: { DEADLINE_MS: '2000' } });
  const [kept] = await answered(engine, 'deposits', accountOf(1), { id: 'kept', amount: 10 });
  engine.disk.failSyncs();
  for (const id of ['lost?', 'after']) {
    t.equal((await opsCommand(engine.place, 'deposits', accountOf(1), { id, amount: 100 })).status, 503, id);
  }
  engine.disk.heal();
  await engine.restart();
  t.same(await opsCommand(engine.place, 'deposits', accountOf(1), { id: 'kept', amount: 10 }), kept);
  for (const id of ['lost?', 'after']) {
    const [reply] = await answered(engine, 'deposits', accountOf(1), { id, amount: 100 });
    t.equal(reasonOf(reply), 'approved', id);
  }
  t.equal(
    await fundsOf(engine, accountOf(1)),
    1210,
    'the failed deposits moved money once, whether the disk had them or not',
  );
  await settledOnce(t, engine);
});

t.test('while the database hangs, commands succeed for known accounts and get a 503 for others', async (t) => {
  const engine = await startTestEngine(t, { accounts: 3, balanceMinor: 1000, changes: { DEADLINE_MS: '300' } });
  await answered(engine, 'deposits', accountOf(1), { id: 'first', amount: 1 });
  await whileLocked(engine, 'accounts', async () => {
    const known = await opsCommand(engine.place, 'deposits', accountOf(1), { id: 'known', amount: 10 });
    t.match([known.status, reasonOf(known)], [200, 'approved']);
    const unknown = await opsCommand(engine.place, 'deposits', accountOf(2), { id: 'unknown', amount: 10 });
    t.equal(unknown.status, 503);
  });
  const [unknown] = await answered(engine, 'deposits', accountOf(2), { id: 'unknown', amount: 10 });
  t.equal(reasonOf(unknown), 'approved', 'the refused command succeeds once Postgres is back');
  t.equal(await fundsOf(engine, accountOf(2)), 1010);
  await settledOnce(t, engine);
});

t.test('many messages for one unknown account cause one lookup and are all answered', async (t) => {
  const engine = await startTestEngine(t, { accounts: 3, balanceMinor: 1000, changes: { DEADLINE_MS: '3000' } });
  let waiting: Promise<OpsReply>[] = [];
  await whileLocked(engine, 'limits', async () => {
    waiting = Array.from({ length: 50 }, (_, index) =>
      opsCommand(engine.place, 'deposits', accountOf(1), { id: `d${index}`, amount: 1 }),
    );
    await until('all of them wait', async () => (await metric(engine.place, 'loader_waiting')) === 50);
  });
  for (const reply of await Promise.all(waiting)) t.equal(reasonOf(reply), 'approved');
  t.equal(await fundsOf(engine, accountOf(1)), 1050);
});

t.test('an engine that stops answers messages in flight and refuses later ones', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, changes: { DEADLINE_MS: '3000' } });
  await answered(engine, 'deposits', accountOf(1), { id: 'first', amount: 1 });
  engine.disk.holdSyncs();
  const inFlight = opsCommand(engine.place, 'deposits', accountOf(1), { id: 'in flight', amount: 1 });
  await until('the worker stands in its sync', () => engine.disk.syncHeld);
  const stopped = engine.stop();
  const after = await opsCommand(engine.place, 'deposits', accountOf(1), { id: 'after', amount: 1 });
  t.match([after.status, JSON.parse(after.text).title], [503, 'shutting_down']);
  engine.disk.releaseSyncs();
  t.equal(reasonOf(await inFlight), 'approved');
  await stopped;
  const [row] = await engine.sql`select funds::integer as funds from accounts`;
  t.equal(row?.['funds'], 100_002, 'the deposit in flight is settled');
});

t.test('a command reaches the partition of its account, and a repeated id has one answer everywhere', async (t) => {
  const numbers = [1, 2, 3, 4, 5, 6];
  const changes = { PARTITIONS: '2', DEADLINE_MS: '2000' };
  const engine = await startTestEngine(t, { accounts: numbers.length, balanceMinor: 1000, changes });
  const deposit = async (id: string, number: number) =>
    (await answered(engine, 'deposits', accountOf(number), { id, amount: 10 * number }))[0];
  const firsts = new Map<number, OpsReply>();
  for (const number of numbers) {
    const purchase = { id: `a${number}`, type: 'authorization', card: cardOf(number), amount: 100, currency: 'USD' };
    t.ok(answerOf(await engine.client.native(purchase)).approved);
    firsts.set(number, await deposit(`d${number}`, number));
    t.match(JSON.parse(firsts.get(number)!.text), {
      approved: true,
      account: { funds: 1000 + 10 * number, held: 100 },
    });
  }
  t.equal((await deposit('d7', 7)).status, 404, 'an unknown account is a 404');
  const everything = async () => {
    for (const asked of numbers) {
      for (const number of numbers) {
        const reply = await deposit(`d${asked}`, number);
        if (number === asked) t.same(reply, firsts.get(number));
        else t.equal(reply.status, 409, `d${asked} with account ${number} receives the first answer or a conflict`);
      }
    }
    const { text } = await opsGet(engine.place, `/admin/accounts?ids=${numbers.map(accountOf)}`);
    const { accounts } = JSON.parse(text) as { accounts: { id: string; funds: number; held: number }[] };
    t.same(
      accounts.map(({ id, funds, held }) => [id, funds, held]),
      numbers.map((number) => [accountOf(number), 1000 + 10 * number, 100]),
      'one request returns accounts of both partitions',
    );
  };
  await everything();
  await engine.restart(changes);
  await everything();
  const journals = await engine.sql`select distinct partition from transaction_events where type = 11`;
  t.equal(journals.length, 2, 'both partitions had accounts');
  await settledOnce(t, engine);
});

t.test('an id that was refused with one account cannot reach the wrong partition with another', async (t) => {
  const changes = { PARTITIONS: '2', DEADLINE_MS: '300' };
  const warmed = 6;
  const engine = await startTestEngine(t, { accounts: warmed, cardsPerAccount: 1, balanceMinor: 1000, changes });
  await until('each partition has read its cards', async () => {
    return (await metric(engine.place, 'card_cache_entries')) === warmed;
  });
  // Added behind the warm start, so that no partition has them in memory.
  await seedAccounts(engine.sql, { accounts: 2 * warmed, cardsPerAccount: 1, balanceMinor: 1000 });
  const owners = await engine.sql<{ id: string; owner: number }[]>`
    select public_id as id, owner_key::integer as owner from accounts order by id offset ${warmed}`;
  const partitionOf = ({ owner }: { owner: number }) => Math.floor(owner / 2) % 2;
  const own = owners[0]!;
  const foreign = owners.find((other) => partitionOf(other) !== partitionOf(own))!;
  const deposit = (id: string, account: string) => opsCommand(engine.place, 'deposits', account, { id, amount: 10 });
  const card = (account: string) => `${account.replace('acct', 'card')}_1`;
  const buy = (id: string, account: string) => engine.client.authorize(id, card(account), 10);
  // The front learns whose account it is, and the id with it; what the partition needs beyond that does not come.
  await whileLocked(engine, 'limits', async () => {
    t.equal((await deposit('x', own.id)).status, 503);
    t.equal((await buy('x', own.id)).status, 503);
  });
  t.equal((await deposit('x', foreign.id)).status, 409, 'a second command with the id is a conflict');
  t.equal((await buy('x', foreign.id)).status, 409);
  t.match(await engineBooks(engine.place, foreign.id), { funds: 1000, held: 0 });
  const [late] = await answered(engine, 'deposits', own.id, { id: 'x', amount: 10 });
  t.equal(reasonOf(late), 'approved', 'the first command with the id still receives its answer');
  t.equal(answerOf(await buy('x', own.id)).reason, 'approved');
  // The other account has one writer: its own partition, with books that add up.
  t.equal(reasonOf((await answered(engine, 'deposits', foreign.id, { id: 'y', amount: 5 }))[0]), 'approved');
  t.equal(answerOf(await buy('y', foreign.id)).reason, 'approved');
  t.match(await engineBooks(engine.place, foreign.id), { funds: 1005, held: 10, available: 995 });
  await engine.stop();
  const rows = await engine.sql<{ partition: number }[]>`
    select distinct partition from transaction_events where account_id = (
      select id from accounts where public_id = ${foreign.id})`;
  t.same(
    [...rows].map(({ partition }) => partition),
    [partitionOf(foreign)],
  );
  t.same((await auditBooks(engine.sql)).findings, []);
});

t.test('a freeze that the engine receives ends withdrawals of an account in memory', async (t) => {
  const engine = await startTestEngine(t, { accounts: 1, balanceMinor: 1000, changes: { DEADLINE_MS: '3000' } });
  const withdraw = async (id: string) =>
    reasonOf((await answered(engine, 'withdrawals', accountOf(1), { id, amount: 1 }))[0]);
  t.equal(await withdraw('before'), 'approved');
  await engine.sql`update accounts set status = 'frozen'`;
  let attempts = 0;
  await until('withdrawals are refused', async () => (await withdraw(`frozen-${attempts++}`)) === 'account_inactive');
  const [paidIn] = await answered(engine, 'deposits', accountOf(1), { id: 'paid in', amount: 5 });
  t.equal(reasonOf(paidIn), 'approved', 'a frozen account still accepts deposits');
  await engine.sql`update accounts set status = 'active'`;
  await until('it is thawed', async () => (await withdraw(`thawed-${attempts++}`)) === 'approved');
});
