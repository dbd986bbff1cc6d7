/**
 * Revokes an approval that missed its deadline, by a record of its own. Its id counts as never answered and is decided
 * when it comes again.
 */

import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { assert } from '../../engine/core/invariant.js';
import { detailStandIn } from '../../engine/core/limit-names.js';
import { Outcome } from '../../engine/core/outcome.js';
import { Request } from '../../engine/core/request.js';
import { decideRevocation } from '../../engine/core/revoke-and-expire.js';
import type { Slab } from '../../engine/exchange/slab.js';
import type { AnswerMemory } from './answer-memory.js';
import type { Committer } from './commit.js';
import { Owner } from './owner.js';
import type { PartitionJournal } from './partition-journal.js';
import { RevokedTrace } from './revoked-trace.js';
import { Root } from './root.js';

export class Revocation {
  readonly #books: Books;
  readonly #journal: PartitionJournal;
  readonly #answers: AnswerMemory;
  readonly #committer: Committer;
  readonly #request = new Request();
  readonly #outcome = new Outcome();
  readonly #owner = new Owner();
  readonly #root = new Root();
  readonly #trace = new RevokedTrace();

  constructor(books: Books, journal: PartitionJournal, answers: AnswerMemory, committer: Committer) {
    this.#books = books;
    this.#journal = journal;
    this.#answers = answers;
    this.#committer = committer;
  }

  /**
   * Revokes the approval whose location the entry is.
   * @returns false when its record cannot be read now: the lane keeps it first in line, and sends it again
   */
  run(slab: Slab, index: number): boolean {
    const location = slab.request.readDoubleLE(slab.start[index]!);
    if (!this.#readApproval(location)) return false;
    return this.#isBookedAsStandIn() || this.revoke(slab, index, location);
  }

  /**
   * Whether the front has approved the message of the record in hand, and that is booked: the approval is its hold.
   * Reads over the record.
   */
  #isBookedAsStandIn(): boolean {
    const { record } = this.#answers;
    record.readRequest(this.#request);
    const { source, id } = this.#request;
    const bytes = source.slice(id.start, id.end);
    const { place } = this.#answers.find(bytes, { start: 0, end: bytes.length }, true);
    return place >= 0 && record.outcome().detail === detailStandIn;
  }

  /** @returns false when the approval's record cannot be read now */
  revoke(slab: Slab, index: number, location: number): boolean {
    if (!this.#readApproval(location)) return false;
    const { record } = this.#answers;
    const { isFollowUp } = record;
    const openingRevoked = !isFollowUp || this.#isOpeningRevoked(location);
    const request = this.#request;
    const owner = this.#owner;
    const root = this.#root;
    record.readRequest(request);
    record.readRoot(root);
    owner.read(record.view, 0);
    const approval = record.outcome();
    const account = this.#books.accounts.find(owner.accountNumber);
    assert(account >= 0, 'the account of an approval that may be revoked is in memory');
    const transaction =
      approval.transactionStatus === TransactionStatus.none
        ? transactionAbsent
        : this.#books.transactions.find(root.source, root.start, root.end);
    decideRevocation(this.#books, account, transaction, approval, openingRevoked, this.#outcome);
    if (!isFollowUp) root.clear();
    request.askedType = request.type;
    request.type = MessageType.revocation;
    const replaces = this.#answers.slotAt(request.source, request.id, location);
    const over = transactionAbsent;
    const outcome = this.#outcome;
    const trace = this.#trace.isOf(record, approval) ? this.#trace : null;
    this.#committer.commit(slab, index, request, outcome, owner, account, transaction, over, root, replaces, trace);
    return true;
  }

  /** Whether the first message of the transaction is revoked. The search for it reads over the record in hand. */
  #isOpeningRevoked(location: number): boolean {
    this.#answers.record.readRoot(this.#root);
    const root = this.#root.source.slice(this.#root.start, this.#root.end);
    const isRevoked = this.#answers.isRevoked(root, { start: 0, end: root.length });
    assert(this.#readApproval(location), 'a record that was read a moment ago can be read again');
    return isRevoked;
  }

  #readApproval(location: number): boolean {
    const { record } = this.#answers;
    const length = this.#journal.read(location, record.bytes);
    if (length < 0) return false;
    // Its segment is not retired before the front has published that nothing in it can be revoked any more.
    assert(record.isWhole(length), 'an approval to revoke is not in the journal');
    return true;
  }
}
