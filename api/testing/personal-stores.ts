/** A MongoDB-protocol server beside a migrated database, for suites of what is copied from one to the other. */
import type postgres from 'postgres';
import type { Test } from 'tap';
import { databaseFor, mongoFor } from '../../deploy/testing/for-test.js';
import { processUrl } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import type { Principal } from '../auth/principal.js';
import type { MongodbConfig, PostgresConfig } from '../config.js';
import { MongoConnection } from '../stores/personal/mongo-connection.js';
import { Database } from '../stores/postgres.js';

export interface StoreBench {
  readonly database: Database;
  readonly databaseUrl: string;
  readonly sql: postgres.Sql;
  readonly mongoUri: string;
  readonly connection: MongoConnection;
}

export const quietLog = createLog('silent', 'test');

export function testPostgresConfig(url: string): PostgresConfig {
  return {
    url: processUrl(url, 'api'),
    directUrl: processUrl(url, 'api'),
    poolMax: 8,
    idleS: 30,
    connectS: 5,
    acquireMs: 60_000,
    statementMs: 5_000,
    slowQueryMs: 1_000,
  };
}

export function testMongodbConfig(uri: string): MongodbConfig {
  return { uri, poolMax: 10, poolMin: 0, idleMs: 30_000, serverSelectionMs: 5_000, socketMs: 45_000 };
}

/** @param beside MongoDB of another bench; default: an empty one */
export async function createStoreBench(t: Pick<Test, 'teardown'>, beside?: StoreBench): Promise<StoreBench> {
  const { url: databaseUrl, sql } = await databaseFor(t, { connections: 2 });
  const mongoUri = beside?.mongoUri ?? (await mongoFor(t)).uri;
  const database = new Database(testPostgresConfig(databaseUrl), quietLog);
  t.teardown(() => database.close());
  await database.start();
  const connection = new MongoConnection(testMongodbConfig(mongoUri), quietLog);
  t.teardown(() => connection.close());
  await connection.start();
  return { database, databaseUrl, sql, mongoUri, connection };
}

/** Copies the collections. @returns puts the copy back */
export async function backUpMongo(connection: MongoConnection, names: readonly string[]): Promise<() => Promise<void>> {
  const copies = await Promise.all(names.map((name) => connection.collection(name).find().toArray()));
  return async () => {
    for (const [index, name] of names.entries()) {
      await connection.collection(name).deleteMany({});
      if (copies[index]!.length > 0) await connection.collection(name).insertMany(copies[index]!);
    }
  };
}

/** The owner of account `number`, see createTestAccounts. */
export function personalPrincipal(number: number): Principal {
  return {
    ...{ userId: number, publicId: `usr_${number}`, kind: 'personal', sessionId: 0 },
    ...{ companyId: null, companyPublicId: null, role: null },
  };
}
