/**
 * Two engines on one ledger, whatever is cut, killed or stopped. At most one approves, no account is spent twice, and
 * the surviving engine knows every approval that a client received. Leases are half a second here, and pauses are
 * scaled alike: 5 s is ten leases, as a minute is two of the default ones.
 */
import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import t, { type Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { auditJournals } from '../../deploy/audit/audit-journals.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { Random } from '../protocols/testing/mutate.js';
import { answerOf, Client, stableBody } from '../testing/client.js';
import {
  type EnginePlace,
  EngineProcess,
  enginePlace,
  opsGet,
  startEngineProcess,
  until,
} from '../testing/engine-process.js';
import { testSeed } from '../testing/runs.js';
import { TcpProxy } from '../testing/tcp-proxy.js';

const accounts = 30;
const fundsMinor = 10_000;
/** Twice is more than an account has. */
const amountMinor = 6000;
const shortLease = {
  FEED_STALE_MS_MAX: '500',
  LEASE_MS: '500',
  DEADLINE_MS: '1000',
  HOLDS_MAX: '4096',
  SEEN_IDS_MAX: '4096',
};
/** The lease and its margin. */
const waitMs = 500 * 1.05 + 1000;

t.setTimeout(0);

interface Approval {
  readonly id: string;
  readonly card: string;
  readonly amount: number;
  readonly body: string;
  readonly engine: string;
  readonly atMs: number;
}

interface World {
  readonly sql: postgres.Sql;
  readonly proxy: TcpProxy;
  readonly approvals: Approval[];
  /** The engine that is there first: its way to Postgres leads through the proxy. */
  readonly first: EnginePlace;
  /** Another engine, on ports of its own: on the same journal, or on a copy of the journal as it is now. */
  other(on: 'same journal' | 'copy'): Promise<EnginePlace>;
  start(place: EnginePlace, changes?: Readonly<Record<string, string>>): EngineProcess;
  /** Asks without a pause until the test ends: every account for an amount of which it has one. */
  load(place: EnginePlace, name: string, clients?: number, amount?: number): () => Promise<void>;
  /** Whether it approves now, by a balance of nothing. */
  approves(place: EnginePlace): Promise<boolean>;
  takenAtMs(): Promise<number>;
  /** No account has approvals beyond its funds, and the books balance. */
  audit(t: Test): Promise<void>;
}

async function world(t: Test): Promise<World> {
  t.setTimeout(0);
  const database = await databaseFor(t, { connections: 2 });
  const { sql } = database;
  const proxy = await TcpProxy.start(Number(new URL(database.url).port));
  const root = folderFor(t);
  const folder = () => mkdtempSync(join(root, 'engine-'));
  const engines: EngineProcess[] = [];
  const stops: (() => Promise<void>)[] = [];
  t.teardown(async () => {
    await Promise.all(stops.map((stop) => stop()));
    await Promise.all(engines.map((engine) => engine.kill('SIGKILL')));
    await proxy.close();
  });
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: fundsMinor });
  const first = await enginePlace(proxy.url(database.url), folder());
  const approvals: Approval[] = [];
  let asked = 0;
  const question = (card: string, amount: number) => ({
    ...{ id: `w-${++asked}`, type: 'authorization', card, amount, currency: 'USD' },
  });
  const cardOf = (account: number) => `card_${String(account).padStart(6, '0')}_1`;
  return {
    sql,
    proxy,
    approvals,
    first,
    async other(on) {
      if (on === 'same journal') return enginePlace(database.url, first.dataDir);
      const dataDir = folder();
      cpSync(join(first.dataDir, 'journal'), join(dataDir, 'journal'), { recursive: true });
      return enginePlace(database.url, dataDir);
    },
    start(place, changes = {}) {
      const engine = new EngineProcess(place, { ...shortLease, ...changes });
      engines.push(engine);
      return engine;
    },
    load(place, name, clients = 4, amount = amountMinor) {
      let stopped = false;
      const loops = Array.from({ length: clients }, async (_, number) => {
        const client = new Client(place.authPort);
        for (let turn = number; !stopped; turn += clients) {
          const card = cardOf(1 + (turn % accounts));
          const message = question(card, amount);
          try {
            const reply = await client.native(message);
            if (reply.status === 200 && answerOf(reply).approved) {
              approvals.push({ ...{ id: message.id, card, amount, body: reply.body, engine: name }, atMs: Date.now() });
            }
          } catch {
            // The engine has ended, or its connection has.
          }
          await delay(5);
        }
        client.close();
      });
      const stop = async () => {
        stopped = true;
        await Promise.all(loops);
      };
      stops.push(stop);
      return stop;
    },
    async approves(place) {
      const client = new Client(place.authPort);
      try {
        const reply = await client.native({ ...question(cardOf(1), 0), type: 'verification' });
        return reply.status === 200 && (JSON.parse(reply.body) as { reason: string }).reason !== 'system_error';
      } catch {
        return false;
      } finally {
        client.close();
      }
    },
    async takenAtMs() {
      const [row] = await sql<{ at: number }[]>`
        select extract(epoch from taken_at)::float8 * 1000 as at from writer_leases`;
      return row!.at;
    },
    async audit(t) {
      const spent = new Map<string, number>();
      for (const { card, amount } of approvals) spent.set(card, (spent.get(card) ?? 0) + amount);
      t.ok(spent.size > 0, `${approvals.length} approvals`);
      t.same(
        [...spent].filter(([, amount]) => amount > fundsMinor),
        [],
        'no account is spent twice',
      );
      t.same((await auditBooks(sql)).findings, []);
    },
  };
}

t.test('a second engine on one journal never decides, even when the first loses its connections', async (t) => {
  const { sql, first, other, start, load, approves, audit, approvals } = await world(t);
  const one = start(first);
  t.ok(await one.ready());
  const stop = load(first, 'one', 8, 1);
  const second = await other('same journal');
  const two = start(second);
  await until('it waits', () => /waiting 10 s for its end/.test(two.logged), 60_000);
  for (let round = 0; round < 3; round++) {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where pid <> pg_backend_pid() and datname = current_database()`.catch(() => undefined);
    await delay(1000);
  }
  t.equal(await two.ended, 1);
  t.match(
    two.logged,
    new RegExp(`in use by the engine with process ${one.child.pid} on .*AUTH_PORT ${first.authPort}`),
  );
  await until('the first one approves', () => approves(first));
  t.ok(one.isAlive);
  const before = approvals.length;
  await until('it goes on', () => approvals.length > before + 50);
  await stop();
  await one.kill('SIGKILL');
  const third = start(first, { DEADLINE_MS: '3000' });
  t.ok(await third.ready(), 'the journal is readable');
  const client = new Client(first.authPort);
  t.teardown(() => client.close());
  await until('it approves', () => approves(first));
  for (const { id, card, amount, body } of approvals.slice(-200)) {
    const again = await client.authorize(id, card, amount);
    if (stableBody(again.body) !== stableBody(body)) t.fail(`${id}: ${body} became ${again.body}`);
  }
  t.equal(await third.kill('SIGTERM'), 0);
  await audit(t);
});

t.test('a second engine on one journal is refused while the first process is stopped', async (t) => {
  const { sql, first, other, start, load, approves, audit } = await world(t);
  const one = start(first);
  t.ok(await one.ready());
  load(first, 'one');
  await until('it approves', () => approves(first));
  one.child.kill('SIGSTOP');
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
    where pid <> pg_backend_pid() and datname = current_database()`.catch(() => undefined);
  const two = start(await other('same journal'));
  t.equal(await two.ended, 1, 'the lease has lapsed and the lock has not');
  one.child.kill('SIGCONT');
  await until('it approves again', () => approves(first), 30_000);
  t.equal(await one.kill('SIGTERM'), 0);
  await audit(t);
});

for (const pauseMs of [0, 300, 1400, 2500, 5000]) {
  const random = new Random(testSeed + pauseMs);
  t.test(
    `an engine that is stopped for ${pauseMs} ms while another takes the lease spends no money twice`,
    async (t) => {
      const { first, other, start, load, approves, takenAtMs, approvals, audit } = await world(t);
      const one = start(first);
      t.ok(await one.ready());
      load(first, 'one', 2);
      await until('it approves', () => approvals.length > 3);
      one.child.kill('SIGSTOP');
      const second = await other('copy');
      const two = start(second);
      load(second, 'two');
      const resumed = delay(pauseMs).then(() => one.child.kill('SIGCONT'));
      // The successor stands still as well, at some point of its start.
      await delay(random.below(3000));
      two.child.kill('SIGSTOP');
      await delay(random.below(2 * waitMs));
      two.child.kill('SIGCONT');
      await resumed;
      await until('one of the two has the ledger for good', () => !one.isAlive || !two.isAlive, 60_000);
      await until('it approves', () => approves(one.isAlive ? first : second), 30_000);
      t.not(one.isAlive, two.isAlive);
      if (two.isAlive) {
        t.match(one.logged, /another engine is the writer of this database now/);
        const takenMs = await takenAtMs();
        t.same(
          approvals.filter(({ engine, atMs }) => engine === 'one' && atMs > takenMs),
          [],
          'the first engine approves nothing after that',
        );
      } else {
        // Or its own question to Postgres, or its connection, has run into its deadline while it stood still.
        t.match(two.logged, /another engine already runs on this database|no answer within|CONNECT_TIMEOUT/);
      }
      await delay(500);
      t.equal(await (one.isAlive ? one : two).kill('SIGTERM'), 0);
      await audit(t);
    },
  );
}

const cuts: Readonly<Record<string, (proxy: TcpProxy) => void>> = {
  'the way to Postgres': (proxy) => proxy.silence('toService'),
  'the way from Postgres': (proxy) => proxy.silence('toClient'),
  'both ways': (proxy) => proxy.stall(),
};
for (const [name, cut] of Object.entries(cuts)) {
  t.test(`an engine whose packets vanish on ${name} stops approving before another one begins`, async (t) => {
    const { sql, proxy, first, other, start, load, takenAtMs, approvals, approves, audit } = await world(t);
    const one = start(first);
    t.ok(await one.ready());
    load(first, 'one', 2, 1);
    await until('it approves', () => approvals.length > 20);
    cut(proxy);
    // Taken once the engine has stopped: what it approves until then is in its journal alone.
    await until('it approves nothing', async () => !(await approves(first)), 30_000);
    t.ok(one.isAlive);
    const second = await other('copy');
    const two = start(second);
    t.ok(await two.ready());
    const takenMs = await takenAtMs();
    load(second, 'two');
    await until('the other one approves', () => approvals.some(({ engine }) => engine === 'two'), 30_000);
    proxy.heal();
    t.equal(await one.ended, 1);
    t.match(one.logged, /another engine is the writer of this database now/);
    t.same(
      approvals.filter(({ engine, atMs }) => engine === 'one' && atMs > takenMs),
      [],
    );
    t.equal(await two.kill('SIGTERM'), 0);
    await audit(t);
    t.match(
      (await auditJournals(sql, join(first.dataDir, 'journal'))).findings,
      [/partition 0/],
      'the journal of the first engine ends behind Postgres',
    );
    t.same(await auditJournals(sql, join(second.dataDir, 'journal')), { findings: [], notes: [] });
  });
}

t.test(
  'with Postgres away a known card is decided as long as the feed allows, though LEASE_MS is shorter',
  async (t) => {
    const { proxy, first, start, approves } = await world(t);
    const one = start(first, { FEED_STALE_MS_MAX: '4000', LEASE_MS: '500' });
    t.ok(await one.ready());
    await until('it approves', () => approves(first));
    proxy.cut();
    const cutAtMs = performance.now();
    await until('it approves nothing', async () => !(await approves(first)), 30_000);
    const decidedMs = performance.now() - cutAtMs;
    // The last renewal was sent up to two thirds of a second before the cut.
    t.ok(decidedMs > 3000, `decided for ${Math.round(decidedMs)} ms`);
    t.equal((await opsGet(first, '/readyz')).status, 503);
    // A little after the feed's limit.
    await until('the lease has lapsed as well', async () =>
      /the lease of the ledger has lapsed/.test((await opsGet(first, '/health')).text),
    );
    proxy.heal();
    await until('it approves again', () => approves(first), 30_000);
    t.ok(one.isAlive);
  },
);

t.test('an engine whose connections a firewall dropped continues, and its restart needs no wait', async (t) => {
  const { proxy, first, start, load, approves, audit } = await world(t);
  // Leases as in production: a start that waited for one would take half a minute.
  const longLease = { FEED_STALE_MS_MAX: '30000', LEASE_MS: '3000' };
  const one = start(first, longLease);
  t.ok(await one.ready());
  const stop = load(first, 'one', 2, 1);
  for (let round = 0; round < 3; round++) {
    proxy.forget();
    await delay(1500);
    await until('it approves', () => approves(first));
    t.match(await opsGet(first, '/livez'), { status: 200 });
  }
  await stop();
  await one.kill('SIGKILL');
  const beganMs = performance.now();
  const two = await startEngineProcess(first, { ...shortLease, ...longLease });
  t.teardown(() => two.kill('SIGKILL'));
  const startMs = performance.now() - beganMs;
  t.ok(startMs < 15_000, `ready ${Math.round(startMs)} ms after the kill`);
  t.comment(/"leaseMs":\d+/.exec(two.logged)?.[0] ?? '');
  t.ok(await approves(first));
  t.equal(await two.kill('SIGTERM'), 0);
  await audit(t);
});
