/**
 * Stand-in: the front approves an authorization whose partition refused it or let it wait too long, where the rule
 * (engine/core/stand-in.ts) allows it (docs/standin.md, ADR 0030).
 *
 * One id has one answer. Only an id that was never asked before may get a stand-in. From then on every repeat is
 * answered here until the partition has booked it, and by the partition after that, from the same record. That includes
 * repeats that were with the partition already. The lane sees a guarded message as refused. So it revokes what the
 * partition approves of it later.
 */

import type { Log } from '../../platform/log.js';
import type { TraceParent } from '../../platform/tracing/traces.js';
import { MessageType, Protocol } from '../core/codes.js';
import { detailStandIn } from '../core/limit-names.js';
import { Outcome } from '../core/outcome.js';
import { Reason } from '../core/reasons.js';
import { RecordOffset, readRecordOutcome, readRecordRequest, recordBytesMax, writeRecord } from '../core/record.js';
import { Request, textOf } from '../core/request.js';
import { sameQuestion } from '../core/same-question.js';
import { Exposure, type StandInRefusal, type StandInRule, standInRefusal, standInRefusals } from '../core/stand-in.js';
import type { Answers } from '../exchange/answers.js';
import { AnswerFlag, EntryKind, EntryStatus } from '../exchange/slab.js';
import type { Waiter } from '../ledger/waiter.js';
import { answerBytesMax, type Codec } from '../protocols/codec.js';
import type { KnownCard, KnownCards } from './known-cards.js';
import type { SharedApprovals } from './shared-approvals.js';
import { type JournalLine, readJournal, StandInJournal } from './stand-in-journal.js';

/** Approvals that wait for their partition, some 2 KB of memory each. */
export const unbookedMax = 10_000;
/** Approvals of a day: their journal has room for them, and a start reads them in a second. */
const approvalsPerDayMax = 50_000;
/** On their way into partitions at once: a small share of a slab. */
const bookingsMax = 64;
const bookingPauseMsMin = 50;
const bookingPauseMsMax = 2000;
/** Between two lines of the log about approvals. */
const logEveryMs = 10_000;
const dayMs = 86_400_000;

export interface StandInOptions {
  /** Null: it is off, and approvals of an earlier run are booked. */
  readonly rule: StandInRule | null;
  readonly cards: Pick<KnownCards, 'find'>;
  readonly deadlineMs: number;
  readonly log: Log;
  nowMs(): number;
  /** How long ago the knowledge of cards was up to date. */
  stateAgeMs(): number;
  /** The partitions approve nothing: what is known of cards is too old for them. */
  isStale(): boolean;
  /** False: another engine may have this one's ledger. */
  mayApprove(): boolean;
  /** Brings the record of an approval to its partition. */
  book(partition: number, record: Uint8Array, waiter: Waiter): void;
  /**
   * Null: no other engine takes partitions over. Otherwise approvals are there before they leave, for the next owner,
   * unless the rule says that there is one engine.
   */
  readonly shared: Pick<SharedApprovals, 'insert' | 'remove' | 'isAnswering'> | null;
}

export class StandIn {
  readonly #options: StandInOptions;
  readonly #request = new Request();
  readonly #exposure = new Exposure();
  /** Approved and not booked, by id, oldest first. */
  readonly #unbooked = new Map<string, Approval>();
  /** Those of them that are not durable, with their clients, oldest first. */
  readonly #undurable = new Map<Approval, Sent>();
  readonly #answer = new OneAnswer();
  readonly #record = new Uint8Array(recordBytesMax);
  readonly #view = new DataView(this.#record.buffer);
  #journal: StandInJournal | null = null;
  #bookings = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  // For the metrics.
  approved = 0;
  repeated = 0;
  cancelled = 0;
  booked = 0;
  /** Booked without effect: the purchase was reversed before, or the books cannot take it. */
  bookedEmpty = 0;
  readonly refused = new Map<StandInRefusal, number>(standInRefusals.map((refusal) => [refusal, 0]));

  constructor(options: StandInOptions) {
    this.#options = options;
  }

  get rule(): StandInRule | null {
    return this.#options.rule;
  }

  get unbooked(): number {
    return this.#unbooked.size;
  }

  get exposure(): Pick<Exposure, 'totalMinor'> {
    return this.#exposure;
  }

  get journalFailure(): string {
    return this.#journal?.failure ?? '';
  }

  get journalBytes(): number {
    return this.#journal?.bytes ?? 0;
  }

  /**
   * Opens the journal, before any message is taken.
   * @param directory that no other process writes to
   * @throws one line for a person
   */
  async open(directory: string): Promise<void> {
    this.#journal = await StandInJournal.open(
      directory,
      (lines) => this.#restore(lines),
      () => this.#lines(),
    );
    const { size } = this.#unbooked;
    if (size > 0) this.#options.log.warn({ approvals: size }, 'stand-in approvals of an earlier run are being booked');
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }

  /**
   * Takes what the owner of a partition before this one approved and has not booked. Called between the claim of the
   * partition and its first message. Without STANDIN, too.
   * @param records as SharedApprovals has them
   */
  adopt(partition: number, records: readonly Buffer[]): void {
    for (const record of records) {
      const approval = new Approval(partition, record, true);
      if (this.#unbooked.has(approval.id)) continue;
      approval.isDurable = true;
      this.#unbooked.set(approval.id, approval);
    }
    if (records.length > 0) {
      this.#options.log.warn({ partition, approvals: records.length }, 'stand-in approvals of its owner before');
    }
  }

  /**
   * Looks at a message that waited for its partition: what was adopted meanwhile may answer it.
   * @param body read during the call only
   * @returns whether it is answered or refused
   */
  isAnswered(codec: Codec, body: Uint8Array, waiter: Waiter): boolean {
    if (this.#unbooked.size === 0 || codec.protocol === Protocol.ledger) return false;
    const bytes = Buffer.from(body);
    if (codec.read(this.#request, bytes, 0, bytes.length) !== null) return false;
    return this.#isAboutUnbooked(new Sent(codec, bytes, waiter), this.#request);
  }

  // --- messages -----------------------------------------------------------------------------------------------------

  /**
   * Takes a message ahead of its partition.
   * @param body read during the call only
   * @param isNewId the id was never asked before, at any engine that this one knows of
   * @returns the waiter for the partition; null: the message is answered, or is being answered
   */
  guard(codec: Codec, partition: number, body: Uint8Array, waiter: Waiter, isNewId: boolean): Waiter | null {
    const { rule } = this.#options;
    if (codec.protocol === Protocol.ledger || (rule === null && this.#unbooked.size === 0)) return waiter;
    const request = this.#request;
    // A copy: reading masks card numbers in place, and the partition must read what was sent.
    const bytes = Buffer.from(body);
    if (codec.read(request, bytes, 0, bytes.length) !== null) return waiter;
    if (this.#unbooked.size > 0 && this.#isAboutUnbooked(new Sent(codec, bytes, waiter), request)) return null;
    // An id that holds a card number is kept as a hash, which only a partition makes.
    if (rule === null || request.type !== MessageType.authorization || request.hidden !== null) return waiter;
    // The first one may get a stand-in while this one is with the partition.
    if (!isNewId) return new RepeatWaiter(codec, bytes, waiter, textOf(request.source, request.id), this.#isTaken);
    const guarded = new GuardedWaiter(codec, bytes, waiter, partition, this.#partitionRefused);
    // Partitions decline everything now, and remember that answer: they are not asked.
    if (this.#options.isStale() && this.#isApproved(guarded)) return null;
    return guarded;
  }

  /** A partition has answered or refused a repeat. @returns whether the stand-in answers it instead */
  readonly #isTaken = (repeat: RepeatWaiter): boolean => {
    const approval = this.#unbooked.get(repeat.id);
    if (approval === undefined) return false;
    const { codec, bytes } = repeat;
    if (codec.read(this.#request, bytes, 0, bytes.length) === null) this.#repeat(approval, repeat, this.#request);
    return true;
  };

  /** A partition refused a message, or its time there is over. */
  readonly #partitionRefused = (guarded: GuardedWaiter, reason: Reason): void => {
    if (!this.#isApproved(guarded) && !guarded.inner.isSettled) guarded.inner.refuse(reason);
  };

  /** Answers a repeat, and refuses what follows an approval that its partition does not know yet. */
  #isAboutUnbooked(sent: Sent, request: Request): boolean {
    const { source, id, original } = request;
    const approval = this.#unbooked.get(textOf(source, id));
    if (approval !== undefined) {
      this.#repeat(approval, sent, request);
      return true;
    }
    if (original.end === original.start || !this.#unbooked.has(textOf(source, original))) return false;
    // It comes again, and finds the booking. Decided now, a reversal would find nothing to release.
    sent.inner.refuse(Reason.systemError);
    return true;
  }

  #repeat(approval: Approval, sent: Sent, request: Request): void {
    this.repeated++;
    if (!sameQuestion(request, approval.request)) {
      this.#answer.conflict(sent.codec, request, this.#options.nowMs());
      sent.inner.answer(this.#answer, 0);
    } else if (approval.isDurable) this.#send(approval, sent, AnswerFlag.repeated);
    else if (approval.isLate) sent.inner.refuse(Reason.systemError);
    else approval.repeats.push(sent);
  }

  /** Reads the message again: an answer echoes what its own message has, and the record has not all of it. */
  #send({ outcome }: Approval, { codec, bytes, inner }: Sent, flags: number): void {
    if (inner.isSettled || codec.read(this.#request, bytes, 0, bytes.length) !== null) return;
    this.#answer.approval(codec, this.#request, outcome, this.#options.nowMs(), flags);
    inner.answer(this.#answer, 0);
  }

  // --- approvals ----------------------------------------------------------------------------------------------------

  /** @returns false where the rule does not approve: nothing has happened */
  #isApproved(guarded: GuardedWaiter): boolean {
    const { codec, bytes, inner } = guarded;
    const request = this.#request;
    if (inner.isSettled || codec.read(request, bytes, 0, bytes.length) !== null) return false;
    const { rule, cards, nowMs, stateAgeMs } = this.#options;
    if (rule === null) return false;
    this.#exposure.begin(Math.floor(inner.arrivalMs / dayMs));
    const card = cards.find(textOf(request.source, request.card), nowMs());
    const refusal = this.#ownRefusal(request) ?? standInRefusal(rule, card, request, this.#exposure, stateAgeMs());
    if (refusal !== null) {
      this.refused.set(refusal, this.refused.get(refusal)! + 1);
      return false;
    }
    this.#approve(guarded, request, card!);
    return true;
  }

  #ownRefusal({ source, id }: Request): StandInRefusal | null {
    if (!this.#options.mayApprove()) return 'lease';
    if (this.#shares && !this.#options.shared!.isAnswering) return 'database';
    const isFull = this.#unbooked.size >= unbookedMax || this.#exposure.count >= approvalsPerDayMax;
    if (isFull || this.#journal?.hasRoom !== true || this.#unbooked.has(textOf(source, id))) return 'full';
    return null;
  }

  #approve(guarded: GuardedWaiter, request: Request, card: KnownCard): void {
    const { partition, inner } = guarded;
    const outcome = new Outcome();
    outcome.approved = true;
    outcome.reason = Reason.approved;
    outcome.detail = detailStandIn;
    outcome.amountMinor = request.amountMinor;
    outcome.approvedAmountMinor = request.amountMinor;
    outcome.currency = card.currency;
    const [record, view, none] = [this.#record, this.#view, { start: 0, end: 0 }];
    const { owner } = card;
    const length = writeRecord(record, view, 0, request, outcome, owner, inner.arrivalMs, request.source, none);
    const approval = new Approval(partition, Buffer.from(record.subarray(0, length)), this.#shares);
    this.#unbooked.set(approval.id, approval);
    this.#undurable.set(approval, guarded);
    // Before anything is awaited: what comes meanwhile counts on top of it.
    this.#exposure.add(card.token, request.amountMinor);
    const isShared = this.#share(approval);
    this.#journal!.append(approval.line).then(
      async () => {
        approval.isJournaled = true;
        this.#ended(approval, guarded, await isShared);
      },
      (error: Error) => this.#lost(approval, guarded, error),
    );
  }

  /** The next owner would need its approvals, and has them from the database alone. */
  get #shares(): boolean {
    const { shared, rule } = this.#options;
    return shared !== null && rule !== null && rule.engines > 1;
  }

  /** Null: unknown. */
  async #share({ isShared, partition, id, record }: Approval): Promise<boolean | null> {
    return isShared ? this.#options.shared!.insert(partition, id, record).catch(() => null) : true;
  }

  /** @param isShared null: unknown */
  #ended(approval: Approval, guarded: GuardedWaiter, isShared: boolean | null): void {
    if (isShared === true) {
      this.#durable(approval, guarded);
      return;
    }
    this.#undurable.delete(approval);
    const refusal = isShared === false ? 'lease' : 'database';
    this.refused.set(refusal, this.refused.get(refusal)! + 1);
    if (isShared === null) this.#cancel(approval, guarded);
    else this.#forget(approval, guarded);
  }

  #durable(approval: Approval, guarded: GuardedWaiter): void {
    const { inner } = guarded;
    approval.isDurable = true;
    this.#undurable.delete(approval);
    const { nowMs, deadlineMs, log } = this.#options;
    const atMs = nowMs();
    if (approval.isLate || (atMs >= inner.arrivalMs + deadlineMs && !inner.isSettled)) {
      this.#cancel(approval, guarded);
      return;
    }
    this.approved++;
    this.#send(approval, guarded, 0);
    for (const repeat of approval.repeats.splice(0)) this.#send(approval, repeat, AnswerFlag.repeated);
    if (atMs < this.#loggedAtMs + logEveryMs) return;
    this.#loggedAtMs = atMs;
    const { count, totalMinor } = this.#exposure;
    log.warn({ approvals: count, totalMinor }, 'authorizations are approved by stand-in, without their partition');
  }

  /** Refuses what waits for the disk beyond its deadline. Called by a coarse timer. */
  expire(nowMs: number): void {
    for (const [approval, sent] of this.#undurable) {
      if (nowMs < sent.inner.arrivalMs + this.#options.deadlineMs) continue;
      if (approval.isLate || sent.inner.isSettled) continue;
      // Once it is durable, a line of its own cancels it.
      approval.isLate = true;
      this.#refuse(approval, sent);
    }
  }

  /** The disk or the database was too slow, or is away: its client is refused, and nothing is owed. */
  #cancel(approval: Approval, sent: Sent): void {
    this.cancelled++;
    if (approval.isShared) {
      this.#withdraw(approval, sent);
      return;
    }
    this.#forget(approval, sent);
    this.#journal!.append({ kind: 'cancelled', id: approval.id }).catch(() => undefined);
  }

  /** It may be in the database. Until it is not, its id is refused here: the next owner would answer it as approved. */
  #withdraw(approval: Approval, sent: Sent): void {
    approval.isLate = true;
    approval.isDurable = false;
    // No insert is on its way any more then.
    approval.notBeforeMs = this.#options.nowMs() + 2 * this.#options.deadlineMs;
    this.#refuse(approval, sent);
  }

  #lost(approval: Approval, sent: Sent, error: Error): void {
    this.#undurable.delete(approval);
    if (approval.isShared) this.#withdraw(approval, sent);
    else this.#forget(approval, sent);
    this.#options.log.error(
      { error: error.message },
      'the stand-in journal could not be written: no stand-in until the engine is started again',
    );
  }

  #forget(approval: Approval, sent: Sent): void {
    this.#unbooked.delete(approval.id);
    this.#refuse(approval, sent);
  }

  #refuse(approval: Approval, sent: Sent): void {
    for (const { inner } of [sent, ...approval.repeats.splice(0)]) {
      if (!inner.isSettled) inner.refuse(Reason.systemError);
    }
  }

  // --- booking ------------------------------------------------------------------------------------------------------

  /** Sends approvals to their partitions, oldest first, until each is booked. Called by a coarse timer. */
  bookSome(): void {
    const nowMs = this.#options.nowMs();
    for (const approval of this.#unbooked.values()) {
      if (this.#bookings >= bookingsMax) return;
      if (approval.isBeingBooked || approval.notBeforeMs > nowMs || this.#undurable.has(approval)) continue;
      if (approval.isLate) {
        this.#remove(approval);
        continue;
      }
      this.#bookings++;
      approval.isBeingBooked = true;
      const { partition, record } = approval;
      const ended = (isBooked: boolean, isEmpty: boolean) => this.#bookingEnded(approval, isBooked, isEmpty);
      this.#options.book(partition, record, new BookingWaiter(nowMs, ended));
    }
  }

  #remove(approval: Approval): void {
    approval.isBeingBooked = true;
    const { partition, id, record } = approval;
    void this.#options.shared!.remove(partition, id, record).then(() => this.#unbooked.delete(id));
  }

  #bookingEnded(approval: Approval, isBooked: boolean, isEmpty: boolean): void {
    this.#bookings--;
    approval.isBeingBooked = false;
    if (!isBooked) {
      approval.pauseMs = Math.min(bookingPauseMsMax, Math.max(bookingPauseMsMin, 2 * approval.pauseMs));
      approval.notBeforeMs = this.#options.nowMs() + approval.pauseMs;
      return;
    }
    this.#unbooked.delete(approval.id);
    this.booked++;
    if (isEmpty) this.bookedEmpty++;
    // Lost with a crash: then it is booked again, and moves nothing.
    if (approval.isShared) void this.#options.shared!.remove(approval.partition, approval.id);
    else this.#journal!.append({ kind: 'booked', id: approval.id }).catch(() => undefined);
  }

  // --- journal ------------------------------------------------------------------------------------------------------

  #restore(lines: readonly JournalLine[]): void {
    for (const line of lines) {
      if (line.kind === 'day') {
        this.#exposure.begin(line.day);
        const [first] = line.cards;
        for (const [token, amountMinor] of line.cards) {
          this.#exposure.add(token, amountMinor, token === first![0] ? line.count : 0);
        }
      } else if (line.kind === 'approval') this.#restoreApproval(line);
      else this.#unbooked.delete(line.id);
    }
  }

  #restoreApproval({ partition, record, isCounted, isShared }: JournalLine & { kind: 'approval' }): void {
    const approval = new Approval(partition, Buffer.from(record, 'base64'), isShared === true);
    approval.isDurable = true;
    // The owner of its partition has it from the database, if it was approved at all.
    if (isShared !== true) this.#unbooked.set(approval.id, approval);
    if (isCounted === true) return;
    this.#exposure.begin(Math.floor(approval.arrivalMs / dayMs));
    this.#exposure.add(approval.card, approval.outcome.approvedAmountMinor);
  }

  #lines(): readonly JournalLine[] {
    const { day } = this.#exposure;
    const cards = new Map(this.#exposure.cards);
    const approvals = [...this.#unbooked.values()];
    // They follow as lines of their own, which count.
    const waiting = [...this.#undurable.keys()].filter(({ isJournaled }) => !isJournaled);
    for (const { card, outcome } of waiting) {
      cards.set(card, Math.max(0, (cards.get(card) ?? 0) - outcome.approvedAmountMinor));
    }
    const count = Math.max(0, this.#exposure.count - waiting.length);
    const durable = approvals.filter(({ isDurable, isShared }) => isDurable && !isShared);
    const lines = durable.map(({ line }) => ({ ...line, isCounted: true as const }));
    return [{ kind: 'day', day, count, cards: [...cards] }, ...lines];
  }
}

/**
 * Whether the journal of a folder has approvals that are in no books yet.
 * @throws one line for a person when it is damaged
 */
export async function hasUnbooked(directory: string): Promise<boolean> {
  const ids = new Set<string>();
  for (const line of await readJournal(directory)) {
    if (line.kind === 'booked' || line.kind === 'cancelled') ids.delete(line.id);
    else if (line.kind === 'approval' && line.isShared !== true) {
      ids.add(new Approval(line.partition, Buffer.from(line.record, 'base64'), false).id);
    }
  }
  return ids.size > 0;
}

/** An approval, from its decision until it is booked. */
class Approval {
  readonly partition: number;
  readonly record: Buffer;
  readonly request = new Request();
  readonly outcome = new Outcome();
  readonly id: string;
  readonly card: string;
  readonly arrivalMs: number;
  /** It stands in the database of all engines, and this engine's journal only counts it. */
  readonly isShared: boolean;
  /** Its line is on the disk. */
  isJournaled = false;
  isDurable = false;
  /** Its deadline has passed before that: its client was refused. */
  isLate = false;
  /** Repeats that came before it was durable. */
  readonly repeats: Sent[] = [];
  isBeingBooked = false;
  notBeforeMs = 0;
  pauseMs = 0;

  constructor(partition: number, record: Buffer, isShared: boolean) {
    this.partition = partition;
    this.record = record;
    this.isShared = isShared;
    const view = new DataView(record.buffer, record.byteOffset, record.length);
    readRecordRequest(record, view, 0, this.request);
    readRecordOutcome(view, 0, this.outcome);
    this.id = textOf(record, this.request.id);
    this.card = textOf(record, this.request.card);
    this.arrivalMs = view.getFloat64(RecordOffset.arrivalMs, true);
  }

  get line(): JournalLine & { kind: 'approval' } {
    const line = { kind: 'approval' as const, partition: this.partition, record: this.record.toString('base64') };
    return this.isShared ? { ...line, isShared: true } : line;
  }
}

/** A message that waits, with a copy of its bytes: what was read of it is valid until the next one is read. */
class Sent {
  constructor(
    readonly codec: Codec,
    readonly bytes: Buffer,
    /** Its client. */
    readonly inner: Waiter,
  ) {}

  hopTrace(): TraceParent | undefined {
    return this.inner.hopTrace?.();
  }
}

/** The client of a message as its partition sees it: refused there, it may still be approved here. */
class GuardedWaiter extends Sent implements Waiter {
  readonly #refused: (guarded: GuardedWaiter, reason: Reason) => void;
  readonly partition: number;
  reentries = 0;
  #isRefused = false;

  /** @param refused called once, when the partition has refused it */
  constructor(
    codec: Codec,
    bytes: Buffer,
    inner: Waiter,
    partition: number,
    refused: (guarded: GuardedWaiter, reason: Reason) => void,
  ) {
    super(codec, bytes, inner);
    this.partition = partition;
    this.#refused = refused;
  }

  get kind(): number {
    return this.inner.kind;
  }
  get arrivalMs(): number {
    return this.inner.arrivalMs;
  }
  get isSettled(): boolean {
    return this.#isRefused || this.inner.isSettled;
  }
  get isRefused(): boolean {
    return this.#isRefused || this.inner.isRefused;
  }

  answer(from: Answers, index: number): void {
    this.inner.answer(from, index);
  }

  refuse(reason: Reason): void {
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#refused(this, reason);
  }
}

/** The client of a repeat as its partition sees it. What was approved meanwhile answers it, and nothing else. */
class RepeatWaiter extends Sent implements Waiter {
  readonly id: string;
  readonly #isTaken: (repeat: RepeatWaiter) => boolean;
  reentries = 0;
  /** The partition has refused it. */
  #isRefused = false;

  constructor(codec: Codec, bytes: Buffer, inner: Waiter, id: string, isTaken: (repeat: RepeatWaiter) => boolean) {
    super(codec, bytes, inner);
    this.id = id;
    this.#isTaken = isTaken;
  }

  get kind(): number {
    return this.inner.kind;
  }
  get arrivalMs(): number {
    return this.inner.arrivalMs;
  }
  get isSettled(): boolean {
    return this.#isRefused || this.inner.isSettled;
  }
  get isRefused(): boolean {
    return this.#isRefused || this.inner.isRefused;
  }

  answer(from: Answers, index: number): void {
    if (!this.#isTaken(this)) this.inner.answer(from, index);
  }

  refuse(reason: Reason): void {
    this.#isRefused = true;
    if (!this.#isTaken(this)) this.inner.refuse(reason);
  }
}

class BookingWaiter implements Waiter {
  readonly kind = EntryKind.standIn;
  readonly arrivalMs: number;
  readonly #ended: (isBooked: boolean, isEmpty: boolean) => void;
  reentries = 0;
  isSettled = false;
  isRefused = false;

  constructor(arrivalMs: number, ended: (isBooked: boolean, isEmpty: boolean) => void) {
    this.arrivalMs = arrivalMs;
    this.#ended = ended;
  }

  answer(from: Answers, index: number): void {
    this.isSettled = true;
    this.#ended(from.status[index] === EntryStatus.decided, from.reason[index] === Reason.originalClosed);
  }

  refuse(): void {
    this.isSettled = true;
    this.isRefused = true;
    this.#ended(false, false);
  }
}

/** The answer that is being sent. */
class OneAnswer implements Answers {
  readonly status = Uint8Array.of(EntryStatus.decided);
  readonly answerFlags = new Uint8Array(1);
  readonly reason = new Uint8Array(1);
  readonly answerStart = new Int32Array(1);
  readonly answerEnd = new Int32Array(1);
  readonly answer = Buffer.alloc(answerBytesMax);
  readonly #conflict = new Outcome();
  sealedAtMs = 0;
  returnedAtMs = 0;

  approval(codec: Codec, request: Request, outcome: Outcome, nowMs: number, flags: number): void {
    this.#write(codec, request, outcome, nowMs, flags | AnswerFlag.approved);
  }

  conflict(codec: Codec, request: Request, nowMs: number): void {
    const outcome = this.#conflict;
    outcome.reset();
    outcome.reason = Reason.duplicateConflict;
    outcome.currency = request.currency;
    outcome.amountMinor = Math.max(0, request.amountMinor);
    this.#write(codec, request, outcome, nowMs, 0);
  }

  #write(codec: Codec, request: Request, outcome: Outcome, nowMs: number, flags: number): void {
    this.answerFlags[0] = flags;
    this.reason[0] = outcome.reason;
    this.answerEnd[0] = codec.writeAnswer(this.answer, 0, request, outcome, request.source, request.id);
    this.sealedAtMs = nowMs;
    this.returnedAtMs = nowMs;
  }
}
