/**
 * A sink whose disk takes its time: frames wait until a test lets the next one be written. The same turns as between
 * the partition's thread and its syncer (FrameExchange), on one thread and in an order that the test chooses.
 */
import { assert } from '../../engine/core/invariant.js';
import { type Frame, type FrameSink, type FrameTarget, InlineFrameSink } from '../journal/frame-sink.js';

interface Waiting {
  readonly index: 0 | 1;
  readonly frame: Frame;
}

export class SlowFrameSink implements FrameSink {
  readonly frames: readonly [Uint8Array, Uint8Array];
  readonly #inner: InlineFrameSink;
  /** On its way to the disk, and complete behind it. */
  #busy: Waiting | undefined;
  #ready: Waiting | undefined;
  #filling = false;

  constructor(target: FrameTarget, frameBytesMax: number) {
    this.#inner = new InlineFrameSink(target, frameBytesMax);
    this.frames = this.#inner.frames;
  }

  get chain(): number {
    return this.#inner.chain;
  }
  set chain(value: number) {
    this.#inner.chain = value;
  }

  begin(holds: boolean): boolean {
    this.#inner.drain();
    assert(!this.#filling, 'one batch at a time fills a frame');
    this.#filling = true;
    return !holds || this.#ready !== undefined;
  }

  commit(index: 0 | 1, frame: Frame): void {
    this.#filling = false;
    const waiting = { index, frame: { ...frame } };
    if (this.#busy === undefined) this.#busy = waiting;
    else this.#ready = waiting;
  }

  release(): void {
    this.#filling = false;
  }

  drain(): void {
    while (this.#busy !== undefined) this.step();
    this.#inner.drain();
  }

  /** The disk takes the next frame. Throws JournalFailedError when that fails. */
  step(): void {
    if (this.#busy === undefined) return;
    const { index, frame } = this.#busy;
    this.#busy = this.#ready;
    this.#ready = undefined;
    this.#inner.commit(index, frame);
  }
}
