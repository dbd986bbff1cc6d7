/**
 * `checks` is the one ordered table of declines: the first check that declines names the reason, and after the last one
 * nothing can fail.
 */
import { Status } from './accounts.js';
import { transactionAbsent } from './books.js';
import { CardType } from './card-types.js';
import { amountInvalid } from './checks-amount.js';
import { perAuthorizationExceeded, rollingExceeded, windowExceeded } from './checks-limits.js';
import { channelBlocked, countryBlocked, mccBlocked, merchantBlocked, walletBlocked } from './checks-merchant.js';
import { recurringBlocked, verificationFailed } from './checks-signals.js';
import { MessageType, TransactionStatus } from './codes.js';
import type { Context } from './decision-context.js';
import { Level as Levels, windowCount, windowDetail } from './limit-names.js';
import { Reason } from './reasons.js';
import { takesBackPosted } from './request.js';

type Check = {
  readonly reason: Reason;
  /** Bits of the message types that are checked: 1 << MessageType. */
  readonly types: number;
  readonly declines: (context: Context) => boolean;
};

function bits(...types: MessageType[]): number {
  let mask = 0;
  for (const type of types) mask |= 1 << type;
  return mask;
}
const T = MessageType;
/** The messages that ask. Every other one reports what has happened already, whatever the card's state is now. */
const questions = bits(T.authorization, T.incremental, T.verification, T.balanceInquiry);
const spending = bits(T.authorization, T.incremental);
const merchants = bits(T.authorization, T.incremental, T.verification);
const everything = 0xffff_ffff;

/** In order of precedence. card_not_found comes first, in decide(): without a card there is nothing to check. */
export const checks: readonly Check[] = [
  { reason: Reason.cardInactive, types: questions, declines: (c) => c.card.status !== Status.active },
  { reason: Reason.cardExpired, types: questions, declines: (c) => c.day > c.card.expiresDay },
  {
    reason: Reason.userInactive,
    types: questions,
    declines: (c) => c.books.users.status(c.card.user) !== Status.active,
  },
  {
    reason: Reason.accountInactive,
    types: questions,
    declines: (c) => c.books.accounts.status(c.account) !== Status.active,
  },
  {
    reason: Reason.currencyMismatch,
    types: everything,
    declines: (c) => c.request.currency !== 0 && c.request.currency !== c.books.accounts.currency(c.account),
  },
  { reason: Reason.amountInvalid, types: everything, declines: amountInvalid },
  {
    reason: Reason.originalNotFound,
    types: bits(T.incremental, T.reversal),
    declines: (c) =>
      c.transaction === transactionAbsent || c.books.transactions.status(c.transaction) === TransactionStatus.declined,
  },
  {
    reason: Reason.originalClosed,
    types: bits(T.authorization, T.advice, T.incremental, T.reversal),
    declines: originalClosed,
  },
  {
    reason: Reason.duplicateConflict,
    // The id names a transaction although its question is forgotten: it was asked longer ago than ids are remembered.
    types: bits(T.authorization, T.advice),
    declines: (c) => c.transaction !== transactionAbsent && !c.replacesHold && !c.rejoins,
  },
  { reason: Reason.mccBlocked, types: merchants, declines: mccBlocked },
  { reason: Reason.merchantBlocked, types: merchants, declines: merchantBlocked },
  { reason: Reason.countryBlocked, types: merchants, declines: countryBlocked },
  { reason: Reason.channelBlocked, types: merchants, declines: channelBlocked },
  { reason: Reason.verificationFailed, types: merchants, declines: verificationFailed },
  { reason: Reason.walletBlocked, types: merchants, declines: walletBlocked },
  { reason: Reason.recurringBlocked, types: merchants, declines: recurringBlocked },
  { reason: Reason.limitExceeded, types: bits(T.authorization, T.verification), declines: alreadyUsed },
  { reason: Reason.limitExceeded, types: spending, declines: perAuthorizationExceeded },
  { reason: Reason.limitExceeded, types: spending, declines: windowExceeded },
  { reason: Reason.limitExceeded, types: spending, declines: rollingExceeded },
  { reason: Reason.insufficientFunds, types: spending, declines: fundsInsufficient },
];

/** The reasons in the order in which they are checked, for documentation and for the tests that walk the table. */
export const checkOrder: readonly Reason[] = [Reason.cardNotFound, ...checks.map((check) => check.reason)];

function originalClosed(context: Context): boolean {
  if (context.transaction === transactionAbsent) return false;
  const status = context.books.transactions.status(context.transaction);
  switch (context.request.type) {
    case T.authorization:
    case T.advice:
      return (status === TransactionStatus.tombstone && !context.replacesHold) || context.idIsSpent;
    case T.incremental:
      return status !== TransactionStatus.open || context.idIsSpent;
    case T.reversal:
      // A second reversal, or one after the expiry, is acknowledged and changes nothing. Posted money is for a refund.
      return status === TransactionStatus.completed && !takesBack(context);
    default:
      return false;
  }
}

/** Whether a reversal takes back what is posted. Where it does not say what its original was, the books know it. */
function takesBack({ request, books, transaction, originalIsClearing }: Context): boolean {
  if (request.askedType !== T.reversal) return takesBackPosted(request.askedType);
  const { transactions } = books;
  // A credit is no purchase.
  return transactions.posted(transaction) > 0 && (originalIsClearing || transactions.wasPostedAtOnce(transaction));
}

/** A single-use card makes one purchase, whatever became of it: the merchant knows the number by now. */
function alreadyUsed({ books, card, outcome, rejoins }: Context): boolean {
  if (card.type !== CardType.singleUse || rejoins || books.spend.purchases(card.spendNumber) === null) return false;
  outcome.detail = windowDetail(Levels.card, windowCount - 1, 'count');
  return true;
}

function fundsInsufficient(context: Context): boolean {
  const { request, books, account, outcome, policy } = context;
  const available = books.accounts.available(account);
  if (available >= request.amountMinor) return false;
  // A smaller amount needs the consent of the terminal, the program and the account. Only a purchase can be partial.
  const partial =
    request.partialAllowed &&
    !policy.wholeAmountsOnly.includes(request.protocol) &&
    request.type === T.authorization &&
    available > 0 &&
    books.accounts.partialApproval(account);
  outcome.partial = partial;
  return !partial;
}
