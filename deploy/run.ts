/**
 * `make run`: everything on one machine with demo data. Embedded Postgres (unless DATABASE_URL names another), the
 * engine, the account API, and what to try first. A service that ends by itself is started again, a few times. Postgres
 * and the engine are needed, so the run ends when they do not stay up. The engine continues without the API. Ctrl-C
 * stops the services, then the database; a second Ctrl-C does not wait for them.
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
import { tryLockFile } from './lock-file.js';
import { PostgresKeeper } from './postgres/postgres-keeper.js';
import { type DemoSecrets, demoSecrets } from './secrets.js';
import { type Service, Services } from './services.js';
import { type DeploySettings, localUrl, readSettings } from './settings.js';
import { welcome, writeCurlCredentials } from './welcome.js';

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..');

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

/** In the order they start. */
function servicesOf(settings: DeploySettings, urls: RoleUrls, secrets: DemoSecrets): Service[] {
  const { host, opsHost, authPort, opsPort, apiPort, apiOpsPort } = settings;
  const environment = {
    ...process.env,
    ...secrets,
    // Each process gets its own, and no other's.
    DATABASE_ENGINE_URL: '',
    DATABASE_API_URL: '',
    DATA_DIR: settings.dataDir,
    HOST: host,
    OPS_HOST: opsHost,
    AUTH_PORT: String(authPort),
    OPS_PORT: String(opsPort),
    API_PORT: String(apiPort),
    API_OPS_PORT: String(apiOpsPort),
    // Customers fund themselves where there are demo data.
    SELF_FUNDING: process.env['SELF_FUNDING'] || String(settings.isDemo),
    ...(settings.isDemo ? demoLimits(process.env) : {}),
    // In a first try a typing error is an answer, not a count in the metrics.
    STRICT_FIELDS: process.env['STRICT_FIELDS'] || 'true',
    ENGINE_URL: process.env['ENGINE_URL'] || localUrl(opsHost, opsPort),
  };
  return [
    {
      name: 'engine',
      script: join(compiled, 'engine', 'main.js'),
      readyUrl: `${localUrl(opsHost, opsPort)}/readyz`,
      ports: { AUTH_PORT: { host, port: authPort }, OPS_PORT: { host: opsHost, port: opsPort } },
      isVital: true,
      environment: { ...environment, DATABASE_URL: urls.engine },
    },
    {
      name: 'api',
      script: join(compiled, 'api', 'main.js'),
      readyUrl: `${localUrl(host, apiPort)}/readyz`,
      ports: { API_PORT: { host, port: apiPort }, API_OPS_PORT: { host: opsHost, port: apiOpsPort } },
      isVital: false,
      environment: { ...environment, DATABASE_URL: urls.api },
    },
  ];
}

try {
  await run();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  const settings = readSettings();
  await mkdir(settings.dataDir, { recursive: true });
  const lock = await tryLockFile(join(settings.dataDir, 'run.lock'));
  if (typeof lock === 'number') {
    throw new Error(`process ${lock} runs on ${settings.dataDir} already: stop it, or set another DATA_DIR and ports`);
  }
  const services = new Services(settings.dataDir, console.log);
  const interrupted = onInterrupt(() => services.kill());
  try {
    await services.endLeftOvers();
    const database = await (settings.databaseUrl === '' ? embeddedDatabase(settings.dataDir) : givenDatabase(settings));
    const { roles, keeper } = database;
    try {
      const failed = [services.failed, ...(keeper === null ? [] : [keeper.failed])];
      await serve(settings, roles, services, Promise.race(failed), interrupted);
    } finally {
      await services.stop();
      await keeper?.stop();
    }
    console.log('stopped');
  } finally {
    await lock.release();
  }
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

async function embeddedDatabase(dataDir: string): Promise<RunDatabase> {
  const options = { dataDir, log: console.log };
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
  settings: DeploySettings,
  { urls, names }: DatabaseRoles,
  services: Services,
  failed: Promise<string>,
  interrupted: Promise<void>,
): Promise<void> {
  await migrate({ databaseUrl: urls.owner, roles: names, log: console.log });
  if (settings.isDemo) await withConnection(urls.owner, seedDemo);
  const secrets = await demoSecrets(settings.dataDir, process.env);
  for (const service of servicesOf(settings, urls, secrets)) {
    // An interruption while a service starts must not wait for it.
    const isInterrupted = await Promise.race([services.start(service).then(() => false), interrupted.then(() => true)]);
    if (isInterrupted) return;
  }
  const credentials = await writeCurlCredentials(settings.dataDir, secrets);
  console.log(welcome(settings, secrets, process.stdout.isTTY ? null : credentials));
  const failure = await Promise.race([failed, interrupted]);
  if (failure !== undefined) throw new Error(failure);
}

function onInterrupt(again: () => void): Promise<void> {
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

async function withConnection(databaseUrl: string, work: (sql: postgres.Sql) => Promise<void>): Promise<void> {
  const sql = connectPostgres(databaseUrl, {
    max: 1,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: { statement_timeout: 30_000 },
  });
  try {
    await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
