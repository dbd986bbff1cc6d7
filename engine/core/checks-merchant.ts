/**
 * Lists of merchants, categories, countries and channels of card, user and account, and a card's lock to one merchant.
 */
import { CardType } from './card-types.js';
import { Channel, MessageType as T } from './codes.js';
import type { Context } from './decision-context.js';
import { type Level, Level as Levels } from './limit-names.js';
import { Reason } from './reasons.js';
import { textOf } from './request.js';
import { type ListRule, listDeclines, type Rules, recurringBit } from './rules.js';
import { Wallet } from './vocabulary.js';

export function mccBlocked(context: Context): boolean {
  const { mcc } = context.request;
  return anyListDeclines(context, mccRule, mcc, mcc < 0);
}

export function merchantBlocked(context: Context): boolean {
  const { cardRules, userRules, accountRules, request } = context;
  if (lockDeclines(context)) return true;
  // The merchant's id becomes a string only where a list wants one.
  if (!cardRules?.merchants && !userRules?.merchants && !accountRules?.merchants) return false;
  const merchantId = textOf(request.source, request.merchantId);
  return anyListDeclines(context, merchantRule, merchantId, merchantId === '');
}

/**
 * A merchant-locked card buys from the merchant of its first purchase only. A purchase that names no merchant could
 * lock the card to none, so it is declined as an allow list declines it. A first verification may name none.
 */
export function lockDeclines(context: Context): boolean {
  const { card, request } = context;
  if (card.type !== CardType.merchantLocked) return false;
  const merchant = textOf(request.source, request.merchantId);
  const lockedTo = merchantOfLock(context);
  if (merchant !== '') return lockedTo !== '' && merchant !== lockedTo;
  return request.type === T.authorization || (request.type === T.verification && lockedTo !== '');
}

/** Id of the only merchant that a merchant-locked card buys from; '' while there is none. */
export function merchantOfLock({ books, card }: Context): string {
  return books.spend.purchases(card.spendNumber)?.merchant ?? '';
}

export function countryBlocked(context: Context): boolean {
  const { country } = context.request;
  return anyListDeclines(context, countryRule, country, country === 0);
}

export function channelBlocked(context: Context): boolean {
  const { channel } = context.request;
  return anyListDeclines(context, channelRule, channel, channel === Channel.absent);
}

export function walletBlocked(context: Context): boolean {
  const { wallet } = context.request;
  return anyListDeclines(context, walletRule, wallet, wallet === Wallet.absent);
}

const mccRule = (rules: Rules) => rules.mcc;
const merchantRule = (rules: Rules) => rules.merchants;
const countryRule = (rules: Rules) => rules.countries;
const channelRule = (rules: Rules) => rules.channels;
const walletRule = (rules: Rules) => rules.wallets;

function anyListDeclines<V>(
  context: Context,
  pick: (rules: Rules) => ListRule<V> | null,
  value: V,
  absent: boolean,
): boolean {
  const { cardRules, userRules, accountRules, request } = context;
  // An increment repeats the purchase that the lists allowed; what it leaves out was said by the authorization.
  if (absent && request.type === T.incremental) return false;
  return (
    (cardRules !== null && listDeclines(pick(cardRules), value, absent)) ||
    (userRules !== null && listDeclines(pick(userRules), value, absent)) ||
    (accountRules !== null && listDeclines(pick(accountRules), value, absent))
  );
}

/** Whose list it was that declined for this reason, for the trace; null: none. */
export function decliningLevel(context: Context, reason: Reason): Level | null {
  const { request, cardRules, userRules, accountRules } = context;
  const { mcc, country, channel, wallet } = request;
  const merchantId = textOf(request.source, request.merchantId);
  const declines = (rules: Rules | null): boolean => {
    if (rules === null) return false;
    if (reason === Reason.mccBlocked) return listDeclines(rules.mcc, mcc, mcc < 0);
    if (reason === Reason.merchantBlocked) return listDeclines(rules.merchants, merchantId, merchantId === '');
    if (reason === Reason.countryBlocked) return listDeclines(rules.countries, country, country === 0);
    if (reason === Reason.channelBlocked) return listDeclines(rules.channels, channel, channel === Channel.absent);
    if (reason === Reason.walletBlocked) return listDeclines(rules.wallets, wallet, wallet === Wallet.absent);
    return reason === Reason.recurringBlocked && (rules.signalBits & recurringBit) !== 0;
  };
  if (declines(cardRules)) return Levels.card;
  if (declines(userRules)) return Levels.user;
  return declines(accountRules) ? Levels.account : null;
}
