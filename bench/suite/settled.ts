/** Settling takes cores: what was decided before must not be charged to what is measured next. */
import { setTimeout as delay } from 'node:timers/promises';
import { scrapeMetrics } from '../metrics.js';
import type { Stack } from '../stack.js';

/** A million records and more, at the pace of undisturbed settling. */
const settleWaitMsMax = 180_000;
const settleLookMs = 200;

/**
 * Waits until Postgres has everything that was decided; says so in the log when it does not.
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
