/**
 * Brings a database to the newest schema. postgrator applies plain numbered SQL files in order, each together with the
 * row that says it was applied. Then come the rights of the engine's and the API's roles. Safe to run from several
 * processes at once and again at every start. The checksum of a file is that of its text, whatever a server of an older
 * version is given instead (server-versions.ts).
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Postgrator from 'postgrator';
import type postgres from 'postgres';
import { connectPostgres } from '../platform/postgres/connect.js';
import { serverVersionQuery, versionProblem } from '../platform/postgres/server-version.js';
import { defaultRoles, grantRights, type RoleNames } from './grant-rights.js';
import { repositoryRoot } from './repository-root.js';
import { textFor } from './server-versions.js';

export interface MigrateOptions {
  readonly databaseUrl: string;
  readonly log?: (line: string) => void;
  /** Folder of `NNN.do.name.sql` files; default: sql/migrations of the checkout. */
  readonly folder?: string;
  /** How long to wait for another process that is migrating. */
  readonly lockWaitMs?: number;
  /** Database roles of the processes, which get their rights at the end; one that does not exist gets none. */
  readonly roles?: RoleNames;
}

/** Any number, the same in every version of this program. */
const lockKey = 4_155_310_112;
const lockRetryMs = 100;
const lockWaitMsDefault = 120_000;
/** A migration may rewrite a large table, but not forever. */
const statementTimeoutMs = 30 * 60_000;

/**
 * Applies what is missing. @returns the names of the files it applied.
 * Throws MigrationError when the server is too old, an applied file was edited, a file fails, or the lock stays taken.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const folder = options.folder ?? join(repositoryRoot(), 'sql', 'migrations');
  // One connection of its own: the session lock lives and dies with it.
  const sql = connectPostgres(options.databaseUrl, {
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 10,
    onnotice: () => undefined,
    connection: { statement_timeout: statementTimeoutMs, application_name: 'migrate' },
  });
  try {
    const version = await serverVersion(sql);
    await takeLock(sql, options.lockWaitMs ?? lockWaitMsDefault);
    const log = options.log ?? (() => undefined);
    const applied = await apply(sql, version, folder, log);
    await grantRights(sql, options.roles ?? defaultRoles, log);
    return applied;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

async function serverVersion(sql: postgres.Sql): Promise<number> {
  const [row] = await sql.unsafe<{ version: number }[]>(serverVersionQuery);
  const problem = versionProblem(row!.version);
  if (problem !== '') throw new MigrationError(problem);
  return row!.version;
}

async function takeLock(sql: postgres.Sql, waitMs: number): Promise<void> {
  const deadlineMs = Date.now() + waitMs;
  for (;;) {
    // Tries again and again instead of waiting inside the server. A statement that waits holds a snapshot, and CREATE
    // INDEX CONCURRENTLY in the process that has the lock waits for all snapshots. They would wait for each other.
    const [row] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${lockKey}) as taken`;
    if (row?.taken === true) return;
    if (Date.now() > deadlineMs) {
      throw new MigrationError(
        `another process has been migrating this database for ${waitMs} ms: wait for it, or end it and start again`,
      );
    }
    await delay(lockRetryMs);
  }
}

async function apply(
  sql: postgres.Sql,
  version: number,
  folder: string,
  log: (line: string) => void,
): Promise<string[]> {
  const applied: string[] = [];
  /** A script that waits for the statement that records it, so that both become one. */
  let script: string | null = null;
  let current = '';

  const execQuery = async (query: string): Promise<{ rows: Record<string, unknown>[] }> => {
    if (script === null) return { rows: [...(await sql.unsafe(query).simple())] };
    const both = `${script};\n${query}`;
    script = null;
    // Several statements in one simple query are one transaction: applied and recorded, or neither.
    await sql.unsafe(both).simple();
    return { rows: [] };
  };
  const execSqlScript = async (landed: string): Promise<void> => {
    const text = textFor(version, landed);
    const index = /\bINDEX CONCURRENTLY IF NOT EXISTS (\w+)/i.exec(text);
    if (index === null) {
      script = text;
      return;
    }
    await dropInvalidIndex(sql, index[1]!);
    await sql.unsafe(text).simple();
  };

  const postgrator = new Postgrator({
    driver: 'pg',
    migrationPattern: join(folder, '*.sql'),
    schemaTable: 'schema_version',
    validateChecksums: true,
    // A checkout with CRLF line ends is not an edit.
    newline: 'LF',
    execQuery,
    execSqlScript,
  });
  const note = ({ filename }: { readonly filename: string }): void => {
    current = filename;
  };
  postgrator.on('validation-started', note);
  postgrator.on('migration-started', note);
  postgrator.on('migration-finished', (migration) => {
    applied.push(`${migration.version}.${migration.name}`);
    log(`applied migration ${migration.version} ${migration.name}`);
  });
  try {
    const files = (await postgrator.getMigrations()).length;
    if (files === 0) throw new MigrationError(`no migrations in ${folder}: the installation is incomplete`);
    await refuseNewerDatabase(await postgrator.getDatabaseVersion(), await postgrator.getMaxVersion());
    await postgrator.migrate();
  } catch (error) {
    if (error instanceof MigrationError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    if (text.includes('MD5 checksum failed')) {
      throw new MigrationError(
        `${current} was edited after it was applied to this database: restore the file and put the change into a new ` +
          'migration',
        { cause: error },
      );
    }
    throw new MigrationError(`${current} failed and was not recorded: ${text}; correct it and start again`, {
      cause: error,
    });
  }
  return applied;
}

/** A program older than the database would write rows that the newer schema does not allow. */
async function refuseNewerDatabase(databaseVersion: number, newestFile: number): Promise<void> {
  if (databaseVersion <= newestFile) return;
  throw new MigrationError(
    `the database is at migration ${databaseVersion}, this program knows ${newestFile}: start a newer program`,
  );
}

/** A concurrent build that was interrupted leaves an index that is never used, and `IF NOT EXISTS` would keep it. */
async function dropInvalidIndex(sql: postgres.Sql, name: string): Promise<void> {
  const found = await sql`
    select 1 from pg_index join pg_class on pg_class.oid = indexrelid where relname = ${name} and not indisvalid`;
  if (found.length > 0) await sql.unsafe(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`).simple();
}
