/**
 * Finds dense slots by the 64-bit hash of an id. Open addressing, linear probing, deletion by backward shift (no
 * tombstones, so long-running stores do not decay). The caller confirms a find against stored bytes and asks for the
 * next candidate when it was a stranger.
 */
import { assert } from './invariant.js';

export class HashIndex {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  #table: Int32Array;
  #mask: number;
  #size = 0;
  #probe = 0;

  /** @param capacity number of dense slots */
  constructor(capacity: number, tableSizeInitial = 1024) {
    assert(capacity > 0 && capacity < 2 ** 30, 'capacity must be 1 … 2^30');
    assert((tableSizeInitial & (tableSizeInitial - 1)) === 0, 'the table size is a power of two');
    this.low = new Uint32Array(capacity);
    this.high = new Uint32Array(capacity);
    this.#table = new Int32Array(tableSizeInitial);
    this.#mask = tableSizeInitial - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** First slot with that hash, or −1. */
  find(low: number, high: number): number {
    this.#probe = low & this.#mask;
    return this.#scan(low, high);
  }

  /** The next slot with that hash after the one found last, or −1. */
  findNext(low: number, high: number): number {
    this.#probe = (this.#probe + 1) & this.#mask;
    return this.#scan(low, high);
  }

  #scan(low: number, high: number): number {
    for (;;) {
      const slot = this.#table[this.#probe]! - 1;
      if (slot < 0) return -1;
      if (this.low[slot] === low && this.high[slot] === high) return slot;
      this.#probe = (this.#probe + 1) & this.#mask;
    }
  }

  /** Enters a slot that is not in the index. */
  add(slot: number, low: number, high: number): void {
    if (2 * (this.#size + 1) > this.#table.length) this.#grow();
    this.low[slot] = low;
    this.high[slot] = high;
    this.#size++;
    this.#place(slot);
  }

  /** Takes a slot out. Throws InvariantError when it is not in. */
  remove(slot: number): void {
    let hole = this.#find(slot);
    this.#size--;
    let probe = hole;
    for (;;) {
      probe = (probe + 1) & this.#mask;
      const next = this.#table[probe]! - 1;
      if (next < 0) break;
      const home = this.low[next]! & this.#mask;
      // Move back what may stand in the hole: its home is not between the hole and where it stands (cyclically).
      if (((probe - home) & this.#mask) >= ((probe - hole) & this.#mask)) {
        this.#table[hole] = next + 1;
        hole = probe;
      }
    }
    this.#table[hole] = 0;
  }

  #find(slot: number): number {
    let probe = this.low[slot]! & this.#mask;
    while (this.#table[probe] !== slot + 1) {
      assert(this.#table[probe] !== 0, 'the slot is not in the index');
      probe = (probe + 1) & this.#mask;
    }
    return probe;
  }

  #place(slot: number): void {
    let probe = this.low[slot]! & this.#mask;
    while (this.#table[probe] !== 0) probe = (probe + 1) & this.#mask;
    this.#table[probe] = slot + 1;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2);
    this.#mask = this.#table.length - 1;
    for (const entry of old) if (entry !== 0) this.#place(entry - 1);
  }
}
