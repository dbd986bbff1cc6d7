/**
 * Books what the front approved without this partition (engine/standin). The entry is the record that the front made
 * durable. The partition writes the same question and answer into its own journal, with what they do to the books. From
 * then on it answers repeats. A record that was booked before moves nothing.
 *
 * The partition may have decided the same message, in a slab that no client waits for any more:
 *
 * - Its approval stays and is the hold. The lane's revocation of it finds this record in its place (revocation.ts).
 * - Its decline is replaced as the answer of the id.
 * - Its revoked approval was never answered, and the id is free.
 */
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { TransactionStatus } from '../../engine/core/codes.js';
import type { Decider } from '../../engine/core/decide.js';
import { detailStandIn } from '../../engine/core/limit-names.js';
import type { Outcome } from '../../engine/core/outcome.js';
import type { CardProfile } from '../../engine/core/profile.js';
import { Question } from '../../engine/core/question.js';
import { Reason } from '../../engine/core/reasons.js';
import { isWholeRecord, RecordOffset, readRecordRequest } from '../../engine/core/record.js';
import { Request } from '../../engine/core/request.js';
import { sameQuestion } from '../../engine/core/same-question.js';
import { AnswerFlag, EntryFlag, EntryStatus, markBytes, type Slab } from '../../engine/exchange/slab.js';
import { type AnswerMemory, lookupNeeded, notFound, recalled, unreadable } from './answer-memory.js';
import { byteText } from './byte-text.js';
import type { CardBooks } from './card-books.js';
import type { Committer } from './commit.js';
import { Owner } from './owner.js';
import { Root } from './root.js';
import type { SlabAnswers } from './slab-answers.js';
import type { TransactionFinder } from './transaction-finder.js';

/** What answers the id until now: a slot in Seen, recalled, or notFound. */
interface Before {
  readonly place: number;
  /** It is an approval, whose transaction counts. */
  readonly isApproved: boolean;
  readonly isRevoked: boolean;
}

export interface StandInBookingParts {
  readonly books: Books;
  readonly answers: SlabAnswers;
  readonly memory: AnswerMemory;
  readonly cardBooks: CardBooks;
  readonly finder: TransactionFinder;
  readonly decider: Decider;
  /** The decider's. */
  readonly outcome: Outcome;
  readonly committer: Committer;
  /** @returns false when the message has to wait for room in memory */
  makeRoom(card: CardProfile | null, transaction: number): boolean;
}

export class StandInBooking {
  readonly #parts: StandInBookingParts;
  readonly #request = new Request();
  readonly #question = new Question();
  readonly #owner = new Owner();
  readonly #root = new Root();
  /** As the front answered it. */
  #currency = 0;

  constructor(parts: StandInBookingParts) {
    this.#parts = parts;
  }

  /**
   * Leaves the entry's status: decided where it is booked, a lookup, no room, or unavailable. The reason of what is
   * booked is originalClosed where it holds nothing.
   */
  run(slab: Slab, index: number): void {
    const { answers, memory } = this.#parts;
    const request = this.#request;
    if (!this.#read(slab, index)) {
      slab.status[index] = EntryStatus.malformed;
      return;
    }
    const { source, id } = request;
    const wasLookedUp = (slab.flags[index]! & EntryFlag.seenAbsent) !== 0;
    const { place, revocation } = memory.find(source, id, wasLookedUp);
    const isNew = place === notFound && revocation === notFound;
    if (place === unreadable) answers.unavailable(slab, index);
    else if (place === lookupNeeded || (isNew && !wasLookedUp && memory.mayBeSettled(source, id))) {
      answers.lookup(slab, index, EntryStatus.lookupSeen, source, id);
    } else if (place === notFound) {
      this.#book(slab, index, { place: revocation, isApproved: false, isRevoked: !isNew });
    } else if (this.#isBooked()) {
      slab.status[index] = EntryStatus.decided;
      slab.reason[index] = Reason.approved;
      slab.answerFlags[index] = AnswerFlag.repeated;
    } else this.#book(slab, index, { place, isApproved: memory.record.outcome().approved, isRevoked: false });
  }

  /** Takes the record's question, and its arrival: what it spends counts on the day of the purchase. */
  #read(slab: Slab, index: number): boolean {
    const isMarked = (slab.flags[index]! & EntryFlag.marked) !== 0;
    const start = slab.start[index]!;
    const length = slab.end[index]! - start - (isMarked ? markBytes : 0);
    const { request } = slab;
    const view = new DataView(request.buffer, request.byteOffset, request.length);
    if (!isWholeRecord(view, start, length)) return false;
    readRecordRequest(request, view, start, this.#request);
    this.#currency = view.getUint16(start + RecordOffset.currency, true);
    slab.arrivalMs[index] = view.getFloat64(start + RecordOffset.arrivalMs, true);
    return true;
  }

  /** Whether the record in hand is this booking. */
  #isBooked(): boolean {
    const { record } = this.#parts.memory;
    return record.outcome().detail === detailStandIn && sameQuestion(this.#request, record.request());
  }

  #book(slab: Slab, index: number, before: Before): void {
    const { answers, cardBooks, finder } = this.#parts;
    const request = this.#request;
    const { source, id } = request;
    const flags = slab.flags[index]!;
    const card = cardBooks.find(request, (flags & EntryFlag.cardAbsent) !== 0);
    if (card === undefined) {
      answers.lookup(slab, index, EntryStatus.lookupCard, source, request.card);
      return;
    }
    const { transaction } = finder.find(request, true);
    const wasLookedUp = (flags & EntryFlag.originalAbsent) !== 0;
    const lacksTransaction = before.isApproved && transaction === transactionAbsent;
    const lacksParties = card !== null && transaction >= 0 && !cardBooks.knowsParties(transaction);
    if ((lacksTransaction || lacksParties) && !wasLookedUp) {
      answers.lookup(slab, index, EntryStatus.lookupOriginal, source, id);
      return;
    }
    if (lacksParties || !this.#parts.makeRoom(card, transaction)) slab.status[index] = EntryStatus.noRoom;
    else this.#commit(slab, index, card, transaction, before);
  }

  #commit(slab: Slab, index: number, card: CardProfile | null, transaction: number, before: Before): void {
    const { books, finder, decider, outcome, committer, cardBooks } = this.#parts;
    const request = this.#request;
    const question = this.#question;
    // An approval without its transaction: it ended and left the books, and what it came to stays as it is.
    question.card = before.isApproved && transaction === transactionAbsent ? null : card;
    question.transaction = transaction;
    question.revoked = before.isRevoked;
    question.nowMs = slab.arrivalMs[index]!;
    decider.bookStandIn(question, request);
    outcome.currency = this.#currency;
    const { opensTransaction } = outcome;
    const owner = this.#owner;
    owner.setCard(books, card, opensTransaction ? transactionAbsent : transaction);
    finder.roots.delete(byteText(request.source, request.id));
    const root = this.#root;
    root.clear();
    const account = card === null ? -1 : card.account;
    const replaces = before.place === recalled ? notFound : before.place;
    const over = opensTransaction ? transaction : transactionAbsent;
    committer.commit(slab, index, request, outcome, owner, account, transaction, over, root, replaces);
    if (card !== null && outcome.spendCountDelta !== 0) cardBooks.noteSpend();
    slab.status[index] = EntryStatus.decided;
    slab.reason[index] = outcome.transactionStatus === TransactionStatus.none ? Reason.originalClosed : Reason.approved;
  }
}
