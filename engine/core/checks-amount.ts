/** Whether an amount is one that the books can count exactly. */
import type { Accounts } from './accounts.js';
import { transactionAbsent } from './books.js';
import { MessageType as T } from './codes.js';
import { type Context, cameToNothing } from './decision-context.js';
import { unreachable } from './invariant.js';
import { type Level, Level as Levels } from './limit-names.js';
import { amountMinorMax, fundsMinorMax, windowMinorMax } from './request.js';
import type { Spend } from './spend.js';
import { userSpendNumber } from './spend-key.js';

/** Why an amount is invalid. Journaled in traces: append only. */
export const AmountFault = {
  none: 0,
  /** More than a message may be about. */
  tooLarge: 1,
  /** Nothing, or less. */
  tooSmall: 2,
  /** A question about the card itself is about no money. */
  notZero: 3,
  /** What is held or posted would be more than the books can count exactly. */
  booksTooLarge: 4,
  /** More has been paid out by refunds than the books can count exactly. */
  booksTooSmall: 5,
  owesTooMuch: 6,
  windowTooLarge: 7,
} as const;
export type AmountFault = (typeof AmountFault)[keyof typeof AmountFault];
const F = AmountFault;

export function amountInvalid(context: Context): boolean {
  return amountFault(context) !== F.none;
}

export function amountFault(context: Context): AmountFault {
  const { type, amountMinor } = context.request;
  const { accounts } = context.books;
  if (amountMinor > amountMinorMax) return F.tooLarge;
  switch (type) {
    case T.authorization:
    case T.incremental:
      if (amountMinor <= 0) return F.tooSmall;
      return overfillsWindow(context, amountMinor) ? F.windowTooLarge : F.none;
    // Facts are not checked against the funds, but against what the books can count exactly. Funds, held and posted
    // stay within fundsMinorMax in both directions, and available within twice that. So their sums stay safe integers.
    case T.advice:
      return approvedElsewhereFault(context);
    case T.refund:
      if (amountMinor <= 0) return F.tooSmall;
      return accounts.posted(context.account) - amountMinor < -fundsMinorMax ? F.booksTooSmall : F.none;
    case T.clearing:
      if (amountMinor < 0) return F.tooSmall;
      if (booksAfter(context) > fundsMinorMax) return F.booksTooLarge;
      if (availableAfter(context) < availableMinorMin) return F.owesTooMuch;
      return overfillsWindow(context, amountMinor - heldToClear(context)) ? F.windowTooLarge : F.none;
    case T.reversal:
      return amountMinor === 0 ? F.tooSmall : F.none;
    case T.verification:
    case T.balanceInquiry:
      return amountMinor > 0 ? F.notZero : F.none;
    case T.expiry:
    case T.revocation:
    case T.deposit:
    case T.withdrawal:
      return F.none;
    default:
      return unreachable(type);
  }
}

/** Of a purchase that was approved already: it is checked against what the books can count exactly, not the funds. */
export function approvedElsewhereFault(context: Context): AmountFault {
  const { amountMinor } = context.request;
  if (amountMinor <= 0) return F.tooSmall;
  if (booksAfter(context) > fundsMinorMax) return F.booksTooLarge;
  if (availableAfter(context) < availableMinorMin) return F.owesTooMuch;
  return overfillsWindow(context, amountMinor - heldBefore(context)) ? F.windowTooLarge : F.none;
}

/** What an invalid amount would have made of the books or the fullest window, for the trace; 0 for other faults. */
export function totalAtFault(context: Context, fault: AmountFault): number {
  const { books, request, account } = context;
  const { type, amountMinor } = request;
  if (fault === F.booksTooLarge) return booksAfter(context);
  if (fault === F.booksTooSmall) return books.accounts.posted(account) - amountMinor;
  if (fault === F.owesTooMuch) return availableAfter(context);
  if (fault !== F.windowTooLarge) return 0;
  const before = type === T.advice ? heldBefore(context) : type === T.clearing ? heldToClear(context) : 0;
  return fullestWindow(context) + amountMinor - before;
}

/** What the account's holds or posted money come to by an advice or a clearing. */
function booksAfter(context: Context): number {
  const { books, request, account } = context;
  if (request.type === T.clearing) return books.accounts.posted(account) + request.amountMinor;
  return addedTo(books.accounts, context) + request.amountMinor - heldBefore(context);
}

/** What an advice adds to: a purchase that is posted at once, or a hold. */
function addedTo(accounts: Accounts, { request, account }: Context): number {
  return request.capture ? accounts.posted(account) : accounts.held(account);
}

/** What the hold comes to that an advice replaces. */
function heldBefore({ books, request, transaction, replacesHold }: Context): number {
  return replacesHold && request.askedType !== T.incremental ? books.transactions.held(transaction) : 0;
}

/** What a clearing takes from a hold, which has counted in the windows since it was taken. */
function heldToClear(context: Context): number {
  return cameToNothing(context) ? 0 : context.books.transactions.held(context.transaction);
}

/**
 * Whether a window would come to more than can be counted exactly. Refunds keep the books within their bounds and give
 * the windows nothing back, so purchases and refunds in turn would pass 2^53. The lifetime window has the most.
 */
function overfillsWindow(context: Context, addedMinor: number): boolean {
  return addedMinor > 0 && fullestWindow(context) + addedMinor > windowMinorMax;
}

/** The largest of the three sums that the message's card, user and account have spent in their lifetimes. */
function fullestWindow({ books, card, account, transaction, userSpend }: Context): number {
  const { accounts, transactions, spend } = books;
  const follows = transaction !== transactionAbsent;
  const user = follows ? userSpendNumber(transactions.user(transaction), accounts.currency(account)) : userSpend;
  const cardSpend = follows ? transactions.cardSpend(transaction) : card.spendNumber;
  return Math.max(
    lifetimeOf(spend, Levels.card, cardSpend),
    lifetimeOf(spend, Levels.user, user),
    lifetimeOf(spend, Levels.account, accounts.number(account)),
  );
}

function lifetimeOf(spend: Spend, level: Level, number: number): number {
  const slot = spend.find(level, number);
  return slot < 0 ? 0 : spend.lifetimeAmount(slot);
}

/** Where funds are far below zero (refunds were paid out), holds and posted money may still add up to too much. */
export const availableMinorMin = -2 * fundsMinorMax;

function availableAfter({ books, account, request }: Context): number {
  return books.accounts.available(account) - request.amountMinor;
}
