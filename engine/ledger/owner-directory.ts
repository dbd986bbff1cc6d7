/**
 * Which partition owns a card (or an account), by the hash of its token: what the front needs before it can choose a
 * lane. It knows every card that was brought to a partition, so that a card in a partition's memory is decided without
 * Postgres. An entry takes some 20 bytes; a string a card would take ten times as much, and the garbage collector's
 * time.
 *
 * Only the 64-bit hash is kept. A token that shares it with another partition's card is refused by that partition as
 * not its own. At ten million cards the odds that any two share one are three in a million.
 *
 * In a full directory another entry leaves, chosen as in Cards: one that was used since the hand came by last stays.
 */
import { hash64, hashHigh, hashLow } from '../core/hash.js';
import { SlotTable } from '../core/slot-table.js';

const unused = 0;
const used = 1;
/** How many entries the hand passes for one place: keeps the worst case short. */
const looksMax = 64;

export class OwnerDirectory {
  readonly #capacity: number;
  readonly #table: SlotTable;
  readonly #lows: Uint32Array;
  readonly #highs: Uint32Array;
  readonly #partitions: Uint16Array;
  readonly #marks: Uint8Array;
  #size = 0;
  #hand = 0;

  /** @param capacity most cards (or accounts) it knows */
  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#lows = new Uint32Array(capacity);
    this.#highs = new Uint32Array(capacity);
    this.#partitions = new Uint16Array(capacity);
    this.#marks = new Uint8Array(capacity);
    this.#table = new SlotTable(capacity, (slot) => this.#lows[slot]!);
  }

  /** The partition that owns the card with the token `bytes[start, end)`, or −1 when that is not known. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    const slot = this.#slotOf(hashLow, hashHigh);
    if (slot < 0) return -1;
    if (this.#marks[slot] === unused) this.#marks[slot] = used;
    return this.#partitions[slot]!;
  }

  /** Remembers whose card it is; a later word replaces an earlier one. */
  learn(token: string, partition: number): void {
    const bytes = Buffer.from(token, 'utf8');
    hash64(bytes, 0, bytes.length);
    const low = hashLow;
    const high = hashHigh;
    let slot = this.#slotOf(low, high);
    if (slot < 0) {
      slot = this.#size < this.#capacity ? this.#size++ : this.#evict();
      this.#lows[slot] = low;
      this.#highs[slot] = high;
      this.#marks[slot] = unused;
      this.#table.add(slot, low);
    }
    this.#partitions[slot] = partition;
  }

  #slotOf(low: number, high: number): number {
    let slot = this.#table.find(low);
    while (slot >= 0 && (this.#highs[slot] !== high || this.#lows[slot] !== low)) slot = this.#table.findNext();
    return slot;
  }

  #evict(): number {
    let slot = this.#hand;
    for (let looks = 1; this.#marks[slot] === used && looks < looksMax; looks++) {
      this.#marks[slot] = unused;
      slot = (slot + 1) % this.#capacity;
    }
    this.#hand = (slot + 1) % this.#capacity;
    this.#table.remove(slot);
    return slot;
  }
}
