/** The database that a tool works on: DATABASE_URL when given, else the embedded one, started if it is not running. */
import type postgres from 'postgres';
import { connectPostgres } from '../platform/postgres/connect.js';
import { migrate } from '../sql/migrate.js';
import { embeddedRoles } from './database-roles.js';
import { hasEmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.js';
import { type DeploySettings, SettingError } from './settings.js';

/** A tool's statement may scan the whole ledger, but not forever. */
const statementTimeoutMs = 30 * 60_000;

/**
 * Runs `work` on the migrated database. An embedded server that this call started is stopped afterwards, unless another
 * process (a `make run` that came in between) uses it by then. With `mustExist` nothing is made where there is nothing
 * yet.
 */
export async function withDatabase<T>(
  settings: DeploySettings,
  log: (line: string) => void,
  work: (sql: postgres.Sql) => Promise<T>,
  { mustExist = false }: { readonly mustExist?: boolean } = {},
): Promise<T> {
  if (mustExist && settings.databaseUrl === '' && !(await hasEmbeddedPostgres(settings.dataDir))) {
    throw new SettingError(
      `there is no database in ${settings.dataDir}: set DATA_DIR to the folder of make run, or DATABASE_URL`,
    );
  }
  const server =
    settings.databaseUrl === '' ? await startEmbeddedPostgres({ dataDir: settings.dataDir, log }) : undefined;
  try {
    const embedded = server === undefined ? null : await embeddedRoles(settings.dataDir, server.url);
    const url = embedded?.urls.owner ?? settings.databaseUrl;
    if (mustExist && !(await hasBooks(url))) {
      throw new SettingError('the database has no books: set DATA_DIR or DATABASE_URL to those of the engine');
    }
    await migrate({ databaseUrl: url, roles: embedded?.names ?? settings.roles, log });
    const sql = connectPostgres(url, {
      max: 2,
      connect_timeout: 10,
      onnotice: () => undefined,
      connection: { application_name: 'tool', statement_timeout: statementTimeoutMs },
    });
    try {
      return await work(sql);
    } finally {
      await sql.end({ timeout: 5 });
    }
  } finally {
    if (server !== undefined && !server.adopted && !(await isUsed(server.url))) await server.stop();
  }
}

async function hasBooks(url: string): Promise<boolean> {
  const sql = connectPostgres(url, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    const [row] = await sql<{ found: boolean }[]>`select to_regclass('accounts') is not null as found`;
    return row!.found;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** @param url the superuser's: others do not see which sessions are clients */
async function isUsed(url: string): Promise<boolean> {
  const sql = connectPostgres(url, { max: 1, connect_timeout: 5, onnotice: () => undefined });
  try {
    const others = await sql`
      select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() limit 1`;
    return others.length > 0;
  } catch {
    // Not reachable: nothing left to stop.
    return true;
  } finally {
    await sql.end({ timeout: 1 });
  }
}
