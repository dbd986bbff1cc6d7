/**
 * Finds the dense slot of a positive integer key. The keys stand in the owner's rows, beside what is read next, or in
 * an array of their own.
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
  /** Slots below it were used at least once. */
  #used = 0;
  /** Of those, the ones whose key was taken out. */
  readonly #vacant: number[] = [];

  /** @param capacity most keys it holds at a time */
  constructor(capacity: number, place?: KeyPlace) {
    this.capacity = capacity;
    const { numbers, stride, offset } = place ?? { numbers: new Float64Array(capacity), stride: 1, offset: 0 };
    this.#keys = numbers;
    this.#stride = stride;
    this.#offset = offset;
    this.#table = new SlotTable(capacity, (slot) => hashNumber(this.key(slot)));
  }

  get size(): number {
    return this.#used - this.#vacant.length;
  }

  /** How many more keys fit. */
  get free(): number {
    return this.capacity - this.size;
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
    let slot = -1;
    if (this.#vacant.length > 0) slot = this.#vacant.pop()!;
    else if (this.#used < this.capacity) slot = this.#used++;
    if (slot < 0) return -1;
    this.#keys[slot * this.#stride + this.#offset] = key;
    this.#table.add(slot, hashNumber(key));
    return slot;
  }

  /** Takes the key in `slot` out; the slot is the next one to be given. */
  remove(slot: number): void {
    this.#table.remove(slot);
    this.#keys[slot * this.#stride + this.#offset] = 0;
    this.#vacant.push(slot);
  }

  /** Whether the slot has a key. Keys are positive. */
  isTaken(slot: number): boolean {
    return this.key(slot) !== 0;
  }
}
