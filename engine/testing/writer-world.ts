/**
 * Two engines on one ledger, for the suites of the writer. One has the lease; another one comes on its journal or on a
 * copy of it. Clients spend more than each account has. Leases are half a second here, and pauses are scaled alike:
 * 5 s is ten leases, as a minute is two of the default ones.
 */
import { cpSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import type { Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { answerOf, Client } from './client.js';
import { type EnginePlace, EngineProcess, enginePlace } from './engine-process.js';
import { TcpProxy } from './tcp-proxy.js';

const accounts = 30;
const fundsMinor = 10_000;
/** Twice is more than an account has. */
const amountMinor = 6000;
export const briefLease = {
  FEED_STALE_MS_MAX: '500',
  LEASE_MS: '500',
  DEADLINE_MS: '1000',
  HOLDS_MAX: '4096',
  SEEN_IDS_MAX: '4096',
};
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

/** A database, a proxy and places for engines of the test's own. */
export async function writerWorld(t: Test): Promise<World> {
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
      const engine = new EngineProcess(place, { ...briefLease, ...changes });
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
