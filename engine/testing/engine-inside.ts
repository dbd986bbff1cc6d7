/**
 * The engine in the test's own process, on a database and a folder of its own. It is for tests that hold its disk
 * still, break it, or stop it from inside.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import type { Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { createTestDatabase } from '../../deploy/testing/test-database.js';
import { createLog } from '../../platform/log.js';
import { FaultControl } from '../../workers/testing/faulty-storage.js';
import { readEngineConfig } from '../config.js';
import { type Engine, startEngine } from '../engine.js';
import { Client } from './client.js';
import { type EnginePlace, engineEnvironment, enginePlace } from './engine-process.js';

/** A PostgreSQL that answers none of them has another trouble than a busy machine. */
const startsMax = 3;
const dyingStorage = new URL('./dying-storage.js', import.meta.url).href;

export interface TestEngine {
  readonly place: EnginePlace;
  readonly sql: postgres.Sql;
  readonly client: Client;
  /** Switches of every partition's disk. */
  readonly disk: FaultControl;
  /** Stops the engine that runs, if any, and starts one on the same place. */
  restart(changes?: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Restarts it while a lock that the test holds keeps settling waiting: ends the statement that waits, as its time
   * limit of 30 seconds would.
   */
  restartUnsettled(): Promise<void>;
  /** Stops it; resolves when it is down. */
  stop(): Promise<void>;
}

export interface TestEngineOptions {
  readonly accounts?: number;
  readonly cardsPerAccount?: number;
  readonly balanceMinor?: number;
  /** Environment over the defaults of tests. */
  readonly changes?: Readonly<Record<string, string>>;
  /** Another server than the tests' own: its database must be migrated and seeded. */
  readonly databaseUrl?: string;
  /** The superuser's URL of that database. */
  readonly adminUrl?: string;
  /** A folder of the caller's, who removes it. */
  readonly dataDir?: string;
}

/** As a supervisor: an engine ends where PostgreSQL, on a busy machine, does not answer its start for seconds. */
async function startPatiently(start: () => Promise<Engine>): Promise<Engine> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === startsMax || !String(error).includes('CONNECT_TIMEOUT')) throw error;
    }
  }
}

/** Starts one; the test's teardown stops it and removes what it left. */
export async function startTestEngine(t: Test, options: TestEngineOptions = {}): Promise<TestEngine> {
  const { accounts = 20, cardsPerAccount = 2, balanceMinor = 100_000, changes = {} } = options;
  const database = options.databaseUrl === undefined ? await createTestDatabase() : null;
  const databaseUrl = database?.url ?? options.databaseUrl!;
  const sql = postgres(options.adminUrl ?? databaseUrl, { max: 2, onnotice: () => undefined });
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'engine-inside-'));
  const place = await enginePlace(databaseUrl, dataDir);
  const disk = new FaultControl();
  const client = new Client(place.authPort);
  let running: Engine | null = null;
  const stop = async () => {
    const stopping = running;
    running = null;
    await stopping?.stop();
  };
  t.teardown(async () => {
    client.close();
    disk.heal();
    await stop();
    await sql.end({ timeout: 5 });
    await database?.close();
    if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
  });
  await seedAccounts(sql, { accounts, cardsPerAccount, balanceMinor });
  const restart = async (again: Readonly<Record<string, string>> = {}) => {
    await stop();
    const environment = engineEnvironment(place, { LOG_LEVEL: 'silent', ...changes, ...again });
    const config = readEngineConfig(environment);
    const log = createLog(config.logLevel, 'engine');
    running = await startPatiently(() => startEngine(config, log, { module: dyingStorage, control: disk.buffer }));
  };
  const restartUnsettled = async () => {
    let isBack = false;
    const restarting = restart().finally(() => {
      isBack = true;
    });
    while (!isBack) {
      await sql`
        select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'settle %' and wait_event_type = 'Lock'`;
      await delay(20);
    }
    await restarting;
  };
  await restart();
  return { place, sql, client, disk, restart, restartUnsettled, stop };
}
