/** Several engines on one database, for tests that look at what they do together. */
import { join } from 'node:path';
import type { Test } from 'tap';
import { seedAccounts } from '../../deploy/seed-accounts.js';
import { databaseFor, folderFor } from '../../deploy/testing/for-test.js';
import { Client } from './client.js';
import { EngineProcess, enginePlace, metric, opsGet, until } from './engine-process.js';

export const accounts = 24;
const partitions = 6;
const settings = { JOURNAL: 'postgres', PARTITIONS: String(partitions), LEASE_MS: '1000' };

export interface Engine extends EngineProcess {
  readonly client: Client;
}

/** @returns what starts an engine more on a database of its own */
export async function severalEngines(t: Test) {
  const { url, sql } = await databaseFor(t);
  await seedAccounts(sql, { accounts, cardsPerAccount: 1, balanceMinor: 100_000 });
  const folder = folderFor(t);
  const started: EngineProcess[] = [];
  t.teardown(async () => {
    await Promise.all(started.map((engine) => engine.kill('SIGKILL')));
  });
  const start = async (changes: Readonly<Record<string, string>> = {}): Promise<Engine> => {
    const place = await enginePlace(url, join(folder, 'unused'));
    const engine = new EngineProcess(place, { ...settings, ...changes });
    started.push(engine);
    if (!(await engine.ready())) throw new Error(`an engine ended while starting:\n${engine.logged}`);
    const client = new Client(place.authPort);
    t.teardown(() => client.close());
    return Object.assign(engine, { client });
  };
  /** Where the partition of an account is. */
  const partitionOf = async (account: number): Promise<number> => {
    const [row] = await sql<{ key: number }[]>`
      select owner_key::integer as key from accounts where public_id = ${accountId(account)}`;
    return Math.floor(row!.key / 2) % partitions;
  };
  return { start, sql, url, partitionOf };
}

const padded = (account: number) => String(account).padStart(6, '0');
export const card = (account: number) => `card_${padded(account)}_1`;
export const accountId = (account: number) => `acct_${padded(account)}`;
export const owned = (engine: Engine) => metric(engine.place, 'partitions_owned');

export async function untilSpread(engines: readonly Engine[]): Promise<void> {
  const share = partitions / engines.length;
  await until('the partitions are spread evenly', async () => {
    const counts = await Promise.all(engines.map(owned));
    return counts.every((count) => count === share);
  });
}

/** The partitions of an engine, as another one sees it. */
export async function partitionsAt(seenBy: Engine, engine: Engine): Promise<readonly number[]> {
  const { data } = JSON.parse((await opsGet(seenBy.place, '/admin/engines')).text) as {
    data: { opsUrl: string; partitions: number[] }[];
  };
  return data.find(({ opsUrl }) => opsUrl.endsWith(`:${engine.place.opsPort}`))?.partitions ?? [];
}
