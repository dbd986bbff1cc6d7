/** Whose message is decided: as its record names the owner, and whose books its outcome moves. */
import type { Parties } from '../../engine/core/apply.js';
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import type { CardProfile } from '../../engine/core/profile.js';
import { RecordOffset, type RecordOwner, readCardSpend } from '../../engine/core/record.js';

export class Owner implements RecordOwner, Parties {
  accountNumber = 0;
  cardNumber = 0;
  cardSpend = 0;
  userNumber = 0;
  profileVersion = 0;

  /** A card's message: the card and user of the transaction that it follows, where that is of the card's account. */
  setCard({ accounts, users, transactions }: Books, card: CardProfile | null, transaction: number): void {
    this.accountNumber = card === null ? 0 : accounts.number(card.account);
    const follows = card !== null && transaction >= 0 && transactions.account(transaction) === this.accountNumber;
    this.cardNumber = follows ? transactions.card(transaction) : card === null ? 0 : card.number;
    this.cardSpend = follows ? transactions.cardSpend(transaction) : card === null ? 0 : card.spendNumber;
    this.userNumber = follows ? transactions.user(transaction) : card === null ? 0 : users.number(card.user);
    this.profileVersion = card === null ? 0 : card.version;
  }

  /** A ledger command: no card, no user. */
  setAccount(books: Books, account: number): void {
    this.setCard(books, null, transactionAbsent);
    this.accountNumber = books.accounts.number(account);
    this.profileVersion = books.accounts.version(account);
  }

  setTransaction({ transactions }: Books, transaction: number): void {
    this.accountNumber = transactions.account(transaction);
    this.cardNumber = transactions.card(transaction);
    this.cardSpend = transactions.cardSpend(transaction);
    this.userNumber = transactions.user(transaction);
    this.profileVersion = 0;
  }

  /** The owner of a record that was journaled earlier. */
  read(view: DataView, offset: number): void {
    this.accountNumber = view.getFloat64(offset + RecordOffset.accountNumber, true);
    this.cardNumber = view.getFloat64(offset + RecordOffset.cardNumber, true);
    this.cardSpend = readCardSpend(view, offset);
    this.userNumber = view.getFloat64(offset + RecordOffset.userNumber, true);
    this.profileVersion = view.getUint32(offset + RecordOffset.profileVersion, true);
  }
}
