/**
 * The decision. Pure: reads the books it is given, writes the outcome it is given, and does nothing else; no clock, no
 * I/O, no randomness, no await. The same profile, state, request and instant give the same outcome, so any decision can
 * be recomputed from the journal.
 *
 * checks.ts holds the ordered table of declines: the first check that declines names the reason. After it nothing can
 * fail. effects.ts says what an approval does to the books.
 */
import { type Books, transactionAbsent } from './books.js';
import { checks } from './checks.js';
import { AmountFault, approvedElsewhereFault } from './checks-amount.js';
import { MessageType as T, TransactionStatus } from './codes.js';
import { Context } from './decision-context.js';
import { effects, standInAnswer, standInEffects } from './effects.js';
import { Level as Levels } from './limit-names.js';
import type { Outcome } from './outcome.js';
import type { CardProfile } from './profile.js';
import type { Policy, Question } from './question.js';
import { Reason } from './reasons.js';
import type { RecordTrace } from './record.js';
import type { Request } from './request.js';
import type { Rules } from './rules.js';
import { userSpendNumber } from './spend-key.js';
import { DecisionTrace } from './trace.js';

/** Decides questions against one partition's books. */
export class Decider {
  readonly #context: Context;
  readonly #trace: DecisionTrace;
  #isTraced = false;

  constructor(books: Books, policy: Policy, outcome: Outcome) {
    this.#context = new Context(books, policy, outcome);
    this.#trace = new DecisionTrace(this.#context);
  }

  /** What the last decision saw, until its outcome is applied; null: there was no card to look at. */
  get trace(): RecordTrace | null {
    return this.#isTraced ? this.#trace : null;
  }

  /**
   * Books an authorization that the front approved: it passes every limit and the funds, as an advice does. What the
   * books cannot take, or what was reversed before, holds nothing. The answer is the same in any case.
   */
  bookStandIn(question: Question, request: Request): void {
    const context = this.#context;
    const { outcome, books } = context;
    context.request = request;
    outcome.reset();
    outcome.currency = request.currency;
    outcome.amountMinor = request.amountMinor;
    this.#isTraced = false;
    if (question.card !== null) {
      describe(context, question, question.card);
      follow(context, question);
      if (outcome.currency === 0) outcome.currency = books.accounts.currency(context.account);
      if (canBookStandIn(context)) standInEffects(context);
      outcome.rollingLevels = rollingLevelsOf(context);
    }
    standInAnswer(context);
  }

  /** Decides `question` about `request` and fills the outcome given to the constructor. */
  decide(question: Question, request: Request): void {
    const context = this.#context;
    const { outcome, books } = context;
    context.request = request;
    outcome.reset();
    outcome.currency = request.currency;
    outcome.amountMinor = Math.max(0, request.amountMinor);
    this.#isTraced = question.card !== null;
    if (question.card === null) {
      decline(outcome, Reason.cardNotFound);
      declined(request, outcome, idIsTaken(books, question));
      return;
    }
    describe(context, question, question.card);
    follow(context, question);
    const { account } = context;
    const { accounts } = books;
    // The amount in question is in the currency that was asked: where that is not the account's, the decline says both.
    if (outcome.currency === 0) outcome.currency = accounts.currency(account);
    outcome.availableMinor = accounts.available(account);
    outcome.heldMinor = accounts.held(account);

    const type = 1 << request.type;
    for (let index = 0; index < checks.length; index++) {
      const check = checks[index]!;
      if ((check.types & type) !== 0 && check.declines(context)) {
        decline(outcome, check.reason);
        declined(request, outcome, context.replacesHold || idIsTaken(books, question));
        // A reversal that overtook its authorization spends the id, so that the hold cannot come after its release.
        outcome.tombstone =
          check.reason === Reason.originalNotFound &&
          request.type === T.reversal &&
          (question.originalRevoked || (question.transaction === transactionAbsent && !question.originalKnown));
        return;
      }
    }

    // From here on nothing can be declined.
    outcome.approved = true;
    outcome.reason = Reason.approved;
    effects(context);
    outcome.rollingLevels = rollingLevelsOf(context);
    outcome.availableMinor += outcome.fundsDelta - outcome.heldDelta - outcome.postedDelta;
    outcome.heldMinor += outcome.heldDelta;
  }
}

/** Whether the books can take a stand-in approval: its card is known, and its transaction is its account's. */
function canBookStandIn(context: Context): boolean {
  const { books, account, transaction, request, idIsSpent } = context;
  const { accounts, transactions } = books;
  const currency = accounts.currency(account);
  if (idIsSpent || (request.currency !== 0 && request.currency !== currency)) return false;
  if (transaction !== transactionAbsent && transactions.account(transaction) !== accounts.number(account)) return false;
  return approvedElsewhereFault(context) === AmountFault.none;
}

/** The levels whose rolling windows limit a question, and so count it. */
function rollingLevelsOf({ request, cardRules, userRules, accountRules }: Context): number {
  if (request.type !== T.authorization && request.type !== T.incremental) return 0;
  return (
    (hasRolling(cardRules) ? 1 << Levels.card : 0) |
    (hasRolling(userRules) ? 1 << Levels.user : 0) |
    (hasRolling(accountRules) ? 1 << Levels.account : 0)
  );
}

function hasRolling(rules: Rules | null): boolean {
  return rules !== null && rules.rolling.length > 0;
}

/** Fills in whose money, rules and days the message is decided by. */
function describe(context: Context, { nowMs }: Question, card: CardProfile): void {
  const { accounts, users } = context.books;
  const { account, user } = card;
  context.nowMs = nowMs;
  context.card = card;
  context.account = account;
  context.day = accounts.zone(account).dayOf(nowMs);
  context.userSpend = userSpendNumber(users.number(user), accounts.currency(account));
  context.spendDay = spendDayOf(context);
  context.cardRules = card.rules;
  context.userRules = users.rules(user);
  context.accountRules = accounts.rules(account);
}

/** Fills in which transaction the message belongs to, and how. */
function follow(context: Context, question: Question): void {
  const { books, request } = context;
  const isNamed = question.namedByOriginal;
  context.transaction = isNamed && isForeign(context, question) ? transactionAbsent : question.transaction;
  context.idIsSpent = idIsSpent(books, question);
  context.rejoins = rejoins(context, question);
  context.originalIsClearing = question.originalIsClearing;
  if (isOver(books, question)) context.transaction = transactionAbsent;
  const isAdviceOnOriginal = request.type === T.advice && isNamed;
  context.replacesHold = isAdviceOnOriginal && hasHoldToReplace(context);
  if (isAdviceOnOriginal && !context.replacesHold) context.transaction = transactionAbsent;
}

/**
 * Whether `original` names a transaction that does not exist for this card. Any card of the account may send a fact. An
 * increment must come from the authorized card or its replacement, because it counts in that card's limits. A message
 * under the transaction's own id is never foreign, because two transactions must not share a name.
 */
function isForeign({ books, request, card, account }: Context, { transaction }: Question): boolean {
  const { transactions, accounts } = books;
  if (transaction < 0) return false;
  if (transactions.account(transaction) !== accounts.number(account)) return true;
  return request.type === T.incremental && transactions.cardSpend(transaction) !== card.spendNumber;
}

/**
 * A window never runs backwards. Where the card, its user or its account has spent on a later day already, this message
 * spends on that day too. On the earlier day it would count in no daily window at all. A later day comes from a card of
 * the same user in another time zone, from a moved account, or from a clock that was set back.
 */
function spendDayOf({ books, card, userSpend, day }: Context): number {
  const { spend } = books;
  const cardDay = spend.latestDay(Levels.card, card.spendNumber, day);
  const userDay = spend.latestDay(Levels.user, userSpend, cardDay);
  return spend.latestDay(Levels.account, books.accounts.number(card.account), userDay);
}

function decline(outcome: Outcome, reason: Reason): void {
  outcome.approved = false;
  outcome.reason = reason;
}

/** Declines without looking at anything (late, no room): holds nothing, and is journaled like every answer. */
export function declineOutright(request: Request, outcome: Outcome, reason: Reason, idTaken = false): void {
  outcome.reset();
  outcome.reason = reason;
  outcome.currency = request.currency;
  outcome.amountMinor = Math.max(0, request.amountMinor);
  declined(request, outcome, idTaken);
}

/** Whether the id of an authorization names a transaction already. A tombstone is none: no history ever showed it. */
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

/** Whether a reversal has spent the id: of an increment before it came, of an authorization before its revocation. */
function idIsSpent({ transactions }: Books, { transaction, namedByOriginal, revoked, isReversed }: Question): boolean {
  if (isReversed) return true;
  return (
    revoked &&
    transaction !== transactionAbsent &&
    !namedByOriginal &&
    transactions.status(transaction) === TransactionStatus.reversed
  );
}

/** Whether a revoked authorization comes again, for the same card, while an increment of it is held. */
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
 * Whether an advice finds the transaction of its original. An open one gets a new hold; a completed one was cleared for
 * good, so the advice came late and holds nothing. What was reversed, has lapsed or was declined is over: the advice
 * reports a purchase all the same, and opens its own.
 */
function hasHoldToReplace({ books, transaction, request }: Context): boolean {
  if (transaction === transactionAbsent || request.capture) return false;
  const status = books.transactions.status(transaction);
  return status === TransactionStatus.open || status === TransactionStatus.completed;
}

/**
 * A declined authorization is a transaction of its own, for people to see. A declined follow-up is an event only. So is
 * an authorization under the id of an older transaction, which must not be overwritten.
 */
function declined(request: Request, outcome: Outcome, idTaken: boolean): void {
  if (idTaken || (request.type !== T.authorization && request.type !== T.advice)) return;
  outcome.transactionStatus = TransactionStatus.declined;
  outcome.opensTransaction = true;
}
