/**
 * Finds the dense slots of rows by a 32-bit hash of their keys. Extendible hashing (Fagin, Nievergelt, Pippenger,
 * Strong, 1979): a directory of pages. Each page is a small table with linear probing, which splits in two when it
 * fills. So memory follows use, and no message ever waits until a table of millions has been moved, as it would in one
 * that doubles.
 *
 * An entry is a slot, and in the bits that slots leave over a tag: more bits of the hash. The tag rejects nearly every
 * other key in the same cache line, without reading its row, which may be anywhere in memory. The caller confirms the
 * candidate by the key in the row, and asks for the next candidate when the key differs.
 *
 * Where slots come and go with every message, an entry may keep its whole hash instead, at twice the memory. Then a
 * removal reads nothing but the page.
 */
import { assert } from './invariant.js';

/** Entries per page: 1 KiB. What splits at once is a few microseconds' work. */
const pageBits = 8;
const pageEntries = 1 << pageBits;
const positionMask = pageEntries - 1;
/** A page splits when it has so many: at three quarters, runs are still short. */
const pageLoadMax = 192;
/** How much deeper than even hashes need a page may lie: more bits help little against keys made to have one hash. */
const depthSpare = 4;

export class SlotTable {
  readonly #hashOf: (slot: number) => number;
  /** Of an entry's word: the slot + 1. The other bits are the tag. */
  readonly #slotMask: number;
  /** Words per entry, as a shift: 1 has the hash in a second word. */
  readonly #entryShift: 0 | 1;
  /** Pages end to end. A word of 0: free. */
  #words: Int32Array;
  #depths: Uint8Array;
  #counts: Uint16Array;
  #pageCount = 1;
  /** Pages by the bits of the hash above those for the position; as many as distinguish the deepest one. */
  #directory = new Int32Array(1);
  #directoryMask = 0;
  readonly #split: Int32Array;
  readonly #depthMax: number;
  /** Slots by hash that a page had no room for and could not be split for: only where an attacker chose the keys. */
  readonly #crowded = new Map<number, number[]>();
  // The find in progress.
  #hash = 0;
  #base = 0;
  #position = 0;
  #crowdedIndex = 0;

  /**
   * @param capacity most slots
   * @param hashOf the hash under which a slot was added: asked on removal, and without kept hashes when a page splits
   */
  constructor(capacity: number, hashOf: (slot: number) => number, keepsHashes = false) {
    assert(capacity > 0 && capacity <= 2 ** 28, 'capacity must be 1 … 2^28');
    this.#hashOf = hashOf;
    this.#slotMask = 2 ** Math.ceil(Math.log2(capacity + 1)) - 1;
    this.#entryShift = keepsHashes ? 1 : 0;
    // Just after they have split, pages are half full; memory that is not touched is not taken.
    const pagesMax = Math.ceil(capacity / (pageLoadMax / 2)) + 1;
    this.#depthMax = Math.min(32 - pageBits, Math.ceil(Math.log2(pagesMax)) + depthSpare);
    this.#words = new Int32Array((pagesMax * pageEntries) << this.#entryShift);
    this.#split = new Int32Array(pageEntries << this.#entryShift);
    this.#depths = new Uint8Array(pagesMax);
    this.#counts = new Uint16Array(pagesMax);
  }

  /** First candidate for that hash, or −1. */
  find(hash: number): number {
    this.#hash = hash | 0;
    this.#base = this.#pageOf(hash) << pageBits;
    this.#position = hash & positionMask;
    this.#crowdedIndex = 0;
    return this.#scan();
  }

  /** The next candidate after the one found last, or −1. */
  findNext(): number {
    this.#position = (this.#position + 1) & positionMask;
    return this.#scan();
  }

  #scan(): number {
    const words = this.#words;
    const slotMask = this.#slotMask;
    const shift = this.#entryShift;
    const hash = this.#hash;
    const tag = hash & ~slotMask;
    const base = this.#base;
    let position = this.#position;
    for (;;) {
      const at = (base + position) << shift;
      const entry = words[at]!;
      if (entry === 0) return this.#crowded.size === 0 ? -1 : this.#nextCrowded(position);
      if ((entry & ~slotMask) === tag && (shift === 0 || words[at + 1] === hash)) {
        this.#position = position;
        return (entry & slotMask) - 1;
      }
      position = (position + 1) & positionMask;
    }
  }

  /** @param position the free entry at which the page's candidates ended: the next find stops there again */
  #nextCrowded(position: number): number {
    this.#position = position - 1;
    return this.#crowded.get(this.#hash)?.[this.#crowdedIndex++] ?? -1;
  }

  /** Enters a slot that is not in the table. */
  add(slot: number, hash: number): void {
    let page = this.#pageOf(hash);
    while (this.#counts[page] === pageLoadMax) {
      if (!this.#splitPage(page, hash)) {
        const slots = this.#crowded.get(hash | 0);
        if (slots === undefined) this.#crowded.set(hash | 0, [slot]);
        else slots.push(slot);
        return;
      }
      page = this.#pageOf(hash);
    }
    this.#place(page, (hash & ~this.#slotMask) | (slot + 1), hash);
  }

  /** Takes a slot out, by backward shift: no tombstones, so finds stay short for ever. Throws when it is not in. */
  remove(slot: number): void {
    const words = this.#words;
    const shift = this.#entryShift;
    const hash = this.#hashOf(slot);
    const page = this.#pageOf(hash);
    const base = page << pageBits;
    const wanted = (hash & ~this.#slotMask) | (slot + 1);
    let hole = hash & positionMask;
    while (words[(base + hole) << shift] !== wanted) {
      if (words[(base + hole) << shift] === 0) {
        this.#removeCrowded(slot, hash);
        return;
      }
      hole = (hole + 1) & positionMask;
    }
    this.#counts[page]!--;
    for (let probe = (hole + 1) & positionMask; ; probe = (probe + 1) & positionMask) {
      const at = (base + probe) << shift;
      if (words[at] === 0) break;
      const itsHash = this.#hashAt(words, at);
      // Move back what may stand in the hole: its home is not between the hole and where it stands (cyclically).
      if (((probe - itsHash) & positionMask) < ((probe - hole) & positionMask)) continue;
      words[(base + hole) << shift] = words[at]!;
      if (shift === 1) words[((base + hole) << shift) + 1] = itsHash;
      hole = probe;
    }
    words[(base + hole) << shift] = 0;
  }

  #removeCrowded(slot: number, hash: number): void {
    const slots = this.#crowded.get(hash | 0);
    const index = slots === undefined ? -1 : slots.indexOf(slot);
    assert(slots !== undefined && index >= 0, 'the slot is not in the table');
    if (slots.length === 1) this.#crowded.delete(hash | 0);
    else slots.splice(index, 1);
  }

  #pageOf(hash: number): number {
    return this.#directory[(hash >>> pageBits) & this.#directoryMask]!;
  }

  /** Hash of the entry whose first word stands there. */
  #hashAt(words: Int32Array, at: number): number {
    return this.#entryShift === 1 ? words[at + 1]! : this.#hashOf((words[at]! & this.#slotMask) - 1);
  }

  #place(page: number, entry: number, hash: number): void {
    const words = this.#words;
    const shift = this.#entryShift;
    const base = page << pageBits;
    let position = hash & positionMask;
    while (words[(base + position) << shift] !== 0) position = (position + 1) & positionMask;
    const at = (base + position) << shift;
    words[at] = entry;
    if (shift === 1) words[at + 1] = hash;
    this.#counts[page]!++;
  }

  /**
   * Parts the entries of a page by one more bit of their hashes.
   * @param hash one that leads to it
   * @returns false when that would not help
   */
  #splitPage(page: number, hash: number): boolean {
    const depth = this.#depths[page]!;
    if (depth === this.#depthMax) return false;
    if (1 << depth > this.#directoryMask) this.#doubleDirectory();
    const other = this.#newPage();
    this.#depths[page] = depth + 1;
    this.#depths[other] = depth + 1;
    const bit = 1 << depth;
    const prefix = ((hash >>> pageBits) & (bit - 1)) | bit;
    for (let index = prefix; index <= this.#directoryMask; index += 2 * bit) this.#directory[index] = other;

    const shift = this.#entryShift;
    const first = (page << pageBits) << shift;
    const end = first + (pageEntries << shift);
    this.#split.set(this.#words.subarray(first, end));
    this.#words.fill(0, first, end);
    this.#counts[page] = 0;
    for (let at = 0; at < this.#split.length; at += 1 << shift) {
      if (this.#split[at] === 0) continue;
      const itsHash = this.#hashAt(this.#split, at);
      this.#place(this.#pageOf(itsHash), this.#split[at]!, itsHash);
    }
    return true;
  }

  #doubleDirectory(): void {
    const old = this.#directory;
    this.#directory = new Int32Array(old.length * 2);
    this.#directory.set(old);
    this.#directory.set(old, old.length);
    this.#directoryMask = this.#directory.length - 1;
  }

  #newPage(): number {
    const page = this.#pageCount++;
    if (page === this.#depths.length) {
      // Hashes that are less even than was reckoned with.
      const depths = new Uint8Array(page * 2);
      const counts = new Uint16Array(page * 2);
      const words = new Int32Array(this.#words.length * 2);
      depths.set(this.#depths);
      counts.set(this.#counts);
      words.set(this.#words);
      this.#depths = depths;
      this.#counts = counts;
      this.#words = words;
    }
    return page;
  }
}
