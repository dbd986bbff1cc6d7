/**
 * What the account API's benchmark runs on, in a folder of its own: an embedded Postgres with customers who can sign
 * in, have a card and a history, the API, and the bare Fastify control, each a process.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import postgres from 'postgres';
import { Passwords } from '../api/auth/passwords.js';
import { noLimits } from '../api/testing/no-limits.js';
import { embeddedRoles } from '../deploy/database-roles.js';
import { startEmbeddedPostgres } from '../deploy/embedded-postgres.js';
import { findFreePort } from '../deploy/free-port.js';
import { migrate } from '../sql/migrate.js';
import { ensureAccounts } from './accounts.js';
import { Ends, scratchFolder } from './scratch.js';
import { type ServerProcess, startServerProcess } from './server-process.js';

export interface ApiStackOptions {
  readonly customerCount: number;
  readonly transactionsPerCustomer: number;
  readonly log: (line: string) => void;
}

export interface ApiStack {
  readonly api: ServerProcess & { readonly port: number };
  readonly bare: ServerProcess & { readonly port: number };
  /** First process of the database. */
  readonly databasePid: number;
  /** Ends all processes and removes the data. Safe to call twice. */
  stop(): Promise<void>;
}

export const loopback = '127.0.0.1';
export const benchPassword = 'password-of-the-benchmark';

/** E-mail address of customer 1 … count, as deploy/seed-accounts.ts names them. */
export function emailOf(customer: number): string {
  return `user${String(customer).padStart(6, '0')}@load.example`;
}

export async function startApiStack(options: ApiStackOptions): Promise<ApiStack> {
  const ends = new Ends(options.log);
  try {
    const dataDir = await scratchFolder('bench-api-', ends);
    options.log('starting Postgres');
    const database = await startEmbeddedPostgres({ dataDir, log: options.log, priority: 'normal' });
    ends.add(() => database.stop());
    const { urls } = await embeddedRoles(dataDir, database.url);
    await migrate({ databaseUrl: urls.owner });
    options.log(`adding ${options.customerCount} customers with ${options.transactionsPerCustomer} transactions each`);
    await seed(database.url, options);
    options.log('starting the API and the bare route');
    const api = await startApi(dataDir, urls.api);
    ends.add(() => api.stop());
    const bare = await startBare(dataDir);
    ends.add(() => bare.stop());
    return { api, bare, databasePid: database.pid, stop: () => ends.run() };
  } catch (error) {
    await ends.run();
    throw error;
  }
}

async function seed(databaseUrl: string, { customerCount, transactionsPerCustomer }: ApiStackOptions): Promise<void> {
  await ensureAccounts({ databaseUrl, count: customerCount, balanceMinor: 1_000_000 });
  const passwordHash = await new Passwords().hash(benchPassword);
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => undefined });
  try {
    await sql`update users set password_hash = ${passwordHash}`;
    // Completed purchases of the last days, one every few minutes, as settle() would have written them.
    await sql`
      insert into transactions (id, account_id, card_id, user_id, amount, approved_amount, held_amount, posted_amount,
        refunded_amount, newest_spend_amount, created_at, updated_at, partition, spend_day, newest_spend_day, type,
        status,
        reason, detail, channel, forced, currency, country, mcc, merchant_id, merchant_name)
      select c.token || '-' || n, c.account_id, c.id, c.user_id, 1250, 1250, 0, 1250, 0, 1250, at, at, 0, 0, 0, 1, 2, 0,
      0,
        1, false, 'USD', 'US', 5411, 'm-' || n % 100, 'Corner Store ' || n % 100
      from cards c, generate_series(1, ${transactionsPerCustomer}::integer) n,
        lateral (select now() - n * interval '7 minutes' as at) as time`;
    await sql`analyze`;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

async function startApi(dataDir: string, databaseUrl: string): Promise<ApiStack['api']> {
  const port = await findFreePort();
  const server = await startServerProcess({
    name: 'api',
    module: new URL('../api/main.js', import.meta.url),
    env: {
      LOG_LEVEL: 'warn',
      HOST: loopback,
      API_PORT: String(port),
      API_OPS_PORT: '0',
      DATABASE_URL: databaseUrl,
      JWT_SECRET: randomBytes(32).toString('hex'),
      ENGINE_TOKEN: randomBytes(16).toString('hex'),
      PAN_KEY: randomBytes(16).toString('hex'),
      // What is late is measured, not refused.
      EVENT_LOOP_DELAY_MS: '600000',
      // All requests come from one address here.
      ...noLimits,
    },
    logFile: join(dataDir, 'api.log'),
    isReady: async () => {
      const url = `http://${loopback}:${port}/readyz`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => null);
      return answer?.status === 200;
    },
  });
  return { ...server, port };
}

async function startBare(dataDir: string): Promise<ApiStack['bare']> {
  const port = await findFreePort();
  const server = await startServerProcess({
    name: 'bare Fastify',
    module: new URL('./bare-fastify.js', import.meta.url),
    env: { BARE_PORT: String(port) },
    logFile: join(dataDir, 'bare.log'),
    isReady: async (logged) => logged.includes('listening'),
  });
  return { ...server, port };
}
