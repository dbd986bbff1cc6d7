/** The live stream: lines of the engines in, one tick four times a second, streams out. */
import { type EngineLine, lineMs } from '../../platform/live/engine-line.js';
import { History } from './history.js';
import { LiveEngines } from './live-engines.js';
import type { LiveStream, StreamOwner } from './live-stream.js';
import { LiveStreams } from './live-streams.js';
import { LiveMerge, type Surroundings } from './merge.js';
import { TickRing } from './tick-ring.js';

/** Engines write together. A tick waits for the last of them, for half a line's time at most. */
const tickMsMax = 1.5 * lineMs;
/** Lines that waited somewhere come all at once: they make one tick. */
const tickMsMin = 100;

export interface LiveOptions {
  readonly engineUrl: string;
  readonly engineToken: string;
  readonly surroundings: Surroundings;
}

export class Live {
  readonly #merge: LiveMerge;
  readonly #history = new History(Date.now());
  readonly #ring = new TickRing(Date.now());
  readonly streams = new LiveStreams({ ring: this.#ring, history: this.#history, nowMs: () => Date.now() });
  readonly #engines: LiveEngines;
  #timer: NodeJS.Timeout | undefined;
  #tickedMs = 0;
  #isStopped = false;

  constructor({ engineUrl, engineToken, surroundings }: LiveOptions) {
    this.#merge = new LiveMerge(surroundings, Date.now());
    this.#engines = new LiveEngines({
      engineUrl,
      token: engineToken,
      listed: (engines) => this.#merge.list(engines, Date.now()),
      line: (line) => this.#took(line),
    });
  }

  start(): void {
    this.#engines.start();
    this.streams.start();
    this.#tick();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
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

  #took(line: EngineLine): void {
    const nowMs = Date.now();
    this.#merge.take(line, nowMs);
    // A clock that was set back must not end the ticks.
    const sinceMs = Math.abs(nowMs - this.#tickedMs);
    if (sinceMs >= tickMsMin && this.#merge.isComplete(nowMs)) this.#tick();
  }

  #tick(): void {
    if (this.#isStopped) return;
    const nowMs = Date.now();
    this.#tickedMs = nowMs;
    const { tick, slice } = this.#merge.tick(nowMs);
    clearTimeout(this.#timer);
    const isAnyUp = tick.engines.some(({ isUp }) => isUp);
    this.#timer = setTimeout(() => this.#tick(), isAnyUp ? tickMsMax : lineMs);
    this.#history.take(slice, tick.settleLagMs, nowMs);
    this.#ring.add(tick);
    this.streams.ticked();
  }
}
