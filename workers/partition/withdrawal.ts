/**
 * Withdraws an approval whose client was answered 503 by another engine, which heard of the approval too late or not at
 * all. It is revoked as a late one is, and only where no later message built on it:
 *
 * - this worker has decided it, and no repeat has got its answer since. Another engine may have passed that on.
 * - it answered the attempt that is withdrawn. A client that was answered 503 asks again, and that may come here first.
 * - it is the newest message of its transaction, and all that it moved is in memory.
 * - its lane revokes it no more (finalSequence), so that it is not revoked twice.
 *
 * Everything else is left alone: the money stays held until it is reversed or its lifetime ends.
 */

import { isSameAttempt } from '../../engine/core/attempt.js';
import type { Books } from '../../engine/core/books.js';
import { isNeverRevoked, TransactionStatus } from '../../engine/core/codes.js';
import { Level } from '../../engine/core/limit-names.js';
import { Request } from '../../engine/core/request.js';
import { locationSettled } from '../../engine/core/seen.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';
import { EntryStatus, type Slab, withdrawalHead } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import { type AnswerMemory, recalled, unreadable } from './answer-memory.js';
import { chooseKnownForms, chooseRecordedForms, type KnownIds } from './kept-forms.js';
import { Owner } from './owner.js';
import type { Revocation } from './revocation.js';
import { Root } from './root.js';
import { sameQuestion } from './same-question.js';

export class Withdrawal {
  readonly #books: Books;
  readonly #codecs: readonly (Codec | undefined)[];
  readonly #answers: AnswerMemory;
  readonly #knownIds: KnownIds;
  readonly #revocation: Revocation;
  readonly #finalSequence: () => number;
  readonly #request = new Request();
  readonly #owner = new Owner();
  readonly #root = new Root();

  /** @param finalSequence no record up to it will be revoked by its lane any more */
  constructor(
    books: Books,
    codecs: readonly (Codec | undefined)[],
    answers: AnswerMemory,
    knownIds: KnownIds,
    revocation: Revocation,
    finalSequence: () => number,
  ) {
    this.#books = books;
    this.#codecs = codecs;
    this.#answers = answers;
    this.#knownIds = knownIds;
    this.#revocation = revocation;
    this.#finalSequence = finalSequence;
  }

  /** @returns withdrawn; none where nothing is to be done; unavailable where it is to be tried again */
  run(slab: Slab, index: number): number {
    const request = this.#request;
    const start = slab.start[index]!;
    const message = start + withdrawalHead;
    const codec = this.#codecs[slab.request[message - 1]!];
    const refusal = codec?.read(request, slab.request, message, slab.end[index]!);
    if (refusal !== null || isNeverRevoked(request.type)) return EntryStatus.none;
    const { source, id, hidden } = request;
    if (hidden !== null) chooseKnownForms(request, hidden, this.#knownIds);
    const { seen, record } = this.#answers;
    const { place } = this.#answers.find(source, id, true);
    if (place === unreadable) return EntryStatus.unavailable;
    if (place < 0 || place === recalled || !seen.isWithdrawable(place)) return EntryStatus.none;
    if (!isSameAttempt(record.arrivalMs, slab.request.readDoubleLE(start), slab.deadlineMs / 2))
      return EntryStatus.none;
    const asked = record.request();
    if (hidden !== null) chooseRecordedForms(request, hidden, asked);
    const location = seen.location(place);
    if (!sameQuestion(request, asked) || location === locationSettled) return EntryStatus.none;
    if (seen.sequence(place) > this.#finalSequence()) return EntryStatus.unavailable;
    if (!this.#isWholeInMemory(seen.sequence(place))) return EntryStatus.none;
    return this.#revocation.revoke(slab, index, location) ? EntryStatus.withdrawn : EntryStatus.unavailable;
  }

  /** Whether memory has all that the approval in hand moved, and no later message of its transaction moved. */
  #isWholeInMemory(sequence: number): boolean {
    const { accounts, transactions, spend } = this.#books;
    const { record } = this.#answers;
    const owner = this.#owner;
    const root = this.#root;
    owner.read(record.view, 0);
    const account = accounts.find(owner.accountNumber);
    if (account < 0) return false;
    if (record.outcome().transactionStatus === TransactionStatus.none) return true;
    record.readRoot(root);
    const transaction = transactions.find(root.source, root.start, root.end);
    return (
      transaction >= 0 &&
      transactions.sequence(transaction) === sequence &&
      spend.find(Level.card, owner.cardSpend) >= 0 &&
      spend.find(Level.user, userSpendNumber(owner.userNumber, accounts.currency(account))) >= 0 &&
      spend.find(Level.account, owner.accountNumber) >= 0
    );
  }
}
