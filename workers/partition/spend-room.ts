/** Makes room for the spend rows that a message may open, before it is decided: afterwards there must be room. */
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { Level } from '../../engine/core/limit-names.js';
import type { CardProfile } from '../../engine/core/profile.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';
import { Owner } from './owner.js';
import type { RowCounts } from './rows.js';

export class SpendRoom {
  readonly #books: Books;
  readonly #counts: RowCounts;
  readonly #owner = new Owner();

  constructor(books: Books, counts: RowCounts) {
    this.#books = books;
    this.#counts = counts;
  }

  /**
   * Room for a card's message. Rows that leave for it may be rows that it needs: then the message waits.
   * @param evictableSequence rows with newer records stay
   */
  makeForCard(card: CardProfile, transaction: number, evictableSequence: number): boolean {
    const missing = this.#missingOfCard(card, transaction);
    return this.#make(missing, evictableSequence) && this.#missingOfCard(card, transaction) === missing;
  }

  /** Room for what the end of a hold gives back to the windows of its owner. */
  makeForTransaction(transaction: number, evictableSequence: number): boolean {
    this.#owner.setTransaction(this.#books, transaction);
    const missing = this.#missing();
    return this.#make(missing, evictableSequence) && this.#missing() === missing;
  }

  #make(missing: number, evictableSequence: number): boolean {
    const hasRoom = this.#books.spend.makeRoom(missing, evictableSequence);
    if (!hasRoom) this.#counts.fullSpend++;
    return hasRoom;
  }

  /**
   * How many spend rows the message may open: as part of its transaction, or as one that stands alone. Which of the two
   * it is, is known only once it is decided.
   */
  #missingOfCard(card: CardProfile, transaction: number): number {
    const owner = this.#owner;
    owner.setCard(this.#books, card, transactionAbsent);
    const alone = this.#missing();
    const { cardSpend, userNumber } = owner;
    owner.setCard(this.#books, card, transaction);
    return (
      alone +
      (owner.cardSpend === cardSpend ? 0 : this.#missingCardRow()) +
      (owner.userNumber === userNumber ? 0 : this.#missingUserRow())
    );
  }

  /** How many of the rows in which the owner spends are not in memory. */
  #missing(): number {
    const account = this.#books.spend.find(Level.account, this.#owner.accountNumber) < 0 ? 1 : 0;
    return account + this.#missingCardRow() + this.#missingUserRow();
  }

  #missingCardRow(): number {
    return this.#books.spend.find(Level.card, this.#owner.cardSpend) < 0 ? 1 : 0;
  }

  #missingUserRow(): number {
    const { accounts, spend } = this.#books;
    const currency = accounts.currency(accounts.find(this.#owner.accountNumber));
    return spend.find(Level.user, userSpendNumber(this.#owner.userNumber, currency)) < 0 ? 1 : 0;
  }
}
