/** What card, user and account ask of a purchase's signals: results of checks, and whether it recurs. */
import { MessageType as T } from './codes.js';
import type { Context } from './decision-context.js';
import { type Level, Level as Levels, verificationDetail } from './limit-names.js';
import type { Request } from './request.js';
import {
  type Rules,
  recurringBit,
  verificationBitsEach,
  verificationBlocks,
  verificationRequires,
  walletsShift,
} from './rules.js';
import { CheckResult, Recurring, verificationNames } from './vocabulary.js';

const verificationMask = (1 << walletsShift) - 1;

/** The result that the check at `index` of verificationNames had. */
export function resultOf(request: Request, index: number): CheckResult {
  return index === 0 ? request.avs : index === 1 ? request.cvv : request.threeDS;
}

/**
 * Whether a check declines. `require` takes a match only. `block` declines a mismatch, and lets pass what was not
 * checked. An increment repeats a purchase that passed, so what it leaves out was said by the authorization.
 */
export function verificationDeclines(mode: number, result: CheckResult, type: T): boolean {
  if (result === CheckResult.absent && type === T.incremental) return false;
  if (mode === verificationRequires) return result !== CheckResult.match;
  return mode === verificationBlocks && result === CheckResult.mismatch;
}

export function verificationFailed(context: Context): boolean {
  const { cardRules, userRules, accountRules } = context;
  return (
    levelFails(context, cardRules, Levels.card) ||
    levelFails(context, userRules, Levels.user) ||
    levelFails(context, accountRules, Levels.account)
  );
}

function levelFails({ request, outcome }: Context, rules: Rules | null, level: Level): boolean {
  if (rules === null || (rules.signalBits & verificationMask) === 0) return false;
  for (let index = 0; index < verificationNames.length; index++) {
    const mode = (rules.signalBits >> (verificationBitsEach * index)) & 0b11;
    if (!verificationDeclines(mode, resultOf(request, index), request.type)) continue;
    outcome.detail = verificationDetail(level, index);
    return true;
  }
  return false;
}

/** A purchase that does not say whether it recurs passes. */
export function recurringBlocked({ request, cardRules, userRules, accountRules }: Context): boolean {
  if (request.recurring !== Recurring.yes) return false;
  return blocksRecurring(cardRules) || blocksRecurring(userRules) || blocksRecurring(accountRules);
}

function blocksRecurring(rules: Rules | null): boolean {
  return rules !== null && (rules.signalBits & recurringBit) !== 0;
}
