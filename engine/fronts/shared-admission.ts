/** MAX_IN_FLIGHT as one bound of all threads that admit: the main thread and the front threads count in one cell. */
import { Admission } from '../ledger/admission.js';

/** Cells. */
const [countCell, peakCell, cellCount] = [0, 1, 2];

export class SharedAdmission extends Admission {
  readonly memory: SharedArrayBuffer;
  readonly #max: number;
  readonly #cells: Int32Array;
  #faded = 0;

  /**
   * @param max most requests accepted and not answered
   * @param memory of the one in the main thread
   */
  constructor(max: number, memory = new SharedArrayBuffer(cellCount * Int32Array.BYTES_PER_ELEMENT)) {
    super(max);
    this.#max = max;
    this.memory = memory;
    this.#cells = new Int32Array(memory);
  }

  override get count(): number {
    return Atomics.load(this.#cells, countCell);
  }

  override enter(): boolean {
    const count = Atomics.add(this.#cells, countCell, 1) + 1;
    if (count > this.#max) {
      this.leave();
      return false;
    }
    // Two threads at once may leave the smaller peak of the two: it says how busy the engine is, not more.
    if (count > Atomics.load(this.#cells, peakCell)) Atomics.store(this.#cells, peakCell, count);
    return true;
  }

  override leave(): void {
    Atomics.sub(this.#cells, countCell, 1);
  }

  /** Called by the main thread alone. */
  override recentPeak(): number {
    const peak = Atomics.exchange(this.#cells, peakCell, this.count);
    this.#faded = Math.max(peak, Math.floor(this.#faded * 0.9));
    return this.#faded;
  }
}
