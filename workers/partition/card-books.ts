/** The card of a message, and whether everything that it spends from is in memory. */

import type { Books } from '../../engine/core/books.js';
import { Card, type Cards } from '../../engine/core/cards.js';
import { Level } from '../../engine/core/limit-names.js';
import type { CardProfile } from '../../engine/core/profile.js';
import type { Request } from '../../engine/core/request.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';

export class CardBooks {
  /** How often a card was and was not in memory, for the metrics. */
  hits = 0;
  misses = 0;
  readonly #books: Books;
  readonly #cards: Cards;
  readonly #card = new Card();

  constructor(books: Books, cards: Cards) {
    this.#books = books;
    this.#cards = cards;
  }

  /**
   * The card of a message; valid until the next call.
   * @param absent what is not in memory was looked up: do not ask again
   * @returns null: there is no such card; undefined: it must be looked up first
   */
  find(request: Request, absent: boolean): CardProfile | null | undefined {
    const slot = this.#cards.find(request.source, request.card.start, request.card.end);
    if (slot >= 0) {
      this.#cards.touch(slot);
      this.#cards.read(slot, this.#card);
      if (this.hasBooks()) {
        this.hits++;
        return this.#card;
      }
    }
    if (absent) return null;
    this.misses++;
    return undefined;
  }

  /** Whether the account and user of the card found last, and what each of the three has spent, are in memory. */
  hasBooks(): boolean {
    const card = this.#card;
    const cards = this.#cards;
    const { accounts, users, spend } = this.#books;
    // Its account or user may have left, and another have come in its place.
    if (
      (!accounts.departures.isEmpty || users.evictions > 0) &&
      (accounts.number(card.account) !== cards.accountNumber(card.slot) ||
        users.number(card.user) !== cards.userNumber(card.slot))
    ) {
      return false;
    }
    accounts.touch(card.account);
    users.touch(card.user);
    this.#expectSpend();
    return (
      spend.departures.isEmpty ||
      (spend.isKnown(Level.card, card.spendNumber) &&
        spend.isKnown(Level.user, this.#userSpend()) &&
        spend.isKnown(Level.account, accounts.number(card.account)))
    );
  }

  /**
   * Whether what the transaction's own card and user have spent is known, where the transaction is of the card's
   * account.
   */
  knowsParties(transaction: number): boolean {
    const card = this.#card;
    const { accounts, transactions, spend } = this.#books;
    if (spend.departures.isEmpty || transactions.account(transaction) !== accounts.number(card.account)) return true;
    const userSpend = userSpendNumber(transactions.user(transaction), accounts.currency(card.account));
    return spend.isKnown(Level.card, transactions.cardSpend(transaction)) && spend.isKnown(Level.user, userSpend);
  }

  /** Passes on where the spend rows of the card, its user and its account stand: three searches less. */
  #expectSpend(): void {
    const card = this.#card;
    const { accounts, users, spend } = this.#books;
    const userSpend = users.spendSlot(card.user);
    const accountSpend = accounts.spendSlot(card.account);
    // A row that has left its place is found by its key, and its new place noted.
    if (card.spendSlot >= 0 && !spend.expect(Level.card, card.spendNumber, card.spendSlot)) {
      card.spendSlot = -1;
      this.#cards.noteSpendSlot(card.slot, -1);
    }
    if (userSpend >= 0 && !spend.expect(Level.user, this.#userSpend(), userSpend)) {
      users.noteSpendSlot(card.user, -1);
    }
    if (accountSpend >= 0 && !spend.expect(Level.account, accounts.number(card.account), accountSpend)) {
      accounts.noteSpendSlot(card.account, -1);
    }
  }

  /** Notes the spend rows for the next message, when the last one opened them. */
  noteSpend(): void {
    const card = this.#card;
    const { accounts, users, spend } = this.#books;
    if (card.spendSlot < 0) this.#cards.noteSpendSlot(card.slot, spend.find(Level.card, card.spendNumber));
    if (users.spendSlot(card.user) < 0) {
      users.noteSpendSlot(card.user, spend.find(Level.user, this.#userSpend()));
    }
    if (accounts.spendSlot(card.account) < 0) {
      accounts.noteSpendSlot(card.account, spend.find(Level.account, accounts.number(card.account)));
    }
  }

  /** Number of the row in which the card's user spends. */
  #userSpend(): number {
    const { accounts, users } = this.#books;
    return userSpendNumber(users.number(this.#card.user), accounts.currency(this.#card.account));
  }
}
