/** The two decisions without a message: revoking an approval that missed its deadline, and expiring a transaction. */
import { type Books, transactionAbsent } from './books.js';
import { TransactionStatus } from './codes.js';
import type { Outcome } from './outcome.js';
import { Reason } from './reasons.js';
import type { Transactions } from './transactions.js';

/**
 * Revokes an approval that missed its deadline, as far as no clearing or reversal of the same batch used it up.
 * @param approval the outcome that was journaled
 * @param openingRevoked the message that opened the transaction was revoked as well, or is being revoked by this call
 */
export function decideRevocation(
  books: Books,
  account: number,
  transaction: number,
  approval: Readonly<Outcome>,
  openingRevoked: boolean,
  outcome: Outcome,
): void {
  const { transactions, accounts } = books;
  outcome.reset();
  outcome.reason = Reason.systemError;
  outcome.currency = approval.currency;
  outcome.amountMinor = approval.amountMinor;
  // A revoked or declined message has nothing left to take: its deltas point the other way.
  if (transaction !== transactionAbsent && approval.approved) {
    const status = transactions.status(transaction);
    const released = Math.min(approval.heldDelta, transactions.held(transaction));
    const unposted = Math.min(approval.postedDelta, Math.max(0, transactions.posted(transaction)));
    const taken = released + unposted;
    outcome.heldDelta = 0 - released;
    outcome.postedDelta = 0 - unposted;
    outcome.spendDay = approval.spendDay;
    outcome.spendAmountDelta = 0 - taken;
    // A reversal in between leaves nothing to take, and has given the count back. Where another increment or a clearing
    // lives on, so does the transaction, and it counts.
    const isEmpty =
      taken > 0 && released === transactions.held(transaction) && unposted === transactions.posted(transaction);
    if (isEmpty) {
      outcome.olderSpendDay = transactions.firstDay(transaction);
      outcome.olderSpendCountDelta = -1;
    }
    const nothingCameOfIt = approval.opensTransaction || openingRevoked;
    outcome.transactionStatus = isEmpty
      ? nothingCameOfIt
        ? TransactionStatus.declined
        : TransactionStatus.reversed
      : status;
    outcome.usesCard = approval.usesCard && isUnused(transactions, transaction, approval, outcome, openingRevoked);
  }
  outcome.availableMinor = accounts.available(account) - outcome.heldDelta - outcome.postedDelta;
  outcome.heldMinor = accounts.held(account) + outcome.heldDelta;
}

/**
 * Whether a revocation leaves nothing of a purchase. Then it was never answered, and no later message of the
 * transaction holds, has posted or has refunded money. Its reversal may precede the revocation.
 */
function isUnused(
  transactions: Transactions,
  transaction: number,
  approval: Readonly<Outcome>,
  { heldDelta, postedDelta }: Outcome,
  openingRevoked: boolean,
): boolean {
  const left = transactions.held(transaction) + heldDelta !== 0 || transactions.posted(transaction) + postedDelta !== 0;
  if (left || transactions.refunded(transaction) !== 0) return false;
  // Where the opening was revoked earlier, an increment has kept the purchase alive until now.
  return approval.opensTransaction || (openingRevoked && (heldDelta !== 0 || postedDelta !== 0));
}

/**
 * Expires a transaction: releases its hold and closes it. A transaction closes too when a clearing that was not final
 * has left no hold.
 * @returns false when its time has not come, or it is closed
 */
export function decideExpiry(books: Books, transaction: number, nowMs: number, outcome: Outcome): boolean {
  const { transactions } = books;
  outcome.reset();
  const held = transactions.held(transaction);
  const isClosed = held === 0 && transactions.status(transaction) !== TransactionStatus.open;
  if (isClosed || transactions.expiresAtMs(transaction) > nowMs) return false;
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.amountMinor = held;
  outcome.approvedAmountMinor = held;
  const cameOfIt = transactions.posted(transaction) > 0 || transactions.refunded(transaction) > 0;
  outcome.transactionStatus = cameOfIt ? TransactionStatus.completed : TransactionStatus.expired;
  outcome.heldDelta = 0 - held;
  const newest = Math.min(held, transactions.newestAmount(transaction));
  outcome.spendDay = transactions.newestDay(transaction);
  outcome.spendAmountDelta = 0 - newest;
  outcome.olderSpendDay = transactions.firstDay(transaction);
  outcome.olderSpendAmountDelta = 0 - (held - newest);
  outcome.olderSpendCountDelta = cameOfIt ? 0 : -1;
  return true;
}
