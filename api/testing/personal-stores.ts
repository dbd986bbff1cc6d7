/** Both personal stores on real servers, for suites that hold them to one contract. */
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { createTestMongo } from '../../deploy/testing/test-mongo.js';
import type { MongodbConfig, PostgresConfig } from '../config.js';
import { createLog } from '../log.js';
import { MongoPersonalStore } from '../stores/personal/mongo.js';
import { MongoConnection } from '../stores/personal/mongo-connection.js';
import { PostgresPersonalStore } from '../stores/personal/postgres.js';
import type { PersonalStore } from '../stores/personal/store.js';
import { Database } from '../stores/postgres.js';

export const storeKinds = ['postgres', 'mongodb'] as const;
export type StoreKind = (typeof storeKinds)[number];

export interface OpenStore {
  readonly store: PersonalStore;
  readonly database: Database;
  /** Only with MongoDB. */
  readonly connection: MongoConnection | null;
  close(): Promise<void>;
}

export interface StoreBench extends OpenStore {
  readonly databaseUrl: string;
  /** Empty without MongoDB. */
  readonly mongoUri: string;
}

export const quietLog = createLog('silent', 'test');

export function testPostgresConfig(url: string): PostgresConfig {
  return { url, poolMax: 8, idleS: 30, connectS: 5, acquireMs: 60_000, statementMs: 5_000, slowQueryMs: 1_000 };
}

export function testMongodbConfig(uri: string): MongodbConfig {
  return { uri, poolMax: 10, poolMin: 0, idleMs: 30_000, serverSelectionMs: 5_000, socketMs: 45_000 };
}

/** The store of that kind on servers that are there. */
export async function openStore(kind: StoreKind, databaseUrl: string, mongoUri: string): Promise<OpenStore> {
  const database = new Database(testPostgresConfig(databaseUrl), quietLog);
  await database.start();
  const connection = kind === 'mongodb' ? new MongoConnection(testMongodbConfig(mongoUri), quietLog) : null;
  const store = connection === null ? new PostgresPersonalStore(database) : new MongoPersonalStore(connection);
  await store.start();
  return {
    store,
    database,
    connection,
    close: async () => {
      await store.close();
      await database.close();
    },
  };
}

/** An empty store of that kind beside a migrated database. */
export async function createStoreBench(kind: StoreKind): Promise<StoreBench> {
  const testDatabase = await createTestDatabase();
  const testMongo = kind === 'mongodb' ? await createTestMongo() : null;
  const mongoUri = testMongo?.uri ?? '';
  const open = await openStore(kind, testDatabase.url, mongoUri);
  return {
    ...open,
    databaseUrl: testDatabase.url,
    mongoUri,
    close: async () => {
      await open.close();
      await testMongo?.close();
      await testDatabase.close();
    },
  };
}
