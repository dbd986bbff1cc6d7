/**
 * `make run`: everything on one machine with demo data. Embedded Postgres (unless DATABASE_URL names another), the
 * engine, the account API, and what to try first. Ctrl-C stops the services, then the database; a second Ctrl-C does not wait for them.
 */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { migrate } from '../sql/migrate.js';
import { demoCardToken, demoEmail, demoPassword, seedDemo } from './demo.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { tryLockFile } from './lock-file.js';
import { type DemoSecrets, demoSecrets } from './secrets.js';
import { type Service, Services } from './services.js';
import { type DeploySettings, readSettings } from './settings.js';

const compiled = join(dirname(fileURLToPath(import.meta.url)), '..');

/** In the order they start. */
function servicesOf(settings: DeploySettings, databaseUrl: string, secrets: DemoSecrets): Service[] {
  const environment = {
    ...process.env,
    ...secrets,
    DATABASE_URL: databaseUrl,
    DATA_DIR: settings.dataDir,
    HOST: settings.host,
    AUTH_PORT: String(settings.authPort),
    OPS_PORT: String(settings.opsPort),
    API_PORT: String(settings.apiPort),
    ENGINE_URL: process.env['ENGINE_URL'] || `http://127.0.0.1:${settings.opsPort}`,
  };
  return [
    {
      name: 'engine',
      script: join(compiled, 'engine', 'main.js'),
      readyUrl: `http://${settings.host}:${settings.opsPort}/readyz`,
      ports: { AUTH_PORT: settings.authPort, OPS_PORT: settings.opsPort },
      environment,
    },
    {
      name: 'api',
      script: join(compiled, 'api', 'main.js'),
      readyUrl: `http://${settings.host}:${settings.apiPort}/readyz`,
      ports: { API_PORT: settings.apiPort },
      environment,
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
    const server =
      settings.databaseUrl === ''
        ? await startEmbeddedPostgres({ dataDir: settings.dataDir, log: console.log })
        : undefined;
    try {
      await serve(settings, server?.url ?? settings.databaseUrl, services, interrupted);
    } finally {
      await services.stop();
      await server?.stop();
    }
    console.log('stopped');
  } finally {
    await lock.release();
  }
}

/** Runs until it is interrupted. Throws when a service ends on its own. */
async function serve(
  settings: DeploySettings,
  databaseUrl: string,
  services: Services,
  interrupted: Promise<void>,
): Promise<void> {
  await migrate({ databaseUrl, log: console.log });
  await withConnection(databaseUrl, seedDemo);
  const secrets = await demoSecrets(settings.dataDir, process.env);
  for (const service of servicesOf(settings, databaseUrl, secrets)) {
    // An interruption while a service starts must not wait for it.
    const isInterrupted = await Promise.race([services.start(service).then(() => false), interrupted.then(() => true)]);
    if (isInterrupted) return;
  }
  console.log(welcome(settings, secrets));
  const failure = await Promise.race([services.failed, interrupted]);
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
  const sql = postgres(databaseUrl, {
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

function welcome(settings: DeploySettings, secrets: DemoSecrets): string {
  const { host, authPort, opsPort, apiPort } = settings;
  const question = {
    // A new id each time this is printed: pasting it twice asks the same question and gets the same answer.
    id: `demo-${randomUUID()}`,
    type: 'authorization',
    card: demoCardToken,
    amount: 1250,
    currency: 'USD',
    merchant: { id: 'm-1', name: 'Corner Store', mcc: '5411', country: 'US' },
    channel: 'chip',
  };
  return `
ready
  authorization port  http://${host}:${authPort}/v1/authorizations
  operations          http://${host}:${opsPort}/health   http://${host}:${opsPort}/metrics
  account API         http://${host}:${apiPort}/api/docs
  demo login          ${demoEmail} / ${demoPassword}
  demo cards          card_demo, card_demo_frozen, card_demo_limited

ask for one authorization:
  curl -s -u '${secrets.PROCESSOR_USER}:${secrets.PROCESSOR_PASSWORD}' http://${host}:${authPort}/v1/authorizations \\
    -H 'content-type: application/json' -d '${JSON.stringify(question)}'

sign in:
  curl -s http://${host}:${apiPort}/api/auth/login -H 'content-type: application/json' \\
    -d '{"email":"${demoEmail}","password":"${demoPassword}"}'

Ctrl-C stops everything; the data stay in ${settings.dataDir}
`;
}
