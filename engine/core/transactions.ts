/**
 * Transactions: an authorization and everything that followed it (increments, reversals, clearings, refunds), found by
 * the id of its first message. Owned state: a transaction leaves memory only when its last sequence is settled. It is
 * loaded again when a later message names it.
 */
import { TransactionStatus } from './codes.js';
import { Departures } from './departures.js';
import { hash64, hashLow } from './hash.js';
import { assert } from './invariant.js';
import { rowBuffer } from './row-buffer.js';
import { SlotTable } from './slot-table.js';

/**
 * A row has all of a transaction end to end, in doubles first; what a find reads stands together behind them. A message
 * opens one row or moves one, at random: in arrays by column that would be a dozen cache misses.
 */
const rowBytes = 160;
const cells = rowBytes / 8;
const Cell = {
  account: 0,
  card: 1,
  user: 2,
  held: 3,
  posted: 4,
  refunded: 5,
  newestAmount: 6,
  expiresAtMs: 7,
  cardSpend: 8,
} as const;
const sequenceCell = 9;
const words = rowBytes / 4;
const Word = { firstDay: 20, newestDay: 21, hash: 22 } as const;
const halves = rowBytes / 2;
const idLengthHalf = 46;
const statusByte = 94;
const idByte = 95;
/** Longer ids (64 characters of non-ASCII) stand in a side table. */
const idBytesInline = rowBytes - idByte;
/** How many slots one message may look at for a place: keeps the worst case of a full store short. */
const evictionLooksMax = 64;

/** A transaction as settled in Postgres, or as read back by a test. */
export interface TransactionState {
  readonly accountNumber: number;
  /** Whose spend windows the transaction counts in. */
  readonly cardNumber: number;
  /** Keys the card's; absent: its number. */
  readonly cardSpend?: number;
  readonly userNumber: number;
  readonly status: TransactionStatus;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  /** Local day of the first message, and of the newest message that spent, with what it spent that is still held. */
  readonly firstDay: number;
  readonly newestDay: number;
  readonly newestAmount: number;
  readonly expiresAtMs: number;
}

export class Transactions {
  readonly capacity: number;
  readonly #table: SlotTable;
  readonly #cells: Float64Array;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #longIds = new Map<number, Uint8Array>();
  /** What left memory. */
  readonly departures = new Departures();
  #size = 0;
  /** Slots below it were used at least once; at capacity the hand goes round and evicts. */
  #used = 0;
  #hand = 0;
  /** Settled transaction whose place the next open() takes; −1 for none. */
  #victim = -1;
  /** Place that forget() left; −1 for none. */
  #free = -1;

  /** @param capacity most transactions in memory */
  constructor(capacity: number) {
    this.capacity = capacity;
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#cells = new Float64Array(buffer, byteOffset);
    this.#words = new Int32Array(buffer, byteOffset);
    this.#halves = new Uint16Array(buffer, byteOffset);
    this.#bytes = new Uint8Array(buffer, byteOffset);
    // Once full, every message that opens a transaction takes one out.
    this.#table = new SlotTable(capacity, (slot) => this.#words[slot * words + Word.hash]!, true);
  }

  get size(): number {
    return this.#size;
  }

  /** Slot of the transaction whose first message has the id `bytes[start, end)`, or −1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    let slot = this.#table.find(hashLow);
    while (slot >= 0 && !this.#isNamed(slot, bytes, start, end)) slot = this.#table.findNext();
    return slot;
  }

  /**
   * Whether the transaction as settled up to `settled` lacks something that memory had of it, where it is not any more.
   */
  isOutdated(bytes: Uint8Array, start: number, end: number, settled: number): boolean {
    hash64(bytes, start, end);
    return this.departures.isOutdated(hashLow, settled);
  }

  #isNamed(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (this.#halves[slot * halves + idLengthHalf] !== length) return false;
    const stored = length > idBytesInline ? this.#longIds.get(slot)! : this.#bytes;
    const base = length > idBytesInline ? 0 : slot * rowBytes + idByte;
    for (let index = 0; index < length; index++) {
      if (stored[base + index] !== bytes[start + index]) return false;
    }
    return true;
  }

  /**
   * Makes sure that the next open() finds a place, by choosing a settled transaction to evict. Settled means that its
   * last sequence is at or below `evictableSequence`. It leaves memory in open() only. Until then it can be found and
   * moved, for the message may be about this very transaction. A moved transaction is no longer settled. A tombstone is
   * the last choice: no lookup asks the books whether a new authorization has one.
   * @returns false when every transaction looked at still waits for the books: the caller declines.
   */
  makeRoom(evictableSequence: number): boolean {
    if (this.#used < this.capacity) return true;
    if (this.#victim >= 0 && this.sequence(this.#victim) <= evictableSequence) return true;
    let tombstone = -1;
    for (let looks = 0; looks < evictionLooksMax; looks++) {
      const slot = this.#hand;
      this.#hand = (this.#hand + 1) % this.capacity;
      if (this.sequence(slot) > evictableSequence) continue;
      if (this.status(slot) === TransactionStatus.tombstone) {
        tombstone = slot;
        continue;
      }
      this.#victim = slot;
      return true;
    }
    this.#victim = tombstone;
    return tombstone >= 0;
  }

  /** Takes a transaction out; the next open() takes its place. */
  forget(slot: number): void {
    assert(this.#free < 0, 'a transaction takes the place of one that was forgotten at once');
    this.#evict(slot);
    this.#free = slot;
  }

  #evict(slot: number): void {
    this.departures.add(this.#words[slot * words + Word.hash]!, this.sequence(slot));
    this.#table.remove(slot);
    this.#size--;
    if (this.#halves[slot * halves + idLengthHalf]! > idBytesInline) this.#longIds.delete(slot);
  }

  /**
   * Opens a transaction named `bytes[start, end)` that is not in memory. The caller has called makeRoom. @returns its
   * slot
   */
  open(bytes: Uint8Array, start: number, end: number, state: TransactionState, sequence: number): number {
    let slot = this.#used;
    if (this.#free >= 0) {
      slot = this.#free;
      this.#free = -1;
    } else if (slot < this.capacity) this.#used++;
    else {
      slot = this.#victim;
      assert(slot >= 0, 'open() needs makeRoom() first');
      this.#victim = -1;
      this.#evict(slot);
    }
    hash64(bytes, start, end);
    this.#words[slot * words + Word.hash] = hashLow;
    this.#table.add(slot, hashLow);
    this.#size++;
    const length = end - start;
    this.#halves[slot * halves + idLengthHalf] = length;
    if (length > idBytesInline) this.#longIds.set(slot, bytes.slice(start, end));
    else {
      const base = slot * rowBytes + idByte;
      for (let index = 0; index < length; index++) this.#bytes[base + index] = bytes[start + index]!;
    }
    const base = slot * cells;
    const numbers = this.#cells;
    numbers[base + Cell.account] = state.accountNumber;
    numbers[base + Cell.card] = state.cardNumber;
    numbers[base + Cell.user] = state.userNumber;
    numbers[base + Cell.cardSpend] = state.cardSpend ?? state.cardNumber;
    numbers[base + Cell.held] = state.held;
    numbers[base + Cell.posted] = state.posted;
    numbers[base + Cell.refunded] = state.refunded;
    numbers[base + Cell.newestAmount] = state.newestAmount;
    numbers[base + Cell.expiresAtMs] = state.expiresAtMs;
    numbers[base + sequenceCell] = sequence;
    this.#bytes[slot * rowBytes + statusByte] = state.status;
    this.#words[slot * words + Word.firstDay] = state.firstDay;
    this.#words[slot * words + Word.newestDay] = state.newestDay;
    return slot;
  }

  /**
   * Applies the effects of one message to its transaction.
   * @param expiresAtMs when what is held lapses from now on; 0 when the message does not change that
   */
  move(
    slot: number,
    status: TransactionStatus,
    heldDelta: number,
    postedDelta: number,
    refundedDelta: number,
    spendDay: number,
    spendAmountDelta: number,
    expiresAtMs: number,
    sequence: number,
  ): void {
    const base = slot * cells;
    const numbers = this.#cells;
    this.#bytes[slot * rowBytes + statusByte] = status;
    numbers[base + Cell.held]! += heldDelta;
    numbers[base + Cell.posted]! += postedDelta;
    numbers[base + Cell.refunded]! += refundedDelta;
    if (expiresAtMs > 0) numbers[base + Cell.expiresAtMs] = expiresAtMs;
    const newestDay = this.newestDay(slot);
    let newestAmount = this.newestAmount(slot);
    if (spendAmountDelta > 0 && spendDay > newestDay) {
      this.#words[slot * words + Word.newestDay] = spendDay;
      newestAmount = spendAmountDelta;
    } else if (spendAmountDelta > 0 || spendDay === newestDay) {
      newestAmount += spendAmountDelta;
    }
    // What was cleared is not given back any more, so the newest part never exceeds what is still held.
    numbers[base + Cell.newestAmount] = Math.max(0, Math.min(newestAmount, this.held(slot)));
    numbers[base + sequenceCell] = sequence;
    assert(this.held(slot) >= 0, 'a transaction must not hold less than nothing');
  }

  /** Of the newest record of the transaction. */
  sequence(slot: number): number {
    return this.#cells[slot * cells + sequenceCell]!;
  }
  account(slot: number): number {
    return this.#cells[slot * cells + Cell.account]!;
  }
  card(slot: number): number {
    return this.#cells[slot * cells + Cell.card]!;
  }
  cardSpend(slot: number): number {
    return this.#cells[slot * cells + Cell.cardSpend]!;
  }
  user(slot: number): number {
    return this.#cells[slot * cells + Cell.user]!;
  }
  status(slot: number): TransactionStatus {
    return this.#bytes[slot * rowBytes + statusByte] as TransactionStatus;
  }
  held(slot: number): number {
    return this.#cells[slot * cells + Cell.held]!;
  }
  posted(slot: number): number {
    return this.#cells[slot * cells + Cell.posted]!;
  }
  refunded(slot: number): number {
    return this.#cells[slot * cells + Cell.refunded]!;
  }
  firstDay(slot: number): number {
    return this.#words[slot * words + Word.firstDay]!;
  }
  newestDay(slot: number): number {
    return this.#words[slot * words + Word.newestDay]!;
  }
  newestAmount(slot: number): number {
    return this.#cells[slot * cells + Cell.newestAmount]!;
  }
  expiresAtMs(slot: number): number {
    return this.#cells[slot * cells + Cell.expiresAtMs]!;
  }
  /** No part of it was ever held: every hold has an end. */
  wasPostedAtOnce(slot: number): boolean {
    return this.expiresAtMs(slot) === 0;
  }
}
