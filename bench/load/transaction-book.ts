/**
 * The authorizations that a sending thread may still follow up, oldest first. A transaction is taken out while a
 * message about it is under way, so that every answer can be predicted. Bounded: when full, the oldest is forgotten and
 * simply stays open.
 */

/** What is known of one authorization; reused by take(). */
export interface Transaction {
  /** Running number of the authorization's id. */
  sequence: number;
  card: number;
  /** What it holds, or what was cleared of it. */
  amountMinor: number;
}

export class TransactionBook {
  readonly #sequences: Int32Array;
  readonly #cards: Int32Array;
  readonly #amounts: Int32Array;
  readonly #mask: number;
  #head = 0;
  length = 0;

  /** @param capacity a power of two */
  constructor(capacity: number) {
    this.#sequences = new Int32Array(capacity);
    this.#cards = new Int32Array(capacity);
    this.#amounts = new Int32Array(capacity);
    this.#mask = capacity - 1;
  }

  add({ sequence, card, amountMinor }: Readonly<Transaction>): void {
    const at = (this.#head + this.length) & this.#mask;
    if (this.length > this.#mask) this.#head = (this.#head + 1) & this.#mask;
    else this.length++;
    this.#sequences[at] = sequence;
    this.#cards[at] = card;
    this.#amounts[at] = amountMinor;
  }

  /** Takes the oldest out. @returns false when there is none. */
  take(into: Transaction): boolean {
    if (this.length === 0) return false;
    into.sequence = this.#sequences[this.#head]!;
    into.card = this.#cards[this.#head]!;
    into.amountMinor = this.#amounts[this.#head]!;
    this.#head = (this.#head + 1) & this.#mask;
    this.length--;
    return true;
  }
}
