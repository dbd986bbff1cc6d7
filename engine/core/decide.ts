/**
 * The decision. Pure: reads the books it is given, writes the outcome it is given, and does nothing else; no clock, no
 * I/O, no randomness, no await. The same profile, state, request and instant give the same outcome, so any decision can
 * be recomputed from the journal.
 *
 * `checks` is the one ordered table of refusals: the first that refuses names the reason. After it nothing can fail;
 * `effects` says what an approval does to the books.
 */
import { type Accounts, Status } from './accounts.js';
import { CardType } from './card-types.js';
import { Channel, MessageType, Protocol, TransactionStatus } from './codes.js';
import { unreachable } from './invariant.js';
import {
  detailForcePost,
  type Level,
  Level as Levels,
  perAuthorizationDetail,
  windowCount,
  windowDetail,
} from './limit-names.js';
import type { Outcome } from './outcome.js';
import type { CardProfile } from './profile.js';
import { Reason } from './reasons.js';
import { amountMinorMax, fundsMinorMax, Request, textOf, windowMinorMax } from './request.js';
import { type ListRule, listRefuses, type Rules, unlimited } from './rules.js';
import type { Spend } from './spend.js';
import { userSpendNumber } from './spend-key.js';
import type { Transactions } from './transactions.js';
import type { Users } from './users.js';

/** The owned state of one partition. */
export interface Books {
  readonly accounts: Accounts;
  readonly users: Users;
  readonly spend: Spend;
  readonly transactions: Transactions;
}

/** What a program may choose. Durations in milliseconds. */
export interface Policy {
  /** How long a hold lives without a clearing. */
  readonly holdMs: number;
  /** The same for lodging and car rental, whose stays are long. */
  readonly holdLongMs: number;
  /** A refund gives back what it credits to the spend windows. */
  readonly refundRestoresWindows: boolean;
  /**
   * The program has partial approval enabled at Marqeta: to one without it a smaller amount turns the approval into a
   * decline. The question keeps what the terminal can do, so that a repeat stays one when this changes.
   */
  readonly marqetaPartialApproval: boolean;
}

/** No transaction in memory or in the books. */
export const transactionAbsent = -1;

/** One question with all it is judged by. Reused by its partition: set the fields, call decide. */
export class Question {
  card: CardProfile | null = null;
  /**
   * The transaction that the message is about: for an authorization the one that already carries its id (a tombstone), for the
   * others the one that `original` names; transactionAbsent when there is none. An advice has either, its own id first.
   */
  transaction = transactionAbsent;
  /** `original` named the transaction, not the message's own id. */
  namedByOriginal = false;
  /** `original` names a message that was answered before, so a reversal of it cannot have overtaken it. */
  originalKnown = false;
  /** The transaction's first message was approved too late and taken back, so the message that `original` names was never answered. */
  originalRevoked = false;
  /** The message's id was asked before, approved too late, and taken back: it was never answered. */
  revoked = false;
  /** Of an increment: a reversal of it came before it. */
  isReversed = false;
  /** Stamped once on arrival, wall clock milliseconds since 1970. */
  nowMs = 0;
}

type Check = {
  readonly reason: Reason;
  /** Bits of the message types that are checked: 1 << MessageType. */
  readonly types: number;
  readonly refuses: (context: Context) => boolean;
};

class Context {
  constructor(
    readonly books: Books,
    readonly policy: Policy,
    readonly outcome: Outcome,
  ) {}
  request: Request = new Request();
  card: CardProfile = unknownCard;
  cardRules: Rules | null = null;
  userRules: Rules | null = null;
  accountRules: Rules | null = null;
  account = 0;
  transaction = transactionAbsent;
  /** Of an advice: the transaction is its original's, whose hold it replaces. */
  replacesHold = false;
  /** Of an authorization that was taken back: its transaction lives on through what followed it, and takes its hold again. */
  rejoins = false;
  /** Local day of the message. */
  day = 0;
  /** Whose row in Spend counts for the card's user: the one in the account's currency. */
  userSpend = 0;
  /** Day on which the message spends. */
  spendDay = 0;
  nowMs = 0;
  idIsSpent = false;
}

const unknownCard: CardProfile = {
  number: 0,
  spendNumber: 0,
  type: CardType.virtual,
  version: 0,
  status: Status.closed,
  expiresDay: 0,
  rules: null,
  account: 0,
  user: 0,
};

function bits(...types: MessageType[]): number {
  let mask = 0;
  for (const type of types) mask |= 1 << type;
  return mask;
}
const T = MessageType;
/** The messages that ask: everything else reports what has happened already and is not refused for the card's state. */
const questions = bits(T.authorization, T.incremental, T.verification, T.balanceInquiry);
const spending = bits(T.authorization, T.incremental);
const merchants = bits(T.authorization, T.incremental, T.verification);
const everything = 0xffff_ffff;

/** Refusals in order of precedence. card_not_found comes first and stands in decide(): without a card there is nothing to check. */
const checks: readonly Check[] = [
  { reason: Reason.cardInactive, types: questions, refuses: (c) => c.card.status !== Status.active },
  { reason: Reason.cardExpired, types: questions, refuses: (c) => c.day > c.card.expiresDay },
  {
    reason: Reason.userInactive,
    types: questions,
    refuses: (c) => c.books.users.status(c.card.user) !== Status.active,
  },
  {
    reason: Reason.accountInactive,
    types: questions,
    refuses: (c) => c.books.accounts.status(c.account) !== Status.active,
  },
  {
    reason: Reason.currencyMismatch,
    types: everything,
    refuses: (c) => c.request.currency !== 0 && c.request.currency !== c.books.accounts.currency(c.account),
  },
  { reason: Reason.amountInvalid, types: everything, refuses: amountInvalid },
  {
    reason: Reason.originalNotFound,
    types: bits(T.incremental, T.reversal),
    refuses: (c) =>
      c.transaction === transactionAbsent || c.books.transactions.status(c.transaction) === TransactionStatus.declined,
  },
  {
    reason: Reason.originalClosed,
    types: bits(T.authorization, T.advice, T.incremental, T.reversal),
    refuses: originalClosed,
  },
  {
    reason: Reason.duplicateConflict,
    // The id names a transaction although its question is forgotten: it was asked longer ago than ids are remembered.
    types: bits(T.authorization, T.advice),
    refuses: (c) => c.transaction !== transactionAbsent && !c.replacesHold && !c.rejoins,
  },
  { reason: Reason.mccBlocked, types: merchants, refuses: mccBlocked },
  { reason: Reason.merchantBlocked, types: merchants, refuses: merchantBlocked },
  { reason: Reason.countryBlocked, types: merchants, refuses: countryBlocked },
  { reason: Reason.channelBlocked, types: merchants, refuses: channelBlocked },
  { reason: Reason.limitExceeded, types: bits(T.authorization, T.verification), refuses: alreadyUsed },
  { reason: Reason.limitExceeded, types: spending, refuses: perAuthorizationExceeded },
  { reason: Reason.limitExceeded, types: spending, refuses: windowExceeded },
  { reason: Reason.insufficientFunds, types: spending, refuses: fundsInsufficient },
];

/** The reasons in the order in which they are checked, for documentation and for the tests that walk the table. */
export const checkOrder: readonly Reason[] = [Reason.cardNotFound, ...checks.map((check) => check.reason)];

/** Decides questions against one partition's books. */
export class Decider {
  readonly #context: Context;

  constructor(books: Books, policy: Policy, outcome: Outcome) {
    this.#context = new Context(books, policy, outcome);
  }

  /** Decides `question` about `request` and fills the outcome given to the constructor. */
  decide(question: Question, request: Request): void {
    const context = this.#context;
    const { outcome, books } = context;
    context.request = request;
    outcome.reset();
    outcome.currency = request.currency;
    outcome.amountMinor = Math.max(0, request.amountMinor);
    if (question.card === null) {
      refuse(outcome, Reason.cardNotFound);
      declined(request, outcome, idIsTaken(books, question));
      return;
    }
    const { accounts } = books;
    const card = question.card;
    const account = card.account;
    context.card = card;
    context.account = account;
    context.transaction = question.transaction;
    context.nowMs = question.nowMs;
    context.idIsSpent = idIsSpent(books, question);
    context.day = accounts.zone(account).dayOf(question.nowMs);
    context.userSpend = userSpendNumber(books.users.number(card.user), accounts.currency(account));
    context.spendDay = spendDayOf(context);
    context.cardRules = card.rules;
    context.userRules = books.users.rules(card.user);
    context.accountRules = accounts.rules(account);
    // A transaction of another account is not this card's: for this card it does not exist. An increment must come from the
    // card that was authorized or from its replacement, whose limits it counts in; later facts may come from any card
    // of the account. An authorization is the exception: its own id names the transaction, and two transactions must never have one
    // name.
    if (
      context.transaction >= 0 &&
      question.namedByOriginal &&
      (books.transactions.account(context.transaction) !== accounts.number(account) ||
        (request.type === T.incremental && books.transactions.cardSpend(context.transaction) !== card.spendNumber))
    ) {
      context.transaction = transactionAbsent;
    }
    context.rejoins = rejoins(context, question);
    if (isOver(books, question)) context.transaction = transactionAbsent;
    context.replacesHold = request.type === T.advice && question.namedByOriginal && hasHoldToReplace(context);
    if (request.type === T.advice && question.namedByOriginal && !context.replacesHold)
      context.transaction = transactionAbsent;
    // The amount in question is in the currency that was asked: where that is not the account's, the decline says both.
    if (outcome.currency === 0) outcome.currency = accounts.currency(account);
    outcome.availableMinor = accounts.available(account);
    outcome.heldMinor = accounts.held(account);

    const type = 1 << request.type;
    for (let index = 0; index < checks.length; index++) {
      const check = checks[index]!;
      if ((check.types & type) !== 0 && check.refuses(context)) {
        refuse(outcome, check.reason);
        declined(request, outcome, context.replacesHold || idIsTaken(books, question));
        // A reversal that overtook its authorization spends the id, so that the hold cannot come after its release.
        outcome.tombstone =
          check.reason === Reason.originalNotFound &&
          request.type === T.reversal &&
          (question.originalRevoked || (question.transaction === transactionAbsent && !question.originalKnown));
        return;
      }
    }

    // From here on nothing can be refused.
    outcome.approved = true;
    outcome.reason = Reason.approved;
    effects(context);
    outcome.availableMinor += outcome.fundsDelta - outcome.heldDelta - outcome.postedDelta;
    outcome.heldMinor += outcome.heldDelta;
  }
}

/**
 * A window never runs backwards: where the card, its user or its account has spent on a later day already (the user has a
 * card in another time zone, the account was moved to one, the clock was set back), this message spends on that day too.
 * On the earlier day it would count in no daily window at all.
 */
function spendDayOf({ books, card, userSpend, day }: Context): number {
  const { spend } = books;
  const cardDay = spend.latestDay(Levels.card, card.spendNumber, day);
  const userDay = spend.latestDay(Levels.user, userSpend, cardDay);
  return spend.latestDay(Levels.account, books.accounts.number(card.account), userDay);
}

function refuse(outcome: Outcome, reason: Reason): void {
  outcome.approved = false;
  outcome.reason = reason;
}

/** Declined before anything was looked at (late, no room): holds nothing, and is journaled like every answer. */
export function declineOutright(request: Request, outcome: Outcome, reason: Reason, idTaken = false): void {
  outcome.reset();
  outcome.reason = reason;
  outcome.currency = request.currency;
  outcome.amountMinor = Math.max(0, request.amountMinor);
  declined(request, outcome, idTaken);
}

/** Whether the id of an authorization names a transaction already. A tombstone is none: nothing was ever shown of it. */
function idIsTaken(books: Books, question: Question): boolean {
  const { transaction, namedByOriginal } = question;
  if (transaction === transactionAbsent || namedByOriginal || isOver(books, question)) return false;
  return books.transactions.status(transaction) !== TransactionStatus.tombstone;
}

/** Whether the transaction with the message's own id gives that id up: nothing came of it. */
function isOver({ transactions }: Books, { transaction, namedByOriginal }: Question): boolean {
  return (
    transaction !== transactionAbsent &&
    !namedByOriginal &&
    transactions.status(transaction) === TransactionStatus.declined
  );
}

/** Whether a reversal has spent the id: of an increment before it came, of an authorization before it was taken back. */
function idIsSpent({ transactions }: Books, { transaction, namedByOriginal, revoked, isReversed }: Question): boolean {
  if (isReversed) return true;
  return (
    revoked &&
    transaction !== transactionAbsent &&
    !namedByOriginal &&
    transactions.status(transaction) === TransactionStatus.reversed
  );
}

/** An authorization that was taken back and is asked again, while an increment of it is held: it must be the same card's. */
function rejoins(
  { books, request, card, account }: Context,
  { transaction, namedByOriginal, revoked }: Question,
): boolean {
  if (!revoked || transaction === transactionAbsent || namedByOriginal) return false;
  if (request.type !== T.authorization || request.capture) return false;
  const { transactions, accounts } = books;
  const isOurs =
    transactions.account(transaction) === accounts.number(account) && transactions.card(transaction) === card.number;
  return isOurs && transactions.status(transaction) === TransactionStatus.open;
}

/**
 * A declined authorization is a transaction of its own, for people to see; a declined follow-up is an event only, and so
 * is an authorization under the id of an older transaction, which must not be overwritten.
 */
function declined(request: Request, outcome: Outcome, idTaken: boolean): void {
  if (idTaken || (request.type !== T.authorization && request.type !== T.advice)) return;
  outcome.transactionStatus = TransactionStatus.declined;
  outcome.opensTransaction = true;
}

function amountInvalid(context: Context): boolean {
  const { type, amountMinor } = context.request;
  const { accounts } = context.books;
  if (amountMinor > amountMinorMax) return true;
  switch (type) {
    case T.authorization:
    case T.incremental:
      return amountMinor <= 0 || overfillsWindow(context, amountMinor);
    // Facts are not held against the funds, but against what the books can count exactly: funds, held and posted stay
    // within fundsMinorMax either way and available within twice that, so that their sums stay safe integers.
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
function heldBefore({ books, transaction, replacesHold }: Context): number {
  return replacesHold ? books.transactions.held(transaction) : 0;
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

/**
 * Whether an advice finds the transaction of its original. An open one gets a new hold; a completed one was cleared for
 * good, so the advice came late and holds nothing. What was reversed, has lapsed or was declined is over: the advice
 * reports a purchase all the same, and opens its own.
 */
function hasHoldToReplace({ books, transaction, request }: Context): boolean {
  if (transaction === transactionAbsent || request.capture) return false;
  const status = books.transactions.status(transaction);
  return status === TransactionStatus.open || status === TransactionStatus.completed;
}

/** Where funds are far below zero (refunds were paid out), holds and posted money within their bounds may still add up to more. */
function owesTooMuch({ books, account, request }: Context): boolean {
  return books.accounts.available(account) - request.amountMinor < -2 * fundsMinorMax;
}

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
      // Reversed or expired already: a second reversal is acknowledged and changes nothing. Posted money is for a refund.
      return status === TransactionStatus.completed;
    default:
      return false;
  }
}

function mccBlocked(context: Context): boolean {
  const { mcc } = context.request;
  return anyListRefuses(context, mccRule, mcc, mcc < 0);
}

function merchantBlocked(context: Context): boolean {
  const { card, cardRules, userRules, accountRules, request } = context;
  if (card.type === CardType.merchantLocked && lockRefuses(context)) return true;
  // The merchant's id becomes a string only where a list wants one.
  if (!cardRules?.merchants && !userRules?.merchants && !accountRules?.merchants) return false;
  const merchantId = textOf(request.source, request.merchantId);
  return anyListRefuses(context, merchantRule, merchantId, merchantId === '');
}

/**
 * A merchant-locked card buys from the merchant of its first purchase only. A purchase that names no merchant could lock the
 * card to none, so it is refused as an allow list refuses it; a first verification may do without.
 */
function lockRefuses({ books, card, request }: Context): boolean {
  const merchant = textOf(request.source, request.merchantId);
  const lockedTo = books.spend.purchases(card.spendNumber)?.merchant ?? '';
  if (merchant !== '') return lockedTo !== '' && merchant !== lockedTo;
  return request.type === T.authorization || (request.type === T.verification && lockedTo !== '');
}

/** A single-use card that made its purchase makes no other, whatever became of the first: the number is known by now. */
function alreadyUsed({ books, card, outcome, rejoins }: Context): boolean {
  if (card.type !== CardType.singleUse || rejoins || books.spend.purchases(card.spendNumber) === null) return false;
  outcome.detail = windowDetail(Levels.card, windowCount - 1, 'count');
  return true;
}

function countryBlocked(context: Context): boolean {
  const { country } = context.request;
  return anyListRefuses(context, countryRule, country, country === 0);
}

function channelBlocked(context: Context): boolean {
  const { channel } = context.request;
  return anyListRefuses(context, channelRule, channel, channel === Channel.absent);
}

const mccRule = (rules: Rules) => rules.mcc;
const merchantRule = (rules: Rules) => rules.merchants;
const countryRule = (rules: Rules) => rules.countries;
const channelRule = (rules: Rules) => rules.channels;

function anyListRefuses<V>(
  context: Context,
  pick: (rules: Rules) => ListRule<V> | null,
  value: V,
  absent: boolean,
): boolean {
  const { cardRules, userRules, accountRules, request } = context;
  // An increment repeats the purchase that the lists allowed; what it leaves out was said by the authorization.
  if (absent && request.type === T.incremental) return false;
  return (
    (cardRules !== null && listRefuses(pick(cardRules), value, absent)) ||
    (userRules !== null && listRefuses(pick(userRules), value, absent)) ||
    (accountRules !== null && listRefuses(pick(accountRules), value, absent))
  );
}

function perAuthorizationExceeded(context: Context): boolean {
  const { request, books, outcome, transaction } = context;
  // An increment is judged by the whole that the authorization grows to.
  const before =
    request.type === T.incremental || context.rejoins
      ? books.transactions.held(transaction) + books.transactions.posted(transaction)
      : 0;
  const total = before + request.amountMinor;
  const level = firstLevel(context, (rules) => total > rules.perAuthorization);
  if (level < 0) return false;
  outcome.detail = perAuthorizationDetail(level as Level);
  return true;
}

function firstLevel(context: Context, exceeds: (rules: Rules) => boolean): number {
  if (context.cardRules !== null && exceeds(context.cardRules)) return Levels.card;
  if (context.userRules !== null && exceeds(context.userRules)) return Levels.user;
  if (context.accountRules !== null && exceeds(context.accountRules)) return Levels.account;
  return -1;
}

function windowExceeded(context: Context): boolean {
  const { card, books, account, userSpend } = context;
  return (
    levelExceeded(context, context.cardRules, Levels.card, card.spendNumber) ||
    levelExceeded(context, context.userRules, Levels.user, userSpend) ||
    levelExceeded(context, context.accountRules, Levels.account, books.accounts.number(account))
  );
}

function levelExceeded(context: Context, rules: Rules | null, level: Level, number: number): boolean {
  if (rules === null || !rules.hasWindows) return false;
  const { request, books, outcome, spendDay: day } = context;
  const slot = books.spend.find(level, number);
  const countDelta = request.type === T.incremental || context.rejoins ? 0 : 1;
  for (let index = 0; index < windowCount; index++) {
    const amountMax = rules.amounts[index]!;
    const spent = slot < 0 ? 0 : books.spend.amount(slot, index, day);
    if (amountMax !== unlimited && spent + request.amountMinor > amountMax) {
      outcome.detail = windowDetail(level, index, 'amount');
      return true;
    }
    const countMax = rules.counts[index]!;
    const count = slot < 0 ? 0 : books.spend.count(slot, index, day);
    if (countMax !== unlimited && countDelta > 0 && count + countDelta > countMax) {
      outcome.detail = windowDetail(level, index, 'count');
      return true;
    }
  }
  return false;
}

function fundsInsufficient(context: Context): boolean {
  const { request, books, account, outcome, policy } = context;
  const available = books.accounts.available(account);
  if (available >= request.amountMinor) return false;
  // All sides allow less: the terminal asked for it, the program and the account permit it. Only a purchase can be partial.
  const partial =
    request.partialAllowed &&
    (request.protocol !== Protocol.marqeta || policy.marqetaPartialApproval) &&
    request.type === T.authorization &&
    available > 0 &&
    books.accounts.partialApproval(account);
  outcome.partial = partial;
  return !partial;
}

function effects(context: Context): void {
  const { request, outcome } = context;
  switch (request.type) {
    case T.authorization: {
      const amount = outcome.partial ? context.books.accounts.available(context.account) : request.amountMinor;
      if (context.rejoins) increase(context, amount);
      else authorize(context, amount);
      break;
    }
    case T.advice:
      if (context.replacesHold) replaceHold(context);
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
  outcome.expiresAtMs = Math.max(books.transactions.expiresAtMs(transaction), lapsesAtMs(context));
  const added = request.amountMinor - books.transactions.held(transaction);
  if (added < 0) release(context, 0 - added, false);
  else {
    outcome.heldDelta = added;
    outcome.spendDay = spendDay;
    outcome.spendAmountDelta = added;
  }
}

/** When a hold that is taken or grows now lapses. */
function lapsesAtMs({ request, policy, nowMs }: Context): number {
  return nowMs + (isLongStay(request.mcc) ? policy.holdLongMs : policy.holdMs);
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
  const held = transactions.held(transaction);
  // Asking for more than is left releases what is left: reversals cannot be refused.
  const released = request.amountMinor < 0 ? held : Math.min(request.amountMinor, held);
  outcome.amountMinor = request.amountMinor < 0 ? released : request.amountMinor;
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
 * Whether the message follows nothing: its original is unknown, was declined, or is only a tombstone. Money that comes
 * all the same is then a transaction of its own. A tombstone must never carry any: its authorization, which may yet
 * arrive with a card of another account, takes over the tombstone's row to be shown as declined.
 */
function cameToNothing({ books, transaction }: Context): boolean {
  if (transaction === transactionAbsent) return true;
  const status = books.transactions.status(transaction);
  return status === TransactionStatus.declined || status === TransactionStatus.tombstone;
}

function clear(context: Context): void {
  const { outcome, request, books, transaction, spendDay } = context;
  const posted = request.amountMinor;
  outcome.approvedAmountMinor = posted;
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

/**
 * Takes back an approval that missed its deadline, as far as nothing has happened to it since (a clearing or reversal in
 * the same batch).
 * @param approval the outcome that was journaled
 * @param openingRevoked the message that opened the transaction was taken back as well, or is just being taken back
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
  // What was taken back already (or never approved) has nothing left to take: its deltas point the other way.
  if (transaction !== transactionAbsent && approval.approved) {
    const status = transactions.status(transaction);
    const released = Math.min(approval.heldDelta, transactions.held(transaction));
    const unposted = Math.min(approval.postedDelta, Math.max(0, transactions.posted(transaction)));
    const taken = released + unposted;
    outcome.heldDelta = 0 - released;
    outcome.postedDelta = 0 - unposted;
    outcome.spendDay = approval.spendDay;
    outcome.spendAmountDelta = 0 - taken;
    // When the transaction was reversed in between, there is nothing to take, and the count was given back already. When another
    // increment or a clearing lives on, so does the transaction, and it counts.
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
 * Whether a take-back leaves nothing of a purchase that a card was used for: it was never answered, and no later message of
 * the transaction holds, has posted or has refunded money. The reversal of it may have come before the take-back.
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
  // Where the opening was taken back earlier, an increment has kept the purchase alive until now.
  return approval.opensTransaction || (openingRevoked && (heldDelta !== 0 || postedDelta !== 0));
}

/**
 * A transaction whose lifetime ended: what it still holds is released, and it closes, also where a clearing that was not
 * the last one has left nothing to hold.
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

/** Lodging (3501–3999, 7011) and car rental (3351–3500, 7512, 7513, 7519): stays whose final amount comes late. */
function isLongStay(mcc: number): boolean {
  return (mcc >= 3351 && mcc <= 3999) || mcc === 7011 || mcc === 7512 || mcc === 7513 || mcc === 7519;
}
