/**
 * Withdraws an approval whose client was answered 503 by another engine, which heard of the approval too late or not at
 * all. It is revoked as a late one is, and only where no later message built on it:
 *
 * - this worker has decided it for that very message, and no other one has received its answer since (PeerApprovals).
 * - it is the newest message of its transaction, and all that it moved is in memory.
 * - its lane revokes it no more (finalSequence), so that it is not revoked twice.
 *
 * Everything else is left alone: the money stays held until it is reversed or its lifetime ends.
 */

import type { Books } from '../../engine/core/books.js';
import { isNeverRevoked, TransactionStatus } from '../../engine/core/codes.js';
import { Level } from '../../engine/core/limit-names.js';
import { Request } from '../../engine/core/request.js';
import { sameQuestion } from '../../engine/core/same-question.js';
import { locationSettled } from '../../engine/core/seen.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';
import { EntryStatus, markBytes, type Slab } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import { type AnswerMemory, recalled, unreadable } from './answer-memory.js';
import { chooseKnownForms, chooseRecordedForms, type KnownIds } from './kept-forms.js';
import { Owner } from './owner.js';
import type { PeerApprovals } from './peer-approvals.js';
import type { Revocation } from './revocation.js';
import { Root } from './root.js';

export interface WithdrawalParts {
  readonly books: Books;
  /** Indexed by Protocol. */
  readonly codecs: readonly (Codec | undefined)[];
  readonly answers: AnswerMemory;
  readonly knownIds: KnownIds;
  readonly revocation: Revocation;
  readonly approvals: PeerApprovals;
  /** Newest sequence that the lane revokes no more. */
  finalSequence(): number;
}

export class Withdrawal {
  readonly #parts: WithdrawalParts;
  readonly #request = new Request();
  readonly #owner = new Owner();
  readonly #root = new Root();

  constructor(parts: WithdrawalParts) {
    this.#parts = parts;
  }

  /** @returns withdrawn; none where nothing is to be done; unavailable where it is to be tried again */
  run(slab: Slab, index: number): number {
    const request = this.#request;
    const start = slab.start[index]!;
    const end = slab.end[index]! - markBytes;
    const { answers, approvals, knownIds, revocation } = this.#parts;
    const codec = this.#parts.codecs[slab.request[start]!];
    const refusal = codec?.read(request, slab.request, start + 1, end);
    if (refusal !== null || isNeverRevoked(request.type)) return EntryStatus.none;
    const { source, id, hidden } = request;
    if (hidden !== null) chooseKnownForms(request, hidden, knownIds);
    const { seen, record } = answers;
    const { place } = answers.find(source, id, true);
    if (place === unreadable) return EntryStatus.unavailable;
    if (place < 0 || place === recalled) return EntryStatus.none;
    const sequence = seen.sequence(place);
    if (!approvals.isOf(sequence, slab.request.readDoubleLE(end))) return EntryStatus.none;
    const asked = record.request();
    if (hidden !== null) chooseRecordedForms(request, hidden, asked);
    const location = seen.location(place);
    if (!sameQuestion(request, asked) || location === locationSettled) return EntryStatus.none;
    if (sequence > this.#parts.finalSequence()) return EntryStatus.unavailable;
    if (!this.#isWholeInMemory(sequence)) return EntryStatus.none;
    return revocation.revoke(slab, index, location) ? EntryStatus.withdrawn : EntryStatus.unavailable;
  }

  /** Whether memory has all that the approval in hand moved, and no later message of its transaction moved. */
  #isWholeInMemory(sequence: number): boolean {
    const { accounts, transactions, spend } = this.#parts.books;
    const { record } = this.#parts.answers;
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
