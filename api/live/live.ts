/** The live stream: lines of the engines in, one tick four times a second, streams out. */
import { lineMs } from '../../platform/live/engine-line.js';
import { History } from './history.js';
import { LiveEngines } from './live-engines.js';
import type { LiveStream, StreamOwner } from './live-stream.js';
import { LiveStreams } from './live-streams.js';
import { LiveMerge } from './merge.js';
import { TickRing } from './tick-ring.js';

/** Engines write at multiples of lineMs. A tick comes this much later, so that it has their lines. */
const behindMs = 25;
/** A timer that came a little early must not make two ticks. */
const earlyMs = 50;

export interface LiveOptions {
  readonly engineUrl: string;
  readonly engineToken: string;
}

export class Live {
  readonly #merge = new LiveMerge(Date.now());
  readonly #history = new History(Date.now());
  readonly #ring = new TickRing(Date.now());
  readonly streams = new LiveStreams({ ring: this.#ring, history: this.#history, nowMs: () => Date.now() });
  readonly #engines: LiveEngines;
  #timer: NodeJS.Timeout | undefined;

  constructor({ engineUrl, engineToken }: LiveOptions) {
    this.#engines = new LiveEngines({
      engineUrl,
      token: engineToken,
      listed: (engines) => this.#merge.list(engines, Date.now()),
      line: (line) => this.#merge.take(line, Date.now()),
    });
  }

  start(): void {
    this.#engines.start();
    this.streams.start();
    this.#later();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.endStreams();
    await this.#engines.stop();
  }

  endStreams(): void {
    this.streams.end();
  }

  open(owner: StreamOwner, lastEventId: string): LiveStream {
    return this.streams.open(owner, lastEventId);
  }

  #later(): void {
    const leftMs = lineMs - ((Date.now() - behindMs) % lineMs);
    this.#timer = setTimeout(() => this.#tick(), leftMs < earlyMs ? leftMs + lineMs : leftMs);
  }

  #tick(): void {
    this.#later();
    const nowMs = Date.now();
    const { tick, slice } = this.#merge.tick(nowMs);
    this.#history.take(slice, tick.settleLagMs, nowMs);
    this.#ring.add(tick);
    this.streams.ticked();
  }
}
