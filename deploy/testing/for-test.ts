/** Databases, servers and folders that end with the test which asks for them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import type { Test } from 'tap';
import { createTestDatabase, type TestDatabaseOptions } from './test-database.js';
import { createTestMongo, type TestMongo } from './test-mongo.js';
import { OwnRedis } from './test-redis.js';

/** Teardowns run in reverse order: what a test starts afterwards ends before. */
type Owner = Pick<Test, 'teardown'>;

export interface OwnDatabase {
  /** The superuser's: the test prepares and looks. Processes under test sign in with `processUrl(url, …)`. */
  readonly url: string;
  readonly sql: postgres.Sql;
}

/** A database of the test's own, with a connection, or up to so many. */
export async function databaseFor(
  t: Owner,
  options: TestDatabaseOptions & { readonly connections?: number } = {},
): Promise<OwnDatabase> {
  const { url, close } = await createTestDatabase(options);
  t.teardown(close);
  const sql = postgres(url, { max: options.connections ?? 1, onnotice: () => undefined });
  t.teardown(() => sql.end({ timeout: 5 }));
  return { url, sql };
}

/** An empty MongoDB database. */
export async function mongoFor(t: Owner): Promise<TestMongo> {
  const mongo = await createTestMongo();
  t.teardown(() => mongo.close());
  return mongo;
}

export async function redisFor(t: Owner, args: readonly string[] = []): Promise<OwnRedis> {
  const redis = await OwnRedis.start(args);
  t.teardown(() => redis.stop());
  return redis;
}

export function folderFor(t: Owner): string {
  const folder = mkdtempSync(join(tmpdir(), 'afc-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
