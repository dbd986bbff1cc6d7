/**
 * How Marqeta's calls fare, for `/health` and `/admin/marqeta`. The engine cannot ask Marqeta anything: it knows when
 * Marqeta called last, how often, and what the answers were. The counters are read once a second.
 */
import type { ComponentHealth } from './component-health.js';

/** Calls by what became of them. */
export interface CallCounts {
  readonly approved: number;
  readonly declined: number;
  /** 400, 409, 413, 415. */
  readonly malformed: number;
  /** 401. */
  readonly unauthorized: number;
  /** 503. */
  readonly unavailable: number;
}

/** What one engine knows. */
export interface CallFigures {
  readonly sinceStart: CallCounts;
  /** Of the last minute, or since a start within it. */
  readonly recent: CallCounts;
  /** Null: there was none. */
  readonly lastCallAgeMs: number | null;
}

const windowMs = 60_000;
const none: CallCounts = { approved: 0, declined: 0, malformed: 0, unauthorized: 0, unavailable: 0 };
const outcomes = ['approved', 'declined', 'malformed', 'unauthorized', 'unavailable'] as const;

export class MarqetaWatch {
  readonly #counts: () => CallCounts;
  /** Counts at the looks of the last minute, oldest first. */
  readonly #looks: { readonly atMs: number; readonly counts: CallCounts }[] = [];
  #newestAtMs = 0;

  constructor(counts: () => CallCounts) {
    this.#counts = counts;
  }

  /** Call it every second. @param nowMs monotonic milliseconds */
  look(nowMs: number): void {
    const counts = this.#counts();
    if (total(counts) > total(this.#looks.at(-1)?.counts ?? none)) this.#newestAtMs = nowMs;
    this.#looks.push({ atMs: nowMs, counts });
    while (this.#looks.length > 1 && this.#looks[1]!.atMs <= nowMs - windowMs) this.#looks.shift();
  }

  figures(nowMs: number): CallFigures {
    const sinceStart = this.#counts();
    // Within the first minute everything since the start is recent, also what came before the first look.
    const oldest = this.#looks[0];
    const before = oldest !== undefined && oldest.atMs <= nowMs - windowMs ? oldest.counts : none;
    const isNew = total(sinceStart) > total(this.#looks.at(-1)?.counts ?? none);
    const ageMs = isNew ? 0 : nowMs - this.#newestAtMs;
    return {
      sinceStart,
      recent: combined([sinceStart, before], (now, then) => now - then),
      lastCallAgeMs: total(sinceStart) === 0 ? null : ageMs,
    };
  }

  health(nowMs: number): ComponentHealth {
    return healthOfCalls([this.figures(nowMs)]);
  }
}

/** @param engines what each of them knows */
export function healthOfCalls(engines: readonly CallFigures[]): ComponentHealth {
  const ages = engines.flatMap(({ lastCallAgeMs }) => lastCallAgeMs ?? []);
  if (ages.length === 0) return { status: 'disabled', detail: 'no call of POST /marqeta/jit since the start' };
  const add = (a: number, b: number) => a + b;
  const sinceStart = total(combined([none, ...engines.map((engine) => engine.sinceStart)], add));
  const recent = combined([none, ...engines.map((engine) => engine.recent)], add);
  const calls = total(recent);
  const age = `last call ${Math.round(Math.min(...ages) / 1000)} s ago, ${sinceStart} since the start`;
  if (calls === 0) return { status: 'healthy', detail: `${age}, none in the last minute` };
  const parts = outcomes.filter((name) => recent[name] > 0).map((name) => `${recent[name]} ${name}`);
  const failed = recent.malformed + recent.unauthorized + recent.unavailable;
  const rate = `${(calls / (windowMs / 1000)).toFixed(1)} a second, ${((failed / calls) * 100).toFixed(1)} % errors`;
  const detail = `${age}, ${calls} in the last minute (${rate}), answered: ${parts.join(', ')}`;
  return { status: failed * 2 > calls ? 'unhealthy' : 'healthy', detail };
}

function combined(counts: readonly CallCounts[], how: (a: number, b: number) => number): CallCounts {
  return counts.reduce(
    (sum, each) =>
      Object.fromEntries(outcomes.map((name) => [name, how(sum[name], each[name])])) as unknown as CallCounts,
  );
}

function total(counts: CallCounts): number {
  return outcomes.reduce((sum, name) => sum + counts[name], 0);
}
