/** Ticks of the last minute as they are sent: encoded once, for all streams. */
import type { LiveTick } from './live-shape.js';

const ticksMax = 240;

export class TickRing {
  /** Names this process in ids of ticks: another one cannot go on from here. */
  readonly #startMs: number;
  readonly #ticks: Buffer[] = [];
  /** Number of the newest tick; the first one is 1. */
  #newest = 0;

  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  get newest(): number {
    return this.#newest;
  }

  add(tick: LiveTick): void {
    const id = `${this.#startMs}-${++this.#newest}`;
    this.#ticks.push(Buffer.from(`id: ${id}\nevent: tick\ndata: ${JSON.stringify(tick)}\n\n`));
    if (this.#ticks.length > ticksMax) this.#ticks.shift();
  }

  /** The tick with that number; undefined when it is no longer kept, or not made yet. */
  at(number: number): Buffer | undefined {
    return this.#ticks[number - this.#newest + this.#ticks.length - 1];
  }

  /** The number that a Last-Event-ID names, when all ticks behind it are still here. */
  resumable(lastEventId: string): number | null {
    const [, startMs, text] = /^(\d{1,15})-(\d{1,15})$/.exec(lastEventId) ?? [];
    const number = Number(text);
    if (Number(startMs) !== this.#startMs || !(number <= this.#newest)) return null;
    return number === this.#newest || this.at(number + 1) !== undefined ? number : null;
  }
}
