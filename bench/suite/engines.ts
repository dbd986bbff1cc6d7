/** What scenarios with several engines share: engines that are warm, and what they and their Postgres have done. */
import { setTimeout as delay } from 'node:timers/promises';
import type postgres from 'postgres';
import { EngineGroup } from '../engine-group.js';
import { scrapeMetrics } from '../metrics.js';
import { type Bench, balanceMinor, type LoadPlan, measure, plainTraffic } from './bench.js';

export const connectionCount = 256;
const settleMsMax = 60_000;
const settleLookMs = 200;

/** A database of their own; no engine yet. */
export function makeGroup({ stack, scale, ends }: Bench): Promise<EngineGroup> {
  const { accountCount } = scale;
  return EngineGroup.make({ stack, accountCount, balanceMinor, isDurable: scale.name !== 'smoke', ends });
}

export async function startWarm(
  bench: Bench,
  group: EngineGroup,
  count: number,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  bench.log(`starting ${count} engines with their journal in Postgres`);
  const smoke = bench.scale.name === 'smoke' ? { DEADLINE_MS: '3000' } : {};
  await group.start(count, { ...env, ...smoke });
  // At each engine: each learns by itself which partition a card belongs to. Twice: what was loaded too late for its
  // deadline is known the second time.
  for (let time = 0; time < (bench.scale.name === 'smoke' ? 1 : 2); time++) {
    for (let engine = 0; engine < count; engine++) {
      await measure(bench, group.server(engine), {
        pace: { kind: 'closed' },
        connectionCount: 64,
        traffic: plainTraffic(bench, { kind: 'balance_inquiry', cardOrder: 'sequence' }),
        warmUpMs: 0,
        durationMs: settleMsMax,
        requestCountMax: bench.scale.accountCount,
      });
    }
  }
  if (bench.scale.name === 'smoke') return;
  // As the engine with the local journal (warmUp), in each of several processes: each gets a share of the messages.
  await measure(bench, group.target, { ...closed(bench), warmUpMs: 0, durationMs: count * bench.scale.durationMs });
}

export function closed(bench: Bench, options: Parameters<typeof plainTraffic>[1] = {}): LoadPlan {
  return { pace: { kind: 'closed' }, connectionCount, traffic: plainTraffic(bench, options) };
}

/** WAL of the server and decisions of all engines until now. */
export async function written(sql: postgres.Sql, group: EngineGroup): Promise<{ walBytes: number; decisions: number }> {
  const [row] = await sql<{ bytes: number }[]>`
    select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`;
  const metrics = await Promise.all(group.metricsUrls.map(scrapeMetrics));
  const decisions = metrics.reduce((sum, { values }) => sum + (values.get('authorization_decisions_total') ?? 0), 0);
  return { walBytes: row!.bytes, decisions };
}

export async function settled(group: EngineGroup): Promise<void> {
  const giveUpAtMs = performance.now() + settleMsMax;
  while (performance.now() < giveUpAtMs) {
    const metrics = await Promise.all(group.metricsUrls.map((url) => scrapeMetrics(url).catch(() => null)));
    if (metrics.every((one) => one?.values.get('shipper_lag_records') === 0)) return;
    await delay(settleLookMs);
  }
}
