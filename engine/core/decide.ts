/**
 * The decision. Pure: reads the books it is given, writes the outcome it is given, and does nothing else; no clock, no
 * I/O, no randomness, no await. The same profile, state, request and instant give the same outcome, so any decision can
 * be recomputed from the journal.
 *
 * `checks` is the one ordered table of refusals: the first that refuses names the reason. After it nothing can fail;
 * `effects` says what an approval does to the books.
 */
import { type Books, transactionAbsent } from './books.js';
import { checks } from './checks.js';
import { MessageType as T, TransactionStatus } from './codes.js';
import { Context } from './decision-context.js';
import { effects } from './effects.js';
import { Level as Levels } from './limit-names.js';
import type { Outcome } from './outcome.js';
import type { Policy, Question } from './question.js';
import { Reason } from './reasons.js';
import type { Request } from './request.js';
import { userSpendNumber } from './spend-key.js';

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
 * A declined authorization is a transaction of its own, for people to see; a declined follow-up is an event only, and so
 * is an authorization under the id of an older transaction, which must not be overwritten.
 */
function declined(request: Request, outcome: Outcome, idTaken: boolean): void {
  if (idTaken || (request.type !== T.authorization && request.type !== T.advice)) return;
  outcome.transactionStatus = TransactionStatus.declined;
  outcome.opensTransaction = true;
}
