/**
 * Finds the dense slot of a positive integer key. The keys stand in the owner's rows, beside what is read next, or in an
 * array of their own.
 */
import { hashNumber } from './hash.js';
import { SlotTable } from './slot-table.js';

/** Where the keys stand: of slot s in numbers[s * stride + offset]. */
export interface KeyPlace {
  readonly numbers: Float64Array;
  readonly stride: number;
  readonly offset: number;
}

export class NumberIndex {
  readonly capacity: number;
  readonly #keys: Float64Array;
  readonly #stride: number;
  readonly #offset: number;
  readonly #table: SlotTable;
  #size = 0;

  /** @param capacity most keys it will ever hold */
  constructor(capacity: number, place?: KeyPlace) {
    this.capacity = capacity;
    const { numbers, stride, offset } = place ?? { numbers: new Float64Array(capacity), stride: 1, offset: 0 };
    this.#keys = numbers;
    this.#stride = stride;
    this.#offset = offset;
    this.#table = new SlotTable(capacity, (slot) => hashNumber(this.key(slot)));
  }

  get size(): number {
    return this.#size;
  }

  key(slot: number): number {
    return this.#keys[slot * this.#stride + this.#offset]!;
  }

  /** The slot of `key`, or −1. */
  find(key: number): number {
    const table = this.#table;
    let slot = table.find(hashNumber(key));
    while (slot >= 0 && this.key(slot) !== key) slot = table.findNext();
    return slot;
  }

  /** Adds a key that is not there. @returns its slot, or −1 when full. */
  add(key: number): number {
    if (this.#size === this.capacity) return -1;
    const slot = this.#size++;
    this.#keys[slot * this.#stride + this.#offset] = key;
    this.#table.add(slot, hashNumber(key));
    return slot;
  }
}
