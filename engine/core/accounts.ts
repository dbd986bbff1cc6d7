/**
 * Owned state of accounts: the books, in integer minor units, plus the little reference data that every decision on the
 * account needs. One writer: the partition that owns the account.
 *
 * Law: funds = available + held + posted, after every change, checked here where the change is made.
 */
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
 * A row of 64 bytes, one cache line, has all that a message needs of its account: the books and the number in doubles, then
 * words, then marks. By row, not by column, for a message reads all of a row at once.
 */
const rowBytes = 64;
const cells = rowBytes / 8;
const Cell = { funds: 0, available: 1, held: 2, posted: 3, number: 4 } as const;
const words = rowBytes / 4;
const Word = { version: 10, currency: 11, spendPlace: 12, zone: 13, marks: 14 } as const;
const Mark = { status: 0b11, hasRules: 0b100, partialApproval: 0b1000 } as const;

export class Accounts {
  readonly #index: NumberIndex;
  readonly #cells: Float64Array;
  readonly #words: Uint32Array;
  readonly #zones: Zone[] = [utc];
  readonly #zoneIndex = new Map<string, number>([['UTC', 0]]);
  readonly #rules = new Map<number, Rules>();

  /** @param capacity most accounts this partition can own */
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

  /** Opens an account with its settled books. @returns its slot, or −1 when the store is full. */
  open(number: number, currency: number, funds: number, held: number, posted: number): number {
    const slot = this.#index.add(number);
    if (slot < 0) return -1;
    const base = slot * cells;
    this.#cells[base + Cell.funds] = funds;
    this.#cells[base + Cell.held] = held;
    this.#cells[base + Cell.posted] = posted;
    this.#cells[base + Cell.available] = funds - held - posted;
    this.#words[slot * words + Word.currency] = currency;
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
    this.#words[base + Word.zone] = this.#zoneNumber(zoneName);
    this.#words[base + Word.marks] =
      status | (rules === null ? 0 : Mark.hasRules) | (partialApproval ? Mark.partialApproval : 0);
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
    return this.#zones[this.#words[slot * words + Word.zone]!]!;
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
