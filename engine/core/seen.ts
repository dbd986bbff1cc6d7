/**
 * Seen ids: where the record of every recent request stands, so that a repeated question gets its first answer. An
 * entry is the 64-bit hash of the id and the record's place in the journal; the id itself is confirmed from the record.
 * The newest `capacity` sequences are remembered; an older id is forgotten (SEEN_IDS_MAX).
 */

import { hash64, hashHigh, hashLow } from './hash.js';
import { assert } from './invariant.js';
import { SlotTable } from './slot-table.js';

/** The record is settled in Postgres and no longer in the journal: a lookup fetches it. */
export const locationSettled = -1;

export class Seen {
  readonly #mask: number;
  readonly #table: SlotTable;
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  readonly #sequence: Float64Array;
  readonly #location: Float64Array;
  #size = 0;
  /** Upper half of the hash looked for. */
  #high = 0;

  /** @param capacity how many sequences are remembered; a power of two, because the slot is the sequence masked */
  constructor(capacity: number) {
    assert((capacity & (capacity - 1)) === 0, 'the capacity is a power of two');
    this.#mask = capacity - 1;
    this.#lows = new Uint32Array(capacity);
    this.#highs = new Uint32Array(capacity);
    // Once full, every message takes one out.
    this.#table = new SlotTable(capacity, (slot) => this.#lows[slot]!, true);
    this.#sequence = new Float64Array(capacity);
    this.#location = new Float64Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** First candidate for the id `bytes[start, end)`, or −1. The caller confirms it against the record. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    return this.findHash(hashLow, hashHigh);
  }

  /** First candidate for an id's hash, or −1. */
  findHash(low: number, high: number): number {
    this.#high = high;
    return this.#checked(this.#table.find(low));
  }

  /** The next candidate after one with another id, or −1. */
  findNext(): number {
    return this.#checked(this.#table.findNext());
  }

  /** `slot`, or the next one, whose upper half is the same too. */
  #checked(slot: number): number {
    let candidate = slot;
    while (candidate >= 0 && this.#highs[candidate] !== this.#high) candidate = this.#table.findNext();
    return candidate;
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
    this.#lows[slot] = low;
    this.#highs[slot] = high;
    this.#table.add(slot, low);
    this.#size++;
    this.#sequence[slot] = sequence;
    this.#location[slot] = location;
  }

  /** Remembers a settled id unless a newer record has its place or its hash. */
  loadSettled(low: number, high: number, sequence: number): void {
    const slot = sequence % (this.#mask + 1);
    if (this.#sequence[slot]! >= sequence || this.findHash(low, high) >= 0) return;
    this.add(low, high, sequence, locationSettled, -1);
  }

  #forget(slot: number): void {
    if (this.#sequence[slot] === 0) return;
    this.#table.remove(slot);
    this.#size--;
    this.#sequence[slot] = 0;
  }
}
