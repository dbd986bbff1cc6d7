/**
 * Wakes the syncer's thread of an engine with JOURNAL=postgres, which serves all its partitions. A partition rings when
 * a frame is ready and the syncer had none of it, and the front rings behind an order.
 *
 *   0 i32 how often it was rung    4 i32 notified (see takeNotice)
 */

/** Of ES2024; Node.js 20 has it. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { readonly async: false } | { readonly async: true; readonly value: Promise<string> };
const { waitAsync } = Atomics as unknown as { readonly waitAsync: WaitAsync };

const ringsCell = 0;
const noticeCell = 1;

export class Doorbell {
  readonly #words: Int32Array;

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(8);
  }

  /** Attaches to memory that create() made, in any thread. */
  constructor(readonly buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
  }

  ring(): void {
    Atomics.add(this.#words, ringsCell, 1);
    Atomics.notify(this.#words, ringsCell);
  }

  /** How often it was rung. To be read before looking for work: then no ring is lost between the look and the wait. */
  get rings(): number {
    return Atomics.load(this.#words, ringsCell);
  }

  /** Blocks until it is rung again after `rings`. */
  wait(rings: number): void {
    Atomics.wait(this.#words, ringsCell, rings);
  }

  /** The same, and the thread's sockets and timers run meanwhile. */
  async waitAsync(rings: number): Promise<void> {
    const waiting = waitAsync(this.#words, ringsCell, rings);
    if (waiting.async) await waiting.value;
  }

  /** Whether the front needs a notice that more is durable: false while a message about it is still on its way. */
  takeNotice(): boolean {
    return Atomics.exchange(this.#words, noticeCell, 1) === 0;
  }

  /** The front has the message. Call before reading what is durable, so that nothing falls between the two. */
  acknowledge(): void {
    Atomics.store(this.#words, noticeCell, 0);
  }
}
