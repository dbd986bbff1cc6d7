/**
 * `make bench-sql`: the API's queries on a year of 1,000,000 transactions, through the API's own stores without any
 * cache, one after another. Prints percentiles beside the goals, and the plan of each query. Fails when a list reads a
 * whole table. Argument `smoke`: a small ledger and few repetitions, so that the tests keep this alive.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import type { Principal } from '../api/auth/principal.js';
import { AccountStore } from '../api/stores/accounts.js';
import { CardStore } from '../api/stores/cards.js';
import { Database, type Sql } from '../api/stores/postgres.js';
import { PostgresTransactions } from '../api/stores/postgres-transactions.js';
import { scopeOf } from '../api/stores/tenancy.js';
import { createTestDatabase } from '../deploy/testing/test-database.js';
import { createLog } from '../platform/log.js';
import { describeMachine, type Machine } from './machine.js';
import { resultFolder } from './run.js';
import { fullSize, loadSqlData, smokeSize } from './sql-data.js';

/** Goals in milliseconds at the 99th percentile. */
const goals = { simple: 10, complex: 50, report: 200 } as const;
type Class = keyof typeof goals;

interface Measured {
  readonly name: string;
  readonly kind: Class;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly rows: number;
  readonly plan: string;
}

interface Query {
  readonly name: string;
  readonly kind: Class;
  /** Asks with inputs that follow from the repetition. @returns how many rows came */
  ask(repetition: number): Promise<number>;
}

/** Remembers the statement that each name stood for last. */
class RecordingDatabase extends Database {
  readonly statements = new Map<string, string>();

  override async run<T extends readonly unknown[]>(
    name: string,
    build: (sql: Sql) => PromiseLike<T>,
    acquireMs?: number,
  ): Promise<T> {
    const rows = await super.run(name, build, acquireMs);
    const { statement } = rows as unknown as Partial<postgres.RowList<postgres.Row[]>>;
    if (statement !== undefined) this.statements.set(name, statement.string);
    return rows;
  }
}

export async function benchSql(isSmoke: boolean, log: (line: string) => void): Promise<boolean> {
  const size = isSmoke ? smokeSize : fullSize;
  const repetitions = isSmoke ? 3 : 400;
  const testDatabase = await createTestDatabase({ durable: !isSmoke });
  const sql = postgres(testDatabase.url, { max: 1, onnotice: () => undefined });
  const database = new RecordingDatabase(
    {
      url: testDatabase.url,
      directUrl: testDatabase.url,
      poolMax: 4,
      idleS: 30,
      connectS: 5,
      acquireMs: 5_000,
      statementMs: 60_000,
      slowQueryMs: 60_000,
    },
    createLog('silent', 'bench'),
  );
  try {
    const startedMs = Date.now();
    await loadSqlData(sql, size, log);
    log(`loaded in ${Math.round((Date.now() - startedMs) / 1000)} s; ${repetitions} repetitions of each query`);
    await database.start();
    const measured: Measured[] = [];
    for (const query of queriesOf(database, size.companies * 10, size.people)) {
      measured.push(await measure(query, database, sql, repetitions));
    }
    print(measured, log);
    const machine = await describeMachine();
    log(
      `\n${machine.cpu}, ${machine.coreCount} cores, ${machine.date}, commit ${machine.commit}, load ` +
        `${machine.loadAverage}`,
    );
    const reading = measured.filter(({ kind, plan }) => kind !== 'report' && /Seq Scan on transaction/.test(plan));
    // A small table is rightly read whole.
    if (!isSmoke) {
      await save(machine, measured);
      for (const { name } of reading) log(`FAILED: ${name} reads a whole table`);
    }
    return isSmoke || reading.length === 0;
  } finally {
    await database.close();
    await sql.end({ timeout: 5 });
    await testDatabase.close();
  }
}

function queriesOf(database: Database, staffCount: number, people: number): Query[] {
  const transactions = new PostgresTransactions(database);
  const cards = new CardStore(database);
  const accounts = new AccountStore(database);
  const company = (number: number, role: 'owner' | 'member' = 'owner', user = number * 10 - 9): Principal => ({
    userId: user,
    publicId: `usr_${user}`,
    kind: 'business',
    companyId: number,
    companyPublicId: `co_${number}`,
    role,
    sessionId: 0,
  });
  const person = (index: number): Principal => {
    const userId = staffCount + 1 + (index % people);
    return { ...company(1), userId, publicId: `usr_${userId}`, kind: 'personal', companyId: null, role: null };
  };
  const some = (index: number): Principal => company(2 + (index % (staffCount / 10 - 1)));
  const largest = company(1);
  const first = { after: null, limit: 51 };
  const list = (name: string, who: (index: number) => Principal, filter: (index: number) => object): Query => ({
    name: `transactions, ${name}`,
    kind: 'complex',
    ask: async (index) => (await transactions.list(who(index), filter(index), first)).length,
  });
  const day = (index: number): string => new Date(Date.UTC(2026, 0, 2) + (index % 330) * 86_400_000).toISOString();
  const report = (name: string, who: (index: number) => Principal, by: 'day' | 'card' | 'mcc'): Query => ({
    name: `spending by ${by}, ${name}`,
    kind: 'report',
    ask: async (index) => (await transactions.spending(who(index), by, day(index), day(index + 30))).length,
  });
  return [
    {
      name: 'one card',
      kind: 'simple',
      ask: async (index) => ((await cards.find(largest, `card_${1 + (index % 10)}`)) === null ? 0 : 1),
    },
    {
      name: 'accounts of a company',
      kind: 'simple',
      ask: async (index) => (await accounts.list(scopeOf(some(index)), first)).length,
    },
    {
      name: 'cards of a company',
      kind: 'simple',
      ask: async (index) => (await cards.list(some(index), first)).cards.length,
    },
    {
      name: 'one transaction with its transaction',
      kind: 'simple',
      ask: async (index) => {
        const [row] = await transactions.list(person(index), {}, { after: null, limit: 1 });
        return row === undefined ? 0 : 1 + (await transactions.find(person(index), row.transactionId))!.events.length;
      },
    },
    list('of a person', person, () => ({})),
    list('of a company', some, () => ({})),
    list(
      'of the largest company (200,000)',
      () => largest,
      () => ({}),
    ),
    list(
      'of a member',
      () => company(1, 'member', 5),
      () => ({}),
    ),
    list(
      'of one card',
      () => largest,
      (index) => ({ card: `card_${1 + (index % 10)}` }),
    ),
    list(
      'pending of the largest',
      () => largest,
      () => ({ status: 'pending' }),
    ),
    list(
      'of one week',
      () => largest,
      (index) => ({ from: day(index), to: day(index + 7) }),
    ),
    list(
      'by amount',
      () => largest,
      () => ({ min: 45_000, max: 46_000 }),
    ),
    {
      name: 'transactions, deep page of the largest',
      kind: 'complex',
      ask: async (index) =>
        (await transactions.list(largest, {}, { after: [day(index), `tx-${index}`], limit: 51 })).length,
    },
    report('a person', person, 'day'),
    report('a company', some, 'day'),
    report('the largest', () => largest, 'day'),
    report('the largest', () => largest, 'card'),
    report('the largest', () => largest, 'mcc'),
  ];
}

async function measure(
  { name, kind, ask }: Query,
  database: RecordingDatabase,
  sql: postgres.Sql,
  repetitions: number,
): Promise<Measured> {
  database.statements.clear();
  let rows = 0;
  // What is compared is a server that is warm, as it is in operation.
  for (let index = 0; index < Math.min(20, repetitions); index++) await ask(index);
  const tookMs: number[] = [];
  for (let index = 0; index < repetitions; index++) {
    const startedMs = performance.now();
    rows += await ask(index);
    tookMs.push(performance.now() - startedMs);
  }
  if (rows === 0) throw new Error(`${name} finds nothing: it measures nothing`);
  const plans: string[] = [];
  for (const [statementName, text] of database.statements) plans.push(`${statementName}\n${await planOf(sql, text)}`);
  tookMs.sort((a, b) => a - b);
  // Every value is kept, so these are exact.
  const at = (share: number): number => tookMs[Math.min(tookMs.length - 1, Math.ceil(share * tookMs.length) - 1)]!;
  return { name, kind, p50: at(0.5), p95: at(0.95), p99: at(0.99), rows: rows / repetitions, plan: plans.join('\n') };
}

async function planOf(sql: postgres.Sql, statement: string): Promise<string> {
  const lines = await sql.unsafe<{ 'QUERY PLAN': string }[]>(`explain (generic_plan, costs off) ${statement}`);
  return lines.map((line) => `    ${line['QUERY PLAN']}`).join('\n');
}

function print(measured: readonly Measured[], log: (line: string) => void): void {
  for (const { name, plan } of measured) log(`\n${name}\n${plan}`);
  log(`\n| query | goal p99 ms | p50 ms | p95 ms | p99 ms | rows |\n| --- | ---: | ---: | ---: | ---: | ---: |`);
  for (const { name, kind, p50, p95, p99, rows } of measured) {
    const figures = [p50, p95, p99].map((ms) => ms.toFixed(2)).join(' | ');
    log(`| ${name} | ${goals[kind]} | ${figures} | ${rows.toFixed(0)} |${p99 > goals[kind] ? ' missed' : ''}`);
  }
}

async function save(machine: Machine, measured: readonly Measured[]): Promise<void> {
  const folder = resultFolder(machine);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'sql.json'), `${JSON.stringify({ machine, measured }, null, 2)}\n`);
}
