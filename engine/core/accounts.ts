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

export class Accounts {
  readonly #index: NumberIndex;
  readonly #available: Float64Array;
  readonly #held: Float64Array;
  readonly #posted: Float64Array;
  readonly #funds: Float64Array;
  readonly #currency: Uint16Array;
  readonly #status: Uint8Array;
  readonly #partialApproval: Uint8Array;
  readonly #version: Uint32Array;
  readonly #zone: Uint16Array;
  readonly #zones: Zone[] = [utc];
  readonly #zoneIndex = new Map<string, number>([['UTC', 0]]);
  readonly #rules = new Map<number, Rules>();

  /** @param capacity most accounts this partition can own */
  constructor(capacity: number) {
    this.#index = new NumberIndex(capacity);
    this.#available = new Float64Array(capacity);
    this.#held = new Float64Array(capacity);
    this.#posted = new Float64Array(capacity);
    this.#funds = new Float64Array(capacity);
    this.#currency = new Uint16Array(capacity);
    this.#status = new Uint8Array(capacity);
    this.#partialApproval = new Uint8Array(capacity);
    this.#version = new Uint32Array(capacity);
    this.#zone = new Uint16Array(capacity);
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
    this.#funds[slot] = funds;
    this.#held[slot] = held;
    this.#posted[slot] = posted;
    this.#available[slot] = funds - held - posted;
    this.#currency[slot] = currency;
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
    if (version < this.#version[slot]!) return;
    this.#version[slot] = version;
    this.#status[slot] = status;
    this.#partialApproval[slot] = partialApproval ? 1 : 0;
    this.#zone[slot] = this.#zoneNumber(zoneName);
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
    return this.#index.keys[slot]!;
  }
  available(slot: number): number {
    return this.#available[slot]!;
  }
  held(slot: number): number {
    return this.#held[slot]!;
  }
  posted(slot: number): number {
    return this.#posted[slot]!;
  }
  funds(slot: number): number {
    return this.#funds[slot]!;
  }
  currency(slot: number): number {
    return this.#currency[slot]!;
  }
  status(slot: number): Status {
    return this.#status[slot] as Status;
  }
  partialApproval(slot: number): boolean {
    return this.#partialApproval[slot] === 1;
  }
  version(slot: number): number {
    return this.#version[slot]!;
  }
  zone(slot: number): Zone {
    return this.#zones[this.#zone[slot]!]!;
  }
  rules(slot: number): Rules | null {
    // Most programs give most accounts no limits: one test instead of a look-up.
    return this.#rules.size === 0 ? null : (this.#rules.get(slot) ?? null);
  }

  /** Moves money. Available follows from the other three, and the law is checked. Throws InvariantError. */
  move(slot: number, fundsDelta: number, heldDelta: number, postedDelta: number): void {
    this.#funds[slot]! += fundsDelta;
    this.#held[slot]! += heldDelta;
    this.#posted[slot]! += postedDelta;
    this.#available[slot]! += fundsDelta - heldDelta - postedDelta;
    this.#check(slot);
  }

  #check(slot: number): void {
    const available = this.#available[slot]!;
    const held = this.#held[slot]!;
    const posted = this.#posted[slot]!;
    const funds = this.#funds[slot]!;
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
