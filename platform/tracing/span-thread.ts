/** Hands spans to their thread, once a second. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { LostSpans } from './exporter.js';
import type { DroppedSpans, SpanSink, SpanTimes, TraceIds } from './traces.js';

export interface SpanThreadData {
  readonly url: string;
  readonly service: string;
  /** Tells several processes of one service apart. */
  readonly instance: string;
}

/** Null: send what there is, and end. */
export type SpanMessage = readonly (readonly [TraceIds, SpanTimes])[] | null;

/** What the thread says of its spans; the last two since its start. */
export interface SpanReport {
  /** Of those handed over, since its last report. */
  readonly taken: number;
  readonly overflowed: number;
  readonly unsent: number;
}

/** Waking the other thread costs as much as making some ten spans. */
const handOverMs = 1000;
/** Spans that the thread has not taken: more are dropped. Ten seconds of the most that comes. */
const handedMax = 16_384;
/** A stop does not wait longer for a receiver. */
const closeMs = 2000;
/** Of random bytes, for this many ids at a time. */
const randomMax = 4096;

export class SpanThread implements SpanSink {
  readonly #worker: Worker;
  #waiting: (readonly [TraceIds, SpanTimes])[] = [];
  #handed = 0;
  /** Not handed over. */
  #refused = 0;
  #lost: LostSpans = { overflowed: 0, unsent: 0 };
  #timer: NodeJS.Timeout | null = null;
  #hasEnded = false;
  #random = '';
  #randomAt = 0;

  constructor(data: SpanThreadData) {
    this.#worker = new Worker(new URL('./spans.worker.js', import.meta.url), { workerData: data });
    this.#worker.unref();
    this.#worker.on('message', ({ taken, ...lost }: SpanReport) => {
      this.#handed -= taken;
      this.#lost = lost;
    });
    // Without it the process would end with its thread; requests go on without traces.
    this.#worker.on('error', () => undefined);
    this.#worker.on('exit', () => {
      this.#hasEnded = true;
    });
  }

  get dropped(): DroppedSpans {
    return { thread: this.#refused, queue: this.#lost.overflowed, receiver: this.#lost.unsent };
  }

  newTraceId(): string {
    return this.#hex(32);
  }

  newSpanId(): string {
    return this.#hex(16);
  }

  #hex(length: number): string {
    if (this.#randomAt + length > this.#random.length) {
      this.#random = randomBytes(randomMax).toString('hex');
      this.#randomAt = 0;
    }
    this.#randomAt += length;
    return this.#random.slice(this.#randomAt - length, this.#randomAt);
  }

  add(ids: TraceIds, span: SpanTimes): void {
    if (this.#hasEnded || this.#handed + this.#waiting.length >= handedMax) {
      this.#refused++;
      return;
    }
    this.#waiting.push([ids, span]);
    this.#timer ??= setTimeout(() => this.#handOver(), handOverMs).unref();
  }

  #handOver(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#handed += this.#waiting.length;
    this.#worker.postMessage(this.#waiting);
    this.#waiting = [];
  }

  async close(): Promise<void> {
    if (this.#hasEnded) return;
    this.#handOver();
    const ended = once(this.#worker, 'exit');
    this.#worker.postMessage(null);
    await Promise.race([ended, delay(closeMs, undefined, { ref: false })]);
    await this.#worker.terminate();
  }
}
