/**
 * Finds the dense slot of a positive integer key. Open addressing with linear probing over slot numbers; the keys stand
 * once, in the dense array. The probe table doubles at half load, so memory follows use; the dense arrays of the owner
 * are allocated at their bound and cost nothing until touched (the system hands out zero pages on first write).
 */
import { hashNumber } from './hash.js';
import { assert } from './invariant.js';

export class NumberIndex {
  readonly capacity: number;
  readonly keys: Float64Array;
  #table: Int32Array;
  #mask: number;
  #size = 0;

  /** @param capacity most keys it will ever hold */
  constructor(capacity: number, tableSizeInitial = 1024) {
    assert(capacity > 0 && capacity < 2 ** 30, 'capacity must be 1 … 2^30');
    assert((tableSizeInitial & (tableSizeInitial - 1)) === 0, 'the table size is a power of two');
    this.capacity = capacity;
    this.keys = new Float64Array(capacity);
    this.#table = new Int32Array(tableSizeInitial);
    this.#mask = tableSizeInitial - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** The slot of `key`, or −1. */
  find(key: number): number {
    let probe = hashNumber(key) & this.#mask;
    for (;;) {
      const slot = this.#table[probe]! - 1;
      if (slot < 0) return -1;
      if (this.keys[slot] === key) return slot;
      probe = (probe + 1) & this.#mask;
    }
  }

  /** Adds a key that is not there. @returns its slot, or −1 when full. */
  add(key: number): number {
    if (this.#size === this.capacity) return -1;
    if (2 * (this.#size + 1) > this.#table.length) this.#grow();
    const slot = this.#size++;
    this.keys[slot] = key;
    this.#place(key, slot);
    return slot;
  }

  #place(key: number, slot: number): void {
    let probe = hashNumber(key) & this.#mask;
    while (this.#table[probe] !== 0) probe = (probe + 1) & this.#mask;
    this.#table[probe] = slot + 1;
  }

  #grow(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    this.#mask = this.#table.length - 1;
    for (let slot = 0; slot < this.#size; slot++) this.#place(this.keys[slot]!, slot);
  }
}
