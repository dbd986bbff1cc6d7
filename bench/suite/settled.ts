/** Waits until Postgres has what was decided, and until the engine has what was changed. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { until } from '../../engine/testing/engine-process.js';
import { scrapeMetrics } from '../metrics.js';
import type { Stack } from '../stack.js';

/** A million records and more, at the pace of undisturbed settling. */
const settleWaitMsMax = 180_000;
const settleLookMs = 200;

/**
 * Waits until Postgres has everything that was decided; says so in the log when it does not. Settling takes cores: what
 * was decided before must not be charged to what is measured next.
 * @returns whether it has
 */
export async function untilSettled(
  { engine }: Stack,
  log: (line: string) => void,
  waitMsMax = settleWaitMsMax,
): Promise<boolean> {
  const deadlineMs = performance.now() + waitMsMax;
  for (;;) {
    const metrics = await scrapeMetrics(engine.metricsUrl).catch(() => null);
    const backlog = metrics?.values.get('shipper_lag_records');
    if (backlog === 0) return true;
    if (performance.now() >= deadlineMs) {
      log(`${backlog ?? 'an unknown number of'} records from before are still being settled`);
      return false;
    }
    await delay(settleLookMs);
  }
}

/**
 * Makes the kernel write what it holds for the disks. It would do so 30 s after PostgreSQL wrote, a whole table at
 * once. A sync of the journal waits behind that, and would be charged with what was settled before.
 */
export async function untilWritten(): Promise<void> {
  await promisify(execFile)('sync', { timeout: writeMsMax });
}

/** Gigabytes on a slow disk. */
const writeMsMax = 60_000;

/**
 * Does the work while the engine's settling waits: its statements need the positions that this locks, and try again.
 * What is decided meanwhile stays in the journal.
 */
export async function withSettlingHeld<T>({ databaseUrl }: Stack, work: () => Promise<T>): Promise<T> {
  const sql = postgres(databaseUrl, { max: 1, connect_timeout: 10, onnotice: () => undefined });
  try {
    return (await sql.begin(async (locked) => {
      await locked`select from journal_positions for update`;
      return work();
    })) as T;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** A repair of everything, on a busy machine. */
export const healMs = 120_000;

/** Numbers all changes that have no number yet. @returns the newest number */
export async function newestChange(sql: postgres.Sql): Promise<number> {
  for (;;) {
    const [row] = await sql<{ newest: number; more: boolean }[]>`
      select newest::float8 as newest, more from feed_number()`;
    if (!row!.more) return row!.newest;
  }
}

/** @param newest what newestChange() answered */
export async function untilInForce({ engine }: Stack, newest: number): Promise<void> {
  const hasAll = async () => {
    const metrics = await scrapeMetrics(engine.metricsUrl).catch(() => null);
    return (metrics?.values.get('feed_sequence') ?? 0) >= newest;
  };
  await until('every change is in force', hasAll, healMs);
}
