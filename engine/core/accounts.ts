/**
 * Owned state of accounts: the books, in integer minor units, plus the little reference data that every decision on the
 * account needs. One writer: the partition that owns the account.
 *
 * Law: funds = available + held + posted, after every change, checked here where the change is made.
 */
import { assert } from './invariant.js';
import { NumberIndex } from './number-index.js';
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

/** Cells of an account's books and of its reference data. By row, not by column: a message reads all of a row at once. */
const Book = { funds: 0, available: 1, held: 2, posted: 3 } as const;
const bookCells = 4;
const Fact = { version: 0, currency: 1, status: 2, partialApproval: 3, zone: 4 } as const;
/** A power of two: no row lies in two cache lines. */
const factCells = 8;

export class Accounts {
  readonly #index: NumberIndex;
  readonly #books: Float64Array;
  readonly #facts: Uint32Array;
  readonly #zones: Zone[] = [utc];
  readonly #zoneIndex = new Map<string, number>([['UTC', 0]]);
  readonly #rules = new Map<number, Rules>();

  /** @param capacity most accounts this partition can own */
  constructor(capacity: number) {
    this.#index = new NumberIndex(capacity);
    this.#books = new Float64Array(capacity * bookCells);
    this.#facts = new Uint32Array(capacity * factCells);
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
    const base = slot * bookCells;
    this.#books[base + Book.funds] = funds;
    this.#books[base + Book.held] = held;
    this.#books[base + Book.posted] = posted;
    this.#books[base + Book.available] = funds - held - posted;
    this.#facts[slot * factCells + Fact.currency] = currency;
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
    const base = slot * factCells;
    if (version < this.#facts[base + Fact.version]!) return;
    this.#facts[base + Fact.version] = version;
    this.#facts[base + Fact.status] = status;
    this.#facts[base + Fact.partialApproval] = partialApproval ? 1 : 0;
    this.#facts[base + Fact.zone] = this.#zoneNumber(zoneName);
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
    return this.#books[slot * bookCells + Book.available]!;
  }
  held(slot: number): number {
    return this.#books[slot * bookCells + Book.held]!;
  }
  posted(slot: number): number {
    return this.#books[slot * bookCells + Book.posted]!;
  }
  funds(slot: number): number {
    return this.#books[slot * bookCells + Book.funds]!;
  }
  currency(slot: number): number {
    return this.#facts[slot * factCells + Fact.currency]!;
  }
  status(slot: number): Status {
    return this.#facts[slot * factCells + Fact.status] as Status;
  }
  partialApproval(slot: number): boolean {
    return this.#facts[slot * factCells + Fact.partialApproval] === 1;
  }
  version(slot: number): number {
    return this.#facts[slot * factCells + Fact.version]!;
  }
  zone(slot: number): Zone {
    return this.#zones[this.#facts[slot * factCells + Fact.zone]!]!;
  }
  rules(slot: number): Rules | null {
    // Most programs give most accounts no limits: one test instead of a look-up.
    return this.#rules.size === 0 ? null : (this.#rules.get(slot) ?? null);
  }

  /** Moves money. Available follows from the other three, and the law is checked. Throws InvariantError. */
  move(slot: number, fundsDelta: number, heldDelta: number, postedDelta: number): void {
    const base = slot * bookCells;
    this.#books[base + Book.funds]! += fundsDelta;
    this.#books[base + Book.held]! += heldDelta;
    this.#books[base + Book.posted]! += postedDelta;
    this.#books[base + Book.available]! += fundsDelta - heldDelta - postedDelta;
    this.#check(slot);
  }

  #check(slot: number): void {
    const base = slot * bookCells;
    const available = this.#books[base + Book.available]!;
    const held = this.#books[base + Book.held]!;
    const posted = this.#books[base + Book.posted]!;
    const funds = this.#books[base + Book.funds]!;
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
