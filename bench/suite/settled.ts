/** Settling takes cores: what was decided before must not be charged to what is measured next. */
import { setTimeout as delay } from 'node:timers/promises';
import { scrapeMetrics } from '../metrics.js';
import type { Stack } from '../stack.js';

/** A million records and more, at the pace of a settling that nobody disturbs. */
const settleWaitMsMax = 180_000;
const settleLookMs = 200;

/**
 * Waits until Postgres has everything that was decided.
 * @returns how many records it does not have: 0 unless that took too long or nobody could tell
 */
export async function untilSettled({ engine }: Stack, waitMsMax = settleWaitMsMax): Promise<number> {
  const deadlineMs = performance.now() + waitMsMax;
  for (;;) {
    const metrics = await scrapeMetrics(engine.metricsUrl).catch(() => null);
    const backlog = metrics?.values.get('shipper_lag_records') ?? Number.NaN;
    if (backlog === 0 || performance.now() >= deadlineMs) return backlog;
    await delay(settleLookMs);
  }
}
