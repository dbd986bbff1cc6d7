/**
 * What `make run` and `make cluster` have in common: embedded Postgres (unless DATABASE_URL names another), demo data,
 * the services of the one or the other, and what to try first. A service that ends by itself is started again, a few
 * times. The run ends when Postgres or a vital service does not stay up. Ctrl-C stops the services, then the database;
 * a second Ctrl-C does not wait for them.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import { connectPostgres } from '../platform/postgres/connect.js';
import { migrate } from '../sql/migrate.js';
import { type DatabaseRoles, embeddedRoles, type RoleUrls, rolesBeside } from './database-roles.js';
import { seedDemo } from './demo.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { keepAnswersApart } from './engine-cores.js';
import { tryLockFile } from './lock-file.js';
import { PostgresKeeper } from './postgres/postgres-keeper.js';
import { type DemoSecrets, demoSecrets } from './secrets.js';
import { type Service, Services } from './services.js';
import type { DeploySettings } from './settings.js';
import { welcome, writeCurlCredentials } from './welcome.js';

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..');

export interface LocalStack {
  readonly settings: DeploySettings;
  /** Of the embedded Postgres, over its defaults. */
  readonly postgresSettings?: Readonly<Record<string, string>>;
  /** In the order they start: those of one group side by side. */
  servicesOf(stack: PreparedStack): Promise<readonly (readonly Service[])[]>;
  /** Of the service whose answers an embedded Postgres must not delay. Absent: several engines share the cores. */
  readonly onlyEngine?: string;
  /** Where to find what, for a person. */
  places(): string;
}

/** What services are made of, once the database is there. */
export interface PreparedStack {
  readonly urls: RoleUrls;
  readonly secrets: DemoSecrets;
  readonly kept: KeptJournal | null;
}

/** What the first start of an engine on this database fixed. */
export interface KeptJournal {
  readonly journal: string;
  readonly partitions: number;
}

/** Command of a compiled program, such as `engine/main.js`. */
export function nodeCommand(program: string): [string, string] {
  return [process.execPath, join(compiled, program)];
}

/** A load script sends some hundred requests a second from one address as the demo's one customer. */
const demoRates: Readonly<Record<string, string>> = {
  RATE_LIMIT_PERSON_PER_MINUTE: '300000',
  RATE_LIMIT_KEY_PER_MINUTE: '300000',
  RATE_LIMIT_ANONYMOUS_PER_MINUTE: '300000',
  RATE_LIMIT_ADDRESS_PER_MINUTE: '300000',
  TENANT_REQUESTS_MAX: '2000',
  TENANT_REPORTS_MAX: '1000',
};

function demoLimits(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(demoRates).map(([name, value]) => [name, environment[name] || value]));
}

/** The environment of every process of a stack, but for ports and database. */
export function stackEnvironment({ isDemo, dataDir, host, opsHost }: DeploySettings, secrets: DemoSecrets) {
  return {
    ...process.env,
    ...secrets,
    // Each process gets its own, and no other's.
    DATABASE_ENGINE_URL: '',
    DATABASE_API_URL: '',
    DATA_DIR: dataDir,
    HOST: host,
    OPS_HOST: opsHost,
    // Customers fund themselves where there are demo data.
    SELF_FUNDING: process.env['SELF_FUNDING'] || String(isDemo),
    ...(isDemo ? demoLimits(process.env) : {}),
    // In a first try a typing error is an answer, not a count in the metrics.
    STRICT_FIELDS: process.env['STRICT_FIELDS'] || 'true',
  };
}

/** Runs until it is interrupted; the exit code tells. @param makeStack may throw with one line for a person */
export async function runLocalStack(makeStack: () => Promise<LocalStack> | LocalStack): Promise<void> {
  try {
    await run(await makeStack());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

async function run(stack: LocalStack): Promise<void> {
  const { settings } = stack;
  await mkdir(settings.dataDir, { recursive: true });
  const lock = await tryLockFile(join(settings.dataDir, 'run.lock'));
  if (typeof lock === 'number') {
    throw new Error(`process ${lock} runs on ${settings.dataDir} already: stop it, or set another DATA_DIR and ports`);
  }
  const services = new Services(settings.dataDir, console.log);
  const interrupted = onInterrupt(() => services.kill());
  try {
    await services.endLeftOvers();
    const database = await (settings.databaseUrl === '' ? embeddedDatabase(stack) : givenDatabase(settings));
    const { roles, keeper } = database;
    const endApart = keeper === null ? null : await keepEngineApart(stack, services);
    try {
      const failed = [services.failed, ...(keeper === null ? [] : [keeper.failed])];
      await serve(stack, roles, services, Promise.race(failed), interrupted);
    } finally {
      await endApart?.();
      await services.stop();
      await keeper?.stop();
    }
    console.log('stopped');
  } finally {
    await lock.release();
  }
}

async function keepEngineApart({ onlyEngine }: LocalStack, services: Services): Promise<(() => Promise<void>) | null> {
  return onlyEngine === undefined ? null : keepAnswersApart(() => services.pidOf(onlyEngine));
}

interface RunDatabase {
  readonly roles: DatabaseRoles;
  /** Null for a server that is not ours to keep running. */
  readonly keeper: PostgresKeeper | null;
}

/** The database of DATABASE_URL: each process gets its own URL where one is given, else a role that this run makes. */
async function givenDatabase({
  dataDir,
  databaseUrl,
  processUrls,
  roles: names,
}: DeploySettings): Promise<RunDatabase> {
  const { engine, api } = processUrls;
  const made = engine === '' && api === '' ? await rolesBeside(dataDir, databaseUrl) : null;
  const urls = { owner: databaseUrl, engine: engine || databaseUrl, api: api || databaseUrl };
  return { roles: made ?? { urls, names }, keeper: null };
}

async function embeddedDatabase({ settings: { dataDir }, postgresSettings }: LocalStack): Promise<RunDatabase> {
  const options = { dataDir, log: console.log, settings: postgresSettings ?? {} };
  const server = await startEmbeddedPostgres(options);
  const again = () => startEmbeddedPostgres({ ...options, keepsPort: true });
  const keeper = new PostgresKeeper(server, again, console.log);
  try {
    return { roles: await embeddedRoles(dataDir, server.url), keeper };
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

/** Runs until it is interrupted. Throws when something that is needed does not stay up. */
async function serve(
  stack: LocalStack,
  { urls, names }: DatabaseRoles,
  services: Services,
  failed: Promise<string>,
  interrupted: Promise<void>,
): Promise<void> {
  const { settings } = stack;
  await migrate({ databaseUrl: urls.owner, roles: names, log: console.log });
  const kept = await withConnection(urls.owner, async (sql) => {
    if (settings.isDemo) await seedDemo(sql);
    return keptJournal(sql);
  });
  const secrets = await demoSecrets(settings.dataDir, process.env, settings.isDemo);
  for (const group of await stack.servicesOf({ urls, secrets, kept })) {
    // An interruption while services start must not wait for them.
    const isInterrupted = await Promise.race([
      services.start(...group).then(() => false),
      interrupted.then(() => true),
    ]);
    if (isInterrupted) return;
  }
  const credentials = await writeCurlCredentials(settings.dataDir, secrets);
  console.log(welcome(settings, stack.places(), secrets, process.stdout.isTTY ? null : credentials));
  const failure = await Promise.race([failed, interrupted]);
  if (failure !== undefined) throw new Error(failure);
}

async function keptJournal(sql: postgres.Sql): Promise<KeptJournal | null> {
  const [row] = await sql<KeptJournal[]>`
    select journal, partition_count as partitions from journal_positions limit 1`;
  return row ?? null;
}

/** @param again called at the second signal */
export function onInterrupt(again: () => void): Promise<void> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        count++;
        if (count > 1) return again();
        console.log('\nstopping');
        resolve();
      });
    }
  });
}

async function withConnection<T>(databaseUrl: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = connectPostgres(databaseUrl, {
    max: 1,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: { statement_timeout: 30_000 },
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
