/** What is known of one engine by the lines that it has sent. */
import { type DecisionSample, type EngineLine, samplesMax } from '../../platform/live/engine-line.js';
import type { LiveEngine } from './live-shape.js';
import { Slice, sumOf } from './slice.js';

/** An engine that has sent nothing for this long is shown as not up. */
export const silentMs = 2000;
/** Ticks of the last 10 s, and of the last second. */
export const ticksKept = 40;
const ticksOfRate = 4;

export interface KnownEngine {
  readonly id: string;
  readonly epoch: number;
  readonly partitions: readonly number[];
}

export class EngineTrack {
  #known: KnownEngine;
  #line: EngineLine | null = null;
  /** When the last line came; before the first one, since when the engine is known. */
  #sinceMs: number;
  /** A line came since the last tick. */
  hasNews = false;
  #open = new Slice();
  #samples: DecisionSample[] = [];
  readonly #slices: Slice[] = [];
  #recent = new Slice();

  constructor(known: KnownEngine, nowMs: number) {
    this.#known = known;
    this.#sinceMs = nowMs;
  }

  take(line: EngineLine, nowMs: number): void {
    const before = this.#line;
    // What an engine counted while it was silent would look like a burst. It is in the engine's metrics.
    if (before !== null && line.atMs - before.atMs < silentMs) this.#open.addDifference(before, line);
    this.#line = line;
    this.#known = line;
    this.#sinceMs = nowMs;
    this.hasNews = true;
    this.#samples = [...this.#samples, ...line.last].slice(-samplesMax);
  }

  /** A tick ends. @returns what the engine has counted in it, and its last decisions */
  turn(windowMs: number): { readonly slice: Slice; readonly last: readonly DecisionSample[] } {
    const slice = this.#open;
    const last = this.#samples;
    slice.windowMs = windowMs;
    this.#slices.push(slice);
    if (this.#slices.length > ticksKept) this.#slices.shift();
    this.#recent = sumOf(this.#slices);
    this.#open = new Slice();
    this.#samples = [];
    this.hasNews = false;
    return { slice, last };
  }

  /** The last 10 s. */
  get recent(): Slice {
    return this.#recent;
  }

  get id(): string {
    return this.#known.id;
  }

  isUp(nowMs: number): boolean {
    return this.#line !== null && this.silentForMs(nowMs) < silentMs;
  }

  silentForMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#sinceMs);
  }

  get settleLagMs(): number {
    return this.#line?.settleLagMs ?? 0;
  }
  get settleLagRecords(): number {
    return this.#line?.settleLagRecords ?? 0;
  }

  view(nowMs: number): LiveEngine {
    const { id, epoch, partitions } = this.#known;
    const { decided, windowMs } = sumOf(this.#slices.slice(-ticksOfRate));
    return {
      id,
      isUp: this.isUp(nowMs),
      ageMs: Math.round(this.silentForMs(nowMs)),
      epoch,
      partitions,
      decidedPerSecond: windowMs === 0 ? 0 : Math.round((decided * 1000) / windowMs),
      p99Ms: this.#recent.latency?.p99 ?? null,
      journalUsedShare: this.#line?.journalUsedShare ?? null,
      feedAgeMs: Math.round(this.#line?.feedAgeMs ?? 0),
      feedStaleMsMax: this.#line?.feedStaleMsMax ?? null,
      standInUnbooked: this.#line?.standInUnbooked ?? 0,
      settleLagMs: Math.round(this.settleLagMs),
    };
  }
}
