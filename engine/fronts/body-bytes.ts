/** Bytes of bodies that a front thread has handed over and the main thread has not read, in shared memory. */
import { slabRequestBytes } from '../core/limits.js';

/**
 * As much as four slabs take. A main thread that leaves more than that unread refuses it at its deadline anyway.
 */
export const bodyBytesWaitingMax = 4 * slabRequestBytes;

export class BodyBytes {
  readonly #waiting: Int32Array;

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  }

  constructor(memory: SharedArrayBuffer) {
    this.#waiting = new Int32Array(memory);
  }

  /** @returns false when that is too much */
  add(length: number): boolean {
    if (Atomics.load(this.#waiting, 0) + length > bodyBytesWaitingMax) return false;
    Atomics.add(this.#waiting, 0, length);
    return true;
  }

  read(length: number): void {
    Atomics.sub(this.#waiting, 0, length);
  }
}
