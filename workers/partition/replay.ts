/** Applies journaled records again, after a restart. */
import { applyOutcome } from '../../engine/core/apply.js';
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { assert } from '../../engine/core/invariant.js';
import { Outcome } from '../../engine/core/outcome.js';
import { followsTransaction, RecordOffset, readRecordOutcome, readRecordRequest } from '../../engine/core/record.js';
import { Request, type TextSlice } from '../../engine/core/request.js';
import type { AnswerMemory } from './answer-memory.js';
import { Owner } from './owner.js';
import { Root } from './root.js';

export class Replay {
  readonly #books: Books;
  readonly #answers: AnswerMemory;
  readonly #request = new Request();
  readonly #outcome = new Outcome();
  readonly #owner = new Owner();
  readonly #root = new Root();

  constructor(books: Books, answers: AnswerMemory) {
    this.#books = books;
    this.#answers = answers;
  }

  /**
   * The accounts, spend windows and transactions that the record touches have been loaded as of the sequence before the
   * first replayed one.
   */
  apply(bytes: Uint8Array, view: DataView, offset: number, sequence: number, location: number): void {
    const request = this.#request;
    const outcome = this.#outcome;
    const owner = this.#owner;
    const root = this.#root;
    readRecordRequest(bytes, view, offset, request);
    readRecordOutcome(view, offset, outcome);
    root.read(bytes, view, offset);
    owner.read(view, offset);
    const { accountNumber } = owner;
    const account = accountNumber === 0 ? -1 : this.#books.accounts.find(accountNumber);
    assert(accountNumber === 0 || account >= 0, `account ${accountNumber} of the journal is not loaded`);
    const opens = (outcome.opensTransaction && outcome.approved) || outcome.tombstone;
    if (opens) this.#forgetOlder(bytes, outcome.tombstone ? request.original : request.id);
    // Nothing may be evicted while the tail is replayed: what it touches was loaded for it.
    assert(
      !opens || this.#books.transactions.makeRoom(-1),
      'the journal tail holds more transactions than fit into memory: start with a larger HOLDS_MAX',
    );
    const transaction = followsTransaction(view, offset)
      ? this.#books.transactions.find(bytes, root.start, root.end)
      : transactionAbsent;
    const arrivalMs = view.getFloat64(offset + RecordOffset.arrivalMs, true);
    applyOutcome(this.#books, request, outcome, account, transaction, owner, sequence, arrivalMs);
    if (request.id.end === request.id.start) return;
    // Of an id that comes twice, the later record is the answer: a revocation, or the decision after one.
    const earlier = this.#answers.seen.find(bytes, request.id.start, request.id.end);
    this.#answers.remember(bytes, request.id, sequence, location, earlier);
  }

  /**
   * What was loaded for the tail is as it was before the tail. A transaction whose id the tail opens again had ended,
   * or was not in memory, at that decision. So the tail's follow-ups are not about it.
   */
  #forgetOlder(bytes: Uint8Array, id: TextSlice): void {
    const { transactions } = this.#books;
    const older = transactions.find(bytes, id.start, id.end);
    if (older >= 0) transactions.forget(older);
  }
}
