/**
 * Which of its tokens a card has. With one key of PAN_KEY there is only one. After a rotation the card keeps the token
 * under the key of its time, so the others are looked up once.
 */
import type { Waiter } from '../../ledger/waiter.js';

/** Cards whose token is under an older key: some 20 MB when full. */
const cardsMax = 65_536;

export interface CardFinder {
  /** @param ownerKey undefined: there is no such card */
  find(token: string, waiter: Waiter, found: (ownerKey: number | undefined) => void): void;
}

export class KnownCards {
  readonly #finder: CardFinder;
  /** By the token under the newest key. */
  readonly #tokens = new Map<string, string>();

  constructor(finder: CardFinder) {
    this.#finder = finder;
  }

  /** Calls `found` with the token that exists, else with the newest one, unless the waiter has been answered. */
  find(tokens: readonly string[], waiter: Waiter, found: (token: string) => void): void {
    const newest = tokens[0]!;
    const known = tokens.length === 1 ? newest : this.#tokens.get(newest);
    if (known !== undefined) found(known);
    else this.#lookUp(tokens, 0, waiter, found);
  }

  #lookUp(tokens: readonly string[], index: number, waiter: Waiter, found: (token: string) => void): void {
    const token = tokens[index];
    if (token === undefined) {
      found(tokens[0]!);
      return;
    }
    this.#finder.find(token, waiter, (ownerKey) => {
      if (ownerKey === undefined) this.#lookUp(tokens, index + 1, waiter, found);
      else {
        this.#remember(tokens[0]!, token);
        found(token);
      }
    });
  }

  #remember(newest: string, token: string): void {
    const oldest = this.#tokens.size >= cardsMax ? this.#tokens.keys().next().value : undefined;
    if (oldest !== undefined) this.#tokens.delete(oldest);
    this.#tokens.set(newest, token);
  }

  /** There is no card with its token any more: it may have another one by now. */
  forget(newest: string): void {
    this.#tokens.delete(newest);
  }
}
