/**
 * Why a transaction was declined, as the key of a sentence that a person understands, and the one thing that helps.
 * Pure: what it says is tested without a browser.
 */
import type { Messages } from '../messages/en.js';
import type { Card, Transaction } from './shapes.js';

type MessageKey = keyof Messages;

export interface DeclineWords {
  readonly why: MessageKey;
  /** The limit that refused, where today's limit still refuses the amount: in minor units. */
  readonly limitMinor: number | null;
  /** Null: nothing that this person can do here. */
  readonly help: { readonly label: MessageKey; readonly path: string } | null;
}

/** @param card the card as it is now; null: not known */
export function declineWords(transaction: Transaction, card: Card | null): DeclineWords {
  const { reason, detail = '', cardId, accountId } = transaction;
  const cardPath = `/cards/${cardId}`;
  const say = (why: MessageKey, label?: MessageKey, path = cardPath): DeclineWords => ({
    why,
    limitMinor: null,
    help: label === undefined ? null : { label, path },
  });
  switch (reason) {
    case 'insufficient_funds':
      return say('decline.insufficient_funds', 'help.addMoney', `/accounts/${accountId}`);
    case 'card_inactive':
      if (card?.status === 'frozen') return say('decline.card_frozen', 'help.unfreeze');
      return card?.status === 'closed'
        ? say('decline.card_closed', 'help.newCard', '/cards/new')
        : say('decline.card_was_frozen');
    case 'card_expired':
      return say('decline.card_expired', 'help.replace');
    case 'limit_exceeded':
      return overLimit(transaction, card, detail);
    case 'mcc_blocked':
    case 'merchant_blocked':
    case 'country_blocked':
    case 'channel_blocked':
    case 'verification_failed':
    case 'wallet_blocked':
    case 'recurring_blocked':
      return say(`decline.${reason}`, 'help.changeRules', `/limits/cards/${cardId}`);
    case 'account_inactive':
    case 'user_inactive':
    case 'currency_mismatch':
      return say(`decline.${reason}`);
    case 'system_error':
    case 'overloaded':
      return say('decline.no_answer');
    default:
      return say('decline.other');
  }
}

const levels = { card: 'cards', user: 'users', account: 'accounts' } as const;

function overLimit({ amount, cardId, accountId }: Transaction, card: Card | null, detail: string): DeclineWords {
  // A rolling window has its number before what it measures.
  const [level = '', window = '', ...rest] = detail.split('.');
  const measure = rest.at(-1) ?? '';
  // A card for one purchase counts it in this window.
  const isUsed = card?.type === 'single_use' && detail === 'card.lifetime.count';
  if (isUsed || !Object.hasOwn(levels, level)) {
    return { why: 'decline.used_once', limitMinor: null, help: { label: 'help.newCard', path: '/cards/new' } };
  }
  const known = level as keyof typeof levels;
  const id = known === 'card' ? cardId : known === 'account' ? accountId : (card?.userId ?? null);
  const help = id === null ? null : ({ label: 'help.changeLimit', path: `/limits/${levels[known]}/${id}` } as const);
  if (window === 'perAuthorization') {
    const limit = known === 'card' ? card?.limits.perAuthorization : undefined;
    // The limit may have changed since.
    const stillRefuses = limit !== undefined && limit < amount;
    return {
      why: stillRefuses ? 'decline.at_once' : 'decline.too_much',
      limitMinor: stillRefuses ? limit : null,
      help,
    };
  }
  const why = `decline.${window}_${measure}` as MessageKey;
  return { why, limitMinor: null, help };
}
