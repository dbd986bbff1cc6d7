/**
 * Cards in memory: reference data, evictable, read again on a miss. A row of 64 bytes, one cache line, has all that a
 * decision needs of a usual card. The bytes of the token in the request find the row and confirm it, without a string
 * or an object. What few cards have (limits, a long token, a date far away) stands beside, by slot.
 *
 * CLOCK (Corbató 1968) chooses the card that a new one replaces. A hand goes round the rows and passes once over a row
 * that was used since its last visit. That approximates the least recently used at the price of one bit that a hit
 * sets, in the line it has just read. A list in order of use (LRU) would need writes to four other places on every hit.
 * SIEVE's queue of arrival is as cheap on a hit, but takes 8 more bytes a card. As in SIEVE, a card that is only loaded
 * counts as unused until a message names it. So a flood of cards that are used once passes through quickly.
 */
import type { Status } from './accounts.js';
import { CardType } from './card-types.js';
import { hash64, hashLow } from './hash.js';
import { assert } from './invariant.js';
import type { CardProfile } from './profile.js';
import { rowBuffer } from './row-buffer.js';
import type { Rules } from './rules.js';
import { SlotTable } from './slot-table.js';

const rowBytes = 64;
/** Where in a row's 4-byte words, 2-byte halves and bytes things stand; the number, a double, comes first. */
const Word = { version: 2, account: 3, user: 4, spendPlace: 5 } as const;
const halfOfExpiry = 12;
const byteOfLength = 26;
const byteOfMarks = 27;
const byteOfToken = 28;
/** Holds a UUID. Longer tokens stand in a Map. */
const tokenBytesInline = rowBytes - byteOfToken;
const tokenElsewhere = 255;
/** A date before 1970 or after 2149: stands in a Map. */
const expiryElsewhere = 0xffff;
const Mark = { status: 0b11, hasRules: 0b100, used: 0b1000, type: 0b11_0000, spendsAsOther: 0b100_0000 } as const;
const typeShift = 4;
/** How many rows the hand passes for one place: keeps the worst case short. */
const looksMax = 64;

/** A card as read from its row; reused for message after message. */
export class Card implements CardProfile {
  number = 0;
  spendNumber = 0;
  type: CardType = CardType.virtual;
  version = 0;
  status: Status = 0;
  expiresDay = 0;
  rules: Rules | null = null;
  account = 0;
  user = 0;
  /** Slot in Cards. */
  slot = 0;
  /** Slot in Spend, as it was noted; −1 when it was not. */
  spendSlot = -1;
}

export class Cards {
  readonly capacity: number;
  readonly #numbers: Float64Array;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  /** Numbers of each card's account and user, which may have left memory, and their slots been given to others. */
  readonly #owners: Float64Array;
  readonly #table: SlotTable;
  readonly #rules = new Map<number, Rules>();
  readonly #longTokens = new Map<number, Uint8Array>();
  readonly #farExpiries = new Map<number, number>();
  /** Of cards that replaced others. */
  readonly #spendNumbers = new Map<number, number>();
  #size = 0;
  #hand = 0;
  /** Cards that left memory. */
  evictions = 0;

  /** @param capacity most cards in memory */
  constructor(capacity: number) {
    this.capacity = capacity;
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#numbers = new Float64Array(buffer, byteOffset);
    this.#words = new Uint32Array(buffer, byteOffset);
    this.#halves = new Uint16Array(buffer, byteOffset);
    this.#bytes = new Uint8Array(buffer, byteOffset);
    this.#owners = new Float64Array(capacity * 2);
    this.#table = new SlotTable(capacity, (slot) => this.#hashOf(slot));
  }

  get size(): number {
    return this.#size;
  }

  /** Slot of the card with the token `bytes[start, end)`, or −1. */
  find(bytes: Uint8Array, start: number, end: number): number {
    hash64(bytes, start, end);
    let slot = this.#table.find(hashLow);
    while (slot >= 0 && !this.#isNamed(slot, bytes, start, end)) slot = this.#table.findNext();
    return slot;
  }

  /** The card is used now: it is not among the next to leave. */
  touch(slot: number): void {
    const at = slot * rowBytes + byteOfMarks;
    const marks = this.#bytes[at]!;
    if ((marks & Mark.used) === 0) this.#bytes[at] = marks | Mark.used;
  }

  /** Copies a row into `card`. */
  read(slot: number, card: Card): void {
    const words = this.#words;
    const base = slot * (rowBytes / 4);
    const marks = this.#bytes[slot * rowBytes + byteOfMarks]!;
    const expiresDay = this.#halves[slot * (rowBytes / 2) + halfOfExpiry]!;
    card.number = this.#numbers[slot * (rowBytes / 8)]!;
    card.spendNumber = (marks & Mark.spendsAsOther) === 0 ? card.number : this.#spendNumbers.get(slot)!;
    card.type = ((marks & Mark.type) >> typeShift) as CardType;
    card.version = words[base + Word.version]!;
    card.status = (marks & Mark.status) as Status;
    card.expiresDay = expiresDay === expiryElsewhere ? this.#farExpiries.get(slot)! : expiresDay;
    card.rules = (marks & Mark.hasRules) === 0 ? null : this.#rules.get(slot)!;
    card.account = words[base + Word.account]!;
    card.user = words[base + Word.user]!;
    card.slot = slot;
    card.spendSlot = words[base + Word.spendPlace]! - 1;
  }

  version(slot: number): number {
    return this.#words[slot * (rowBytes / 4) + Word.version]!;
  }

  /**
   * Opens the row of a card whose token is not in memory; describe() and assign() fill it. In a full store another card
   * leaves.
   */
  open(token: Uint8Array): number {
    assert(token.length > 0, 'a card has a token');
    const slot = this.#size < this.capacity ? this.#size++ : this.#evict();
    const at = slot * rowBytes;
    this.#bytes.fill(0, at, at + rowBytes);
    if (token.length > tokenBytesInline) {
      this.#bytes[at + byteOfLength] = tokenElsewhere;
      this.#longTokens.set(slot, token.slice());
    } else {
      this.#bytes[at + byteOfLength] = token.length;
      this.#bytes.set(token, at + byteOfToken);
    }
    this.#table.add(slot, this.#hashOf(slot));
    return slot;
  }

  /** What the card's own version is of. The caller has compared versions. */
  describe(
    slot: number,
    number: number,
    version: number,
    status: Status,
    expiresDay: number,
    rules: Rules | null,
    type: CardType = CardType.virtual,
    spendNumber = number,
  ): void {
    // Another card under the same token: what was spent is not its own.
    if (this.#numbers[slot * (rowBytes / 8)] !== number) this.noteSpendSlot(slot, -1);
    this.#numbers[slot * (rowBytes / 8)] = number;
    this.#words[slot * (rowBytes / 4) + Word.version] = version;
    const isNear = expiresDay >= 0 && expiresDay < expiryElsewhere;
    this.#halves[slot * (rowBytes / 2) + halfOfExpiry] = isNear ? expiresDay : expiryElsewhere;
    if (isNear) this.#farExpiries.delete(slot);
    else this.#farExpiries.set(slot, expiresDay);
    const at = slot * rowBytes + byteOfMarks;
    const used = this.#bytes[at]! & Mark.used;
    const spendsAsOther = spendNumber === number ? 0 : Mark.spendsAsOther;
    this.#bytes[at] = used | status | (rules === null ? 0 : Mark.hasRules) | (type << typeShift) | spendsAsOther;
    if (rules === null) this.#rules.delete(slot);
    else this.#rules.set(slot, rules);
    if (spendsAsOther === 0) this.#spendNumbers.delete(slot);
    else this.#spendNumbers.set(slot, spendNumber);
  }

  /** Slots of its account and user, and their numbers, by which the slots are confirmed. */
  assign(slot: number, account: number, user: number, accountNumber: number, userNumber: number): void {
    const base = slot * (rowBytes / 4);
    this.#words[base + Word.account] = account;
    this.#words[base + Word.user] = user;
    this.#owners[slot * 2] = accountNumber;
    this.#owners[slot * 2 + 1] = userNumber;
  }

  accountNumber(slot: number): number {
    return this.#owners[slot * 2]!;
  }
  userNumber(slot: number): number {
    return this.#owners[slot * 2 + 1]!;
  }

  noteSpendSlot(slot: number, spendSlot: number): void {
    this.#words[slot * (rowBytes / 4) + Word.spendPlace] = spendSlot + 1;
  }

  #isNamed(slot: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    const at = slot * rowBytes;
    let stored = this.#bytes;
    let from = at + byteOfToken;
    if (length > tokenBytesInline) {
      if (stored[at + byteOfLength] !== tokenElsewhere) return false;
      stored = this.#longTokens.get(slot)!;
      if (stored.length !== length) return false;
      from = 0;
    } else if (stored[at + byteOfLength] !== length) return false;
    for (let index = 0; index < length; index++) {
      if (stored[from + index] !== bytes[start + index]) return false;
    }
    return true;
  }

  #hashOf(slot: number): number {
    const at = slot * rowBytes;
    const length = this.#bytes[at + byteOfLength]!;
    if (length === tokenElsewhere) {
      const token = this.#longTokens.get(slot)!;
      hash64(token, 0, token.length);
    } else hash64(this.#bytes, at + byteOfToken, at + byteOfToken + length);
    return hashLow;
  }

  /** Takes a card out. @returns its slot */
  #evict(): number {
    let slot = this.#hand;
    for (let looks = 1; ; looks++) {
      const at = slot * rowBytes + byteOfMarks;
      const marks = this.#bytes[at]!;
      // Where all are in use, any may go: it comes back by a lookup.
      if ((marks & Mark.used) === 0 || looks === looksMax) break;
      this.#bytes[at] = marks & ~Mark.used;
      slot = (slot + 1) % this.capacity;
    }
    this.#hand = (slot + 1) % this.capacity;
    this.evictions++;
    this.#table.remove(slot);
    this.#rules.delete(slot);
    this.#longTokens.delete(slot);
    this.#farExpiries.delete(slot);
    this.#spendNumbers.delete(slot);
    return slot;
  }
}
