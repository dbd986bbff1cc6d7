/**
 * What breaks under a running engine: its database, its disk, its threads, and a second engine beside it. Approvals end
 * where they cannot be kept, declines are explicit, and afterwards the books are exactly what was acknowledged.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { embeddedRoles } from '../../deploy/database-roles.js';
import { startEmbeddedPostgres } from '../../deploy/embedded-postgres.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { migrate } from '../../sql/migrate.js';
import { answerOf, type Reply, stableBody } from '../testing/client.js';
import { killThread } from '../testing/dying-storage.js';
import { startTestEngine, type TestEngine } from '../testing/engine-inside.js';
import { EngineProcess, engineBooks, enginePlace, metric, opsGet, until } from '../testing/engine-process.js';

// The runner has a limit of its own.
t.setTimeout(0);

let questions = 0;

function authorization(card: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const merchant = { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' };
  return { id: `fault-${++questions}`, type: 'authorization', card, amount: 1, currency: 'USD', merchant, ...changes };
}

const cardOf = (number: number, card = 1) => `card_${String(number).padStart(6, '0')}_${card}`;
const accountOf = (number: number) => `acct_${String(number).padStart(6, '0')}`;

/** A client that remembers every answer, and holds the engine to it. */
class Memory {
  readonly #t: Test;
  readonly #engine: TestEngine;
  readonly #answers = new Map<string, { message: Record<string, unknown>; reply: Reply }>();
  readonly #undecided = new Map<string, Record<string, unknown>>();

  constructor(t: Test, engine: TestEngine) {
    this.#t = t;
    this.#engine = engine;
  }

  get undecided(): number {
    return this.#undecided.size;
  }

  async ask(message: Record<string, unknown>): Promise<Reply> {
    const reply = await this.#engine.client.native(message);
    this.#note(message, reply);
    return reply;
  }

  #note(message: Record<string, unknown>, reply: Reply): void {
    const id = String(message['id']);
    const before = this.#answers.get(id);
    if (reply.status === 503) {
      if (JSON.parse(reply.body).approved !== false) this.#t.fail(`503 without a decline: ${reply.body}`);
      if (before === undefined) this.#undecided.set(id, message);
      return;
    }
    if (reply.status !== 200) this.#t.fail(`${reply.status} ${reply.body}`);
    if (before === undefined) {
      this.#answers.set(id, { message, reply });
      this.#undecided.delete(id);
    } else if (stableBody(before.reply.body) !== stableBody(reply.body)) {
      this.#t.fail(`two answers to ${id}:\n${before.reply.body}\n${reply.body}`);
    }
  }

  /** Asks everything again: an answered id gets its first answer, what was not decided is decided now. */
  async askAgain(): Promise<void> {
    const all = [...[...this.#answers.values()].map(({ message }) => message), ...this.#undecided.values()];
    for (const message of all) {
      const id = String(message['id']);
      await until(`${id} is answered`, async () => (await this.ask(message)).status === 200);
    }
  }

  /** Sum of what was approved by account, of authorizations alone. */
  held(account: number): number {
    let held = 0;
    for (const { message, reply } of this.#answers.values()) {
      if (String(message['card']).startsWith(`card_${String(account).padStart(6, '0')}_`)) {
        held += answerOf(reply).approvedAmount;
      }
    }
    return held;
  }

  async compare(accounts: readonly number[]): Promise<void> {
    for (const account of accounts) {
      const books = await engineBooks(this.#engine.place, accountOf(account));
      this.#t.equal(books.held, this.held(account), `account ${account} holds what was acknowledged`);
    }
  }
}

const isReady = async (engine: TestEngine) => (await opsGet(engine.place, '/readyz')).status === 200;

/** Everything durable is settled; then the audit, and no gap and no double in what was settled. */
async function settledWhole(t: Test, engine: TestEngine, partitions = 1): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    const sequence = await metric(engine.place, `journal_sequence{partition="${partition}"}`);
    await until(
      'Postgres has caught up',
      async () => (await metric(engine.place, `shipper_sequence{partition="${partition}"}`)) >= sequence,
      60_000,
    );
    const [row] = await engine.sql<{ events: number; newest: number }[]>`
      select count(*)::integer as events, coalesce(max(sequence), 0)::integer as newest
      from transaction_events where partition = ${partition}`;
    t.same(row, { events: row!.newest, newest: row!.newest }, 'the record sequences have no gap and no double');
    t.ok(row!.newest >= sequence);
  }
  t.same((await auditBooks(engine.sql)).findings, [], 'the books balance');
}

/** The processes of the server that `sql` is connected to, the postmaster first. */
async function serverProcesses(sql: postgres.Sql): Promise<number[]> {
  const [row] = await sql<{ pid: number }[]>`select pg_backend_pid() as pid`;
  const parent = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${row!.pid}/status`, 'utf8'))?.[1]);
  const children = execFileSync('ps', ['--ppid', String(parent), '-o', 'pid='], { encoding: 'utf8' });
  return [parent, ...children.trim().split(/\s+/).map(Number)];
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      // Some end by themselves in between.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Questions until `enough` says so, a few at a time. */
async function traffic(ask: () => Promise<unknown>, enough: () => boolean): Promise<void> {
  const loop = async () => {
    while (!enough()) await ask();
  };
  await Promise.all(Array.from({ length: 8 }, loop));
}

for (const [journal, workers] of [
  ['local', 1],
  ['local', 2],
  ['postgres', 2],
] as const) {
  const name = `an engine survives a frozen and a dead Postgres (JOURNAL=${journal} PARTITIONS=${workers})`;
  t.test(name, { timeout: 400_000 }, async (t) => {
    const dataDir = folderFor(t);
    const options = { dataDir, log: () => undefined, settings: { fsync: 'off', full_page_writes: 'off' } };
    let server = await startEmbeddedPostgres(options);
    let frozen: number[] = [];
    t.teardown(async () => {
      signalAll(frozen, 'SIGCONT');
      await server.stop();
    });
    const { urls } = await embeddedRoles(dataDir, server.url);
    await migrate({ databaseUrl: urls.owner });
    const engine = await startTestEngine(t, {
      databaseUrl: urls.engine,
      adminUrl: server.url,
      accounts: 40,
      changes: { JOURNAL: journal, PARTITIONS: String(workers), DEADLINE_MS: '1000', MAX_IN_FLIGHT: '64' },
    });
    const memory = new Memory(t, engine);
    const known = Array.from({ length: 10 }, (_, index) => index + 1);
    // A start loads cards that are active: the others stay unknown until they are asked for.
    await engine.sql`update cards set status = 'closed'
      where not token = any(${known.map((account) => cardOf(account))})`;
    await engine.restart();
    for (const account of known) {
      await until('it is known', async () => (await memory.ask(authorization(cardOf(account)))).status === 200);
    }

    const served = async (count: number) => {
      let asked = 0;
      let approved = 0;
      await traffic(
        async () => {
          const reply = await memory.ask(authorization(cardOf(known[asked++ % known.length]!)));
          if (reply.status === 200 && answerOf(reply).approved) approved++;
        },
        () => asked >= count,
      );
      return approved;
    };

    // Each of them waits for its deadline where the journal is in Postgres.
    const whileAway = journal === 'local' ? 300 : 24;
    const approvedWhileAway = journal === 'local' ? whileAway : 0;

    frozen = await serverProcesses(engine.sql);
    signalAll(frozen, 'SIGSTOP');
    t.equal(
      await served(whileAway),
      approvedWhileAway,
      'known cards are approved while Postgres is frozen, unless it has the journal',
    );
    // More unknown cards than the front admits messages: they may not keep it full.
    const unknown = Array.from({ length: 200 }, (_, index) => authorization(cardOf(11 + (index % 30), 2)));
    const declined = await Promise.all(unknown.map((message) => memory.ask(message)));
    t.same(
      new Set(declined.map(({ status }) => status)),
      new Set([503]),
      'unknown cards are declined while Postgres is frozen',
    );
    t.equal(await served(whileAway), approvedWhileAway, 'known cards are still decided alike while Postgres is frozen');
    t.equal(await isReady(engine), journal === 'local', 'it is ready while it can approve');
    t.match(JSON.parse((await opsGet(engine.place, '/health')).text).components.database, { status: 'unhealthy' });
    await until(
      'lookups that are not answered are given up',
      async () => (await metric(engine.place, 'loader_waiting')) === 0,
    );
    t.equal(
      (await memory.ask(authorization(cardOf(40)))).status,
      503,
      'unknown cards are declined on new connections too',
    );
    t.equal(await served(whileAway), approvedWhileAway);
    signalAll(frozen, 'SIGCONT');
    frozen = [];
    await until('all partitions approve again', async () => (await served(20)) === 20);
    t.equal(await served(200), 200);
    await settledWhole(t, engine, workers);

    const killed = await serverProcesses(engine.sql);
    signalAll(killed, 'SIGKILL');
    t.equal(
      await served(whileAway),
      approvedWhileAway,
      'known cards are approved while Postgres is down, unless it has the journal',
    );
    t.equal(
      (await memory.ask(authorization(cardOf(12, 2)))).status,
      503,
      'unknown cards are declined while Postgres is down',
    );
    server = await startEmbeddedPostgres(options);
    t.equal(new URL(server.url).host, new URL(urls.engine).host, 'Postgres returns on the same port');
    await until('all partitions approve again', async () => (await served(20)) === 20);
    t.equal(await served(100), 100);
    await until('a new card works again', async () => (await memory.ask(authorization(cardOf(39, 2)))).status === 200);
    await memory.askAgain();
    t.equal(memory.undecided, 0);
    await memory.compare([...known, 11, 12, 25, 39]);
    await settledWhole(t, engine, workers);
    await engine.restart();
    await memory.askAgain();
    await memory.compare([...known, 11, 12, 25, 39]);
  });
}

t.test('after a failed sync no message is approved, and a restart finds every acknowledged message', async (t) => {
  const engine = await startTestEngine(t, { changes: { DEADLINE_MS: '1000' } });
  const memory = new Memory(t, engine);
  for (let count = 0; count < 50; count++) await memory.ask(authorization(cardOf(1 + (count % 5))));
  engine.disk.failSyncs(3);
  let refused = 0;
  await traffic(
    async () => {
      const reply = await memory.ask(authorization(cardOf(1)));
      if (reply.status === 503) refused++;
    },
    () => refused >= 30,
  );
  for (let count = 0; count < 20; count++) {
    t.equal((await memory.ask(authorization(cardOf(2)))).status, 503, 'no message is approved any more');
  }
  engine.disk.heal();
  t.equal(
    (await memory.ask(authorization(cardOf(2)))).status,
    503,
    'no message is approved even after the disk works again',
  );
  t.equal(await isReady(engine), false);
  const health = await opsGet(engine.place, '/health');
  t.equal(health.status, 503);
  t.match(JSON.parse(health.text), { status: 'unhealthy', components: { journal: { status: 'unhealthy' } } });
  await engine.restart();
  t.ok(await isReady(engine));
  await memory.askAgain();
  await memory.compare([1, 2, 3, 4, 5]);
  await settledWhole(t, engine);
});

t.test('a message whose write fails half way receives no approval', async (t) => {
  const engine = await startTestEngine(t, { changes: { DEADLINE_MS: '1000' } });
  const memory = new Memory(t, engine);
  for (const bytes of [0, 1, 40, 300]) {
    await memory.ask(authorization(cardOf(1)));
    engine.disk.shortWrite(bytes);
    t.equal((await memory.ask(authorization(cardOf(1)))).status, 503, `${bytes} bytes were written`);
    t.equal(await isReady(engine), false);
    await engine.restart();
  }
  await memory.askAgain();
  await memory.compare([1]);
  await settledWhole(t, engine);
});

t.test(
  'a message that a slow disk makes late is answered 503, holds nothing, and is decided when it is repeated',
  async (t) => {
    const engine = await startTestEngine(t, { changes: { DEADLINE_MS: '100' } });
    const memory = new Memory(t, engine);
    // A first question to each, so that no card is loaded late.
    for (const account of [1, 2, 3]) {
      await until('it is known', async () => (await memory.ask(authorization(cardOf(account)))).status === 200);
    }
    engine.disk.slowSyncs(300);
    const late = Array.from({ length: 60 }, (_, index) => authorization(cardOf(1 + (index % 3)), { amount: 500 }));
    const replies = await Promise.all(late.map((message) => memory.ask(message)));
    for (const reply of replies) t.match([reply.status, JSON.parse(reply.body).reason], [503, 'system_error']);
    await until('what was approved late is revoked', async () => {
      const books = await Promise.all([1, 2, 3].map((account) => engineBooks(engine.place, accountOf(account))));
      return books.every(({ held }, index) => held === memory.held(index + 1));
    });
    t.ok((await metric(engine.place, 'authorization_late_total')) > 0, 'approvals came back late');
    engine.disk.heal();
    await until('the lane is free', async () => (await metric(engine.place, 'lane_depth')) === 0);
    for (const message of late) {
      let reply = await memory.ask(message);
      for (let attempt = 0; attempt < 50 && reply.status === 503; attempt++) reply = await memory.ask(message);
      t.match(answerOf(reply), { approved: true, approvedAmount: 500 }, 'the repeated message is decided');
    }
    await memory.compare([1, 2, 3]);
    await settledWhole(t, engine);
    await engine.restart();
    await memory.askAgain();
    await memory.compare([1, 2, 3]);
  },
);

t.test('a clearing that a slow disk makes late is booked once', async (t) => {
  const engine = await startTestEngine(t, { changes: { DEADLINE_MS: '100' } });
  const { client } = engine;
  const hold = authorization(cardOf(1), { amount: 700 });
  await until('it is known', async () => (await client.native(hold)).status === 200);
  engine.disk.slowSyncs(300);
  const clearing = authorization(cardOf(1), { type: 'clearing', original: hold['id'], amount: 700 });
  t.equal((await client.native(clearing)).status, 503, 'the clearing gets no answer in time');
  engine.disk.heal();
  await until('it is answered', async () => (await client.native(clearing)).status === 200);
  t.match(await engineBooks(engine.place, accountOf(1)), { held: 0, posted: 700 });
});

/** A message of about a kilobyte in the journal. */
const bulky = (card: string) =>
  authorization(card, { merchant: { id: '𝄞'.repeat(64), name: '𝄞'.repeat(128), mcc: '5411', country: 'US' } });

/** A file system of a few segments' size in `directory`. @returns false where we are not allowed to mount one */
function mountSmallDisk(t: Test, directory: string): boolean {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=30m', 'tmpfs', directory], { stdio: 'ignore' });
  if (mounted.status !== 0) return false;
  // Lazily: a process that still has a file open there keeps it until it ends.
  t.teardown(() => void spawnSync('umount', ['--lazy', directory], { stdio: 'ignore' }));
  return true;
}

t.test('a full disk declines messages until there is room again', { timeout: 180_000 }, async (t) => {
  const dataDir = folderFor(t);
  const isSmall = mountSmallDisk(t, dataDir);
  t.comment(isSmall ? 'a disk of 30 MiB' : 'no right to mount a small disk: its refusals are injected');
  const engine = await startTestEngine(t, {
    dataDir,
    balanceMinor: 10_000_000,
    changes: { DEADLINE_MS: '1000', JOURNAL_SEGMENTS_MAX: isSmall ? '16' : '3' },
  });
  engine.disk.full(!isSmall);
  const memory = new Memory(t, engine);
  let refused = 0;
  let asked = 0;
  const askOne = async () => {
    const reply = await memory.ask(bulky(cardOf(1 + (asked++ % 20))));
    if (reply.status === 503) refused++;
  };
  // While nothing can be settled no segment comes back for its next life.
  await engine.sql.begin(async (sql) => {
    await sql`select * from journal_positions for update`;
    await traffic(askOne, () => refused >= 50 || asked > 100_000);
    t.ok(refused >= 50, `declined after ${asked}`);
    await until('nothing can be approved, so it is not ready', async () => {
      await askOne();
      return !(await isReady(engine));
    });
    await memory.compare([1, 2, 3, 20]);
  });
  engine.disk.full(false);
  // What is left of the last segment may take a single message before there is room for more.
  const burst = async () => {
    refused = 0;
    await Promise.all(Array.from({ length: 32 }, askOne));
    return refused === 0;
  };
  await until('it is ready without a message', () => isReady(engine), 60_000);
  await until('it goes on', burst, 60_000);
  refused = 0;
  asked = 0;
  await traffic(askOne, () => asked > 500);
  t.equal(refused, 0, 'the books are unchanged');
  await memory.compare([1, 2, 3, 20]);
  await settledWhole(t, engine);
  await engine.restart();
  await memory.compare([1, 2, 3, 20]);
});

t.test('a partition whose thread dies is replaced, and the other partition keeps answering', async (t) => {
  const engine = await startTestEngine(t, { accounts: 8, changes: { PARTITIONS: '2', DEADLINE_MS: '2000' } });
  const memory = new Memory(t, engine);
  const accounts = [1, 2, 3, 4, 5, 6, 7, 8];
  for (const account of accounts) t.equal((await memory.ask(authorization(cardOf(account)))).status, 200);
  const records = await Promise.all(
    [0, 1].map((partition) => metric(engine.place, `journal_sequence{partition="${partition}"}`)),
  );
  t.same(records, [4, 4], 'both partitions have their share of the accounts');

  // Account numbers and owners count together here: even owners belong to partition 0.
  const ofPartition = (partition: number) => accounts.filter((account) => account % 2 === partition);
  let restarts = 0;
  const moments = ['beforeWrite', 'beforeSync', 'beforeRead'] as const;
  for (const moment of [...moments, ...moments]) {
    const victim = restarts % 2;
    killThread(engine.disk, victim, moment);
    let refused = 0;
    let others = 0;
    const isDead = async () => (await metric(engine.place, 'worker_restarts')) > restarts;
    await Promise.all([
      traffic(
        async () => {
          const account = ofPartition(victim)[refused % 4]!;
          const message = authorization(cardOf(account));
          let reply = await memory.ask(message);
          if (moment === 'beforeRead' && reply.status === 200) {
            // Two more, and it has left the frames: the repeat is read from the disk.
            for (let more = 0; more < 2; more++) await memory.ask(authorization(cardOf(account)));
            reply = await memory.ask(message);
          }
          if (reply.status === 503) refused++;
        },
        () => refused >= 20,
      ),
      traffic(
        async () => {
          const reply = await memory.ask(authorization(cardOf(ofPartition(1 - victim)[others++ % 4]!)));
          if (reply.status !== 200 || !answerOf(reply).approved) t.fail(`the other partition: ${reply.body}`);
        },
        () => others >= 200,
      ),
    ]);
    await until('it is replaced', async () => (await isDead()) && (await isReady(engine)));
    restarts++;
    await until(
      'it takes messages',
      async () => (await memory.ask(authorization(cardOf(ofPartition(victim)[0]!)))).status === 200,
    );
    await memory.askAgain();
    await memory.compare(accounts);
  }
  t.equal(await metric(engine.place, 'worker_restarts'), restarts);
  await settledWhole(t, engine, 2);
});

t.test('a second engine on the same database is refused with a line that says what to do', async (t) => {
  const database = await databaseFor(t);
  const dataDirs = [folderFor(t), folderFor(t)];
  const first = new EngineProcess(await enginePlace(database.url, dataDirs[0]!));
  t.teardown(() => first.kill('SIGKILL'));
  t.ok(await first.ready());
  const second = new EngineProcess(await enginePlace(database.url, dataDirs[1]!));
  t.equal(await second.ended, 1);
  t.match(second.logged, /^engine: another engine already runs on this database/m);
  t.equal((await opsGet(first.place, '/readyz')).status, 200, 'the first engine stays');
  t.equal(await first.kill('SIGTERM'), 0);
});
