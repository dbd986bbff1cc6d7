/**
 * Histories in which ids and originals collide across cards, accounts, partitions and protocols. Cards appear later,
 * ids are forgotten, and kills come in between. Played against an engine process on a real Postgres.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import postgres from 'postgres';
import type { Test } from 'tap';
import { auditBooks } from '../../deploy/audit/audit-books.js';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { partitionOf } from '../ledger/router.js';
import { marqetaSample } from '../protocols/testing/marqeta-sample.js';
import { Client, marqetaPath } from './client.js';
import {
  type EngineProcess,
  engineBooks,
  enginePlace,
  metrics,
  opsCommand,
  startEngineProcess,
  until,
} from './engine-process.js';

const accounts = 6;
const lateCards = 3;
const types = ['authorization', 'incremental', 'reversal', 'clearing', 'refund', 'verification', 'balance_inquiry'];

type Step =
  | {
      readonly kind: 'ask';
      readonly protocol: string;
      readonly type: string;
      readonly id: string;
      readonly original: string | undefined;
      readonly card: string;
      readonly account: string;
      readonly amount: number;
      readonly final: boolean;
    }
  /** A card that was asked about before it is there. */
  | { readonly kind: 'card'; readonly number: number; readonly account: number }
  /** So many messages that ids are forgotten. */
  | { readonly kind: 'forget'; readonly account: number };

/** Steps of one group are taken at the same time. */
export interface Group {
  readonly steps: readonly Step[];
  /** Time to settle before the next group. */
  readonly pauseMs: number;
  readonly kill: boolean;
}

const id = fc.nat(11).map((number) => `id-${number}`);
const account = fc.integer({ min: 1, max: accounts });
const card = fc.oneof(
  { weight: 8, arbitrary: account.map((number) => cardOf(number)) },
  { weight: 2, arbitrary: fc.nat(lateCards - 1).map((number) => `late_${number}`) },
);
const ask = fc.record({
  kind: fc.constant('ask' as const),
  protocol: fc.constantFrom('native', 'native', 'native', 'native', 'marqeta', 'ledger'),
  type: fc.constantFrom(...types, 'advice', 'authorization', 'authorization', 'reversal', 'reversal', 'clearing'),
  id,
  original: fc.option(id, { nil: undefined, freq: 6 }),
  card,
  account: account.map((number) => `acct_00000${number}`),
  amount: fc.integer({ min: 1, max: 9_000 }),
  final: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: ask },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('card' as const), number: fc.nat(lateCards - 1), account }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('forget' as const), account }) },
);

/** @param length groups of a history, at most */
export function histories(length: number): fc.Arbitrary<Group[]> {
  const group = fc.record({
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    pauseMs: fc.constantFrom(0, 0, 0, 50),
    kill: fc.nat(24).map((number) => number === 0),
  });
  return fc.array(group, { minLength: Math.ceil(length / 2), maxLength: length });
}

function cardOf(number: number): string {
  return `card_00000${number}_1`;
}

/** An engine with memories so small that ids and holds leave them all the time. */
export class CollidingIds {
  readonly #sql: postgres.Sql;
  readonly #place: Awaited<ReturnType<typeof enginePlace>>;
  readonly #workers: number;
  #engine: EngineProcess | null = null;
  #client: Client;
  #forgotten = 0;

  private constructor(sql: postgres.Sql, place: Awaited<ReturnType<typeof enginePlace>>, workers: number) {
    this.#sql = sql;
    this.#place = place;
    this.#workers = workers;
    this.#client = new Client(place.authPort);
  }

  static async start(t: Test, workers: number): Promise<CollidingIds> {
    const database = await createTestDatabase();
    const dataDir = mkdtempSync(join(tmpdir(), 'engine-ids-'));
    const sql = postgres(database.url, { max: 2, onnotice: () => undefined });
    const place = await enginePlace(database.url, dataDir);
    const stage = new CollidingIds(sql, place, workers);
    t.teardown(async () => {
      stage.#client.close();
      await stage.#engine?.kill('SIGKILL');
      await sql.end({ timeout: 5 });
      await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    });
    await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 1_000_000 });
    await stage.#restart();
    return stage;
  }

  async #restart(): Promise<void> {
    this.#client.close();
    await this.#engine?.kill('SIGKILL');
    const days = String(3 / 86_400);
    this.#engine = await startEngineProcess(this.#place, {
      PARTITIONS: String(this.#workers),
      SEEN_IDS_MAX: '16',
      HOLDS_MAX: '64',
      HOLD_DAYS: days,
      HOLD_DAYS_LONG: days,
      LOG_LEVEL: 'warn',
    });
    this.#client = new Client(this.#place.authPort);
  }

  /** Plays the history, and throws when anything of it is not settled as the engine has it. */
  async play(groups: readonly Group[]): Promise<void> {
    for (const { steps, pauseMs, kill } of groups) {
      await Promise.all(steps.map((step) => this.#take(step)));
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      if (kill) await this.#restart();
    }
    await this.#isSettled();
    await this.#restart();
    await this.#isSettled();
  }

  /** How many rows share their id with another one: in another partition, or because the id was forgotten. */
  async collisions(): Promise<number> {
    const [row] = await this.#sql<{ count: number }[]>`
      select count(*)::integer as count from (select id from transactions group by id having count(*) > 1) as shared`;
    return row!.count;
  }

  async #take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'card':
        await this.#sql`
          insert into cards (public_id, token, account_id, user_id, name, expires)
          select ${`late_${step.number}`}, ${`late_${step.number}`}, account_id, user_id, 'late', date '2099-12-31'
          from cards where token = ${cardOf(step.account)} on conflict do nothing`;
        return;
      case 'forget':
        for (let count = 0; count < 24; count++) {
          const id = `forget-${this.#forgotten++}`;
          await this.#client.native({ id, type: 'balance_inquiry', card: cardOf(step.account) });
        }
        return;
      default: {
        const { protocol, type, id, original, card, account, amount, final } = step;
        if (protocol === 'ledger') {
          await opsCommand(this.#place, amount % 2 === 0 ? 'deposits' : 'withdrawals', account, { id, amount });
        } else if (protocol === 'marqeta') {
          const money = amount / 100;
          const body = marqetaSample({ token: id, card_token: card, amount: money, request_amount: money });
          await this.#client.ask({ path: marqetaPath, body: JSON.stringify(body) });
        } else {
          const needsOriginal = type === 'incremental' || type === 'reversal';
          const named = needsOriginal ? (original ?? 'id-0') : original;
          const isSilent = type === 'verification' || type === 'balance_inquiry';
          await this.#client.native({
            ...{ id, type, card, final },
            ...(named === undefined || isSilent || type === 'authorization' ? {} : { original: named }),
            ...(isSilent ? {} : { amount, currency: 'USD' }),
          });
        }
      }
    }
  }

  async #isSettled(): Promise<void> {
    let difference = '';
    const agrees = async () => {
      difference = await this.#difference().catch(String);
      return difference === '';
    };
    await until('Postgres has what the engine has', agrees, 60_000, 50).catch((error: Error) => {
      throw new Error(`${error.message}: ${difference}\n${this.#engine?.logged ?? ''}`);
    });
    const { findings } = await auditBooks(this.#sql);
    if (findings.length > 0) throw new Error(findings.join('\n'));
    const rows = await this.#sql<{ id: string; partition: number; owner: number }[]>`
      select t.id, t.partition, a.owner_key::float8 as owner from transactions t join accounts a
      on a.id = t.account_id`;
    for (const { id, partition, owner } of rows) {
      if (partitionOf(owner, this.#workers) !== partition)
        throw new Error(`${id} is written by partition ${partition}`);
    }
  }

  /** What differs between the engine and Postgres; '' when nothing does and nothing waits. */
  async #difference(): Promise<string> {
    const text = await metrics(this.#place);
    for (let partition = 0; partition < this.#workers; partition++) {
      const [durable, settled] = ['journal_sequence', 'shipper_sequence'].map((name) =>
        new RegExp(`^${name}\\{partition="${partition}"\\} (\\S+)$`, 'm').exec(text)?.at(1),
      );
      if (durable === undefined || durable !== settled)
        return `partition ${partition}: ${durable} are ${settled} settled`;
    }
    const rows = await this.#sql<{ id: string; held: number; posted: number; available: number }[]>`
      select public_id as id, held::float8, posted::float8, available::float8 from accounts`;
    for (const { id, ...settled } of rows) {
      const { held, posted, available } = await engineBooks(this.#place, id);
      const [left, right] = [JSON.stringify(settled), JSON.stringify({ held, posted, available })];
      if (left !== right) return `${id}: ${left} in Postgres, ${right} in the engine`;
    }
    return '';
  }
}
