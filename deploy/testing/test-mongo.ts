/**
 * MongoDB databases for tests: one server for all test processes, started by whichever needs it first, and an empty
 * database for each test. MONGODB_URI names another server to use. Without a working server tests fail, they are never
 * skipped. The server is the child of test-mongo-keeper.ts, which ends it once no test process is left.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { withLockFile } from '../lock-file.js';
import { processIdentity } from '../process-identity.js';
import { repositoryRoot } from '../repository-root.js';
import { findMongoProgram } from './mongo-program.js';
import { mongoAnswers } from './mongo-server.js';

export interface TestMongo {
  /** Connection string that names the test's own database. */
  readonly uri: string;
  readonly databaseName: string;
  /** Drops the database. */
  close(): Promise<void>;
}

/** What the keeper writes down once its server answers. */
export interface KeptMongo {
  readonly uri: string;
  /** The keeper's processIdentity. */
  readonly keeper: string;
}

/** Another process may be building the program first. */
const lockWaitMs = 15 * 60_000;
const startWaitMs = 60_000;
const lookEveryMs = 50;

/** Where the tests' own server keeps its data. */
export function testMongoFolder(): string {
  return join(repositoryRoot(), '.data', 'test-mongo');
}

/** A fresh, empty database. Close it at the end of the test. */
export async function createTestMongo(): Promise<TestMongo> {
  const serverUri = await testMongoServer();
  const databaseName = `test_${process.pid}_${randomBytes(5).toString('hex')}`;
  return {
    uri: withMongoDatabase(serverUri, databaseName),
    databaseName,
    close: async () => {
      const client = new MongoClient(serverUri, { serverSelectionTimeoutMS: 5_000 });
      try {
        await client.db(databaseName).dropDatabase();
      } finally {
        await client.close(true);
      }
    },
  };
}

/** URI of a running server, started when there is none. `log` reports what takes long. */
export async function testMongoServer(
  log: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<string> {
  const { MONGODB_URI: given } = process.env;
  if (given !== undefined && given !== '') return given;
  const folder = testMongoFolder();
  await mkdir(join(folder, 'users'), { recursive: true });
  // The keeper looks at these files: as long as one belongs to a live process, the server stays.
  await writeFile(join(folder, 'users', String(process.pid)), processIdentity(process.pid) ?? '');
  return withLockFile(join(folder, 'start.lock'), lockWaitMs, async () => {
    const running = await findKeptMongo(folder);
    if (running !== null && (await mongoAnswers(running.uri, 5_000))) return running.uri;
    // Here and not in the keeper, so that a build is seen.
    await findMongoProgram(log);
    return startKeeper(folder);
  });
}

/** What a live keeper wrote down; null when none lives. */
export async function findKeptMongo(folder: string): Promise<KeptMongo | null> {
  const text = await readFile(join(folder, 'server.json'), 'utf8').catch(() => null);
  if (text === null || text === '') return null;
  const kept = JSON.parse(text) as KeptMongo;
  return processIdentity(Number.parseInt(kept.keeper, 10)) === kept.keeper ? kept : null;
}

async function startKeeper(folder: string): Promise<string> {
  await rm(join(folder, 'server.json'), { force: true });
  const script = join(dirname(fileURLToPath(import.meta.url)), 'test-mongo-keeper.js');
  const logFile = join(folder, 'keeper.log');
  const log = openSync(logFile, 'w');
  try {
    spawn(process.execPath, [script], { detached: true, stdio: ['ignore', log, log] }).unref();
  } finally {
    closeSync(log);
  }
  const giveUpAtMs = Date.now() + startWaitMs;
  for (;;) {
    const kept = await findKeptMongo(folder);
    if (kept !== null) return kept.uri;
    if (Date.now() > giveUpAtMs) {
      const said = await readFile(logFile, 'utf8').catch(() => '');
      throw new Error(`the tests' MongoDB-protocol server did not start; its keeper said:\n${said}`);
    }
    await delay(lookEveryMs);
  }
}

/** The connection string with another database in its path; several hosts and options stay. */
export function withMongoDatabase(uri: string, name: string): string {
  const match = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/[^?]*)?(\?.*)?$/.exec(uri);
  if (match === null) throw new Error('not a MongoDB connection string');
  return `${match[1]}/${name}${match[2] ?? ''}`;
}
