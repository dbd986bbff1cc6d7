/**
 * Writes the trace of a decision into its record, between deciding and applying: the books are then as the checks saw
 * them. Layout: trace-format.ts. Nothing is allocated but where a lock or an invalid amount declines.
 */
import { transactionAbsent } from './books.js';
import { CardType } from './card-types.js';
import { amountFault, totalAtFault } from './checks-amount.js';
import { amountBefore } from './checks-limits.js';
import { decliningLevel, lockDeclines, merchantOfLock } from './checks-merchant.js';
import { MessageType } from './codes.js';
import type { Context } from './decision-context.js';
import { type Level, Level as Levels, windowCount } from './limit-names.js';
import { Reason } from './reasons.js';
import type { RecordTrace } from './record.js';
import { type RollingRule, type Rules, signalLevelShift, unlimited } from './rules.js';
import type { Spend } from './spend.js';
import {
  levelOfLock,
  listLevelShift,
  putInteger,
  putSigned,
  rollingBitsEach,
  TraceFlag,
  TraceFollow,
  traceCurrencyAt,
  traceFixedBytes,
  traceFlagsAt,
  traceFollowAt,
  traceFormat,
  traceFormatAt,
  traceStatesAt,
  windowsShift,
} from './trace-format.js';
import { dayMs } from './window.js';

const T = MessageType;

/** Whether limits are checked of a message of that type. */
export function checksLimits(type: MessageType): boolean {
  return type === T.authorization || type === T.incremental;
}

/** Whether the lists of merchants, categories, countries and channels are. */
export function checksLists(type: MessageType): boolean {
  return checksLimits(type) || type === T.verification;
}

/** Whether a decline for that reason comes of a list, or of the like: the trace then says whose it was. */
export function isOfList(reason: Reason): boolean {
  return (
    (reason >= Reason.mccBlocked && reason <= Reason.channelBlocked) ||
    reason === Reason.walletBlocked ||
    reason === Reason.recurringBlocked
  );
}

export class DecisionTrace implements RecordTrace {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  write(target: Uint8Array, view: DataView, start: number): number {
    const context = this.#context;
    const { books, card, account, request, outcome } = context;
    const { accounts, users } = books;
    target[start + traceFormatAt] = traceFormat;
    target[start + traceStatesAt] =
      card.status | (users.status(card.user) << 2) | (accounts.status(account) << 4) | (card.type << 6);
    view.setUint16(start + traceCurrencyAt, accounts.currency(account), true);
    target[start + traceFollowAt] = followOf(context);
    let position = putSigned(target, start + traceFixedBytes, card.expiresDay);
    if (checksLists(request.type)) {
      position = putInteger(target, position, listBitsOf(context));
      position = putInteger(target, position, signalBitsOf(context));
    }
    const { reason } = outcome;
    if (isOfList(reason)) {
      target[position++] = lockOrLevel(context);
    } else if (reason === Reason.amountInvalid) {
      const fault = amountFault(context);
      target[position++] = fault;
      view.setFloat64(position, totalAtFault(context, fault), true);
      position += 8;
    }
    if (hasAmountBefore(context)) position = putSigned(target, position, amountBefore(context));
    if (checksLimits(request.type)) {
      position = putLimits(target, view, position, context);
      position = putRolling(target, position, context);
    }
    const isLocked = card.type === CardType.merchantLocked && checksLists(request.type);
    if (isLocked) position = putMerchant(target, position, merchantOfLock(context));
    target[start + traceFlagsAt] = flagsOf(context) | (isLocked ? TraceFlag.locked : 0);
    view.setUint16(start, position - start, true);
    return position;
  }
}

function followOf({ books, transaction, idIsSpent, replacesHold, rejoins }: Context): number {
  return (
    (transaction === transactionAbsent ? 0 : books.transactions.status(transaction)) |
    (idIsSpent ? TraceFollow.idIsSpent : 0) |
    (replacesHold ? TraceFollow.replacesHold : 0) |
    (rejoins ? TraceFollow.rejoins : 0)
  );
}

function flagsOf({ books, policy, request, card, account, day, nowMs }: Context): number {
  const isUsed = card.type !== CardType.virtual && books.spend.purchases(card.spendNumber) !== null;
  return (
    (day - Math.floor(nowMs / dayMs) + 1) |
    (books.accounts.partialApproval(account) ? TraceFlag.partialApproval : 0) |
    (policy.wholeAmountsOnly.includes(request.protocol) ? TraceFlag.wholeAmountsOnly : 0) |
    (isUsed ? TraceFlag.isUsed : 0)
  );
}

function listBitsOf({ cardRules, userRules, accountRules }: Context): number {
  return (
    (cardRules === null ? 0 : cardRules.listBits) |
    (userRules === null ? 0 : userRules.listBits << listLevelShift) |
    (accountRules === null ? 0 : accountRules.listBits << (2 * listLevelShift))
  );
}

function signalBitsOf({ cardRules, userRules, accountRules }: Context): number {
  return (
    (cardRules === null ? 0 : cardRules.signalBits) |
    (userRules === null ? 0 : userRules.signalBits << signalLevelShift) |
    (accountRules === null ? 0 : accountRules.signalBits << (2 * signalLevelShift))
  );
}

function lockOrLevel(context: Context): number {
  const { reason } = context.outcome;
  if (reason === Reason.merchantBlocked && lockDeclines(context)) return levelOfLock;
  return decliningLevel(context, reason) ?? levelOfLock;
}

/** Whether the limits are about more than this message. Without its transaction an increment was declined before. */
function hasAmountBefore({ request, transaction, rejoins }: Context): boolean {
  return transaction !== transactionAbsent && (request.type === T.incremental || rejoins);
}

function putLimits(target: Uint8Array, view: DataView, start: number, context: Context): number {
  const { books, card, account, userSpend, spendDay, day, cardRules, userRules, accountRules } = context;
  let position = putInteger(target, start, spendDay - day);
  const bits = limitBitsOf(cardRules, Levels.card) | limitBitsOf(userRules, Levels.user) | limitBitsOf(accountRules, 2);
  target[position++] = bits;
  if (bits === 0) return position;
  if (bits >> windowsShift !== 0) {
    const { nameBytes } = books.accounts.zone(account);
    target[position++] = nameBytes.length;
    for (let index = 0; index < nameBytes.length; index++) target[position++] = nameBytes[index]!;
  }
  const { spend } = books;
  position = putPerAuthorization(target, position, cardRules);
  position = putPerAuthorization(target, position, userRules);
  position = putPerAuthorization(target, position, accountRules);
  position = putWindows(target, view, position, cardRules, spend, Levels.card, card.spendNumber, spendDay);
  position = putWindows(target, view, position, userRules, spend, Levels.user, userSpend, spendDay);
  const number = books.accounts.number(account);
  return putWindows(target, view, position, accountRules, spend, Levels.account, number, spendDay);
}

function putRolling(target: Uint8Array, start: number, context: Context): number {
  const { books, card, account, userSpend, cardRules, userRules, accountRules } = context;
  const ofCard = rollingOf(cardRules);
  const ofUser = rollingOf(userRules);
  const ofAccount = rollingOf(accountRules);
  const counts = ofCard.length | (ofUser.length << rollingBitsEach) | (ofAccount.length << (2 * rollingBitsEach));
  let position = putInteger(target, start, counts);
  if (counts === 0) return position;
  position = putRollingOf(target, position, ofCard, Levels.card, card.spendNumber, context);
  position = putRollingOf(target, position, ofUser, Levels.user, userSpend, context);
  return putRollingOf(target, position, ofAccount, Levels.account, books.accounts.number(account), context);
}

const none: readonly RollingRule[] = [];

function rollingOf(rules: Rules | null): readonly RollingRule[] {
  return rules === null ? none : rules.rolling;
}

function putRollingOf(
  target: Uint8Array,
  start: number,
  rules: readonly RollingRule[],
  level: Level,
  number: number,
  { books, nowMs }: Context,
): number {
  const rolling = books.spend.rolling(level, number);
  let position = start;
  for (const { hours, amount, count } of rules) {
    position = putInteger(target, position, hours);
    position = putInteger(target, position, amount === unlimited ? 0 : amount + 1);
    position = putInteger(target, position, rolling?.used('amount', hours, nowMs) ?? 0);
    position = putInteger(target, position, count === unlimited ? 0 : count + 1);
    position = putInteger(target, position, rolling?.used('count', hours, nowMs) ?? 0);
  }
  return position;
}

function limitBitsOf(rules: Rules | null, level: Level): number {
  if (rules === null) return 0;
  const bits = (rules.perAuthorization === unlimited ? 0 : 1) | (rules.hasWindows ? 1 << windowsShift : 0);
  return bits << level;
}

function putPerAuthorization(target: Uint8Array, position: number, rules: Rules | null): number {
  if (rules === null || rules.perAuthorization === unlimited) return position;
  return putInteger(target, position, rules.perAuthorization);
}

function putWindows(
  target: Uint8Array,
  view: DataView,
  start: number,
  rules: Rules | null,
  spend: Spend,
  level: Level,
  number: number,
  day: number,
): number {
  if (rules === null || !rules.hasWindows) return start;
  const { windowBits, amounts, counts } = rules;
  const slot = spend.find(level, number);
  view.setUint16(start, windowBits, true);
  let position = start + 2;
  for (let index = 0; index < windowCount; index++) {
    if ((windowBits & (1 << index)) !== 0) {
      position = putInteger(target, position, amounts[index]!);
      position = putInteger(target, position, slot < 0 ? 0 : spend.amount(slot, index, day));
    }
    if ((windowBits & (1 << (windowCount + index))) !== 0) {
      position = putInteger(target, position, counts[index]!);
      position = putInteger(target, position, slot < 0 ? 0 : spend.count(slot, index, day));
    }
  }
  return position;
}

function putMerchant(target: Uint8Array, start: number, merchant: string): number {
  const bytes = Buffer.from(merchant);
  const position = putInteger(target, start, bytes.length);
  target.set(bytes, position);
  return position + bytes.length;
}
