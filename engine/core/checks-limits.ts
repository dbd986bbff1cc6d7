/** The limits of card, user and account: of one authorization, and of a day, week, month, year and lifetime. */
import { MessageType as T } from './codes.js';
import type { Context } from './decision-context.js';
import {
  type Level,
  Level as Levels,
  perAuthorizationDetail,
  rollingDetail,
  windowCount,
  windowDetail,
} from './limit-names.js';
import { type Rules, unlimited } from './rules.js';

export function perAuthorizationExceeded(context: Context): boolean {
  const { request, outcome } = context;
  const total = amountBefore(context) + request.amountMinor;
  const level = isAbove(total, context.cardRules)
    ? Levels.card
    : isAbove(total, context.userRules)
      ? Levels.user
      : isAbove(total, context.accountRules)
        ? Levels.account
        : null;
  if (level === null) return false;
  outcome.detail = perAuthorizationDetail(level);
  return true;
}

/**
 * An increment is judged by the whole that the authorization grows to. A refund makes no room for more: posted is net
 * of refunds, so they are added again.
 */
export function amountBefore({ request, books: { transactions }, transaction, rejoins }: Context): number {
  if (request.type !== T.incremental && !rejoins) return 0;
  return transactions.held(transaction) + transactions.posted(transaction) + transactions.refunded(transaction);
}

function isAbove(total: number, rules: Rules | null): boolean {
  return rules !== null && total > rules.perAuthorization;
}

/** The limits of a day, week, month, year and lifetime, each of an amount and of a count. */
export function windowExceeded(context: Context): boolean {
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

/** The limits of the last hours. */
export function rollingExceeded(context: Context): boolean {
  const { card, books, account, userSpend } = context;
  return (
    rollingLevelExceeded(context, context.cardRules, Levels.card, card.spendNumber) ||
    rollingLevelExceeded(context, context.userRules, Levels.user, userSpend) ||
    rollingLevelExceeded(context, context.accountRules, Levels.account, books.accounts.number(account))
  );
}

function rollingLevelExceeded(context: Context, rules: Rules | null, level: Level, number: number): boolean {
  if (rules === null || rules.rolling.length === 0) return false;
  const { request, books, outcome, nowMs } = context;
  const rolling = books.spend.rolling(level, number);
  const countDelta = request.type === T.incremental || context.rejoins ? 0 : 1;
  for (let index = 0; index < rules.rolling.length; index++) {
    const { hours, amount, count } = rules.rolling[index]!;
    if (amount !== unlimited && (rolling?.used('amount', hours, nowMs) ?? 0) + request.amountMinor > amount) {
      outcome.detail = rollingDetail(level, index, 'amount');
      return true;
    }
    if (count !== unlimited && countDelta > 0 && (rolling?.used('count', hours, nowMs) ?? 0) + countDelta > count) {
      outcome.detail = rollingDetail(level, index, 'count');
      return true;
    }
  }
  return false;
}
