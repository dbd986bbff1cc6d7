/**
 * The transactions of a stretch. One that it opens becomes a row, with its follow-ups folded in. A follow-up of an
 * older transaction becomes a row of round 0, the next one a row of round 1, and so on.
 */
import { MessageType, TransactionStatus, unpackLetters } from '../../engine/core/codes.js';
import { detailForcePost } from '../../engine/core/limit-names.js';
import { Reason } from '../../engine/core/reasons.js';
import { mccAbsent } from '../../engine/core/record.js';
import type { RecordView } from '../../engine/core/record-view.js';
import { roundEnds, roundsMax } from './rounds.js';
import { RowArray } from './row-array.js';

/** A transaction that this stretch opens, as it stands after the records so far. Column names of `transactions`. */
export interface OpenedTransaction {
  readonly id: string;
  readonly sequence: number;
  /** Opened by a refusal: nothing can follow it. */
  readonly isRefusal: boolean;
  /** 0: what follows the id belongs to it. */
  occurrence: number;
  accountNumber: number;
  cardNumber: number;
  /** Keys the card's spend windows; not a column. */
  cardSpend: number;
  userNumber: number;
  amount: number;
  approvedAmount: number;
  held: number;
  posted: number;
  refunded: number;
  newestSpendAmount: number;
  expiresAtMs: number;
  createdAtMs: number;
  updatedAtMs: number;
  spendDay: number;
  newestSpendDay: number;
  type: number;
  status: number;
  reason: number;
  detail: number;
  mcc: number;
  channel: number;
  forced: boolean;
  currency: number;
  country: number;
  merchantId: string;
  merchantName: string;
}

/** What follow-ups change. */
export type MovedTransaction = Pick<
  OpenedTransaction,
  | 'status'
  | 'amount'
  | 'approvedAmount'
  | 'reason'
  | 'held'
  | 'posted'
  | 'refunded'
  | 'newestSpendDay'
  | 'newestSpendAmount'
  | 'forced'
  | 'expiresAtMs'
  | 'updatedAtMs'
>;

/** One follow-up of a transaction that an earlier stretch opened. */
export interface FollowUp {
  readonly id: string;
  /** 0: unchanged. */
  readonly status: number;
  /** What an increment adds to the amounts asked and approved, or takes off when it was revoked. */
  readonly amount: number;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  readonly day: number;
  readonly spend: number;
  readonly forced: boolean;
  readonly atMs: number;
  /** When the hold lapses now, where the message renewed it; else 0. */
  readonly expiresAtMs: number;
}

export class TransactionFold {
  /** By id. */
  readonly #opened = new Map<string, OpenedTransaction>();
  /** Openings that another one of the same id has set apart. */
  readonly #apart: OpenedTransaction[] = [];
  readonly #followUpRounds: FollowUp[][] = [];
  /** Transaction id → rounds used. */
  readonly #followed = new Map<string, number>();

  /**
   * Of one record: the transaction that it opens, or what it changes of one; both undefined when it belongs to none.
   */
  get single(): { readonly opened: OpenedTransaction | undefined; readonly followUp: FollowUp | undefined } {
    const [opened] = this.#opened.values();
    return { opened, followUp: this.#followUpRounds[0]?.[0] };
  }

  /** Whether the record can be added; otherwise it must start the next stretch. */
  fits(record: RecordView, id: string): boolean {
    if (!opens(record)) return (this.#followed.get(id) ?? 0) < roundsMax;
    // Openings are written before follow-ups, so those of the older transaction must be written first. settle() sees
    // what the older one was.
    return isRefusal(record) || !this.#isTaken(id);
  }

  /** A refusal takes nothing from a transaction that can be followed. */
  isApart(record: RecordView, id: string): boolean {
    return isRefusal(record) && this.#isTaken(id);
  }

  #isTaken(id: string): boolean {
    return this.#followed.has(id) || this.#opened.get(id)?.isRefusal === false;
  }

  /**
   * @returns the refusal of this stretch that gives its id to the record's opening, or to the older transaction that
   * the record follows, and is named by its sequence now
   */
  add(
    record: RecordView,
    id: string,
    requestId: string,
    sequence: number,
    text: TextReader,
  ): OpenedTransaction | undefined {
    if (opens(record)) {
      const transaction = openedBy(record, id, sequence, text);
      if (this.isApart(record, id)) {
        transaction.occurrence = sequence;
        this.#apart.push(transaction);
        return undefined;
      }
      const refusal = this.#opened.get(id);
      if (refusal !== undefined) {
        refusal.occurrence = refusal.sequence;
        this.#apart.push(refusal);
      }
      this.#opened.set(id, transaction);
      return refusal;
    }
    // A refused follow-up, a verification, a balance inquiry.
    if (record.transactionStatus === TransactionStatus.none) return undefined;
    return this.#follow(followUpOf(record, id, requestId));
  }

  #follow(followUp: FollowUp): OpenedTransaction | undefined {
    const opened = this.#opened.get(followUp.id);
    if (opened !== undefined && !opened.isRefusal) {
      applyFollowUp(opened, followUp);
      return undefined;
    }
    // Nothing follows a refusal: the message follows the transaction that had the id before.
    if (opened !== undefined) {
      opened.occurrence = opened.sequence;
      this.#opened.delete(followUp.id);
      this.#apart.push(opened);
    }
    const round = this.#followed.get(followUp.id) ?? 0;
    this.#followed.set(followUp.id, round + 1);
    const rows = this.#followUpRounds[round];
    if (rows === undefined) this.#followUpRounds.push([followUp]);
    else rows.push(followUp);
    return opened;
  }

  /** Of type settle_opening. */
  openedRows(): string {
    const rows = new RowArray();
    // In the order of the indexes by account and by card: neighbours stand on one page.
    const inOrder = [...this.#opened.values(), ...this.#apart].sort(
      (left, right) => left.accountNumber - right.accountNumber || left.cardNumber - right.cardNumber,
    );
    for (const transaction of inOrder) {
      rows
        .addText(nameOf(transaction.id, transaction.occurrence))
        .addPositive(transaction.accountNumber)
        .addPositive(transaction.cardNumber)
        .addPositive(transaction.userNumber)
        .add(transaction.amount)
        .add(transaction.approvedAmount)
        .add(transaction.held)
        .add(transaction.posted)
        .add(transaction.refunded)
        .add(transaction.newestSpendAmount)
        .addPositive(transaction.expiresAtMs)
        .add(transaction.createdAtMs)
        .add(transaction.updatedAtMs)
        .add(transaction.spendDay)
        .add(transaction.newestSpendDay)
        .add(transaction.type)
        .add(transaction.status)
        .add(transaction.reason)
        .add(transaction.detail);
      if (transaction.mcc < 0) rows.addNull();
      else rows.add(transaction.mcc);
      rows
        .add(transaction.channel)
        .add(transaction.forced)
        .addTextOrNull(letters(transaction.currency))
        .addTextOrNull(letters(transaction.country))
        .addTextOrNull(transaction.merchantId)
        .addTextOrNull(transaction.merchantName)
        .endRow();
    }
    return rows.literal();
  }

  /** Where each round ends, and the rows, of type settle_follow_up. */
  followUpRows(): string[] {
    const rows = new RowArray();
    for (const row of this.#followUpRounds.flat()) {
      rows
        .addText(row.id)
        .add(row.status)
        .add(row.amount)
        .add(row.held)
        .add(row.posted)
        .add(row.refunded)
        .add(row.day)
        .add(row.spend)
        .add(row.forced)
        .add(row.atMs)
        .addPositive(row.expiresAtMs)
        .endRow();
    }
    return [roundEnds(this.#followUpRounds), rows.literal()];
  }
}

/**
 * The same change that settle() makes to a stored transaction (and the engine in Transactions.move), on one still in
 * the fold.
 */
export function applyFollowUp(transaction: MovedTransaction, row: FollowUp): void {
  if (row.status !== 0) transaction.status = row.status;
  transaction.amount += row.amount;
  transaction.approvedAmount += row.amount;
  if (row.status === TransactionStatus.declined) {
    transaction.reason = Reason.systemError;
    transaction.approvedAmount = 0;
  }
  transaction.held += row.held;
  transaction.posted += row.posted;
  transaction.refunded += row.refunded;
  if (row.spend > 0 && row.day > transaction.newestSpendDay) {
    transaction.newestSpendDay = row.day;
    transaction.newestSpendAmount = row.spend;
  } else if (row.spend > 0 || row.day === transaction.newestSpendDay) {
    transaction.newestSpendAmount += row.spend;
  }
  transaction.newestSpendAmount = Math.max(0, Math.min(transaction.newestSpendAmount, transaction.held));
  transaction.forced ||= row.forced;
  if (transaction.expiresAtMs > 0) transaction.expiresAtMs = Math.max(transaction.expiresAtMs, row.expiresAtMs);
  transaction.updatedAtMs = row.atMs;
}

function opens(record: RecordView): boolean {
  return record.opensTransaction || record.isTombstone;
}

function isRefusal(record: RecordView): boolean {
  return record.opensTransaction && !record.isApproved;
}

/** Text of the record's source as the database can hold it. */
type TextReader = (start: number, end: number) => string;

function openedBy(record: RecordView, id: string, sequence: number, text: TextReader): OpenedTransaction {
  const { isTombstone, type, detail, mcc, arrivalMs, spendDay, merchantIdEnd } = record;
  const approvedAmount = isTombstone ? 0 : record.approvedAmount;
  const held = record.heldDelta;
  return {
    id,
    sequence,
    isRefusal: isRefusal(record),
    occurrence: 0,
    accountNumber: record.accountNumber,
    cardNumber: record.cardNumber,
    cardSpend: record.cardSpend,
    userNumber: record.userNumber,
    amount: isTombstone ? 0 : record.answerAmount,
    approvedAmount,
    held,
    posted: record.postedDelta,
    refunded: type === MessageType.refund ? approvedAmount : 0,
    newestSpendAmount: Math.min(record.spendAmountDelta, held),
    expiresAtMs: record.expiresAtMs,
    createdAtMs: arrivalMs,
    updatedAtMs: arrivalMs,
    spendDay,
    newestSpendDay: spendDay,
    // A tombstone keeps the reversal that opened it: an engine that starts distinguishes it from a reversed
    // authorization.
    type,
    status: publicStatus(record),
    reason: record.reason,
    detail,
    mcc: mcc === mccAbsent ? -1 : mcc,
    channel: record.channel,
    forced: detail === detailForcePost,
    currency: record.currency,
    country: record.country,
    merchantId: text(record.originalEnd, merchantIdEnd),
    merchantName: text(merchantIdEnd, record.merchantNameEnd),
  };
}

function followUpOf(record: RecordView, id: string, requestId: string): FollowUp {
  const { transactionStatus } = record;
  return {
    id,
    // Another reversal of what never came: the row shows a reversal, or by now the declined authorization.
    status: transactionStatus === TransactionStatus.tombstone ? 0 : transactionStatus,
    amount: addedAmount(record, id, requestId),
    held: record.heldDelta,
    posted: record.postedDelta,
    refunded: refundedBy(record),
    day: record.spendDay,
    spend: record.spendAmountDelta,
    forced: record.detail === detailForcePost,
    atMs: record.arrivalMs,
    expiresAtMs: record.expiresAtMs,
  };
}

/** A reversal of a refund takes it off again. */
function refundedBy({ type, askedType, approvedAmount }: RecordView): number {
  if (type === MessageType.refund) return approvedAmount;
  return type === MessageType.reversal && askedType === MessageType.refund ? 0 - approvedAmount : 0;
}

/** What a follow-up adds to the amounts asked and approved. */
function addedAmount(record: RecordView, id: string, requestId: string): number {
  switch (record.type) {
    case MessageType.incremental:
      return record.approvedAmount;
    case MessageType.advice:
      // It replaces what was authorized.
      return record.heldDelta;
    case MessageType.revocation:
      // A revoked increment is taken off; a revoked opening is not, unless the transaction is declined with it.
      return id === requestId ? 0 : 0 - record.answerAmount;
    default:
      return 0;
  }
}

/** As transaction_name() in the database: the name of a row within its partition. */
export function nameOf(id: string, occurrence: number): string {
  return occurrence === 0 ? id : `\u0002${occurrence}:${id}`;
}

/** Statuses as `transactions` has them: a tombstone shows as reversed, and what opened nothing was declined. */
function publicStatus({ isTombstone, isApproved, transactionStatus }: RecordView): number {
  if (isTombstone || transactionStatus === TransactionStatus.tombstone) return TransactionStatus.reversed;
  if (transactionStatus !== TransactionStatus.none) return transactionStatus;
  return isApproved ? TransactionStatus.completed : TransactionStatus.declined;
}

/** Few currencies and countries are in use, and every record names some: unpacked once each. Bounded by 16 bits. */
const unpacked = new Map<number, string>();
function letters(packed: number): string {
  let text = unpacked.get(packed);
  if (text === undefined) {
    text = unpackLetters(packed);
    unpacked.set(packed, text);
  }
  return text;
}
