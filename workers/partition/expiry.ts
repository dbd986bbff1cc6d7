/** Ends a hold whose lifetime is over. */

import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { MessageType } from '../../engine/core/codes.js';
import { Level } from '../../engine/core/limit-names.js';
import { Outcome } from '../../engine/core/outcome.js';
import { Request, type TextSlice } from '../../engine/core/request.js';
import { decideExpiry } from '../../engine/core/revoke-and-expire.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';
import { EntryFlag, type Slab } from '../../engine/exchange/slab.js';
import { notFound } from './answer-memory.js';
import type { Committer } from './commit.js';
import { Owner } from './owner.js';
import { Root } from './root.js';
import type { SpendRoom } from './spend-room.js';

export class Expiry {
  readonly #books: Books;
  readonly #room: SpendRoom;
  readonly #committer: Committer;
  readonly #request = new Request();
  readonly #outcome = new Outcome();
  readonly #owner = new Owner();
  readonly #root = new Root();

  constructor(books: Books, room: SpendRoom, committer: Committer) {
    this.#books = books;
    this.#room = room;
    this.#committer = committer;
  }

  /** @returns false when the transaction `id` must be looked up first, with all that its owner spends from */
  run(slab: Slab, index: number, id: TextSlice, evictableSequence: number): boolean {
    const { transactions, accounts } = this.#books;
    const transaction = transactions.find(slab.request, id.start, id.end);
    if (transaction < 0) return (slab.flags[index]! & EntryFlag.originalAbsent) !== 0;
    const account = accounts.find(transactions.account(transaction));
    if (account < 0 || !this.#knowsSpend(transaction, account)) return false;
    // Without room the next look for lapsed holds brings it again.
    if (!this.#room.makeForTransaction(transaction, evictableSequence)) return true;
    const outcome = this.#outcome;
    if (!decideExpiry(this.#books, transaction, slab.arrivalMs[index]!, outcome)) return true;
    outcome.currency = accounts.currency(account);
    outcome.availableMinor = accounts.available(account) - outcome.heldDelta;
    outcome.heldMinor = accounts.held(account) + outcome.heldDelta;
    const request = this.#request;
    request.reset(slab.request, 0);
    request.type = MessageType.expiry;
    const owner = this.#owner;
    owner.setTransaction(this.#books, transaction);
    const root = this.#root;
    root.set(slab.request, id.start, id.end);
    const over = transactionAbsent;
    this.#committer.commit(slab, index, request, outcome, owner, account, transaction, over, root, notFound);
    return true;
  }

  #knowsSpend(transaction: number, account: number): boolean {
    const { transactions, accounts, spend } = this.#books;
    return (
      spend.isKnown(Level.card, transactions.cardSpend(transaction)) &&
      spend.isKnown(Level.user, userSpendNumber(transactions.user(transaction), accounts.currency(account))) &&
      spend.isKnown(Level.account, transactions.account(transaction))
    );
  }
}
