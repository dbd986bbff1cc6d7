/** One client of `GET /api/live`. It takes ticks from the ring as fast as its connection does, and keeps none. */
import { Readable } from 'node:stream';
import type { TickRing } from './tick-ring.js';

/** Two ticks or so: the rest of what a client has not read stays in the ring, once for all. */
const buffered = { highWaterMark: 16 * 1024 };
/** After the end, a client that does not read is cut off: a stop must not wait for it. */
const endMsMax = 500;
const heartbeat = Buffer.from(': heartbeat\n\n');

export interface StreamOwner {
  /** Who reads: streams with one name are allowed or ended together. */
  readonly name: string;
  /** Rejects when the owner may not read any more. */
  confirm(): Promise<void>;
}

export class LiveStream extends Readable {
  readonly owner: StreamOwner;
  /** Wall clock ms. */
  confirmedMs: number;
  readonly #ring: TickRing;
  /** Number of the last tick that was taken. */
  #place: number;
  #wants = false;
  #isEnded = false;

  /**
   * @param head what comes before the ticks
   * @param place the first tick is the one behind it
   */
  constructor(owner: StreamOwner, ring: TickRing, head: Buffer, place: number, nowMs: number) {
    super(buffered);
    this.owner = owner;
    this.confirmedMs = nowMs;
    this.#ring = ring;
    this.#place = place;
    this.push(head);
  }

  override _read(): void {
    this.#wants = true;
    this.flush();
  }

  /** Takes what the ring has. Called after each tick. */
  flush(): void {
    while (!this.#isEnded && this.#place < this.#ring.newest) {
      const tick = this.#ring.at(this.#place + 1);
      if (tick === undefined) {
        // The client is a minute behind: it connects again, and begins with the newest tick.
        this.destroy();
        return;
      }
      if (!this.#wants) return;
      this.#place++;
      this.#wants = this.push(tick);
    }
  }

  /** For proxies that close silent connections, should no tick come. */
  beat(): void {
    if (this.#wants && !this.#isEnded) this.#wants = this.push(heartbeat);
  }

  end(): void {
    if (this.#isEnded || this.destroyed) return;
    this.#isEnded = true;
    this.push(null);
    const timer = setTimeout(() => this.destroy(), endMsMax);
    this.once('close', () => clearTimeout(timer));
  }
}
