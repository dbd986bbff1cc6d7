/**
 * A partition: the only writer of its accounts. It takes one slab after another, decides every message in it in arrival
 * order against memory alone, hands the records to its journal, and leaves the answers in the slab. The syncer thread
 * makes the records durable; the front sends the answers after that. The partition reads no clock (the front stamps
 * arrival and sealing), opens no socket, sets no timer: its thread sleeps in Atomics.wait between batches.
 *
 * What is missing from memory is named in the answer; the front has it loaded and sends the message again, behind a
 * `load` entry. Nothing here waits.
 */
import { LRUCache } from 'lru-cache';
import { Accounts } from '../../engine/core/accounts.js';
import { applyOutcome, type Parties } from '../../engine/core/apply.js';
import { type Books, transactionAbsent } from '../../engine/core/books.js';
import { Card, Cards } from '../../engine/core/cards.js';
import { isLedgerCommand, isNeverRevoked, MessageType, TransactionStatus } from '../../engine/core/codes.js';
import { Decider, declineOutright } from '../../engine/core/decide.js';
import { decideCommand } from '../../engine/core/decide-command.js';
import { hash64, hashHigh, hashLow } from '../../engine/core/hash.js';
import { assert } from '../../engine/core/invariant.js';
import { Level, levels } from '../../engine/core/limit-names.js';
import { Outcome } from '../../engine/core/outcome.js';
import type { PartitionRows } from '../../engine/core/partition-rows.js';
import type { CardProfile } from '../../engine/core/profile.js';
import { type Policy, Question } from '../../engine/core/question.js';
import { Reason } from '../../engine/core/reasons.js';
import {
  followsTransaction,
  isWholeRecord,
  RecordOffset,
  readCardSpend,
  readRecordOutcome,
  readRecordRequest,
  readRecordRoot,
  recordBytesMax,
  recordFixedBytes,
  writeRecord,
} from '../../engine/core/record.js';
import { type HiddenIds, Request, type TextSlice } from '../../engine/core/request.js';
import { decideExpiry, decideRevocation } from '../../engine/core/revoke-and-expire.js';
import { locationSettled, Seen } from '../../engine/core/seen.js';
import { Spend } from '../../engine/core/spend.js';
import { userSpendNumber } from '../../engine/core/spend-key.js';
import { Transactions } from '../../engine/core/transactions.js';
import { Users } from '../../engine/core/users.js';
import type { PartitionSize } from '../../engine/exchange/partition-task.js';
import { AnswerFlag, EntryFlag, EntryKind, EntryStatus, type Slab } from '../../engine/exchange/slab.js';
import type { Codec } from '../../engine/protocols/codec.js';
import { isUnsupported, type Refusal, writeFault } from '../../engine/protocols/refusal.js';
import { applyChanges, applyLoad, LoadCounts, type LoadTarget, loadSeen, type Recalled } from './load.js';
import { LookAhead, messagesAhead } from './look-ahead.js';
import { sameQuestion } from './same-question.js';
import type { SettledIds } from './settled-ids.js';

/** What a partition needs of its journal; workers/journal/journal.ts is the real one. */
export interface PartitionJournal {
  /** The frame in the making: records are written from recordsStart on. Valid after reserve(). */
  readonly frame: Uint8Array;
  readonly view: DataView;
  readonly recordsStart: number;
  /** Sequence of the next record, 1-based. */
  readonly nextSequence: number;
  /** Where byte 0 of the frame in the making will stand in the journal. Valid after reserve(). */
  readonly frameLocation: number;
  /**
   * Makes room for a frame with `bytes` of records. False: no room on disk or too much unsettled; nothing was lost.
   * A batch that takes approvals back gets room where others get none.
   */
  reserve(bytes: number, revokes?: boolean): boolean;
  /**
   * Adds the batch to what is written next. Throws when the disk has failed; then the journal takes nothing any more.
   */
  append(end: number, count: number, atMs: number): number;
  /** Instead of append(), when the batch left no record. */
  release(): void;
  /**
   * Reads the record at a location into `target`. @returns its length, 0 when its segment has gone, −1 when it cannot
   * be read now
   */
  read(location: number, target: Uint8Array): number;
}

/** Answers of earlier questions fetched from Postgres, waiting for their repeat to come by again. */
const recalledRecordsMax = 4096;
/** Accounts that ledger commands named: a few a second, so that a forgotten one costs a look-up now and then. */
const accountIdsMax = 65_536;
/** The hash that stands for an identifier may be longer than the identifier, see hidden-ids.ts. */
const hiddenIdBytes = 64;
/**
 * A record holds its fixed part, texts from the body or their hashes, a root id that may come from the transaction, and
 * a number.
 */
const recordOverheadBytes = recordFixedBytes + 256 + 8 + 3 * hiddenIdBytes;

// What #findRecord says besides a slot.
const notFound = -1;
const needsLoading = -2;
/** The file of its segment cannot be read now. */
const unreadable = -3;
/** For #recall: the newest record of the id, wherever it stands. */
const anySequence = -1;
/** Found, though not in the table of ids: the loader brought it. */
const recalled = 2 ** 31;

/** What a partition keeps, empty: made before its journal is open, where a start has the time. */
export class PartitionMemory {
  readonly books: Books;
  readonly seen: Seen;
  readonly cards: Cards;

  constructor(size: PartitionSize) {
    this.books = {
      accounts: new Accounts(size.accounts),
      users: new Users(size.users),
      spend: new Spend(size.spendRows),
      transactions: new Transactions(size.transactions),
    };
    this.seen = new Seen(size.seenIds);
    this.cards = new Cards(size.cards);
  }
}

export class Partition {
  readonly books: Books;
  readonly seen: Seen;
  readonly cards: Cards;
  /** Look-ups of cards that were and were not in memory, for the metrics. */
  cardHits = 0;
  cardMisses = 0;
  readonly #journal: PartitionJournal;
  readonly #codecs: readonly (Codec | undefined)[];
  readonly #evictableSequence: () => number;
  readonly #lookAhead: LookAhead;
  /** What is not a request, and is recorded as one: a take-back, the end of a hold. */
  readonly #internal = new Request();
  /** The message in hand. */
  #request = this.#internal;
  readonly #outcome = new Outcome();
  readonly #card = new Card();
  readonly #question = new Question();
  readonly #decider: Decider;
  readonly #parties: Parties = { accountNumber: 0, cardNumber: 0, cardSpend: 0, userNumber: 0 };
  readonly #owner = { accountNumber: 0, cardNumber: 0, cardSpend: 0, userNumber: 0, profileVersion: 0 };
  readonly #root: TextSlice = { start: 0, end: 0 };
  /** The record of an earlier question, read back to answer its repeat. */
  readonly #recordBytes = new Uint8Array(recordBytesMax);
  readonly #recordView = new DataView(this.#recordBytes.buffer);
  readonly #recordRequest = new Request();
  readonly #recordOutcome = new Outcome();
  readonly #recalled = new LRUCache<string, Recalled>({ max: recalledRecordsMax });
  /** Root ids of transactions that were asked for by the id of a later message. */
  readonly #roots = new LRUCache<string, string>({ max: recalledRecordsMax });
  /** Numbers of accounts by public id. */
  readonly #accountNumbers = new LRUCache<string, number>({ maxSize: accountIdsMax, sizeCalculation: () => 1 });
  /** What found no room in memory: rows that were loaded, and messages. For the metrics, and for the log. */
  readonly counts = new LoadCounts();
  readonly #loadTarget: LoadTarget;
  readonly #unknownFields = new Float64Array(31);
  #end = 0;
  #count = 0;
  #answerEnd = 0;

  /**
   * @param codecs indexed by Protocol
   * @param evictableSequence newest sequence that the books in Postgres have and that no deadline can take back any
   *   more; what is newer must not leave memory
   */
  constructor(
    size: PartitionSize,
    policy: Policy,
    journal: PartitionJournal,
    codecs: readonly (Codec | undefined)[],
    evictableSequence: () => number,
    memory = new PartitionMemory(size),
  ) {
    this.books = memory.books;
    this.seen = memory.seen;
    this.cards = memory.cards;
    this.#journal = journal;
    this.#codecs = codecs;
    this.#evictableSequence = evictableSequence;
    this.#loadTarget = {
      books: this.books,
      cards: this.cards,
      recalled: this.#recalled,
      roots: this.#roots,
      accountNumbers: this.#accountNumbers,
      counts: this.counts,
    };
    this.#decider = new Decider(this.books, policy, this.#outcome);
    this.#lookAhead = new LookAhead(this.books, this.cards, this.seen, codecs);
  }

  /**
   * Runs one batch. Its answers may be sent once everything up to slab.lastSequence is durable: their own records, and
   * those that they repeat. Throws when the journal fails: then nothing in the slab may be sent.
   */
  run(slab: Slab): void {
    const journal = this.#journal;
    this.#evictable = this.#evictableSequence();
    this.#count = 0;
    this.#answerEnd = 0;
    const recordBytes = this.#recordBytesAtMost(slab);
    const revokes = slab.count > 0 && slab.kind[0] === EntryKind.revocation;
    const writable = recordBytes === 0 || journal.reserve(recordBytes, revokes);
    this.#end = journal.recordsStart;
    for (let index = 0; index < slab.count; index++) {
      if (index % messagesAhead === 0) this.#lookAhead.read(slab, index);
      slab.answerStart[index] = this.#answerEnd;
      slab.answerFlags[index] = 0;
      const kind = slab.kind[index]!;
      if (kind === EntryKind.rows) this.#load(slab, index);
      else if (!writable) this.#unavailable(slab, index, Reason.systemError);
      else if (kind === EntryKind.revocation) this.#revoke(slab, index);
      else if (kind === EntryKind.expiry) this.#expire(slab, index);
      else {
        this.#answer(slab, index, this.#codecs[kind]!);
        if (this.#request.unknownFields !== 0) this.#countUnknownFields(slab.status[index]!);
      }
      slab.answerEnd[index] = this.#answerEnd;
    }
    // The point of no return: from append() on what was approved may become owed at any moment.
    if (this.#count > 0) journal.append(this.#end, this.#count, slab.sealedAtMs);
    else if (recordBytes > 0 && writable) journal.release();
    slab.lastSequence = journal.nextSequence - 1;
  }

  /**
   * What is newer stays in memory: the books in Postgres do not have it yet, or it may be taken back. Asked once a
   * batch; at a start nothing may leave.
   */
  #evictable = -1;

  #recordBytesAtMost(slab: Slab): number {
    let bytes = 0;
    for (let index = 0; index < slab.count; index++) {
      if (slab.kind[index] === EntryKind.rows) continue;
      const body = slab.end[index]! - slab.start[index]!;
      // An internal entry is an id, but its record repeats the question it is about.
      const isRequest = slab.kind[index]! < EntryKind.rows;
      bytes += isRequest ? Math.min(recordBytesMax, recordOverheadBytes + body) : recordBytesMax;
    }
    return bytes;
  }

  /** Counts what the message had besides the known fields, once it is answered. */
  #countUnknownFields(status: number): void {
    if (status < EntryStatus.decided) return;
    const { unknownFields } = this.#request;
    for (let bit = 0; bit < 31; bit++) if ((unknownFields & (1 << bit)) !== 0) this.#unknownFields[bit]! += 1;
  }

  /** Messages by the unknown fields that they had, as those of one codec are named. */
  unknownFieldCounts(codec: Codec): [name: string, count: number][] {
    const names = codec.unknownFields?.names ?? [];
    return names
      .map((name, bit): [string, number] => [name, this.#unknownFields[bit]!])
      .filter(([, count]) => count > 0);
  }

  #unavailable(slab: Slab, index: number, reason: Reason): void {
    slab.status[index] = EntryStatus.unavailable;
    slab.reason[index] = reason;
  }

  #need(slab: Slab, index: number, status: number, source: Uint8Array, slice: TextSlice): void {
    slab.status[index] = status;
    for (let position = slice.start; position < slice.end; position++)
      slab.answer[this.#answerEnd++] = source[position]!;
  }

  #load(slab: Slab, index: number): void {
    // The front is our own process: these bytes come from our loader, not from outside.
    this.load(JSON.parse(slab.request.toString('utf8', slab.start[index], slab.end[index])) as PartitionRows);
    slab.status[index] = EntryStatus.none;
  }

  /** Takes over, before the replay, what the journal's tail touches: all of it must fit. */
  restore(message: PartitionRows): void {
    this.load(message);
    const { fullAccounts, fullSpend } = this.counts;
    assert(
      fullAccounts + fullSpend === 0,
      'the journal tail touches more accounts than fit into memory: start with a larger ACCOUNTS_MAX',
    );
  }

  /** Takes over what the loader brought. */
  load(message: PartitionRows): void {
    const { books, cards } = this;
    applyLoad(message, this.#loadTarget, this.#evictable);
    if (message.changes !== undefined) applyChanges(message.changes, books, cards);
    if (message.seen !== undefined) loadSeen(message.seen, this.seen);
    if (message.seenComplete === true) {
      this.#seenIsComplete = true;
      this.#settledIds = null;
    }
  }

  /**
   * Whether the ids of settled records are in memory. Right after a start they are not yet: until then an unknown id is
   * looked up in Postgres before it counts as new.
   */
  #seenIsComplete = false;
  /** What is known meanwhile of the ids that are still to come. */
  #settledIds: Pick<SettledIds, 'mayHold'> | null = null;

  /** Until `seenComplete` is loaded, `ids` says of which unknown ids it is sure that they are new. */
  expectIds(ids: Pick<SettledIds, 'mayHold'>): void {
    this.#settledIds = ids;
  }

  #mayBeSettled(id: TextSlice, source: Uint8Array): boolean {
    if (this.#settledIds === null) return true;
    hash64(source, id.start, id.end);
    return this.#settledIds.mayHold(hashLow);
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  #answer(slab: Slab, index: number, codec: Codec): void {
    const request = this.#lookAhead.request(index);
    const refusal = this.#lookAhead.refusal(index);
    this.#request = request;
    if (refusal !== null) {
      this.#refuse(slab, index, codec, refusal);
      return;
    }
    if (request.hidden !== null) this.#chooseKeptForms(request.hidden);
    const flags = slab.flags[index]!;
    const repeated = this.#findRecord(request.source, request.id, (flags & EntryFlag.seenAbsent) !== 0);
    const revoked = this.#revoked;
    const isUnsure =
      repeated === notFound &&
      revoked === notFound &&
      !this.#seenIsComplete &&
      (flags & EntryFlag.seenAbsent) === 0 &&
      this.#mayBeSettled(request.id, request.source);
    if (repeated === unreadable) {
      this.#unavailable(slab, index, Reason.systemError);
      return;
    }
    if (repeated === needsLoading || isUnsure) {
      this.#need(slab, index, EntryStatus.lookupSeen, request.source, request.id);
      return;
    }
    if (repeated !== notFound) {
      this.#repeat(slab, index, codec);
      return;
    }
    if ((flags & EntryFlag.foreign) !== 0) {
      // The id came with another partition's card or account before. It belongs to that question, even to an undecided
      // one.
      this.#conflict(null);
      this.#write(slab, index, codec, request, this.#outcome);
      return;
    }
    if (isLedgerCommand(request.type)) {
      this.#command(slab, index, codec, (flags & EntryFlag.accountAbsent) !== 0);
      return;
    }

    // Facts have happened, however late they are.
    if (!isNeverRevoked(request.type) && slab.arrivalMs[index]! + slab.deadlineMs <= slab.sealedAtMs) {
      this.#unavailable(slab, index, Reason.systemError);
      return;
    }
    const { books } = this;
    const card = this.#findCard(request, (flags & EntryFlag.cardAbsent) !== 0);
    if (card === undefined) {
      this.#need(slab, index, EntryStatus.lookupCard, request.source, request.card);
      return;
    }
    const transaction = this.#findTransaction(request, (flags & EntryFlag.originalAbsent) !== 0);
    if (transaction === needsLoading) {
      this.#need(slab, index, EntryStatus.lookupOriginal, request.source, request.original);
      return;
    }
    if (transaction === unreadable) {
      this.#unavailable(slab, index, Reason.systemError);
      return;
    }
    if (
      transaction >= 0 &&
      card !== null &&
      request.original.end > request.original.start &&
      !this.#knowsParties(transaction)
    ) {
      if ((flags & EntryFlag.originalAbsent) !== 0) slab.status[index] = EntryStatus.noRoom;
      else this.#need(slab, index, EntryStatus.lookupOriginal, request.source, request.original);
      return;
    }
    if (card !== null && books.spend.free < 2 * levels.length) {
      const missing = this.#spendRowsToOpen(card, transaction);
      const hasRoom = this.#makeSpendRoom(missing) && this.#spendRowsToOpen(card, transaction) === missing;
      if (!hasRoom || !this.#hasBooks()) {
        slab.status[index] = EntryStatus.noRoom;
        return;
      }
    }
    if (!books.transactions.makeRoom(this.#evictable)) {
      this.counts.fullTransactions++;
      slab.status[index] = EntryStatus.noRoom;
      return;
    }

    const outcome = this.#outcome;
    if (!isNeverRevoked(request.type) && slab.isStale) {
      // What is known of cards may be too old: declined, holds nothing, and the answer is remembered like any other.
      declineOutright(
        request,
        outcome,
        Reason.systemError,
        transaction !== transactionAbsent && !this.#namedByOriginal,
      );
      if (card !== null) {
        if (outcome.currency === 0) outcome.currency = books.accounts.currency(card.account);
        outcome.availableMinor = books.accounts.available(card.account);
        outcome.heldMinor = books.accounts.held(card.account);
      }
    } else {
      this.#question.card = card;
      this.#question.transaction = transaction;
      this.#question.originalKnown = this.#originalKnown;
      this.#question.namedByOriginal = this.#namedByOriginal;
      this.#question.originalRevoked = this.#originalRevoked;
      this.#question.revoked = revoked !== notFound;
      this.#question.isReversed = request.type === MessageType.incremental && this.#isTombstone(request);
      this.#question.nowMs = slab.arrivalMs[index]!;
      this.#decider.decide(this.#question, request);
      if (outcome.opensTransaction && this.#namesForgotten(request)) this.#conflict(card);
    }
    this.#setParties(card, outcome.opensTransaction || outcome.tombstone ? transactionAbsent : transaction);
    if (revoked !== recalled) this.#replaces = revoked;
    // The name is a transaction's own from here on: where an earlier message of that id led to, counts no more.
    if (revoked !== notFound) this.#roots.delete(byteText(request.source, request.id));
    if (outcome.tombstone) this.#roots.delete(byteText(request.source, request.original));
    this.#commit(slab, index, card === null ? -1 : card.account, transaction);
    this.#replaces = notFound;
    if (card !== null && outcome.spendCountDelta !== 0) this.#noteSpend();
    this.#write(slab, index, codec, request, outcome);
    if (outcome.approved && !isNeverRevoked(request.type)) slab.answerFlags[index]! |= AnswerFlag.revocable;
  }

  /**
   * An id that is kept as a hash may have been kept under an older key: the form that is known here is taken. What is
   * known nowhere here is looked up, and remembered, under the newest key.
   */
  #chooseKeptForms({ olderIds, olderOriginals }: HiddenIds): void {
    this.#chooseKeptForm(this.#request.id, olderIds);
    this.#chooseKeptForm(this.#request.original, olderOriginals);
  }

  #chooseKeptForm(newest: TextSlice, older: readonly TextSlice[]): void {
    if (older.length === 0 || this.#isKnownId(newest)) return;
    const known = older.find((form) => this.#isKnownId(form));
    if (known === undefined) return;
    newest.start = known.start;
    newest.end = known.end;
  }

  /** Answers a message that cannot be read with its fault, and one of an unsupported kind with a decline. */
  #refuse(slab: Slab, index: number, codec: Codec, refusal: Refusal): void {
    const { answer } = slab;
    slab.reason[index] = Reason.systemError;
    if (isUnsupported(refusal)) {
      slab.status[index] = EntryStatus.decided;
      slab.answerFlags[index] = AnswerFlag.unsupported;
      this.#answerEnd += codec.writeUnsupported!(answer, this.#answerEnd, this.#request);
    } else {
      slab.status[index] = EntryStatus.malformed;
      this.#answerEnd += writeFault(answer, this.#answerEnd, refusal);
    }
  }

  #isKnownId({ start, end }: TextSlice): boolean {
    const { source } = this.#request;
    return this.seen.find(source, start, end) >= 0 || this.books.transactions.find(source, start, end) >= 0;
  }

  /** A deposit or withdrawal: names its account, opens no transaction, spends in no window. */
  #command(slab: Slab, index: number, codec: Codec, isAbsent: boolean): void {
    const request = this.#request;
    const { accounts } = this.books;
    const number = this.#accountNumbers.get(byteText(request.source, request.account));
    const account = number === undefined ? -1 : accounts.find(number);
    if (account < 0) {
      if (!isAbsent) {
        this.#need(slab, index, EntryStatus.lookupAccount, request.source, request.account);
        return;
      }
      slab.status[index] = EntryStatus.unknownAccount;
      slab.reason[index] = Reason.systemError;
      return;
    }
    if (slab.isStale) {
      // Whether the account may pay or take is not known for sure. Undecided rather than declined: no terminal waits,
      // and the same id asked again gets the one answer later.
      this.#unavailable(slab, index, Reason.systemError);
      return;
    }
    accounts.touch(account);
    decideCommand(accounts, account, request, this.#outcome);
    this.#setParties(null, transactionAbsent);
    this.#parties.accountNumber = accounts.number(account);
    this.#owner.profileVersion = accounts.version(account);
    this.#root.start = 0;
    this.#root.end = 0;
    this.#commit(slab, index, account, transactionAbsent);
    this.#write(slab, index, codec, request, this.#outcome);
  }

  /**
   * Whether a clearing or refund that is to stand alone (it names no original, or one of another account) has the id of
   * a transaction: it was asked longer ago than ids are remembered, or is another question. (Authorizations are looked
   * up by their own id anyway.)
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

  /** Declines #request because its id is taken; nothing of what was decided has been applied yet. */
  #conflict(card: CardProfile | null): void {
    const outcome = this.#outcome;
    declineOutright(this.#request, outcome, Reason.duplicateConflict, true);
    if (card === null) return;
    const { accounts } = this.books;
    if (outcome.currency === 0) outcome.currency = accounts.currency(card.account);
    outcome.availableMinor = accounts.available(card.account);
    outcome.heldMinor = accounts.held(card.account);
  }

  #write(slab: Slab, index: number, codec: Codec, request: Request, outcome: Outcome): void {
    slab.status[index] = EntryStatus.decided;
    slab.reason[index] = outcome.reason;
    if (outcome.approved) slab.answerFlags[index]! |= AnswerFlag.approved;
    // Without a root of its own the message is one, and its id stands in its own bytes, wherever a root was looked for.
    const isRoot = this.#root.end === this.#root.start;
    const source = isRoot ? request.source : this.#rootSource;
    const root = isRoot ? request.id : this.#root;
    this.#answerEnd += codec.writeAnswer(slab.answer, this.#answerEnd, request, outcome, source, root);
  }

  /** Bytes that #root points into: the slab, or the record that named the root. */
  #rootSource: Uint8Array = this.#recordBytes;
  /** `original` names a message that was answered, although no transaction came of it. */
  #originalKnown = false;
  /** The message that `original` names was taken back and never answered, and nothing came of its transaction. */
  #originalRevoked = false;
  /** #findTransaction looked for the transaction of `original`, not for one with the message's own id. */
  #namedByOriginal = false;

  /** Passes on where the spend rows of #card, its user and its account stand: three look-ups less. */
  #expectSpend(): void {
    const card = this.#card;
    const { accounts, users, spend } = this.books;
    const userSpend = users.spendSlot(card.user);
    const accountSpend = accounts.spendSlot(card.account);
    // A row that has left its place is found by its key, and its new place noted.
    if (card.spendSlot >= 0 && !spend.expect(Level.card, card.spendNumber, card.spendSlot)) {
      card.spendSlot = -1;
      this.cards.noteSpendSlot(card.slot, -1);
    }
    if (userSpend >= 0 && !spend.expect(Level.user, this.#userSpend(), userSpend)) {
      users.noteSpendSlot(card.user, -1);
    }
    if (accountSpend >= 0 && !spend.expect(Level.account, accounts.number(card.account), accountSpend)) {
      accounts.noteSpendSlot(card.account, -1);
    }
  }

  /** Number of the row in which #card's user spends. */
  #userSpend(): number {
    const { accounts, users } = this.books;
    return userSpendNumber(users.number(this.#card.user), accounts.currency(this.#card.account));
  }

  /**
   * Whether everything that #card spends from is in memory: its account, its user, and what each of the three has
   * spent.
   */
  #hasBooks(): boolean {
    const card = this.#card;
    const { cards } = this;
    const { accounts, users, spend } = this.books;
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
   * Makes room for so many new spend rows. What leaves for them may be a row that is needed: the caller counts again.
   */
  #makeSpendRoom(missing: number): boolean {
    const hasRoom = this.books.spend.makeRoom(missing, this.#evictable);
    if (!hasRoom) this.counts.fullSpend++;
    return hasRoom;
  }

  /**
   * How many spend rows the message may open: as part of its transaction, or as one that stands alone. Which of the two
   * it is, is known once it is decided, and then there must be room.
   */
  #spendRowsToOpen(card: CardProfile, transaction: number): number {
    this.#setParties(card, transactionAbsent);
    const alone = this.#missingSpendRows();
    const { cardSpend, userNumber } = this.#parties;
    this.#setParties(card, transaction);
    const others =
      (this.#parties.cardSpend === cardSpend ? 0 : this.#missingCardRow()) +
      (this.#parties.userNumber === userNumber ? 0 : this.#missingUserRow());
    return alone + others;
  }

  /** How many of the rows in which #parties spend are not in memory. */
  #missingSpendRows(): number {
    const account = this.books.spend.find(Level.account, this.#parties.accountNumber) < 0 ? 1 : 0;
    return account + this.#missingCardRow() + this.#missingUserRow();
  }

  #missingCardRow(): number {
    return this.books.spend.find(Level.card, this.#parties.cardSpend) < 0 ? 1 : 0;
  }

  #missingUserRow(): number {
    const { accounts, spend } = this.books;
    const currency = accounts.currency(accounts.find(this.#parties.accountNumber));
    return spend.find(Level.user, userSpendNumber(this.#parties.userNumber, currency)) < 0 ? 1 : 0;
  }

  /**
   * Whether what the transaction's own card and user have spent is known, where it is a transaction of #card's account.
   */
  #knowsParties(transaction: number): boolean {
    const { accounts, transactions, spend } = this.books;
    if (spend.departures.isEmpty || transactions.account(transaction) !== accounts.number(this.#card.account))
      return true;
    const userSpend = userSpendNumber(transactions.user(transaction), accounts.currency(this.#card.account));
    return spend.isKnown(Level.card, transactions.cardSpend(transaction)) && spend.isKnown(Level.user, userSpend);
  }

  /** Notes them for the next message, when the last one opened them. */
  #noteSpend(): void {
    const card = this.#card;
    const { accounts, users, spend } = this.books;
    if (card.spendSlot < 0) this.cards.noteSpendSlot(card.slot, spend.find(Level.card, card.spendNumber));
    if (users.spendSlot(card.user) < 0) {
      users.noteSpendSlot(card.user, spend.find(Level.user, this.#userSpend()));
    }
    if (accounts.spendSlot(card.account) < 0) {
      accounts.noteSpendSlot(card.account, spend.find(Level.account, accounts.number(card.account)));
    }
  }

  /** The card in #card; null when there is none, undefined when it is to be loaded first. */
  #findCard(request: Request, absent: boolean): CardProfile | null | undefined {
    const slot = this.cards.find(request.source, request.card.start, request.card.end);
    if (slot >= 0) {
      this.cards.touch(slot);
      this.cards.read(slot, this.#card);
      if (this.#hasBooks()) {
        this.cardHits++;
        return this.#card;
      }
    }
    if (absent) return null;
    this.cardMisses++;
    return undefined;
  }

  /**
   * The transaction that the request is about, and its root id in #root: for an authorization one that already has its
   * id, for the others the one that `original` names, be it by the id of the first message or of a later one.
   */
  #findTransaction(request: Request, absent: boolean): number {
    this.#root.start = 0;
    this.#root.end = 0;
    this.#rootSource = request.source;
    this.#originalKnown = false;
    this.#originalRevoked = false;
    this.#namedByOriginal = false;
    const { transactions } = this.books;
    const { original } = request;
    switch (request.type) {
      case MessageType.authorization:
        return transactions.find(request.source, request.id.start, request.id.end);
      case MessageType.advice: {
        const own = transactions.find(request.source, request.id.start, request.id.end);
        const isOver = own < 0 || transactions.status(own) === TransactionStatus.declined;
        if (!isOver || original.end === original.start) return own;
        break;
      }
      case MessageType.verification:
      case MessageType.balanceInquiry:
        return transactionAbsent;
      default:
        break;
    }
    this.#namedByOriginal = true;
    if (original.end === original.start) return transactionAbsent;
    const direct = transactions.find(request.source, original.start, original.end);
    if (direct >= 0) {
      this.#root.start = original.start;
      this.#root.end = original.end;
      if (transactions.status(direct) === TransactionStatus.declined) {
        this.#originalRevoked = this.#isRevoked(request.source, original);
      }
      return direct;
    }
    // Perhaps it names a later message of its transaction: that message's record knows the root.
    const record = this.#findRecord(request.source, original, absent);
    if (record === unreadable) return unreadable;
    if (record >= 0) {
      this.#originalKnown = true;
      readRecordOutcome(this.#recordView, 0, this.#recordOutcome);
      // What was declined opened nothing and added nothing that a later message could follow.
      if (!this.#recordOutcome.approved) return transactionAbsent;
      this.#rootSource = this.#recordBytes;
      readRecordRoot(this.#recordView, 0, this.#root);
      const transaction = transactions.find(this.#recordBytes, this.#root.start, this.#root.end);
      if (transaction >= 0) return transaction;
      this.#root.end = this.#root.start;
    }
    const rootId = this.#roots.get(byteText(request.source, original));
    if (this.#revoked !== notFound && this.#revokedFollows) {
      // A follow-up that was revoked added nothing. A tombstone of its id may have left memory: the books know. (A
      // transaction whose opening was revoked may live on through what followed it.)
      return absent || rootId !== undefined ? transactionAbsent : needsLoading;
    }
    if (rootId !== undefined) {
      const bytes = Buffer.from(rootId, 'utf8');
      const transaction = transactions.find(bytes, 0, bytes.length);
      if (transaction >= 0) {
        this.#rootSource = bytes;
        this.#root.end = bytes.length;
        return transaction;
      }
    }
    return absent ? transactionAbsent : needsLoading;
  }

  /**
   * Finds the record of the question with that id and reads it into #recordBytes. One that was taken back was never
   * answered, so it is not found: then #revoked says where the record of the take-back stands.
   * @param absent the loader has looked for what is not in memory: do not ask again
   * @returns the slot in Seen, recalled, notFound, needsLoading, or unreadable
   */
  #findRecord(source: Uint8Array, id: TextSlice, absent: boolean): number {
    this.#revoked = notFound;
    let slot = this.seen.find(source, id.start, id.end);
    while (slot >= 0) {
      const length = this.#readRecord(slot, source, id, absent);
      if (length < 0) return unreadable;
      if (length === 0 && !absent) return needsLoading;
      if (length > 0 && this.#recordIsNamed(source, id) && !this.#noteRevocation(slot)) return slot;
      slot = this.seen.findNext();
    }
    // Right after a start the settled ids are still on their way into the table: one that was looked up stands here.
    const isElsewhere = !this.#seenIsComplete && this.#revoked === notFound;
    if (isElsewhere && this.#recall(source, id, anySequence) > 0 && !this.#noteRevocation(recalled)) return recalled;
    return notFound;
  }

  /** Where the last #findRecord met the record of a take-back: a slot in Seen, recalled, or notFound. */
  #revoked = notFound;
  /** What was taken back followed another message. */
  #revokedFollows = false;

  #noteRevocation(found: number): boolean {
    if (this.#recordView.getUint8(RecordOffset.type) !== MessageType.revocation) return false;
    this.#revoked = found;
    this.#revokedFollows = this.#recordView.getUint16(RecordOffset.rootLength, true) > 0;
    return true;
  }

  /**
   * Reads the record that the loader brought for that id into #recordBytes.
   * @param sequence the record's; an earlier one of the same id, which was forgotten meanwhile, is another question's
   * @returns its length, 0 when there is none
   */
  #recall(source: Uint8Array, id: TextSlice, sequence: number): number {
    const record = this.#recalled.get(byteText(source, id));
    if (record === undefined || (sequence !== anySequence && record.sequence !== sequence)) return 0;
    this.#recordBytes.set(record.bytes);
    return record.bytes.length;
  }

  #readRecord(slot: number, source: Uint8Array, id: TextSlice, absent: boolean): number {
    const location = this.seen.location(slot);
    if (location !== locationSettled) {
      // It may not be on disk yet: asked twice within a moment, and both answers wait for the same sync.
      const length = this.#journal.read(location, this.#recordBytes);
      if (length > 0) return isWholeRecord(this.#recordView, 0, length) ? length : unreadable;
      if (length < 0) return unreadable;
      this.seen.markSettled(slot);
    }
    // What the loader has just brought is the newest that there is.
    return this.#recall(source, id, absent ? anySequence : this.seen.sequence(slot));
  }

  #recordIsNamed(source: Uint8Array, id: TextSlice): boolean {
    const length = id.end - id.start;
    if (this.#recordView.getUint16(RecordOffset.idLength, true) !== length) return false;
    for (let index = 0; index < length; index++) {
      if (this.#recordBytes[recordFixedBytes + index] !== source[id.start + index]) return false;
    }
    return true;
  }

  /** The same question again: the same answer, rendered from the record. Another question under its id: a conflict. */
  #repeat(slab: Slab, index: number, codec: Codec): void {
    const request = this.#request;
    const record = this.#recordRequest;
    const outcome = this.#recordOutcome;
    readRecordRequest(this.#recordBytes, this.#recordView, 0, record);
    this.#rootSource = this.#recordBytes;
    readRecordRoot(this.#recordView, 0, this.#root);
    if (sameQuestion(request, record)) {
      readRecordOutcome(this.#recordView, 0, outcome);
      slab.answerFlags[index] = AnswerFlag.repeated;
    } else {
      outcome.reset();
      outcome.reason = Reason.duplicateConflict;
      outcome.currency = request.currency;
      outcome.amountMinor = Math.max(0, request.amountMinor);
    }
    this.#write(slab, index, codec, request, outcome);
  }

  // --- the books ----------------------------------------------------------------------------------------------------

  #setParties(card: CardProfile | null, transaction: number): void {
    const parties = this.#parties;
    const { accounts, users, transactions } = this.books;
    parties.accountNumber = card === null ? 0 : accounts.number(card.account);
    const follows = card !== null && transaction >= 0 && transactions.account(transaction) === parties.accountNumber;
    parties.cardNumber = follows ? transactions.card(transaction) : card === null ? 0 : card.number;
    parties.cardSpend = follows ? transactions.cardSpend(transaction) : card === null ? 0 : card.spendNumber;
    parties.userNumber = follows ? transactions.user(transaction) : card === null ? 0 : users.number(card.user);
    this.#owner.profileVersion = card === null ? 0 : card.version;
  }

  /** Journals the outcome of #request and applies it to the books. */
  #commit(slab: Slab, index: number, account: number, transaction: number): void {
    const journal = this.#journal;
    const request = this.#request;
    const outcome = this.#outcome;
    const parties = this.#parties;
    const sequence = journal.nextSequence + this.#count;
    // Another account's transaction does not exist for this card; a message that opens a transaction is its own root.
    const isOurs =
      transaction >= 0 && account >= 0 && this.books.transactions.account(transaction) === parties.accountNumber;
    if (outcome.opensTransaction || !isOurs) {
      this.#root.start = 0;
      this.#root.end = 0;
    }
    this.#owner.accountNumber = parties.accountNumber;
    this.#owner.cardNumber = parties.cardNumber;
    this.#owner.cardSpend = parties.cardSpend;
    this.#owner.userNumber = parties.userNumber;
    const offset = this.#end;
    const location = journal.frameLocation + offset;
    slab.location[index] = location;
    const length = writeRecord(
      journal.frame,
      journal.view,
      offset,
      request,
      outcome,
      this.#owner,
      slab.arrivalMs[index]!,
      this.#rootSource,
      this.#root,
    );
    this.#end += length;
    this.#count++;
    const opens = outcome.opensTransaction || outcome.tombstone;
    const moved = opens ? this.#transactionBefore(transaction) : isOurs ? transaction : transactionAbsent;
    applyOutcome(this.books, request, outcome, account, moved, parties, sequence);
    if (request.id.end > request.id.start) {
      hash64(request.source, request.id.start, request.id.end);
      this.seen.add(hashLow, hashHigh, sequence, location, this.#replaces);
    }
  }

  /** Of an outcome that opens a transaction, the one that had its name and is over: it leaves. */
  #transactionBefore(transaction: number): number {
    const { type, source, id } = this.#request;
    if (this.#outcome.tombstone || !this.#namedByOriginal) return transaction;
    return type === MessageType.advice ? this.books.transactions.find(source, id.start, id.end) : transactionAbsent;
  }

  /** Slot in Seen of the record that the next commit replaces as the answer of its id; −1 for none. */
  #replaces = notFound;

  // --- internal messages --------------------------------------------------------------------------------------------

  /** An approval that missed its deadline is taken back by a record of its own: its id was never answered. */
  #revoke(slab: Slab, index: number): void {
    const location = slab.request.readDoubleLE(slab.start[index]!);
    if (!this.#readApproval(location)) {
      // The lane keeps it first in line, and sends it again.
      this.#unavailable(slab, index, Reason.systemError);
      return;
    }
    const isFollowUp = this.#recordView.getUint16(RecordOffset.rootLength, true) > 0;
    let openingRevoked = !isFollowUp;
    if (isFollowUp) {
      // The look at the transaction's first message reads over the record in hand.
      readRecordRoot(this.#recordView, 0, this.#root);
      const root = this.#recordBytes.slice(this.#root.start, this.#root.end);
      openingRevoked = this.#isRevoked(root, { start: 0, end: root.length });
      assert(this.#readApproval(location), 'a record that was read a moment ago can be read again');
    }
    this.#request = this.#internal;
    const request = this.#request;
    readRecordRequest(this.#recordBytes, this.#recordView, 0, request);
    readRecordOutcome(this.#recordView, 0, this.#recordOutcome);
    readRecordRoot(this.#recordView, 0, this.#root);
    this.#rootSource = this.#recordBytes;
    const approval = this.#recordOutcome;
    const accountNumber = this.#recordView.getFloat64(RecordOffset.accountNumber, true);
    const account = this.books.accounts.find(accountNumber);
    assert(account >= 0, 'the account of an approval that may be taken back is in memory');
    const transaction =
      approval.transactionStatus === TransactionStatus.none
        ? transactionAbsent
        : this.books.transactions.find(this.#recordBytes, this.#root.start, this.#root.end);
    this.#parties.accountNumber = accountNumber;
    this.#parties.cardNumber = this.#recordView.getFloat64(RecordOffset.cardNumber, true);
    this.#parties.cardSpend = readCardSpend(this.#recordView, 0);
    this.#parties.userNumber = this.#recordView.getFloat64(RecordOffset.userNumber, true);
    this.#owner.profileVersion = this.#recordView.getUint32(RecordOffset.profileVersion, true);
    decideRevocation(this.books, account, transaction, approval, openingRevoked, this.#outcome);
    if (!isFollowUp) this.#root.end = this.#root.start;
    request.askedType = request.type;
    request.type = MessageType.revocation;
    this.#replaces = this.seen.find(request.source, request.id.start, request.id.end);
    while (this.#replaces >= 0 && this.seen.location(this.#replaces) !== location)
      this.#replaces = this.seen.findNext();
    this.#commit(slab, index, account, transaction);
    this.#replaces = notFound;
    slab.status[index] = EntryStatus.revoked;
    slab.reason[index] = Reason.systemError;
  }

  /** Reads the record of an approval that is to be taken back. @returns false when its file cannot be read now */
  #readApproval(location: number): boolean {
    const length = this.#journal.read(location, this.#recordBytes);
    if (length < 0) return false;
    // Its segment is not retired before the front has published that nothing in it can be taken back any more.
    assert(isWholeRecord(this.#recordView, 0, length), 'an approval to take back is not in the journal');
    return true;
  }

  /** Whether the newest record of that id took its approval back. Reads over #recordBytes. */
  #isRevoked(source: Uint8Array, id: TextSlice): boolean {
    return this.#findRecord(source, id, true) === notFound && this.#revoked !== notFound;
  }

  #expire(slab: Slab, index: number): void {
    const { transactions, accounts, spend } = this.books;
    slab.status[index] = EntryStatus.none;
    const id = { start: slab.start[index]!, end: slab.end[index]! };
    const transaction = transactions.find(slab.request, id.start, id.end);
    if (transaction < 0) {
      if ((slab.flags[index]! & EntryFlag.originalAbsent) === 0) {
        this.#need(slab, index, EntryStatus.lookupOriginal, slab.request, id);
      }
      return;
    }
    const account = accounts.find(transactions.account(transaction));
    const isKnown =
      account >= 0 &&
      spend.isKnown(Level.card, transactions.cardSpend(transaction)) &&
      spend.isKnown(Level.user, userSpendNumber(transactions.user(transaction), accounts.currency(account))) &&
      spend.isKnown(Level.account, transactions.account(transaction));
    if (!isKnown) {
      this.#need(slab, index, EntryStatus.lookupOriginal, slab.request, id);
      return;
    }
    this.#parties.accountNumber = transactions.account(transaction);
    this.#parties.cardNumber = transactions.card(transaction);
    this.#parties.cardSpend = transactions.cardSpend(transaction);
    this.#parties.userNumber = transactions.user(transaction);
    // Without room the next look for lapsed holds brings it again.
    const missing = this.#missingSpendRows();
    if (!this.#makeSpendRoom(missing) || this.#missingSpendRows() !== missing) return;
    if (!decideExpiry(this.books, transaction, slab.arrivalMs[index]!, this.#outcome)) return;
    this.#request = this.#internal;
    const request = this.#request;
    request.reset(slab.request, 0);
    request.type = MessageType.expiry;
    this.#rootSource = slab.request;
    this.#root.start = id.start;
    this.#root.end = id.end;
    this.#owner.profileVersion = 0;
    const outcome = this.#outcome;
    outcome.currency = accounts.currency(account);
    outcome.availableMinor = accounts.available(account) - outcome.heldDelta;
    outcome.heldMinor = accounts.held(account) + outcome.heldDelta;
    this.#commit(slab, index, account, transaction);
  }

  // --- replay -------------------------------------------------------------------------------------------------------

  /**
   * Applies a journaled record again, after a restart. The accounts, spend windows and transactions that it touches
   * have been loaded as of the sequence before the first replayed one.
   */
  replay(bytes: Uint8Array, view: DataView, offset: number, sequence: number, location: number): void {
    this.#request = this.#internal;
    const request = this.#request;
    const outcome = this.#outcome;
    readRecordRequest(bytes, view, offset, request);
    readRecordOutcome(view, offset, outcome);
    readRecordRoot(view, offset, this.#root);
    const accountNumber = view.getFloat64(offset + RecordOffset.accountNumber, true);
    const account = accountNumber === 0 ? -1 : this.books.accounts.find(accountNumber);
    assert(accountNumber === 0 || account >= 0, `account ${accountNumber} of the journal is not loaded`);
    this.#parties.accountNumber = accountNumber;
    this.#parties.cardNumber = view.getFloat64(offset + RecordOffset.cardNumber, true);
    this.#parties.cardSpend = readCardSpend(view, offset);
    this.#parties.userNumber = view.getFloat64(offset + RecordOffset.userNumber, true);
    if (outcome.tombstone) this.#forgetOlder(bytes, request.original);
    else if (outcome.opensTransaction && outcome.approved) this.#forgetOlder(bytes, request.id);
    // Nothing may be evicted while the tail is replayed: what it touches was loaded for it.
    const opens = (outcome.opensTransaction && outcome.approved) || outcome.tombstone;
    assert(
      !opens || this.books.transactions.makeRoom(-1),
      'the journal tail holds more transactions than fit into memory: start with a larger HOLDS_MAX',
    );
    const transaction = followsTransaction(view, offset)
      ? this.books.transactions.find(bytes, this.#root.start, this.#root.end)
      : transactionAbsent;
    applyOutcome(this.books, request, outcome, account, transaction, this.#parties, sequence);
    if (request.id.end > request.id.start) {
      // Of an id that comes twice, the later record is the answer: a take-back, or the decision after one.
      const earlier = this.seen.find(bytes, request.id.start, request.id.end);
      hash64(bytes, request.id.start, request.id.end);
      this.seen.add(hashLow, hashHigh, sequence, location, earlier);
    }
  }

  /**
   * What was loaded for the tail is as it was before the tail. A transaction whose id the tail opens again was over, or
   * not in memory, when that was decided, so it is not what the tail's follow-ups are about.
   */
  #forgetOlder(bytes: Uint8Array, id: TextSlice): void {
    const { transactions } = this.books;
    const older = transactions.find(bytes, id.start, id.end);
    if (older >= 0) transactions.forget(older);
  }
}

/** The bytes of a slice as a string, one character a byte: a key for the caches. Cheaper than decoding UTF-8. */
function byteText(source: Uint8Array, slice: TextSlice): string {
  if (Buffer.isBuffer(source)) return source.toString('latin1', slice.start, slice.end);
  return Buffer.from(source.buffer, source.byteOffset + slice.start, slice.end - slice.start).toString('latin1');
}
