/**
 * Reference data of a card: evictable, reloaded on a miss. What belongs to the account stands with the account's books
 * (accounts.ts), what belongs to the user in users.ts, so that a card is small and a change of either reaches all of
 * its cards at once.
 */
import type { Status } from './accounts.js';
import { Status as Statuses } from './accounts.js';
import { NumberIndex } from './number-index.js';
import type { Rules } from './rules.js';

export interface CardProfile {
  /** Number of the card in the database; keys its spend windows. */
  readonly number: number;
  readonly version: number;
  readonly status: Status;
  /** Last local day on which the card is valid, days since 1970-01-01. */
  readonly expiresDay: number;
  readonly rules: Rules | null;
  /** Slot in Accounts; owned state is not evicted while its partition runs, so the slot stays right. */
  readonly account: number;
  /** Slot in Users. */
  readonly user: number;
}

/** Cardholders: status and limits by number. Dense, like accounts. */
export class Users {
  readonly #index: NumberIndex;
  readonly #status: Uint8Array;
  readonly #version: Uint32Array;
  readonly #rules = new Map<number, Rules>();

  constructor(capacity: number) {
    this.#index = new NumberIndex(capacity);
    this.#status = new Uint8Array(capacity);
    this.#version = new Uint32Array(capacity);
  }

  find(number: number): number {
    return this.#index.find(number);
  }

  /** @returns the slot, or −1 when the store is full */
  open(number: number): number {
    const slot = this.#index.add(number);
    if (slot >= 0) this.#status[slot] = Statuses.active;
    return slot;
  }

  describe(slot: number, version: number, status: Status, rules: Rules | null): void {
    if (version < this.#version[slot]!) return;
    this.#version[slot] = version;
    this.#status[slot] = status;
    if (rules === null) this.#rules.delete(slot);
    else this.#rules.set(slot, rules);
  }

  number(slot: number): number {
    return this.#index.key(slot);
  }
  status(slot: number): Status {
    return this.#status[slot] as Status;
  }
  rules(slot: number): Rules | null {
    return this.#rules.size === 0 ? null : (this.#rules.get(slot) ?? null);
  }
}
