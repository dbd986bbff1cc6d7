/**
 * Wakes the syncer's thread of an engine with JOURNAL=postgres, which serves all its partitions. A partition rings when
 * a frame is ready and the syncer had none of it, and the front rings behind an order.
 */

/** Of ES2024; Node.js 20 has it. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: false } | { readonly async: true; readonly value: Promise<string> };
const { waitAsync } = Atomics as unknown as { readonly waitAsync: WaitAsync };

export class Doorbell {
  readonly #words: Int32Array;
  #isHeld = false;
  #isDue = false;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(4);
  }

  /** Attaches to memory that create() made, in any thread. */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** Until release() or flush() this thread's rings wait, and are one then. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.flush();
  }

  /** Rings now where a ring waits. */
  flush(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    this.#ringNow();
  }

  ring(): void {
    if (this.#isHeld) this.#isDue = true;
    else this.#ringNow();
  }

  #ringNow(): void {
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
  }

  /** How often it was rung. To be read before looking for work: then no ring is lost between the look and the wait. */
  get rings(): number {
    return Atomics.load(this.#words, 0);
  }

  /** Blocks until it is rung again after `rings`. */
  wait(rings: number): void {
    Atomics.wait(this.#words, 0, rings);
  }

  /** The same, and the thread's sockets and timers run meanwhile. */
  async waitAsync(rings: number): Promise<void> {
    const waiting = waitAsync(this.#words, 0, rings);
    if (waiting.async) await waiting.value;
  }
}

/** Spares the front messages that say the same: one is on its way at a time. */
export class Notices {
  readonly #words: Int32Array;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(4);
  }

  /** Attaches to memory that create() made, in any thread. */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  /** Whether the front needs a notice: false while a message is still on its way. */
  take(): boolean {
    return Atomics.exchange(this.#words, 0, 1) === 0;
  }

  /** The front has the message. Call before reading what it is about, so that nothing falls between the two. */
  acknowledge(): void {
    Atomics.store(this.#words, 0, 0);
  }
}
