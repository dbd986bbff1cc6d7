/**
 * Finds the dense slots of rows by a 32-bit hash of their keys. Extendible hashing (Fagin, Nievergelt, Pippenger, Strong,
 * 1979): a directory of segments, each a small table with linear probing that splits in two by itself when it fills. So
 * memory follows use, and no message ever waits until a table of millions has been moved, as it would in one that doubles.
 *
 * An entry is a slot, and in the bits that slots leave over a tag: more bits of the hash. Nearly every stranger is told by
 * it, in the same cache line, instead of by a look at its row, which stands anywhere in memory. The caller confirms what
 * is found by the key in the row, and asks for the next candidate when it was a stranger after all.
 */
import { assert } from './invariant.js';

/** Entries per segment: 1 KiB. What splits at once is a few microseconds' work. */
const segmentBits = 8;
const segmentEntries = 1 << segmentBits;
const positionMask = segmentEntries - 1;
/** A segment splits when it has so many: at three quarters, runs are still short. */
const segmentLoadMax = 192;
/** All bits of a hash that a segment can be told apart by. */
const depthMax = 32 - segmentBits;

export class SlotTable {
  readonly #hashOf: (slot: number) => number;
  readonly #slotMask: number;
  /** Segments end to end. 0: free. */
  #entries: Int32Array;
  #depths: Uint8Array;
  #counts: Uint16Array;
  #segmentCount = 1;
  /** Segments by the bits of the hash above those for the position; as many as the deepest one is told apart by. */
  #directory = new Int32Array(1);
  #directoryMask = 0;
  readonly #split = new Int32Array(segmentEntries);
  // The find in progress.
  #tag = 0;
  #base = 0;
  #position = 0;

  /**
   * @param capacity most slots
   * @param hashOf the hash under which a slot was added: asked when a segment splits, and on removal
   */
  constructor(capacity: number, hashOf: (slot: number) => number) {
    assert(capacity > 0 && capacity < 2 ** 30, 'capacity must be 1 … 2^30');
    this.#hashOf = hashOf;
    this.#slotMask = 2 ** Math.ceil(Math.log2(capacity + 1)) - 1;
    // Just after they have split, segments are half of their load; pages that are not touched take no memory.
    const segmentsMax = Math.ceil(capacity / (segmentLoadMax / 2)) + 1;
    this.#entries = new Int32Array(segmentsMax * segmentEntries);
    this.#depths = new Uint8Array(segmentsMax);
    this.#counts = new Uint16Array(segmentsMax);
  }

  /** First candidate for that hash, or −1. */
  find(hash: number): number {
    this.#tag = hash & ~this.#slotMask;
    this.#base = this.#directory[(hash >>> segmentBits) & this.#directoryMask]! << segmentBits;
    this.#position = hash & positionMask;
    return this.#scan();
  }

  /** The next candidate after the one found last, or −1. */
  findNext(): number {
    this.#position = (this.#position + 1) & positionMask;
    return this.#scan();
  }

  #scan(): number {
    const entries = this.#entries;
    const slotMask = this.#slotMask;
    const tag = this.#tag;
    const base = this.#base;
    let position = this.#position;
    for (;;) {
      const entry = entries[base + position]!;
      if (entry === 0) return -1;
      if ((entry & ~slotMask) === tag) {
        this.#position = position;
        return (entry & slotMask) - 1;
      }
      position = (position + 1) & positionMask;
    }
  }

  /** Enters a slot that is not in the table. */
  add(slot: number, hash: number): void {
    let segment = this.#segmentOf(hash);
    while (this.#counts[segment] === segmentLoadMax) {
      this.#splitSegment(segment, hash);
      segment = this.#segmentOf(hash);
    }
    this.#place(segment, (hash & ~this.#slotMask) | (slot + 1), hash);
  }

  /** Takes a slot out, by backward shift: no tombstones, so finds stay short for ever. Throws when it is not in. */
  remove(slot: number): void {
    const entries = this.#entries;
    const hash = this.#hashOf(slot);
    const segment = this.#segmentOf(hash);
    const base = segment << segmentBits;
    const wanted = (hash & ~this.#slotMask) | (slot + 1);
    let hole = hash & positionMask;
    while (entries[base + hole] !== wanted) {
      assert(entries[base + hole] !== 0, 'the slot is not in the table');
      hole = (hole + 1) & positionMask;
    }
    this.#counts[segment]!--;
    for (let probe = (hole + 1) & positionMask; entries[base + probe] !== 0; probe = (probe + 1) & positionMask) {
      const entry = entries[base + probe]!;
      const home = this.#hashOf((entry & this.#slotMask) - 1) & positionMask;
      // Move back what may stand in the hole: its home is not between the hole and where it stands (cyclically).
      if (((probe - home) & positionMask) < ((probe - hole) & positionMask)) continue;
      entries[base + hole] = entry;
      hole = probe;
    }
    entries[base + hole] = 0;
  }

  #segmentOf(hash: number): number {
    return this.#directory[(hash >>> segmentBits) & this.#directoryMask]!;
  }

  #place(segment: number, entry: number, hash: number): void {
    const base = segment << segmentBits;
    let position = hash & positionMask;
    while (this.#entries[base + position] !== 0) position = (position + 1) & positionMask;
    this.#entries[base + position] = entry;
    this.#counts[segment]!++;
  }

  /** Parts the entries of a segment by one more bit of their hashes. @param hash one that leads to it */
  #splitSegment(segment: number, hash: number): void {
    const depth = this.#depths[segment]!;
    // 2^32 hashes, and no more than 2^25 keys: far from it, unless somebody chose keys to have one hash.
    assert(depth < depthMax, 'too many keys have one hash');
    if (1 << depth > this.#directoryMask) this.#doubleDirectory();
    const other = this.#newSegment();
    this.#depths[segment] = depth + 1;
    this.#depths[other] = depth + 1;
    const bit = 1 << depth;
    const first = ((hash >>> segmentBits) & (bit - 1)) | bit;
    for (let index = first; index <= this.#directoryMask; index += 2 * bit) this.#directory[index] = other;

    const base = segment << segmentBits;
    this.#split.set(this.#entries.subarray(base, base + segmentEntries));
    this.#entries.fill(0, base, base + segmentEntries);
    this.#counts[segment] = 0;
    for (const entry of this.#split) {
      if (entry === 0) continue;
      const itsHash = this.#hashOf((entry & this.#slotMask) - 1);
      this.#place(this.#segmentOf(itsHash), entry, itsHash);
    }
  }

  #doubleDirectory(): void {
    const old = this.#directory;
    this.#directory = new Int32Array(old.length * 2);
    this.#directory.set(old);
    this.#directory.set(old, old.length);
    this.#directoryMask = this.#directory.length - 1;
  }

  #newSegment(): number {
    const segment = this.#segmentCount++;
    if (segment === this.#depths.length) {
      // Hashes that are less even than was reckoned with.
      const depths = new Uint8Array(segment * 2);
      const counts = new Uint16Array(segment * 2);
      const entries = new Int32Array(segment * 2 * segmentEntries);
      depths.set(this.#depths);
      counts.set(this.#counts);
      entries.set(this.#entries);
      this.#depths = depths;
      this.#counts = counts;
      this.#entries = entries;
    }
    return segment;
  }
}
