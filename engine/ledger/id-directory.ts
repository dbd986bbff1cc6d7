/**
 * Which partition an id was first asked in, as long as that partition remembers it. Every partition has a ring of its
 * own, so a busy one replaces none of a quiet one's ids. One table finds an id in all of them.
 *
 * Places in a ring are sequences: after a restart the journal's, which come in any order, and one more for each new id.
 * A record without an id takes a place in the partition's own memory and none here, so the ring reaches as far back.
 */
import { SlotTable } from '../core/slot-table.js';

export class IdDirectory {
  readonly #perPartition: number;
  readonly #table: SlotTable;
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  /** By slot; 0: free. */
  readonly #sequences: Float64Array;
  /** By partition. */
  readonly #newest: Float64Array;

  /** @param perPartition how many ids of each partition are remembered */
  constructor(partitionCount: number, perPartition: number) {
    const capacity = partitionCount * perPartition;
    this.#perPartition = perPartition;
    this.#lows = new Uint32Array(capacity);
    this.#highs = new Uint32Array(capacity);
    this.#sequences = new Float64Array(capacity);
    this.#newest = new Float64Array(partitionCount);
    // Once full, every new id takes one out.
    this.#table = new SlotTable(capacity, (slot) => this.#lows[slot]!, true);
  }

  /** The partition of the id with that hash, or −1. */
  find(low: number, high: number): number {
    let slot = this.#table.find(low);
    while (slot >= 0 && this.#highs[slot] !== high) slot = this.#table.findNext();
    return slot < 0 ? -1 : Math.floor(slot / this.#perPartition);
  }

  /** Remembers an id that is asked for the first time. */
  learn(low: number, high: number, partition: number): void {
    const sequence = this.#newest[partition]! + 1;
    this.#newest[partition] = sequence;
    this.#put(low, high, partition, sequence);
  }

  /**
   * Remembers the id of a journaled record, unless newer ones have all places or the id is known already.
   * @returns whether it was new
   */
  learnJournaled(low: number, high: number, partition: number, sequence: number): boolean {
    const newest = this.#newest[partition]!;
    if (this.find(low, high) >= 0 || sequence <= newest - this.#perPartition) return false;
    const slot = partition * this.#perPartition + (sequence % this.#perPartition);
    // An id that another engine reported was counted on without its sequence, and may have this one.
    if (this.#sequences[slot]! >= sequence) this.learn(low, high, partition);
    else {
      this.#newest[partition] = Math.max(newest, sequence);
      this.#put(low, high, partition, sequence);
    }
    return true;
  }

  #put(low: number, high: number, partition: number, sequence: number): void {
    const slot = partition * this.#perPartition + (sequence % this.#perPartition);
    if (this.#sequences[slot] !== 0) this.#table.remove(slot);
    this.#lows[slot] = low;
    this.#highs[slot] = high;
    this.#sequences[slot] = sequence;
    this.#table.add(slot, low);
  }
}
