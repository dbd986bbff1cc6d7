/** What an approval does to the books. */
import { transactionAbsent } from './books.js';
import { CardType } from './card-types.js';
import { MessageType as T, TransactionStatus } from './codes.js';
import { type Context, cameToNothing } from './decision-context.js';
import { unreachable } from './invariant.js';
import { detailForcePost, detailStandIn } from './limit-names.js';
import { Reason } from './reasons.js';
import { type Request, saysRemainder } from './request.js';

export function effects(context: Context): void {
  const { request, outcome } = context;
  switch (request.type) {
    case T.authorization: {
      const amount = outcome.partial ? context.books.accounts.available(context.account) : request.amountMinor;
      if (context.rejoins) increase(context, amount);
      else authorize(context, amount);
      break;
    }
    case T.advice:
      if (request.askedType === T.incremental) addToHold(context);
      else if (context.replacesHold) replaceHold(context);
      else authorize(context, request.amountMinor);
      break;
    case T.incremental:
      increase(context, request.amountMinor);
      break;
    case T.reversal:
      reverse(context);
      break;
    case T.clearing:
      clear(context);
      break;
    case T.refund:
      refund(context);
      break;
    case T.verification:
    case T.balanceInquiry:
      break;
    case T.expiry:
    case T.revocation:
    // Ledger commands are decided in decide-command.ts.
    case T.deposit:
    case T.withdrawal:
      break;
    default:
      unreachable(request.type);
  }
}

/** The answer of a stand-in approval, whatever the books make of it: the front has sent it. */
export function standInAnswer({ outcome, request }: Context): void {
  outcome.approved = true;
  outcome.reason = Reason.approved;
  outcome.detail = detailStandIn;
  outcome.approvedAmountMinor = request.amountMinor;
  // The front knows no books, so its answer says 0 for both.
  outcome.availableMinor = 0;
  outcome.heldMinor = 0;
}

/**
 * What a stand-in approval does to the books. They may know the purchase already: a partition that was asked first may
 * have approved it, with an answer that no client received. Then that hold
 * stays.
 */
export function standInEffects(context: Context): void {
  const { outcome, request, books, transaction, spendDay } = context;
  const { transactions } = books;
  if (context.rejoins) {
    increase(context, request.amountMinor);
    return;
  }
  if (transaction === transactionAbsent) {
    authorize(context, request.amountMinor);
    return;
  }
  const status = transactions.status(transaction);
  // A reversal came first, or the hold has lapsed: the purchase is over.
  if (status !== TransactionStatus.open && status !== TransactionStatus.completed) return;
  outcome.transactionStatus = status;
  const before = transactions.held(transaction) + transactions.posted(transaction) + transactions.refunded(transaction);
  const added = request.amountMinor - before;
  if (status !== TransactionStatus.open || added <= 0) return;
  outcome.heldDelta = added;
  outcome.spendDay = spendDay;
  outcome.spendAmountDelta = added;
}

function authorize(context: Context, amountMinor: number): void {
  const { outcome, request, spendDay } = context;
  outcome.approvedAmountMinor = amountMinor;
  outcome.opensTransaction = true;
  outcome.usesCard = context.card.type !== CardType.virtual;
  if (request.capture) {
    // A single-message purchase: authorized and posted at once, no clearing will follow.
    outcome.postedDelta = amountMinor;
    outcome.transactionStatus = TransactionStatus.completed;
  } else {
    outcome.heldDelta = amountMinor;
    outcome.transactionStatus = TransactionStatus.open;
    outcome.expiresAtMs = lapsesAtMs(context);
  }
  outcome.spendDay = spendDay;
  outcome.spendAmountDelta = amountMinor;
  outcome.spendCountDelta = 1;
}

/** The shop says what the purchase comes to: that is held from now on, instead of what was authorized. */
function replaceHold(context: Context): void {
  const { outcome, request, books, transaction, spendDay } = context;
  const status = books.transactions.status(transaction);
  outcome.approvedAmountMinor = request.amountMinor;
  outcome.transactionStatus = status;
  if (status !== TransactionStatus.open) return;
  // This engine approved it too: what it holds may be more than what the network asked for, or a part of it.
  if (request.askedType === T.authorization) return;
  outcome.expiresAtMs = Math.max(books.transactions.expiresAtMs(transaction), lapsesAtMs(context));
  const added = request.amountMinor - books.transactions.held(transaction);
  if (added < 0) release(context, 0 - added, false);
  else {
    outcome.heldDelta = added;
    outcome.spendDay = spendDay;
    outcome.spendAmountDelta = added;
  }
}

/** An increment that was approved elsewhere. One that comes after the end of its transaction holds nothing. */
function addToHold(context: Context): void {
  const { outcome, request, books, transaction, replacesHold, spendDay } = context;
  if (!replacesHold) return;
  outcome.transactionStatus = books.transactions.status(transaction);
  if (outcome.transactionStatus !== TransactionStatus.open) return;
  outcome.approvedAmountMinor = request.amountMinor;
  outcome.expiresAtMs = Math.max(books.transactions.expiresAtMs(transaction), lapsesAtMs(context));
  outcome.heldDelta = request.amountMinor;
  outcome.spendDay = spendDay;
  outcome.spendAmountDelta = request.amountMinor;
}

/** When a hold that is taken or grows now lapses. */
function lapsesAtMs({ request, policy, nowMs }: Context): number {
  return nowMs + (isLongStay(request.mcc) ? policy.holdLongMs : policy.holdMs);
}

/** Lodging (3501–3999, 7011) and car rental (3351–3500, 7512, 7513, 7519): stays whose final amount comes late. */
function isLongStay(mcc: number): boolean {
  return (mcc >= 3351 && mcc <= 3999) || mcc === 7011 || mcc === 7512 || mcc === 7513 || mcc === 7519;
}

function increase(context: Context, amountMinor: number): void {
  const { outcome, books, transaction, spendDay } = context;
  outcome.approvedAmountMinor = amountMinor;
  outcome.usesCard = context.card.type !== CardType.virtual;
  outcome.heldDelta = amountMinor;
  outcome.transactionStatus = TransactionStatus.open;
  // The whole hold lives on with its newest part. An increment need not repeat the category of a long stay.
  outcome.expiresAtMs = Math.max(books.transactions.expiresAtMs(transaction), lapsesAtMs(context));
  outcome.spendDay = spendDay;
  outcome.spendAmountDelta = amountMinor;
}

function reverse(context: Context): void {
  const { outcome, request, books, transaction } = context;
  const { transactions } = books;
  if (request.askedType === T.refund) {
    undoRefund(context);
    return;
  }
  if (transactions.status(transaction) === TransactionStatus.completed) {
    undoPurchase(context);
    return;
  }
  const held = transactions.held(transaction);
  const released = releasedOf(request, held);
  const saysReleased = request.amountMinor >= 0 && !saysRemainder(request.askedType);
  outcome.amountMinor = saysReleased ? request.amountMinor : released;
  outcome.approvedAmountMinor = released;
  const status = transactions.status(transaction);
  outcome.transactionStatus =
    status === TransactionStatus.open && released === held ? closedStatus(context, TransactionStatus.reversed) : status;
  release(
    context,
    released,
    outcome.transactionStatus === TransactionStatus.reversed && status === TransactionStatus.open,
  );
}

/** Asking for more than is left releases what is left: reversals cannot be refused. */
function releasedOf({ amountMinor, askedType }: Request, held: number): number {
  if (amountMinor < 0) return held;
  return saysRemainder(askedType) ? Math.max(0, held - amountMinor) : Math.min(amountMinor, held);
}

/** The network did not take a purchase that was posted at once, or only a part of it. Taken back whole, it was none. */
function undoPurchase({ outcome, request, books, transaction }: Context): void {
  const { transactions } = books;
  const posted = Math.max(0, transactions.posted(transaction));
  const remaining = saysRemainder(request.askedType) ? Math.min(posted, Math.max(0, request.amountMinor)) : 0;
  const undone = posted - remaining;
  outcome.amountMinor = undone;
  outcome.approvedAmountMinor = undone;
  outcome.postedDelta = 0 - undone;
  outcome.transactionStatus = remaining > 0 ? TransactionStatus.completed : TransactionStatus.reversed;
  outcome.olderSpendDay = transactions.firstDay(transaction);
  outcome.olderSpendAmountDelta = 0 - undone;
  outcome.olderSpendCountDelta = posted > 0 && remaining === 0 ? -1 : 0;
}

/** A refund did not happen, or only a part of it: the amount says what remains. */
function undoRefund({ outcome, request, books, transaction, policy }: Context): void {
  const { transactions } = books;
  const [posted, refunded] = [transactions.posted(transaction), transactions.refunded(transaction)];
  const undone = undoneOf(request, posted, refunded);
  outcome.amountMinor = undone;
  outcome.approvedAmountMinor = undone;
  outcome.postedDelta = undone;
  const status = transactions.status(transaction);
  // Without a purchase nothing is left of the transaction.
  const isGone = undone > 0 && undone === refunded && posted + undone === 0 && status === TransactionStatus.completed;
  outcome.transactionStatus = isGone ? TransactionStatus.reversed : status;
  if (policy.refundRestoresWindows) {
    // As much as the refund gave back: of what it credited beyond the purchase, nothing was.
    outcome.olderSpendDay = transactions.firstDay(transaction);
    outcome.olderSpendAmountDelta = Math.min(undone, Math.max(0, posted + undone));
  }
}

/**
 * What a reversal takes back of the refunds of a transaction. A purchase may have several: then only what the reversed
 * one came to tells how much goes. Where the reversal does not say that, or says the remainder twice, what remains is
 * of all of them.
 */
function undoneOf({ amountMinor, wholeMinor }: Request, posted: number, refunded: number): number {
  const remaining = Math.max(0, amountMinor);
  const isAlone = posted + refunded <= 0;
  const credited = isAlone ? Math.min(refunded, Math.max(0, 0 - posted)) : refunded;
  const isWholeKnown = !isAlone && wholeMinor > remaining;
  return Math.min(credited, Math.max(0, (isWholeKnown ? wholeMinor : credited) - remaining));
}

function closedStatus(context: Context, whenNothingPosted: TransactionStatus): TransactionStatus {
  return context.books.transactions.posted(context.transaction) > 0 ? TransactionStatus.completed : whenNothingPosted;
}

/** Frees part of a hold and gives the windows back what it had taken, the newest part first. */
function release(context: Context, amountMinor: number, givesBackCount: boolean): void {
  const { outcome, books, transaction } = context;
  const { transactions } = books;
  // 0 − x, here and below: a plain minus would make −0 of nothing, and the journal would keep it.
  outcome.heldDelta = 0 - amountMinor;
  const newest = Math.min(amountMinor, transactions.newestAmount(transaction));
  outcome.spendDay = transactions.newestDay(transaction);
  outcome.spendAmountDelta = 0 - newest;
  const older = amountMinor - newest;
  outcome.olderSpendDay = transactions.firstDay(transaction);
  outcome.olderSpendAmountDelta = 0 - older;
  // Nothing came of it: it does not count as an authorization any more, on the day it was counted.
  outcome.olderSpendCountDelta = givesBackCount ? -1 : 0;
}

/**
 * Whether a processor reports a purchase in one message that this engine posted when it approved it, or whose reversal
 * came first.
 */
function isPostedAlready({ request, books, transaction }: Context): boolean {
  const { askedType } = request;
  const mayBe = askedType === T.authorization || askedType === T.clearing || askedType === T.reversal;
  if (!mayBe || transaction === transactionAbsent) return false;
  const { transactions } = books;
  const status = transactions.status(transaction);
  const wasAtOnce = transactions.wasPostedAtOnce(transaction);
  if (status === TransactionStatus.completed) return askedType !== T.reversal || wasAtOnce;
  if (askedType === T.authorization) return false;
  if (status === TransactionStatus.tombstone) return askedType === T.clearing;
  return status === TransactionStatus.reversed && wasAtOnce;
}

function clear(context: Context): void {
  const { outcome, request, books, transaction, spendDay } = context;
  const posted = request.amountMinor;
  outcome.approvedAmountMinor = posted;
  if (isPostedAlready(context)) {
    outcome.transactionStatus = books.transactions.status(transaction);
    return;
  }
  outcome.postedDelta = posted;
  if (cameToNothing(context)) {
    // A force post: no hold to take it from, and it cannot be refused. It may take the balance below zero.
    outcome.detail = detailForcePost;
    outcome.opensTransaction = true;
    outcome.usesCard = context.card.type !== CardType.virtual;
    outcome.transactionStatus = TransactionStatus.completed;
    outcome.spendDay = spendDay;
    outcome.spendAmountDelta = posted;
    outcome.spendCountDelta = 1;
    return;
  }
  const held = books.transactions.held(transaction);
  const fromHold = Math.min(posted, held);
  const rest = request.final ? held - fromHold : 0;
  const beyondHold = posted - fromHold;
  const status = books.transactions.status(transaction);
  const stillOpen = status === TransactionStatus.open && !request.final;
  // A clearing of nothing that ends a hold nothing was posted from is a reversal by another name.
  outcome.transactionStatus = stillOpen
    ? TransactionStatus.open
    : posted > 0 || books.transactions.posted(transaction) > 0 || status === TransactionStatus.completed
      ? TransactionStatus.completed
      : TransactionStatus.reversed;
  release(context, rest, outcome.transactionStatus === TransactionStatus.reversed && status === TransactionStatus.open);
  outcome.heldDelta = 0 - (fromHold + rest);
  if (beyondHold > 0) {
    // More than the hold is owed all the same, and was spent today. Nothing was left over to give back: rest is 0 here.
    outcome.spendDay = spendDay;
    outcome.spendAmountDelta = beyondHold;
    // The count was given back when the hold lapsed or was reversed: something came of it after all.
    const counted = status === TransactionStatus.open || status === TransactionStatus.completed;
    outcome.spendCountDelta = counted ? 0 : 1;
    if (status !== TransactionStatus.open) outcome.detail = detailForcePost;
  }
}

function refund(context: Context): void {
  const { outcome, request, books, transaction, policy } = context;
  outcome.approvedAmountMinor = request.amountMinor;
  outcome.postedDelta = -request.amountMinor;
  const isAlone = cameToNothing(context);
  // More than was posted: it cannot be refused, and a person should look at it. Without an original there is nothing
  // to compare it with.
  const posted = isAlone ? 0 : Math.max(0, books.transactions.posted(transaction));
  if (request.original.end > request.original.start && request.amountMinor > posted) outcome.detail = detailForcePost;
  if (isAlone) {
    outcome.opensTransaction = true;
    outcome.transactionStatus = TransactionStatus.completed;
    return;
  }
  outcome.transactionStatus = books.transactions.status(transaction);
  if (policy.refundRestoresWindows) {
    // No more than was posted: what is credited beyond it was never taken, and a hold gives back its own part.
    outcome.olderSpendDay = books.transactions.firstDay(transaction);
    outcome.olderSpendAmountDelta = 0 - Math.min(request.amountMinor, posted);
  }
}
