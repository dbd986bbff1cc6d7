/** A MongoDB-protocol server beside a migrated database, for suites of what is copied from one to the other. */
import { createTestDatabase, processUrl } from '../../deploy/testing/test-database.js';
import { createTestMongo } from '../../deploy/testing/test-mongo.js';
import { createLog } from '../../platform/log.js';
import type { MongodbConfig, PostgresConfig } from '../config.js';
import { MongoConnection } from '../stores/personal/mongo-connection.js';
import { Database } from '../stores/postgres.js';

export interface StoreBench {
  readonly database: Database;
  readonly databaseUrl: string;
  readonly mongoUri: string;
  readonly connection: MongoConnection;
  close(): Promise<void>;
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
export async function createStoreBench(beside?: StoreBench): Promise<StoreBench> {
  const testDatabase = await createTestDatabase();
  const testMongo = beside === undefined ? await createTestMongo() : null;
  const mongoUri = testMongo?.uri ?? beside!.mongoUri;
  const database = new Database(testPostgresConfig(testDatabase.url), quietLog);
  await database.start();
  const connection = new MongoConnection(testMongodbConfig(mongoUri), quietLog);
  await connection.start();
  return {
    database,
    databaseUrl: testDatabase.url,
    mongoUri,
    connection,
    close: async () => {
      await connection.close();
      await database.close();
      await testMongo?.close();
      await testDatabase.close();
    },
  };
}
