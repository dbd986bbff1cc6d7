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

export function amountInvalid(context: Context): boolean {
  const { type, amountMinor } = context.request;
  const { accounts } = context.books;
  if (amountMinor > amountMinorMax) return true;
  switch (type) {
    case T.authorization:
    case T.incremental:
      return amountMinor <= 0 || overfillsWindow(context, amountMinor);
    // Facts are not checked against the funds, but against what the books can count exactly. Funds, held and posted
    // stay within fundsMinorMax in both directions, and available within twice that. So their sums stay safe integers.
    case T.advice:
      return (
        amountMinor <= 0 ||
        addedTo(accounts, context) + amountMinor - heldBefore(context) > fundsMinorMax ||
        owesTooMuch(context) ||
        overfillsWindow(context, amountMinor - heldBefore(context))
      );
    case T.refund:
      return amountMinor <= 0 || accounts.posted(context.account) - amountMinor < -fundsMinorMax;
    case T.clearing:
      return (
        amountMinor < 0 ||
        accounts.posted(context.account) + amountMinor > fundsMinorMax ||
        owesTooMuch(context) ||
        overfillsWindow(context, amountMinor - heldToClear(context))
      );
    case T.reversal:
      return amountMinor === 0;
    case T.verification:
    case T.balanceInquiry:
      return amountMinor > 0;
    case T.expiry:
    case T.revocation:
    case T.deposit:
    case T.withdrawal:
      return false;
    default:
      return unreachable(type);
  }
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
function overfillsWindow({ books, card, account, transaction, userSpend }: Context, addedMinor: number): boolean {
  if (addedMinor <= 0) return false;
  const { accounts, transactions, spend } = books;
  const follows = transaction !== transactionAbsent;
  const user = follows ? userSpendNumber(transactions.user(transaction), accounts.currency(account)) : userSpend;
  return (
    lifetimeOf(spend, Levels.card, follows ? transactions.cardSpend(transaction) : card.spendNumber) + addedMinor >
      windowMinorMax ||
    lifetimeOf(spend, Levels.user, user) + addedMinor > windowMinorMax ||
    lifetimeOf(spend, Levels.account, accounts.number(account)) + addedMinor > windowMinorMax
  );
}

function lifetimeOf(spend: Spend, level: Level, number: number): number {
  const slot = spend.find(level, number);
  return slot < 0 ? 0 : spend.lifetimeAmount(slot);
}

/** Where funds are far below zero (refunds were paid out), holds and posted money may still add up to too much. */
function owesTooMuch({ books, account, request }: Context): boolean {
  return books.accounts.available(account) - request.amountMinor < -2 * fundsMinorMax;
}
