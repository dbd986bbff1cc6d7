/** How the port ends, in shared memory: what the main thread says is so in every front thread at once. */
import type { Closing } from '../transports/http/server-options.js';

const [leavingCell, refusingCell, openCell, cellCount] = [0, 1, 2, 3];

export class SharedClosing implements Closing {
  readonly memory: SharedArrayBuffer;
  readonly #cells: Int32Array;

  /** @param memory of the one in the main thread */
  constructor(memory = new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  get isLeaving(): boolean {
    return Atomics.load(this.#cells, leavingCell) !== 0;
  }
  set isLeaving(isLeaving: boolean) {
    Atomics.store(this.#cells, leavingCell, isLeaving ? 1 : 0);
  }

  get isRefusing(): boolean {
    return Atomics.load(this.#cells, refusingCell) !== 0;
  }
  set isRefusing(isRefusing: boolean) {
    Atomics.store(this.#cells, refusingCell, isRefusing ? 1 : 0);
  }

  /** A front thread may have sockets from now on. */
  opened(): void {
    Atomics.add(this.#cells, openCell, 1);
  }

  /** A front thread has closed its sockets. */
  closed(): void {
    Atomics.sub(this.#cells, openCell, 1);
    Atomics.notify(this.#cells, openCell);
  }

  /** Blocks until no front thread has sockets, or for `waitMsMax`. */
  waitClosed(waitMsMax: number): void {
    const giveUpAtMs = performance.now() + waitMsMax;
    for (;;) {
      const open = Atomics.load(this.#cells, openCell);
      const leftMs = giveUpAtMs - performance.now();
      if (open === 0 || leftMs <= 0) return;
      Atomics.wait(this.#cells, openCell, open, leftMs);
    }
  }
}
