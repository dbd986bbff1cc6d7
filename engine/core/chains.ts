/**
 * Chains: an authorization and everything that followed it (increments, reversals, clearings, refunds), found by the id
 * of its first message. Owned state: a chain leaves memory only when the books in Postgres have everything about it
 * (its last sequence is shipped); it is loaded again when a later message names it.
 */
import { ChainStatus } from './codes.js';
import { hash64, hashHigh, hashLow } from './hash.js';
import { HashIndex } from './hash-index.js';
import { assert } from './invariant.js';

/** Ids up to this many bytes stand in the dense array; longer ones (64 characters of non-ASCII) in a side table. */
const idBytesInline = 64;
/** How many slots one message may look at for a place: keeps the worst case of a full store short. */
const evictionLooksMax = 64;

/** A chain as settled in Postgres, or as read back by a test. */
export interface ChainState {
  readonly accountNumber: number;
  /** Whose spend windows the chain counts in. */
  readonly cardNumber: number;
  readonly userNumber: number;
  readonly status: ChainStatus;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  /** Local day of the first message, and of the newest message that spent, with what it spent that is still held. */
  readonly firstDay: number;
  readonly newestDay: number;
  readonly newestAmount: number;
  readonly expiresAtMs: number;
}

export class Chains {
  readonly capacity: number;
  readonly #index: HashIndex;
  readonly #account: Float64Array;
  readonly #card: Float64Array;
  readonly #user: Float64Array;
  readonly #status: Uint8Array;
  readonly #held: Float64Array;
  readonly #posted: Float64Array;
  readonly #refunded: Float64Array;
  readonly #firstDay: Int32Array;
  readonly #newestDay: Int32Array;
  readonly #newestAmount: Float64Array;
  readonly #expiresAtMs: Float64Array;
  readonly #sequence: Float64Array;
  readonly #idLength: Uint16Array;
  readonly #idBytes: Uint8Array;
  readonly #longIds = new Map<number, Uint8Array>();
  /** Slots below it were used at least once; at capacity the hand goes round and evicts. */
  #used = 0;
  #hand = 0;
  /** Settled chain whose place the next open() takes; −1 for none. */
  #victim = -1;

  /** @param capacity most chains in memory */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#index = new HashIndex(capacity);
    this.#account = new Float64Array(capacity);
    this.#card = new Float64Array(capacity);
    this.#user = new Float64Array(capacity);
    this.#status = new Uint8Array(capacity);
    this.#held = new Float64Array(capacity);
    this.#posted = new Float64Array(capacity);
    this.#refunded = new Float64Array(capacity);
    this.#firstDay = new Int32Array(capacity);
    this.#newestDay = new Int32Array(capacity);
    this.#newestAmount = new Float64Array(capacity);
    this.#expiresAtMs = new Float64Array(capacity);
    this.#sequence = new Float64Array(capacity);
    this.#idLength = new Uint16Array(capacity);
    this.#idBytes = new Uint8Array(capacity * idBytesInline);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Slot of the chain whose first message has the id `bytes[start, end)`, or −1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    const low = hashLow;
    const high = hashHigh;
    let slot = this.#index.find(low, high);
    while (slot >= 0 && !this.#isNamed(slot, bytes, start, end)) slot = this.#index.findNext(low, high);
    return slot;
  }

  #isNamed(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (this.#idLength[slot] !== length) return false;
    const stored = length > idBytesInline ? this.#longIds.get(slot)! : this.#idBytes;
    const base = length > idBytesInline ? 0 : slot * idBytesInline;
    for (let index = 0; index < length; index++) {
      if (stored[base + index] !== bytes[start + index]) return false;
    }
    return true;
  }

  /**
   * Makes sure that the next open() finds a place, by choosing a chain that is settled (its last sequence is at or below
   * `shippedSequence`) to give up its own. It leaves memory in open() only: until then it can be found and moved, for it
   * may be the very chain that the message is about, and what is moved is not settled any more. A tombstone is the last
   * choice: nobody asks the books whether a new authorization has one.
   * @returns false when every chain looked at still waits for the books: the caller declines.
   */
  makeRoom(shippedSequence: number): boolean {
    if (this.#used < this.capacity) return true;
    if (this.#victim >= 0 && this.#sequence[this.#victim]! <= shippedSequence) return true;
    let tombstone = -1;
    for (let looks = 0; looks < evictionLooksMax; looks++) {
      const slot = this.#hand;
      this.#hand = (this.#hand + 1) % this.capacity;
      if (this.#sequence[slot]! > shippedSequence) continue;
      if (this.#status[slot] === ChainStatus.tombstone) {
        tombstone = slot;
        continue;
      }
      this.#victim = slot;
      return true;
    }
    this.#victim = tombstone;
    return tombstone >= 0;
  }

  #evict(slot: number): void {
    this.#index.remove(slot);
    if (this.#idLength[slot]! > idBytesInline) this.#longIds.delete(slot);
  }

  /** Opens a chain named `bytes[start, end)` that is not in memory. The caller has called makeRoom. @returns its slot */
  open(bytes: Uint8Array, start: number, end: number, state: ChainState, sequence: number): number {
    let slot = this.#used;
    if (slot < this.capacity) this.#used++;
    else {
      slot = this.#victim;
      assert(slot >= 0, 'open() needs makeRoom() first');
      this.#victim = -1;
      this.#evict(slot);
    }
    hash64(bytes, start, end);
    this.#index.add(slot, hashLow, hashHigh);
    const length = end - start;
    this.#idLength[slot] = length;
    if (length > idBytesInline) this.#longIds.set(slot, bytes.slice(start, end));
    else {
      const base = slot * idBytesInline;
      for (let index = 0; index < length; index++) this.#idBytes[base + index] = bytes[start + index]!;
    }
    this.#account[slot] = state.accountNumber;
    this.#card[slot] = state.cardNumber;
    this.#user[slot] = state.userNumber;
    this.#status[slot] = state.status;
    this.#held[slot] = state.held;
    this.#posted[slot] = state.posted;
    this.#refunded[slot] = state.refunded;
    this.#firstDay[slot] = state.firstDay;
    this.#newestDay[slot] = state.newestDay;
    this.#newestAmount[slot] = state.newestAmount;
    this.#expiresAtMs[slot] = state.expiresAtMs;
    this.#sequence[slot] = sequence;
    return slot;
  }

  /** Applies the effects of one message to its chain. */
  move(
    slot: number,
    status: ChainStatus,
    heldDelta: number,
    postedDelta: number,
    refundedDelta: number,
    spendDay: number,
    spendAmountDelta: number,
    sequence: number,
  ): void {
    this.#status[slot] = status;
    this.#held[slot]! += heldDelta;
    this.#posted[slot]! += postedDelta;
    this.#refunded[slot]! += refundedDelta;
    if (spendAmountDelta > 0 && spendDay > this.#newestDay[slot]!) {
      this.#newestDay[slot] = spendDay;
      this.#newestAmount[slot] = spendAmountDelta;
    } else if (spendAmountDelta > 0 || spendDay === this.#newestDay[slot]!) {
      this.#newestAmount[slot]! += spendAmountDelta;
    }
    // What was cleared is not given back any more, so the newest part never exceeds what is still held.
    this.#newestAmount[slot] = Math.max(0, Math.min(this.#newestAmount[slot]!, this.#held[slot]!));
    this.#sequence[slot] = sequence;
    assert(this.#held[slot]! >= 0, 'a chain must not hold less than nothing');
  }

  account(slot: number): number {
    return this.#account[slot]!;
  }
  card(slot: number): number {
    return this.#card[slot]!;
  }
  user(slot: number): number {
    return this.#user[slot]!;
  }
  status(slot: number): ChainStatus {
    return this.#status[slot] as ChainStatus;
  }
  held(slot: number): number {
    return this.#held[slot]!;
  }
  posted(slot: number): number {
    return this.#posted[slot]!;
  }
  refunded(slot: number): number {
    return this.#refunded[slot]!;
  }
  firstDay(slot: number): number {
    return this.#firstDay[slot]!;
  }
  newestDay(slot: number): number {
    return this.#newestDay[slot]!;
  }
  newestAmount(slot: number): number {
    return this.#newestAmount[slot]!;
  }
  expiresAtMs(slot: number): number {
    return this.#expiresAtMs[slot]!;
  }
}
