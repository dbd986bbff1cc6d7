/** Waits until the engine has all changes of cards that were made. */
import type postgres from 'postgres';
import { until } from '../../engine/testing/engine-process.js';
import { scrapeMetrics } from '../metrics.js';
import type { Stack } from '../stack.js';

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
