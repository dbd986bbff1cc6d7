/**
 * Cardholders: status and limits by number, and where their spend row stands. Dense, like accounts, in rows of 16
 * bytes; the limits of the few that have any stand beside. Reference data, as cards are: evictable at any time, read
 * again on a miss.
 */
import type { Status } from './accounts.js';
import { NumberIndex } from './number-index.js';
import { rowBuffer } from './row-buffer.js';
import type { Rules } from './rules.js';

const rowBytes = 16;
const cells = rowBytes / 8;
const words = rowBytes / 4;
/**
 * A row: the number, a double; the version; and a word of marks below the place of the spend row (28 bits: 2^27 rows).
 */
const versionWord = 2;
const marksWord = 3;
const Mark = { status: 0b11, hasRules: 0b100, used: 0b1000 } as const;
const marksMask = Mark.status | Mark.hasRules | Mark.used;
const marksBits = 4;
/** How many rows the hand passes for one place: keeps the worst case short. */
const looksMax = 64;

export class Users {
  readonly #index: NumberIndex;
  readonly #words: Uint32Array;
  readonly #rules = new Map<number, Rules>();
  #hand = 0;
  /** Users that left memory. */
  evictions = 0;

  constructor(capacity: number) {
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#index = new NumberIndex(capacity, {
      numbers: new Float64Array(buffer, byteOffset),
      stride: cells,
      offset: 0,
    });
    this.#words = new Uint32Array(buffer, byteOffset);
  }

  find(number: number): number {
    return this.#index.find(number);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Opens the row of a user that is not in memory; describe() fills it. In a full store another user leaves. */
  open(number: number): number {
    if (this.#index.free === 0) this.#evict();
    const slot = this.#index.add(number);
    this.#words[slot * words + versionWord] = 0;
    // Loaded for a message that comes behind it.
    this.#words[slot * words + marksWord] = Mark.used;
    return slot;
  }

  /** CLOCK, see cards.ts. */
  #evict(): void {
    let slot = this.#hand;
    for (let looks = 1; looks < looksMax; looks++) {
      const at = slot * words + marksWord;
      if ((this.#words[at]! & Mark.used) === 0) break;
      this.#words[at]! &= ~Mark.used;
      slot = (slot + 1) % this.#index.capacity;
    }
    this.#hand = (slot + 1) % this.#index.capacity;
    this.#index.remove(slot);
    this.#rules.delete(slot);
    this.evictions++;
  }

  /** The user is needed now: not among the next to leave. */
  touch(slot: number): void {
    const at = slot * words + marksWord;
    const marks = this.#words[at]!;
    if ((marks & Mark.used) === 0) this.#words[at] = marks | Mark.used;
  }

  /** Replaces the reference data of a user. An older version is ignored; an equal one says the same again. */
  describe(slot: number, version: number, status: Status, rules: Rules | null): void {
    const base = slot * words;
    if (version < this.#words[base + versionWord]!) return;
    this.#words[base + versionWord] = version;
    const kept = this.#words[base + marksWord]! & (~marksMask | Mark.used);
    this.#words[base + marksWord] = kept | status | (rules === null ? 0 : Mark.hasRules);
    if (rules === null) this.#rules.delete(slot);
    else this.#rules.set(slot, rules);
  }

  number(slot: number): number {
    return this.#index.key(slot);
  }
  status(slot: number): Status {
    return (this.#words[slot * words + marksWord]! & Mark.status) as Status;
  }
  rules(slot: number): Rules | null {
    return (this.#words[slot * words + marksWord]! & Mark.hasRules) === 0 ? null : this.#rules.get(slot)!;
  }
  /** Slot in Spend, as it was noted; −1 when it was not. */
  spendSlot(slot: number): number {
    return (this.#words[slot * words + marksWord]! >>> marksBits) - 1;
  }
  noteSpendSlot(slot: number, spendSlot: number): void {
    const at = slot * words + marksWord;
    this.#words[at] = ((spendSlot + 1) << marksBits) | (this.#words[at]! & marksMask);
  }
}
