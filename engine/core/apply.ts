/**
 * Applies a decided outcome to the books. The one place where owned state changes: a live decision and the replay of
 * the journal go through the same lines. So a restart rebuilds exactly the state from before.
 */

import type { Books } from './books.js';
import { MessageType, TransactionStatus } from './codes.js';
import { assert } from './invariant.js';
import { Level, levels } from './limit-names.js';
import type { Outcome } from './outcome.js';
import { useDelta } from './record.js';
import { type Request, type TextSlice, textOf } from './request.js';
import { cellOf } from './rolling.js';
import { userSpendNumber } from './spend-key.js';

/** Whose books move, by number in the database. */
export interface Parties {
  accountNumber: number;
  cardNumber: number;
  /** Keys the card's spend windows. */
  cardSpend: number;
  userNumber: number;
}

/**
 * @param account slot of the account, −1 when the card is unknown (then there are no books to move)
 * @param transaction slot of the transaction that the message follows, or of an ended one whose id it opens again; else
 * −1
 * @param parties whose spend windows count: the transaction's own for a follow-up
 * @param sequence journal sequence of the message's record
 * @param arrivalMs wall clock milliseconds since 1970 of the message
 */
export function applyOutcome(
  books: Books,
  request: Request,
  outcome: Outcome,
  account: number,
  transaction: number,
  parties: Readonly<Parties>,
  sequence: number,
  arrivalMs: number,
): void {
  if (account < 0) return;
  const { accounts, transactions } = books;
  const currency = accounts.currency(account);
  accounts.journaled(account, sequence);
  if (outcome.fundsDelta !== 0 || outcome.heldDelta !== 0 || outcome.postedDelta !== 0) {
    accounts.move(account, outcome.fundsDelta, outcome.heldDelta, outcome.postedDelta);
  }
  if (outcome.olderSpendAmountDelta !== 0 || outcome.olderSpendCountDelta !== 0) {
    const { olderSpendDay, olderSpendAmountDelta, olderSpendCountDelta } = outcome;
    spend(books, parties, currency, olderSpendDay, olderSpendAmountDelta, olderSpendCountDelta, sequence);
  }
  if (outcome.spendAmountDelta !== 0 || outcome.spendCountDelta !== 0) {
    spend(books, parties, currency, outcome.spendDay, outcome.spendAmountDelta, outcome.spendCountDelta, sequence);
  } else {
    for (const level of levels) books.spend.journaled(level, numberOf(parties, level, currency), sequence);
  }
  if (outcome.rollingLevels !== 0) roll(books, parties, currency, outcome, cellOf(arrivalMs));
  if (outcome.usesCard) useCard(books, request, outcome, parties.cardSpend);
  if (outcome.opensTransaction) {
    // A declined authorization is a row for people to read; nothing can follow it, so it takes no place in memory.
    if (!outcome.approved) return;
    if (transaction >= 0) transactions.forget(transaction);
    open(books, request, request.id, outcome, outcome.transactionStatus, parties, sequence);
  } else if (outcome.tombstone) {
    if (transaction >= 0) transactions.forget(transaction);
    open(books, request, request.original, outcome, TransactionStatus.tombstone, parties, sequence);
  } else if (transaction >= 0 && outcome.transactionStatus !== TransactionStatus.none) {
    transactions.move(
      transaction,
      outcome.transactionStatus,
      outcome.heldDelta,
      outcome.postedDelta,
      refundedDelta(request, outcome),
      outcome.spendDay,
      outcome.spendAmountDelta,
      outcome.expiresAtMs,
      sequence,
    );
  }
}

function refundedDelta({ type, askedType }: Request, { approvedAmountMinor }: Outcome): number {
  if (type === MessageType.refund) return approvedAmountMinor;
  return type === MessageType.reversal && askedType === MessageType.refund ? 0 - approvedAmountMinor : 0;
}

/**
 * Says in whose rolling windows the outcome counts: of a question those that limit it, and of every message those that
 * count already.
 */
export function markRolling(books: Books, outcome: Outcome, account: number, parties: Readonly<Parties>): void {
  const { spendAmountDelta, spendCountDelta, olderSpendAmountDelta, olderSpendCountDelta } = outcome;
  const spends = spendAmountDelta !== 0 || spendCountDelta !== 0;
  if (account < 0 || !(spends || olderSpendAmountDelta !== 0 || olderSpendCountDelta !== 0)) {
    outcome.rollingLevels = 0;
    return;
  }
  if (!books.spend.hasRolling) return;
  const currency = books.accounts.currency(account);
  for (const level of levels) {
    if (books.spend.rolling(level, numberOf(parties, level, currency)) !== null) outcome.rollingLevels |= 1 << level;
  }
}

/** In the order in which the calendar windows are changed. */
function roll(books: Books, parties: Readonly<Parties>, currency: number, outcome: Outcome, cell: number): void {
  const { spend } = books;
  for (const level of levels) {
    if ((outcome.rollingLevels & (1 << level)) === 0) continue;
    const number = numberOf(parties, level, currency);
    const { olderSpendDay, olderSpendAmountDelta, olderSpendCountDelta } = outcome;
    spend.addRolling(level, number, olderSpendDay, cell, olderSpendAmountDelta, olderSpendCountDelta);
    spend.addRolling(level, number, outcome.spendDay, cell, outcome.spendAmountDelta, outcome.spendCountDelta);
  }
}

/** Opens the transaction named `id`. A tombstone comes of a decline, whose outcome moves nothing. */
function open(
  { transactions }: Books,
  { source, type }: Request,
  id: TextSlice,
  outcome: Outcome,
  status: TransactionStatus,
  { accountNumber, cardNumber, cardSpend, userNumber }: Readonly<Parties>,
  sequence: number,
): void {
  const state = {
    accountNumber,
    cardNumber,
    cardSpend,
    userNumber,
    status,
    held: outcome.heldDelta,
    posted: outcome.postedDelta,
    refunded: type === MessageType.refund ? outcome.approvedAmountMinor : 0,
    firstDay: outcome.spendDay,
    newestDay: outcome.spendDay,
    newestAmount: Math.min(outcome.spendAmountDelta, outcome.heldDelta),
    expiresAtMs: outcome.expiresAtMs,
  };
  transactions.open(source, id.start, id.end, state, sequence);
}

/** Behind the spending, whose row it stands beside. */
function useCard(
  { spend }: Books,
  { type, source, merchantId }: Request,
  { opensTransaction }: Outcome,
  card: number,
): void {
  const delta = useDelta(type, opensTransaction);
  if (delta !== 0) spend.countPurchase(card, delta, textOf(source, merchantId));
}

function numberOf(parties: Readonly<Parties>, level: Level, currency: number): number {
  if (level === Level.user) return userSpendNumber(parties.userNumber, currency);
  return level === Level.card ? parties.cardSpend : parties.accountNumber;
}

function spend(
  books: Books,
  parties: Readonly<Parties>,
  currency: number,
  day: number,
  amountDelta: number,
  countDelta: number,
  sequence: number,
): void {
  for (const level of levels) {
    const hadRoom = books.spend.add(level, numberOf(parties, level, currency), day, amountDelta, countDelta, sequence);
    assert(hadRoom, 'memory must have had room for what is spent: start with a larger ACCOUNTS_MAX');
  }
}
