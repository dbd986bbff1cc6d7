/** Traces as a front thread has them: it draws and names them, and the main thread hands the spans on. */
import { randomBytes } from 'node:crypto';
import {
  type SpanTimes,
  type TraceIds,
  type TraceParent,
  Traces,
  tracesPerSecondMax,
} from '../../platform/tracing/traces.js';

export interface FrontTracesOptions {
  /** One of so many messages of this thread is traced. */
  readonly every: number;
  /** Once a trace was made. */
  hand(ids: TraceIds, whole: SpanTimes, parts: readonly SpanTimes[]): void;
  /** Once a trace was not made, because there were too many in a second. */
  dropped(): void;
}

export class FrontTraces {
  readonly #options: FrontTracesOptions;
  /** Draws and names; adds nothing. */
  readonly #traces: Traces;
  #second = 0;
  #inSecond = 0;

  constructor(options: FrontTracesOptions) {
    this.#options = options;
    this.#traces = new Traces(
      {
        newTraceId: () => randomBytes(16).toString('hex'),
        newSpanId: () => randomBytes(8).toString('hex'),
        add: () => undefined,
        dropped: { thread: 0, queue: 0, receiver: 0 },
        close: () => Promise.resolve(),
      },
      options.every,
    );
  }

  draw(): boolean {
    return this.#traces.draw();
  }

  begin(parent: TraceParent | null): TraceIds {
    return this.#traces.begin(parent);
  }

  /** The main thread has the same bound over all threads: beyond it a message each would be in vain. */
  add(ids: TraceIds, whole: SpanTimes, parts: readonly SpanTimes[]): void {
    const second = Math.floor(whole.endMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (++this.#inSecond > tracesPerSecondMax) this.#options.dropped();
    else this.#options.hand(ids, whole, parts);
  }
}
