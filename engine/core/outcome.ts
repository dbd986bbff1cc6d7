/**
 * What was decided: the public answer plus the effects on the books. `decide` fills one reused instance; the partition
 * journals it and applies it. Replays of the journal and repeated questions rebuild the same fields from the record,
 * so the same codec renders the same bytes.
 */

import { MessageType, TransactionStatus } from './codes.js';
import { detailNone, isCountDetail } from './limit-names.js';
import { Reason, reasonEntry } from './reasons.js';

export class Outcome {
  approved = false;
  reason: Reason = Reason.systemError;
  /** Limit or flag by number, see limit-names.ts; 0 none. */
  detail: number = detailNone;
  /** Approved for less than was asked. */
  partial = false;
  /** The amount in question in minor units: what was asked; for a reversal without amount, what it released. */
  amountMinor = 0;
  /** Held, added, released, posted or credited by this message; 0 when declined. */
  approvedAmountMinor = 0;
  /** The account's available funds after this message, minor units; may be negative after a force post. */
  availableMinor = 0;
  /** The account's open holds after this message. */
  heldMinor = 0;
  /** The account's posted money after a ledger command, which answers with the whole books; 0 for other messages. */
  postedMinor = 0;
  /** packLetters() of the account's currency; of the request's when there is no account. */
  currency = 0;

  // Effects; all zero when declined. Invariant: fundsDelta = availableDelta + heldDelta + postedDelta.
  heldDelta = 0;
  postedDelta = 0;
  fundsDelta = 0;
  /**
   * Spend windows: what to add on the newest day of the transaction, and on its first day (give-back of older parts).
   */
  spendDay = 0;
  spendAmountDelta = 0;
  spendCountDelta = 0;
  olderSpendDay = 0;
  olderSpendAmountDelta = 0;
  olderSpendCountDelta = 0;
  /** Bits of the levels in whose rolling windows that counts: 1 << Level. */
  rollingLevels = 0;
  /** When the hold lapses, wall clock milliseconds; 0 when the message neither opens nor renews one. */
  expiresAtMs = 0;
  /** The transaction's status after this message, see TransactionStatus. */
  transactionStatus: TransactionStatus = TransactionStatus.none;
  /** The message is the first of its transaction: its id names the transaction. */
  opensTransaction = false;
  /** A reversal came before its authorization: the original's id is spent. */
  tombstone = false;
  /**
   * The message counts as a purchase of a card that is not virtual. It is one more where it opens a transaction, one
   * fewer where it revokes an approval, and else part of the same purchase.
   */
  usesCard = false;

  reset(): void {
    this.approved = false;
    this.reason = Reason.systemError;
    this.detail = detailNone;
    this.partial = false;
    this.amountMinor = 0;
    this.approvedAmountMinor = 0;
    this.availableMinor = 0;
    this.heldMinor = 0;
    this.postedMinor = 0;
    this.currency = 0;
    this.heldDelta = 0;
    this.postedDelta = 0;
    this.fundsDelta = 0;
    this.spendDay = 0;
    this.spendAmountDelta = 0;
    this.spendCountDelta = 0;
    this.olderSpendDay = 0;
    this.olderSpendAmountDelta = 0;
    this.olderSpendCountDelta = 0;
    this.rollingLevels = 0;
    this.expiresAtMs = 0;
    this.transactionStatus = TransactionStatus.none;
    this.opensTransaction = false;
    this.tombstone = false;
    this.usesCard = false;
  }
}

/** ISO 8583:1987 DE39 of an answer: the table's code, refined for partial approval, verification and count limits. */
export function responseCode(outcome: Pick<Outcome, 'reason' | 'partial' | 'detail'>, type: MessageType): string {
  if (outcome.reason === Reason.approved) {
    if (outcome.partial) return '10';
    // 85 "no reason to decline" is the answer to a zero-amount verification.
    return type === MessageType.verification ? '85' : '00';
  }
  if (outcome.reason === Reason.limitExceeded && isCountDetail(outcome.detail)) return '65';
  return reasonEntry(outcome.reason).responseCode;
}
