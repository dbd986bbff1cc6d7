/**
 * How Marqeta's calls fare, for `/health`. The engine cannot ask Marqeta anything: it knows when Marqeta called
 * last, how often, and what the answers were. The counters are read once a second.
 */
import type { ComponentHealth } from './component-health.js';

/** Calls by what became of them, since the start. */
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

  health(nowMs: number): ComponentHealth {
    const counts = this.#counts();
    if (total(counts) === 0) {
      return { status: 'disabled', detail: 'no call of POST /marqeta/jit since the start' };
    }
    // Within the first minute everything since the start is recent, also what came before the first look.
    const oldest = this.#looks[0];
    const before = oldest !== undefined && oldest.atMs <= nowMs - windowMs ? oldest.counts : none;
    const isNew = total(counts) > total(this.#looks.at(-1)?.counts ?? none);
    const recent = Object.fromEntries(outcomes.map((name) => [name, counts[name] - before[name]])) as Record<
      (typeof outcomes)[number],
      number
    >;
    const calls = total(recent);
    const age =
      `last call ${isNew ? 0 : Math.round((nowMs - this.#newestAtMs) / 1000)} s ago, ${total(counts)} ` +
      'since the start';
    if (calls === 0) return { status: 'healthy', detail: `${age}, none in the last minute` };
    const parts = outcomes.filter((name) => recent[name] > 0).map((name) => `${recent[name]} ${name}`);
    const detail = `${age}, ${calls} in the last minute: ${parts.join(', ')}`;
    const failed = recent.malformed + recent.unauthorized + recent.unavailable;
    return { status: failed * 2 > calls ? 'unhealthy' : 'healthy', detail };
  }
}

function total(counts: CallCounts): number {
  return outcomes.reduce((sum, name) => sum + counts[name], 0);
}
