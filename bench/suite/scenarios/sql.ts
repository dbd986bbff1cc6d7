/**
 * The account API's queries on a year of 1,000,000 transactions, through the API's own stores without any cache, one
 * after another. A list that reads a whole table is a fault.
 */
import postgres from 'postgres';
import type { Principal } from '../../../api/auth/principal.js';
import { AccountStore } from '../../../api/stores/accounts.js';
import { CardStore } from '../../../api/stores/cards.js';
import { Database, type Sql } from '../../../api/stores/postgres.js';
import { PostgresTransactions } from '../../../api/stores/postgres-transactions.js';
import { scopeOf } from '../../../api/stores/tenancy.js';
import { createTestDatabase } from '../../../deploy/testing/test-database.js';
import { createLog } from '../../../platform/log.js';
import { Ends } from '../../scratch.js';
import { fullSize, loadSqlData, smokeSize } from '../../sql-data.js';
import { alternate, goal, type Scenario } from '../bench.js';
import type { Sample } from '../figures.js';
import { sampleFrom } from '../sample.js';

/** Goals in milliseconds at the 99th percentile. */
const goals = { simple: 10, complex: 50, report: 200 } as const;

interface Query {
  readonly name: string;
  readonly kind: keyof typeof goals;
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

export const sql: Scenario = {
  name: 'sql',
  title: "The account API's queries on a year of transactions",
  seconds: 240,
  engine: 'any',
  async run(bench) {
    const isSmoke = bench.scale.name === 'smoke';
    const size = isSmoke ? smokeSize : fullSize;
    const repetitions = isSmoke ? 3 : 400;
    const ends = new Ends(bench.log);
    try {
      // Not the engine's: that one yields to the engine on purpose.
      const { url, close } = await createTestDatabase({ durable: !isSmoke });
      ends.add(close);
      const connection = postgres(url, { max: 1, connect_timeout: 10, onnotice: () => undefined });
      ends.add(() => connection.end({ timeout: 5 }));
      await loadSqlData(connection, size, bench.log);
      const database = openDatabase(url);
      ends.add(() => database.close());
      await database.start();
      const queries = queriesOf(database, size.companies * 10, size.people);
      const plans: Record<string, string> = {};
      const series = await alternate(
        bench,
        queries.map((query) => ({
          name: query.name,
          control: false,
          needsEngine: false,
          async run() {
            const figures = await measure(query, database, repetitions);
            const plan = await planOf(connection, database);
            plans[query.name] = plan;
            return sampleFrom(figures, faultsOf(query, plan, isSmoke));
          },
        })),
      );
      return {
        settings: { transactions: size.transactions, repetitions },
        series,
        goals: queries.map(({ name, kind }, index) =>
          goal(`${name}: p99 ≤ ${goals[kind]} ms`, series[index]!.samples, ({ p99Ms = 1e9 }) => p99Ms <= goals[kind]),
        ),
        notes: [],
        details: plans,
      };
    } finally {
      await ends.run();
    }
  },
};

function openDatabase(url: string): RecordingDatabase {
  return new RecordingDatabase(
    {
      url,
      directUrl: url,
      poolMax: 4,
      idleS: 30,
      connectS: 5,
      acquireMs: 5_000,
      statementMs: 60_000,
      slowQueryMs: 60_000,
    },
    createLog('silent', 'bench'),
  );
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
  const day = (index: number): string => new Date(Date.UTC(2026, 0, 2) + (index % 330) * 86_400_000).toISOString();
  const report = (name: string, who: (index: number) => Principal, by: 'day' | 'card' | 'mcc'): Query => ({
    name: `spending by ${by}, ${name}`,
    kind: 'report',
    ask: async (index) => (await transactions.spending(who(index), by, day(index), day(index + 30))).length,
  });
  const all = () => ({});
  const lists: readonly (readonly [string, (index: number) => Principal, (index: number) => object])[] = [
    ['of a person', person, all],
    ['of a company', some, all],
    ['of the largest company (200,000)', () => largest, all],
    ['of a member', () => company(1, 'member', 5), all],
    ['of one card', () => largest, (index) => ({ card: `card_${1 + (index % 10)}` })],
    ['pending of the largest', () => largest, () => ({ status: 'pending' })],
    ['of one week', () => largest, (index) => ({ from: day(index), to: day(index + 7) })],
    ['by amount', () => largest, () => ({ min: 45_000, max: 46_000 })],
  ];
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
    ...lists.map(([name, who, filter]) => ({
      name: `transactions, ${name}`,
      kind: 'complex' as const,
      ask: async (index: number) => (await transactions.list(who(index), filter(index), first)).length,
    })),
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
  { name, ask }: Query,
  database: RecordingDatabase,
  repetitions: number,
): Promise<Sample['figures']> {
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
  tookMs.sort((a, b) => a - b);
  // Every value is kept, so these are exact.
  const at = (share: number): number => tookMs[Math.min(tookMs.length - 1, Math.ceil(share * tookMs.length) - 1)]!;
  return { p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99), maxMs: tookMs.at(-1)!, rows: rows / repetitions };
}

/** The plans of all statements of the last query. */
async function planOf(connection: postgres.Sql, { statements }: RecordingDatabase): Promise<string> {
  const plans: string[] = [];
  for (const [name, statement] of statements) {
    const lines = await connection.unsafe<{ 'QUERY PLAN': string }[]>(`explain (generic_plan, costs off) ${statement}`);
    plans.push(name, ...lines.map((line) => `    ${line['QUERY PLAN']}`));
  }
  return plans.join('\n');
}

function faultsOf({ kind }: Query, plan: string, isSmoke: boolean): string[] {
  // A small table is rightly read whole.
  const readsAll = !isSmoke && kind !== 'report' && /Seq Scan on transaction/.test(plan);
  return readsAll ? ['reads a whole table'] : [];
}
