/**
 * A partition: the only writer of its accounts. It takes one slab after another and decides every message in arrival
 * order against memory alone. It hands the records to its journal and leaves the answers in the slab. The syncer thread
 * makes the records durable; the front sends the answers after that. The partition reads no clock (the front stamps
 * arrival and sealing), opens no socket, sets no timer: its thread sleeps in Atomics.wait between batches.
 *
 * The answer names what is missing from memory. The front looks it up and sends the message again, after an entry with
 * the rows. Nothing here waits.
 */
import { LRUCache } from 'lru-cache';
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import type { Cards } from '../../engine/core/cards.js';
import { isLedgerCommand, isNeverRevoked, MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { Decider, declineOutright } from '../../engine/core/decide.js';
import { decideCommand } from '../../engine/core/decide-command.js';
import { assert } from '../../engine/core/invariant.js';
import { levels } from '../../engine/core/limit-names.js';
import { Outcome } from '../../engine/core/outcome.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import type { CardProfile } from '../../engine/core/profile.js';
import { type Policy, Question } from '../../engine/core/question.js';
import { Reason } from '../../engine/core/reasons.js';
import { RecordOffset, type RecordTrace } from '../../engine/core/record.js';
import { Request } from '../../engine/core/request.js';
import { sameQuestion } from '../../engine/core/same-question.js';
import type { Seen } from '../../engine/core/seen.js';
import type { PartitionSize, StoredDecision } from '../../engine/exchange/partition-task.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, markBytes, type Slab } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import { AnswerMemory, lookupNeeded, notFound, recalled, unreadable } from './answer-memory.js';
import { byteText } from './byte-text.js';
import { CardBooks } from './card-books.js';
import { Committer } from './commit.js';
import { Expiry } from './expiry.js';
import { chooseKnownForms, chooseRecordedForms, type KnownIds } from './kept-forms.js';
import { Owner } from './owner.js';
import type { PartitionJournal } from './partition-journal.js';
import { PartitionMemory } from './partition-memory.js';
import { PeerApprovals } from './peer-approvals.js';
import { Replay } from './replay.js';
import { Revocation } from './revocation.js';
import { Root } from './root.js';
import { applyChanges, RowCounts, type RowTarget, takeRows, takeSeen } from './rows.js';
import type { SettledIds } from './settled-ids.js';
import { SlabAnswers } from './slab-answers.js';
import { SpendRoom } from './spend-room.js';
import { StandInBooking } from './stand-in-booking.js';
import { type About, TransactionFinder } from './transaction-finder.js';
import { UnknownFields } from './unknown-fields.js';
import { Withdrawal } from './withdrawal.js';

/** Accounts that ledger commands named: a few a second, so that a forgotten one costs a lookup now and then. */
const accountIdsMax = 65_536;

export class Partition {
  readonly books: Books;
  readonly seen: Seen;
  readonly cards: Cards;
  readonly cardBooks: CardBooks;
  /** What found no room in memory: rows that a lookup brought, and messages. For the metrics, and for the log. */
  readonly counts = new RowCounts();
  readonly unknownFields = new UnknownFields();
  readonly #codecs: readonly (Codec | undefined)[];
  readonly #evictableSequence: () => number;
  readonly #memory: AnswerMemory;
  readonly #finder: TransactionFinder;
  readonly #room: SpendRoom;
  readonly #committer: Committer;
  readonly #revocation: Revocation;
  readonly #withdrawal: Withdrawal;
  readonly #standInBooking: StandInBooking;
  readonly #peerApprovals = new PeerApprovals();
  readonly #expiry: Expiry;
  readonly #replay: Replay;
  readonly #answers = new SlabAnswers();
  /** The message that is decided, and its mark: 0 where a client of this engine has sent it. */
  readonly #request = new Request();
  #mark = 0;
  readonly #question = new Question();
  readonly #outcome = new Outcome();
  readonly #decider: Decider;
  readonly #owner = new Owner();
  readonly #root = new Root();
  /** Numbers of accounts by public id. */
  readonly #accountNumbers = new LRUCache<string, number>({ maxSize: accountIdsMax, sizeCalculation: () => 1 });
  readonly #rowTarget: RowTarget;
  readonly #knownIds: KnownIds;
  /**
   * What has newer records stays in memory: the books in Postgres do not have them yet, or they may be revoked. Read
   * once a batch; at a start nothing may leave.
   */
  #evictable = -1;

  /**
   * @param codecs indexed by Protocol
   * @param evictableSequence newest sequence that the books in Postgres have and that no deadline can revoke any more;
   *   what is newer must not leave memory
   * @param finalSequence newest sequence that the lane revokes no more; at most it may be withdrawn
   */
  constructor(
    size: PartitionSize,
    policy: Policy,
    journal: PartitionJournal,
    codecs: readonly (Codec | undefined)[],
    evictableSequence: () => number,
    { books, seen, cards } = new PartitionMemory(size),
    finalSequence = evictableSequence,
  ) {
    this.books = books;
    this.seen = seen;
    this.cards = cards;
    this.#codecs = codecs;
    this.#evictableSequence = evictableSequence;
    this.#memory = new AnswerMemory(seen, journal);
    this.#finder = new TransactionFinder(books.transactions, this.#memory, this.#root);
    this.cardBooks = new CardBooks(books, cards);
    this.#room = new SpendRoom(books, this.counts);
    this.#committer = new Committer(journal, books, this.#memory);
    this.#revocation = new Revocation(books, journal, this.#memory, this.#committer);
    this.#expiry = new Expiry(books, this.#room, this.#committer);
    this.#replay = new Replay(books, this.#memory);
    this.#rowTarget = {
      books,
      cards,
      recalled: this.#memory.recalled,
      roots: this.#finder.roots,
      accountNumbers: this.#accountNumbers,
      counts: this.counts,
    };
    const { recalled, roots } = this.#rowTarget;
    this.#knownIds = { seen, transactions: books.transactions, recalled, roots };
    this.#withdrawal = new Withdrawal({
      books,
      codecs,
      answers: this.#memory,
      knownIds: this.#knownIds,
      revocation: this.#revocation,
      approvals: this.#peerApprovals,
      finalSequence,
    });
    this.#decider = new Decider(books, policy, this.#outcome);
    this.#standInBooking = new StandInBooking({
      books,
      answers: this.#answers,
      memory: this.#memory,
      cardBooks: this.cardBooks,
      finder: this.#finder,
      decider: this.#decider,
      outcome: this.#outcome,
      committer: this.#committer,
      makeRoom: (card, transaction) => this.#makeRoom(card, transaction),
    });
  }

  /**
   * Runs one batch. Its answers may be sent once everything up to slab.lastSequence is durable: their own records, and
   * those that they repeat. Throws when the journal fails: then nothing in the slab may be sent.
   */
  run(slab: Slab): void {
    const answers = this.#answers;
    this.#evictable = this.#evictableSequence();
    answers.begin();
    const writable = this.#committer.begin(slab);
    for (let index = 0; index < slab.count; index++) {
      answers.beginEntry(slab, index);
      const kind = slab.kind[index]!;
      if (kind === EntryKind.rows) this.#readRows(slab, index);
      else if (!writable) answers.unavailable(slab, index);
      else if (kind === EntryKind.revocation) this.#revoke(slab, index);
      else if (kind === EntryKind.expiry) this.#expire(slab, index);
      else if (kind === EntryKind.withdrawal) this.#withdraw(slab, index);
      else if (kind === EntryKind.standIn) this.#standInBooking.run(slab, index);
      else this.#handle(slab, index, this.#codecs[kind]!);
      answers.endEntry(slab, index);
    }
    this.#committer.end(slab);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  #readRows(slab: Slab, index: number): void {
    // The front is our own process: these bytes come from our lookups, not from outside.
    this.takeRows(JSON.parse(slab.request.toString('utf8', slab.start[index], slab.end[index])) as PartitionRows);
    slab.status[index] = EntryStatus.none;
  }

  /** Takes over, before the replay, what the journal's tail touches: all of it must fit. */
  restore(message: PartitionRows): void {
    this.takeRows(message);
    const { fullAccounts, fullSpend } = this.counts;
    assert(
      fullAccounts + fullSpend === 0,
      'the journal tail touches more accounts than fit into memory: start with a larger ACCOUNTS_MAX',
    );
  }

  /** Takes over what a lookup brought. */
  takeRows(message: PartitionRows): void {
    takeRows(message, this.#rowTarget, this.#evictable);
    if (message.changes !== undefined) applyChanges(message.changes, this.books, this.cards);
    if (message.seen !== undefined) takeSeen(message.seen, this.seen);
    if (message.seenComplete === true) this.#memory.complete();
  }

  /** Until rows with `seenComplete` come, `ids` says of which unknown ids it is sure that they are new. */
  expectIds(ids: Pick<SettledIds, 'mayHold'>): void {
    this.#memory.expectIds(ids);
  }

  /** Applies a journaled record again, after a restart. */
  replay(bytes: Uint8Array, view: DataView, offset: number, sequence: number, location: number): void {
    this.#replay.apply(bytes, view, offset, sequence, location);
  }

  /** The newest record of that id in the journal; null where it has none, or none that can be read now. */
  decision(id: Uint8Array): StoredDecision | null {
    const { record } = this.#memory;
    const sequence = this.#memory.newest(id, { start: 0, end: id.length });
    if (sequence === notFound) return null;
    const bytes = Buffer.from(record.bytes.buffer, 0, record.view.getUint16(RecordOffset.length, true));
    const arrivalMs = record.view.getFloat64(RecordOffset.arrivalMs, true);
    return { sequence, arrivalMs, record: bytes.toString('base64') };
  }

  // --- internal messages --------------------------------------------------------------------------------------------

  #revoke(slab: Slab, index: number): void {
    if (!this.#revocation.run(slab, index)) {
      this.#answers.unavailable(slab, index);
      return;
    }
    slab.status[index] = EntryStatus.revoked;
    slab.reason[index] = Reason.systemError;
  }

  #withdraw(slab: Slab, index: number): void {
    const status = this.#withdrawal.run(slab, index);
    if (status === EntryStatus.unavailable) this.#answers.unavailable(slab, index);
    else slab.status[index] = status;
  }

  #expire(slab: Slab, index: number): void {
    slab.status[index] = EntryStatus.none;
    const id = { start: slab.start[index]!, end: slab.end[index]! };
    if (this.#expiry.run(slab, index, id, this.#evictable)) return;
    this.#answers.lookup(slab, index, EntryStatus.lookupOriginal, slab.request, id);
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  #handle(slab: Slab, index: number, codec: Codec): void {
    const request = this.#request;
    const isMarked = (slab.flags[index]! & EntryFlag.marked) !== 0;
    const end = isMarked ? slab.end[index]! - markBytes : slab.end[index]!;
    this.#mark = isMarked ? slab.request.readDoubleLE(end) : 0;
    const refusal = codec.read(request, slab.request, slab.start[index]!, end);
    if (refusal === null) this.#answer(slab, index, codec, request);
    else this.#answers.refuse(slab, index, codec, request, refusal);
    if (request.unknownFields !== 0) this.unknownFields.count(request, slab.status[index]!);
  }

  /** Answers a repeat as before, and decides what is asked for the first time. */
  #answer(slab: Slab, index: number, codec: Codec, request: Request): void {
    const answers = this.#answers;
    const memory = this.#memory;
    const { source, id, hidden } = request;
    if (hidden !== null) chooseKnownForms(request, hidden, this.#knownIds);
    const flags = slab.flags[index]!;
    const wasLookedUp = (flags & EntryFlag.seenAbsent) !== 0;
    const { place, revocation } = memory.find(source, id, wasLookedUp);
    if (place === unreadable) {
      answers.unavailable(slab, index);
      return;
    }
    const isNew = place === notFound && revocation === notFound;
    if (place === lookupNeeded || (isNew && !wasLookedUp && memory.mayBeSettled(source, id, hidden?.olderIds))) {
      answers.lookup(slab, index, EntryStatus.lookupSeen, source, id, hidden?.olderIds);
      return;
    }
    if (place !== notFound) {
      this.#repeat(slab, index, codec, request, place);
      return;
    }
    if ((flags & EntryFlag.foreign) !== 0) {
      // The id came with another partition's card or account before. It belongs to that question, even an undecided
      // one.
      this.#conflict(request, null);
      this.#root.clear();
      answers.decided(slab, index, codec, request, this.#outcome, this.#root);
      return;
    }
    if (isLedgerCommand(request.type)) {
      this.#command(slab, index, codec, request);
      return;
    }
    // Facts have happened, however late they are.
    if (!isNeverRevoked(request.type) && slab.arrivalMs[index]! + slab.deadlineMs <= slab.sealedAtMs) {
      answers.unavailable(slab, index);
      return;
    }
    this.#authorize(slab, index, codec, request, revocation);
  }

  /** The same question again: the same answer, rendered from the record. Another question under its id: a conflict. */
  #repeat(slab: Slab, index: number, codec: Codec, request: Request, place: number): void {
    const { record } = this.#memory;
    record.readRoot(this.#root);
    const asked = record.request();
    if (request.hidden !== null) chooseRecordedForms(request, request.hidden, asked);
    if (sameQuestion(request, asked)) {
      slab.answerFlags[index] = AnswerFlag.repeated;
      if (place !== recalled) this.#peerApprovals.repeated(this.seen.sequence(place), this.#mark);
      this.#answers.decided(slab, index, codec, request, record.outcome(), this.#root);
      return;
    }
    const outcome = this.#outcome;
    outcome.reset();
    outcome.reason = Reason.duplicateConflict;
    outcome.currency = request.currency;
    outcome.amountMinor = Math.max(0, request.amountMinor);
    this.#answers.decided(slab, index, codec, request, outcome, this.#root);
  }

  /** A deposit or withdrawal: names its account, opens no transaction, spends in no window. */
  #command(slab: Slab, index: number, codec: Codec, request: Request): void {
    const { accounts } = this.books;
    const { source } = request;
    const number = this.#accountNumbers.get(byteText(source, request.account));
    const account = number === undefined ? -1 : accounts.find(number);
    if (account < 0) {
      if ((slab.flags[index]! & EntryFlag.accountAbsent) === 0) {
        this.#answers.lookup(slab, index, EntryStatus.lookupAccount, source, request.account);
        return;
      }
      slab.status[index] = EntryStatus.unknownAccount;
      slab.reason[index] = Reason.systemError;
      return;
    }
    if (slab.isStale) {
      // Whether the account may pay or take is not known for sure. Undecided rather than declined: no terminal waits,
      // and the same id asked again gets the one answer later.
      this.#answers.unavailable(slab, index);
      return;
    }
    accounts.touch(account);
    const outcome = this.#outcome;
    decideCommand(accounts, account, request, outcome);
    const owner = this.#owner;
    owner.setAccount(this.books, account);
    const root = this.#root;
    root.set(source, 0, 0);
    const none = transactionAbsent;
    this.#committer.commit(slab, index, request, outcome, owner, account, none, none, root, notFound);
    this.#answers.decided(slab, index, codec, request, outcome, root);
  }

  /**
   * A card's message: finds its card and its transaction, and makes room, or says what is missing.
   * @param revocation where the record of the id's revocation stands; notFound when it was never revoked
   */
  #authorize(slab: Slab, index: number, codec: Codec, request: Request, revocation: number): void {
    const answers = this.#answers;
    const { source, original, hidden } = request;
    const flags = slab.flags[index]!;
    const card = this.cardBooks.find(request, (flags & EntryFlag.cardAbsent) !== 0);
    if (card === undefined) {
      answers.lookup(slab, index, EntryStatus.lookupCard, source, request.card);
      return;
    }
    const wasLookedUp = (flags & EntryFlag.originalAbsent) !== 0;
    const about = this.#finder.find(request, wasLookedUp);
    const { transaction } = about;
    if (transaction === unreadable) {
      answers.unavailable(slab, index);
      return;
    }
    const isFollowUp = transaction >= 0 && card !== null && original.end > original.start;
    const lacksParties = isFollowUp && !this.cardBooks.knowsParties(transaction);
    if (transaction === lookupNeeded || (lacksParties && !wasLookedUp)) {
      answers.lookup(slab, index, EntryStatus.lookupOriginal, source, original, hidden?.olderOriginals);
      return;
    }
    if (request.waitsForOriginal && card !== null && transaction === transactionAbsent && !about.originalKnown) {
      answers.unavailable(slab, index);
      return;
    }
    if (lacksParties || !this.#makeRoom(card, transaction)) {
      slab.status[index] = EntryStatus.noRoom;
      return;
    }
    this.#decide(slab, index, codec, request, card, about, revocation);
  }

  /** Makes room for what the message may open. What leaves for it may be what it needs: then it has no room. */
  #makeRoom(card: CardProfile | null, transaction: number): boolean {
    const { spend, transactions } = this.books;
    if (card !== null && spend.free < 2 * levels.length) {
      if (!this.#room.makeForCard(card, transaction, this.#evictable) || !this.cardBooks.hasBooks()) return false;
    }
    if (transactions.makeRoom(this.#evictable)) return true;
    this.counts.fullTransactions++;
    return false;
  }

  #decide(
    slab: Slab,
    index: number,
    codec: Codec,
    request: Request,
    card: CardProfile | null,
    about: About,
    revocation: number,
  ): void {
    const outcome = this.#outcome;
    const { transaction, namedByOriginal } = about;
    let trace: RecordTrace | null = null;
    const isRevocable = !isNeverRevoked(request.type);
    if (isRevocable && slab.isStale) {
      // What is known of cards may be too old: declined, holds nothing, and the answer is remembered like any other.
      this.#decline(request, card, Reason.systemError, transaction !== transactionAbsent && !namedByOriginal);
    } else {
      const question = this.#question;
      question.card = card;
      question.transaction = transaction;
      question.originalKnown = about.originalKnown;
      question.originalIsClearing = about.originalIsClearing;
      question.namedByOriginal = namedByOriginal;
      question.originalRevoked = about.originalRevoked;
      question.revoked = revocation !== notFound;
      question.isReversed = request.type === MessageType.incremental && this.#isTombstone(request);
      question.nowMs = slab.arrivalMs[index]!;
      this.#decider.decide(question, request);
      trace = this.#decider.trace;
      if (outcome.opensTransaction && this.#namesForgotten(request)) this.#conflict(request, card);
    }
    const owner = this.#owner;
    const opens = outcome.opensTransaction || outcome.tombstone;
    owner.setCard(this.books, card, opens ? transactionAbsent : transaction);
    const { roots } = this.#finder;
    // The name is a transaction's own from here on: where an earlier message of that id led to, counts no more.
    if (revocation !== notFound) roots.delete(byteText(request.source, request.id));
    if (outcome.tombstone) roots.delete(byteText(request.source, request.original));
    const opensOver = opens ? this.#transactionBefore(request, about) : transactionAbsent;
    const account = card === null ? -1 : card.account;
    const root = this.#root;
    const replaces = revocation === recalled ? notFound : revocation;
    this.#committer.commit(
      slab,
      index,
      request,
      outcome,
      owner,
      account,
      transaction,
      opensOver,
      root,
      replaces,
      trace,
    );
    if (card !== null && outcome.spendCountDelta !== 0) this.cardBooks.noteSpend();
    this.#answers.decided(slab, index, codec, request, outcome, root);
    if (!outcome.approved || !isRevocable) return;
    slab.answerFlags[index]! |= AnswerFlag.revocable;
    if (this.#mark !== 0) this.#peerApprovals.add(this.#committer.lastSequence, this.#mark);
  }

  /** Of an outcome that opens a transaction, the one that had its name and is over: it leaves. */
  #transactionBefore({ type, source, id }: Request, { transaction, namedByOriginal }: About): number {
    if (this.#outcome.tombstone || !namedByOriginal) return transaction;
    return type === MessageType.advice ? this.books.transactions.find(source, id.start, id.end) : transactionAbsent;
  }

  /**
   * Whether a clearing or refund of its own, without an original of this account, has the id of a transaction. Then it
   * is a repeat from longer ago than ids are remembered, or another message. (Authorizations are looked up by their own
   * id anyway.)
   */
  #namesForgotten(request: Request): boolean {
    if (request.type !== MessageType.clearing && request.type !== MessageType.refund) return false;
    return this.books.transactions.find(request.source, request.id.start, request.id.end) >= 0;
  }

  /** Whether the message's own id is the name of a tombstone: its reversal overtook it. */
  #isTombstone({ source, id }: Request): boolean {
    const { transactions } = this.books;
    const slot = transactions.find(source, id.start, id.end);
    return slot >= 0 && transactions.status(slot) === TransactionStatus.tombstone;
  }

  /** Declines a message because its id is taken; nothing of what was decided has been applied yet. */
  #conflict(request: Request, card: CardProfile | null): void {
    this.#decline(request, card, Reason.duplicateConflict, true);
  }

  #decline(request: Request, card: CardProfile | null, reason: Reason, hasTransaction: boolean): void {
    const outcome = this.#outcome;
    declineOutright(request, outcome, reason, hasTransaction);
    if (card === null) return;
    const { accounts } = this.books;
    if (outcome.currency === 0) outcome.currency = accounts.currency(card.account);
    outcome.availableMinor = accounts.available(card.account);
    outcome.heldMinor = accounts.held(card.account);
  }
}
