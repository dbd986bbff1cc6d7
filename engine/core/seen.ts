/**
 * Seen ids: where the record of every recent request stands, so that a repeated question gets its first answer. An entry
 * is the 64-bit hash of the id and the record's place in the journal; the id itself is confirmed from the record. The
 * newest `capacity` sequences are remembered; an older id is forgotten (the bound of law 3, named in the README).
 */

import { hash64, hashHigh, hashLow } from './hash.js';
import { HashIndex } from './hash-index.js';
import { assert } from './invariant.js';

/** The record is settled in Postgres and no longer in the journal: the loader fetches it. */
export const locationSettled = -1;

export class Seen {
  readonly #mask: number;
  readonly #index: HashIndex;
  readonly #sequence: Float64Array;
  readonly #location: Float64Array;
  #low = 0;
  #high = 0;

  /** @param capacity how many sequences are remembered; a power of two, because the slot is the sequence masked */
  constructor(capacity: number) {
    assert((capacity & (capacity - 1)) === 0, 'the capacity is a power of two');
    this.#mask = capacity - 1;
    this.#index = new HashIndex(capacity);
    this.#sequence = new Float64Array(capacity);
    this.#location = new Float64Array(capacity);
  }

  get size(): number {
    return this.#index.size;
  }

  /** First candidate for the id `bytes[start, end)`, or −1. The caller confirms it against the record. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    this.#low = hashLow;
    this.#high = hashHigh;
    return this.#index.find(this.#low, this.#high);
  }

  /** First candidate for an id's hash, or −1. */
  findHash(low: number, high: number): number {
    return this.#index.find(low, high);
  }

  /** The next candidate after a stranger, or −1. */
  findNext(): number {
    return this.#index.findNext(this.#low, this.#high);
  }

  /** Where the candidate's record stands: a journal location, or locationSettled. */
  location(slot: number): number {
    return this.#location[slot]!;
  }
  sequence(slot: number): number {
    return this.#sequence[slot]!;
  }

  /** The record left the journal (its segment was recycled after settling). */
  markSettled(slot: number): void {
    this.#location[slot] = locationSettled;
  }

  /**
   * Remembers a record. @param replaces slot of the same id's earlier record (a late decline), or −1
   */
  add(low: number, high: number, sequence: number, location: number, replaces: number): void {
    const slot = sequence % (this.#mask + 1);
    if (replaces >= 0 && replaces !== slot) this.#forget(replaces);
    this.#forget(slot);
    this.#index.add(slot, low, high);
    this.#sequence[slot] = sequence;
    this.#location[slot] = location;
  }

  /** Remembers a settled id unless a newer record has its place or its hash. */
  loadSettled(low: number, high: number, sequence: number): void {
    const slot = sequence % (this.#mask + 1);
    if (this.#sequence[slot]! >= sequence || this.#index.find(low, high) >= 0) return;
    this.add(low, high, sequence, locationSettled, -1);
  }

  #forget(slot: number): void {
    if (this.#sequence[slot] === 0) return;
    this.#index.remove(slot);
    this.#sequence[slot] = 0;
  }
}
