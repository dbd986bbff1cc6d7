/** The last 15 minutes in steps of 5 s, for a page that has just been opened. It has no clock of its own. */
import type { LiveHistory, LiveLatency } from './live-shape.js';
import { Slice } from './slice.js';

const everyMs = 5000;
const pointsMax = (15 * 60_000) / everyMs;

interface Point {
  readonly decidedPerSecond: number;
  readonly approvedShare: number | null;
  readonly latency: LiveLatency | null;
  readonly settleLagMs: number;
}

export class History {
  /** Oldest first. */
  readonly #points: Point[] = [];
  /** When the open point begins. */
  #fromMs: number;
  #open = new Slice();
  #settleLagMs = 0;

  constructor(nowMs: number) {
    this.#fromMs = nowMs - (nowMs % everyMs);
  }

  take(slice: Slice, settleLagMs: number, nowMs: number): void {
    while (nowMs >= this.#fromMs + everyMs) this.#close(nowMs);
    this.#open.add(slice);
    this.#settleLagMs = Math.max(this.#settleLagMs, settleLagMs);
  }

  #close(nowMs: number): void {
    const { decided, approved, latency } = this.#open;
    this.#points.push({
      decidedPerSecond: Math.round((decided * 1000) / everyMs),
      approvedShare: decided === 0 ? null : Math.round((approved / decided) * 10_000) / 10_000,
      latency,
      settleLagMs: this.#settleLagMs,
    });
    if (this.#points.length > pointsMax) this.#points.shift();
    this.#open = new Slice();
    this.#settleLagMs = 0;
    this.#fromMs += everyMs;
    // The machine has slept: what lies further back than all points is not needed one by one.
    const earliestMs = nowMs - (nowMs % everyMs) - pointsMax * everyMs;
    if (this.#fromMs < earliestMs) {
      this.#points.length = 0;
      this.#fromMs = earliestMs;
    }
  }

  get shown(): LiveHistory {
    const points = this.#points;
    return {
      everyMs,
      fromMs: this.#fromMs - points.length * everyMs,
      decidedPerSecond: points.map(({ decidedPerSecond }) => decidedPerSecond),
      approvedShare: points.map(({ approvedShare }) => approvedShare),
      p50: points.map(({ latency }) => latency?.p50 ?? null),
      p99: points.map(({ latency }) => latency?.p99 ?? null),
      p999: points.map(({ latency }) => latency?.p999 ?? null),
      settleLagMs: points.map(({ settleLagMs }) => settleLagMs),
    };
  }
}
