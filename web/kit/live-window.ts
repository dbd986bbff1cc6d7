/**
 * What the live stream said, kept for the views: the last 60 s of ticks, the newest decisions, and 15 minutes of
 * history. Pure, and each part is bounded.
 */
import type { LiveDecision, LiveHistory, LiveTick } from '../../api/live/live-shape.js';

/** Shares and rates are of so long. */
export const recentMs = 10_000;
/** Reasons are counted for so long. */
export const reasonsMs = 60_000;
export const decisionsMax = 200;
const pointsMax = 180;

/** One series each, of the same length; the last point is still growing. */
export interface Points {
  readonly atMs: readonly number[];
  readonly decidedPerSecond: readonly number[];
  readonly approvedShare: readonly (number | null)[];
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly p999: readonly (number | null)[];
  readonly settleLagMs: readonly number[];
}

/** What a span of ticks comes to. */
export interface Sum {
  readonly spanMs: number;
  readonly decided: number;
  readonly approved: number;
  readonly refused: number;
  readonly byReason: ReadonlyMap<string, number>;
}

export function sumOf(ticks: readonly LiveTick[], spanMs: number): Sum {
  const newest = ticks.at(-1)?.atMs ?? 0;
  const counted = ticks.filter(({ atMs }) => atMs > newest - spanMs);
  const byReason = new Map<string, number>();
  const sum = { spanMs: 0, decided: 0, approved: 0, refused: 0 };
  for (const tick of counted) {
    sum.spanMs += tick.windowMs;
    sum.decided += tick.decided;
    sum.approved += tick.approved;
    sum.refused += tick.refused;
    for (const [reason, count] of Object.entries(tick.byReason)) {
      byReason.set(reason, (byReason.get(reason) ?? 0) + count);
    }
  }
  return { ...sum, byReason };
}

/** The ticks with one more, without those that no view counts any more. */
export function withTick(ticks: readonly LiveTick[], tick: LiveTick): readonly LiveTick[] {
  return [...ticks.filter(({ atMs }) => atMs > tick.atMs - reasonsMs), tick];
}

/** Newest first. */
export function withDecisions(kept: readonly LiveDecision[], tick: LiveTick): readonly LiveDecision[] {
  return tick.last.length === 0 ? kept : [...tick.last.toReversed(), ...kept].slice(0, decisionsMax);
}

export function pointsOf(history: LiveHistory): Points {
  const { everyMs, fromMs, ...series } = history;
  return { atMs: series.decidedPerSecond.map((_, at) => fromMs + at * everyMs), ...series };
}

/** The points with the tick in the last one, or in a new one every five seconds. */
export function withPoint(points: Points, ticks: readonly LiveTick[], everyMs = 5000): Points {
  const tick = ticks.at(-1);
  if (tick === undefined) return points;
  const startMs = Math.floor(tick.atMs / everyMs) * everyMs;
  const sum = sumOf(ticks, tick.atMs - startMs + 1);
  const kept = points.atMs.filter((atMs) => atMs < startMs).length;
  const from = Math.max(0, kept + 1 - pointsMax);
  const next = <T>(series: readonly T[], value: T): readonly T[] => [...series.slice(from, kept), value];
  const { p50 = null, p99 = null, p999 = null } = tick.latencyMs ?? {};
  return {
    atMs: next(points.atMs, startMs),
    decidedPerSecond: next(points.decidedPerSecond, (sum.decided * 1000) / Math.max(sum.spanMs, 1)),
    approvedShare: next(points.approvedShare, shareApproved(sum)),
    p50: next(points.p50, p50),
    p99: next(points.p99, p99),
    p999: next(points.p999, p999),
    settleLagMs: next(points.settleLagMs, tick.settleLagMs),
  };
}

export function shareApproved({ decided, approved }: Pick<Sum, 'decided' | 'approved'>): number | null {
  return decided === 0 ? null : approved / decided;
}
