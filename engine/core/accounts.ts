/**
 * Owned state of accounts: the books, in integer minor units, plus the little reference data that every decision on the
 * account needs. One writer: the partition that owns the account.
 *
 * A row leaves memory only when the books in Postgres have everything about it, and is looked up again when it is
 * needed.
 *
 * Law: funds = available + held + posted, after every change, checked here where the change is made.
 */
import { Departures } from './departures.js';
import { hashNumber } from './hash.js';
import { assert } from './invariant.js';
import { NumberIndex } from './number-index.js';
import { rowBuffer } from './row-buffer.js';
import type { Rules } from './rules.js';
import { Zone, zoneNamed } from './window.js';

/** Status of an account, a user or a card. */
export const Status = { active: 0, frozen: 1, closed: 2 } as const;
export type Status = (typeof Status)[keyof typeof Status];

/** A status by its name in the database. Anything the engine does not know must not spend. */
export function statusNamed(name: string): Status {
  return name === 'active' ? Status.active : name === 'frozen' ? Status.frozen : Status.closed;
}

const utc = new Zone('UTC');

/**
 * A row of 64 bytes, one cache line, has all that a message needs of its account. The books and the number come first,
 * as doubles, and then words. The last word has the zone above the marks. The sequence of the newest record about the
 * account ends the row, as a double. By row, not by column, for a message reads all of a row at once.
 */
const rowBytes = 64;
const cells = rowBytes / 8;
const Cell = { funds: 0, available: 1, held: 2, posted: 3, number: 4, sequence: 7 } as const;
const words = rowBytes / 4;
const Word = { version: 10, currency: 11, spendPlace: 12, marks: 13 } as const;
const Mark = { status: 0b11, hasRules: 0b100, partialApproval: 0b1000, used: 0b1_0000 } as const;
const zoneShift = 8;
/** How many rows one look for room passes: keeps the worst case of a full store short. */
const looksMax = 64;

export class Accounts {
  readonly #index: NumberIndex;
  readonly #cells: Float64Array;
  readonly #words: Uint32Array;
  readonly #zones: Zone[] = [utc];
  readonly #zoneIndex = new Map<string, number>([['UTC', 0]]);
  readonly #rules = new Map<number, Rules>();
  /** What left memory. */
  readonly departures = new Departures();
  #hand = 0;

  /** @param capacity most accounts in memory */
  constructor(capacity: number) {
    const { buffer, byteOffset } = rowBuffer(capacity, rowBytes);
    this.#cells = new Float64Array(buffer, byteOffset);
    this.#words = new Uint32Array(buffer, byteOffset);
    this.#index = new NumberIndex(capacity, { numbers: this.#cells, stride: cells, offset: Cell.number });
  }

  get size(): number {
    return this.#index.size;
  }

  /** Slot of the account with that number, or −1 when it is not in memory. */
  find(number: number): number {
    return this.#index.find(number);
  }

  /** Whether settled books as of `settled` lack something that memory had of the account, which is not there. */
  isOutdated(number: number, settled: number): boolean {
    return this.departures.isOutdated(hashNumber(number), settled);
  }

  /**
   * Makes sure that the next open() finds a place: in a full store, an account leaves whose newest record is at or
   * below `evictableSequence`. One that was used since the hand came by last is passed over once (CLOCK, see cards.ts).
   * @returns false when every account looked at is needed
   */
  makeRoom(evictableSequence: number): boolean {
    if (this.#index.free > 0) return true;
    let fallback = -1;
    for (let looks = 0; looks < looksMax; looks++) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#index.capacity;
      if (this.#cells[slot * cells + Cell.sequence]! > evictableSequence) continue;
      const at = slot * words + Word.marks;
      if ((this.#words[at]! & Mark.used) === 0) {
        this.#evict(slot);
        return true;
      }
      this.#words[at]! &= ~Mark.used;
      if (fallback < 0) fallback = slot;
    }
    if (fallback < 0) return false;
    this.#evict(fallback);
    return true;
  }

  #evict(slot: number): void {
    this.departures.add(hashNumber(this.number(slot)), this.#cells[slot * cells + Cell.sequence]!);
    this.#index.remove(slot);
    this.#rules.delete(slot);
  }

  /** A record about the account was journaled: until that is settled the account stays. */
  journaled(slot: number, sequence: number): void {
    this.#cells[slot * cells + Cell.sequence] = sequence;
  }

  /** The account is used now: it is not among the next to leave. */
  touch(slot: number): void {
    const at = slot * words + Word.marks;
    const marks = this.#words[at]!;
    if ((marks & Mark.used) === 0) this.#words[at] = marks | Mark.used;
  }

  /** Opens an account with its settled books. @returns its slot, or −1 when the store is full. */
  open(number: number, currency: number, funds: number, held: number, posted: number): number {
    const slot = this.#index.add(number);
    if (slot < 0) return -1;
    const base = slot * cells;
    this.#cells[base + Cell.funds] = funds;
    this.#cells[base + Cell.held] = held;
    this.#cells[base + Cell.posted] = posted;
    this.#cells[base + Cell.available] = funds - held - posted;
    this.#cells[base + Cell.sequence] = 0;
    const at = slot * words;
    this.#words[at + Word.version] = 0;
    this.#words[at + Word.currency] = currency;
    this.#words[at + Word.spendPlace] = 0;
    // Loaded for a message that comes behind it.
    this.#words[at + Word.marks] = Mark.used;
    this.#check(slot);
    return slot;
  }

  /** Replaces the reference data of an account. An older version is ignored; an equal one says the same again. */
  describe(
    slot: number,
    version: number,
    status: Status,
    zoneName: string,
    partialApproval: boolean,
    rules: Rules | null,
  ): void {
    const base = slot * words;
    if (version < this.#words[base + Word.version]!) return;
    this.#words[base + Word.version] = version;
    this.#words[base + Word.marks] =
      (this.#words[base + Word.marks]! & Mark.used) |
      (this.#zoneNumber(zoneName) << zoneShift) |
      status |
      (rules === null ? 0 : Mark.hasRules) |
      (partialApproval ? Mark.partialApproval : 0);
    if (rules === null) this.#rules.delete(slot);
    else this.#rules.set(slot, rules);
  }

  #zoneNumber(name: string): number {
    const known = this.#zoneIndex.get(name);
    if (known !== undefined) return known;
    const number = this.#zones.push(zoneNamed(name)) - 1;
    this.#zoneIndex.set(name, number);
    return number;
  }

  number(slot: number): number {
    return this.#index.key(slot);
  }
  available(slot: number): number {
    return this.#cells[slot * cells + Cell.available]!;
  }
  held(slot: number): number {
    return this.#cells[slot * cells + Cell.held]!;
  }
  posted(slot: number): number {
    return this.#cells[slot * cells + Cell.posted]!;
  }
  funds(slot: number): number {
    return this.#cells[slot * cells + Cell.funds]!;
  }
  currency(slot: number): number {
    return this.#words[slot * words + Word.currency]!;
  }
  status(slot: number): Status {
    return (this.#words[slot * words + Word.marks]! & Mark.status) as Status;
  }
  partialApproval(slot: number): boolean {
    return (this.#words[slot * words + Word.marks]! & Mark.partialApproval) !== 0;
  }
  version(slot: number): number {
    return this.#words[slot * words + Word.version]!;
  }
  zone(slot: number): Zone {
    return this.#zones[this.#words[slot * words + Word.marks]! >>> zoneShift]!;
  }
  rules(slot: number): Rules | null {
    return (this.#words[slot * words + Word.marks]! & Mark.hasRules) === 0 ? null : this.#rules.get(slot)!;
  }
  /** Slot in Spend, as it was noted; −1 when it was not. */
  spendSlot(slot: number): number {
    return this.#words[slot * words + Word.spendPlace]! - 1;
  }
  noteSpendSlot(slot: number, spendSlot: number): void {
    this.#words[slot * words + Word.spendPlace] = spendSlot + 1;
  }

  /** Moves money. Available follows from the other three, and the law is checked. Throws InvariantError. */
  move(slot: number, fundsDelta: number, heldDelta: number, postedDelta: number): void {
    const base = slot * cells;
    this.#cells[base + Cell.funds]! += fundsDelta;
    this.#cells[base + Cell.held]! += heldDelta;
    this.#cells[base + Cell.posted]! += postedDelta;
    this.#cells[base + Cell.available]! += fundsDelta - heldDelta - postedDelta;
    this.#check(slot);
  }

  #check(slot: number): void {
    const base = slot * cells;
    const available = this.#cells[base + Cell.available]!;
    const held = this.#cells[base + Cell.held]!;
    const posted = this.#cells[base + Cell.posted]!;
    const funds = this.#cells[base + Cell.funds]!;
    assert(
      Number.isSafeInteger(available) &&
        Number.isSafeInteger(held) &&
        Number.isSafeInteger(posted) &&
        Number.isSafeInteger(funds),
      'an amount left the safe integers',
    );
    assert(funds === available + held + posted, 'funds must be available + held + posted');
    assert(held >= 0, 'held must not be negative');
  }
}
