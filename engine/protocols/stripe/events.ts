/**
 * `POST /stripe/issuing`: what Stripe's events report, as facts.
 *
 * An authorization's event has its present state. Of that, what only ever grows is booked: the requests in its history
 * and its transactions, each under an id of its own. What shrinks a hold is the difference that an event names, under
 * the event's id. So each counts once, and the books end the same in whatever order events come.
 *
 * A transaction has the name that its authorization was asked with. Where this engine declined and Stripe approved all
 * the same, another one has that name with `:created`.
 */
import type { Fact } from '../facts/codec.js';
import {
  amountSchema,
  factMerchant,
  idSchema,
  type NotificationRead,
  notificationCheck,
  optionalText,
  otherKind,
  unknownPart,
} from '../facts/notification.js';
import { questionType } from './fields.js';

interface Merchant {
  readonly network_id?: string | null;
  readonly name?: string | null;
  readonly category_code?: string | null;
  readonly country?: string | null;
}

type Reference = string | { readonly id: string };

interface HistoryEntry {
  readonly amount: number;
  readonly approved: boolean;
  readonly reason: string;
  readonly created: number;
}

interface Transaction {
  readonly id: string;
  readonly type: string;
  readonly amount: number;
  readonly currency: string;
  readonly card: Reference;
  readonly authorization?: Reference | null;
  readonly merchant_data?: Merchant | null;
}

interface Authorization {
  readonly id: string;
  readonly amount: number;
  readonly currency: string;
  readonly approved: boolean;
  readonly status: string;
  readonly card: Reference;
  readonly merchant_data?: Merchant | null;
  readonly request_history: readonly HistoryEntry[];
  readonly transactions?: readonly Transaction[] | null;
}

interface Previous {
  readonly amount?: number;
  readonly request_history?: unknown;
  readonly transactions?: unknown;
}

const reference = {
  anyOf: [idSchema, { type: 'object', required: ['id'], properties: { id: idSchema } }],
};
const currency = { type: 'string', pattern: '^[a-z]{3}$' };
const merchant = {
  type: ['object', 'null'],
  properties: { network_id: optionalText, name: optionalText, category_code: optionalText, country: optionalText },
};
const transaction = {
  type: 'object',
  required: ['id', 'type', 'amount', 'currency', 'card'],
  properties: {
    id: idSchema,
    type: { type: 'string' },
    amount: amountSchema,
    currency,
    card: reference,
    authorization: { anyOf: [...reference.anyOf, { type: 'null' }] },
    merchant_data: merchant,
  },
};
const historyEntry = {
  type: 'object',
  required: ['amount', 'approved', 'reason', 'created'],
  properties: {
    amount: amountSchema,
    approved: { type: 'boolean' },
    reason: { type: 'string' },
    created: { type: 'integer' },
  },
};
const authorization = {
  type: 'object',
  required: ['id', 'amount', 'currency', 'approved', 'status', 'card', 'request_history'],
  properties: {
    id: idSchema,
    amount: amountSchema,
    currency,
    approved: { type: 'boolean' },
    status: { type: 'string' },
    card: reference,
    merchant_data: merchant,
    request_history: { type: 'array', items: historyEntry },
    transactions: { type: ['array', 'null'], items: transaction },
  },
};

/** The check of an event about one of these objects. */
function eventCheck(object: object) {
  const previous_attributes = { type: ['object', 'null'], properties: { amount: amountSchema } };
  const data = { type: 'object', required: ['object'], properties: { object, previous_attributes } };
  return notificationCheck({ required: ['id', 'data'], properties: { id: idSchema, data } });
}
const checkAuthorization = eventCheck(authorization);
const checkTransaction = eventCheck(transaction);

/** The oldest version whose expired authorizations have a status of their own. */
const versionDefault = '2025-03-31.basil';

interface Event<T> {
  readonly id: string;
  readonly data: { readonly object: T; readonly previous_attributes?: Previous | null };
}

/** @param body what JSON.parse gave */
export function stripeNotification(body: unknown): NotificationRead {
  const { type, api_version: version } = (body ?? {}) as { type?: unknown; api_version?: unknown };
  switch (type) {
    case questionType: {
      // Answered in the version that asks.
      const isVersion = typeof version === 'string' && /^[0-9A-Za-z.-]{1,40}$/.test(version);
      return { headers: `\r\nstripe-version: ${isVersion ? version : versionDefault}` };
    }
    case 'issuing_authorization.created':
    case 'issuing_authorization.updated': {
      const fault = checkAuthorization(body);
      if (fault !== null) return fault;
      const { facts, hasUnknown } = new Life(body as Event<Authorization>);
      return { kinds: hasUnknown ? [type, unknownPart] : [type], facts };
    }
    case 'issuing_transaction.created':
    case 'issuing_transaction.updated': {
      const fault = checkTransaction(body);
      if (fault !== null) return fault;
      const { object } = (body as Event<Transaction>).data;
      const fact = transactionFact(object, object.authorization == null ? undefined : idOf(object.authorization));
      return { kinds: isKnown(object) ? [type] : [type, unknownPart], facts: fact === null ? [] : [fact] };
    }
    default:
      return { kinds: [otherKind], facts: [] };
  }
}

const idOf = (of: Reference): string => (typeof of === 'string' ? of : of.id);

function merchantOf({ network_id: id, name, category_code: mcc, country }: Merchant) {
  return factMerchant({ id, name, mcc, country });
}

function isKnown({ type }: Transaction): boolean {
  return type === 'capture' || type === 'refund';
}

/** Null: it moves nothing that is known. */
function transactionFact(
  { id, type, amount, currency, card, merchant_data }: Transaction,
  original: string | undefined,
): Fact | null {
  if (amount === 0) return null;
  const fact = {
    id,
    card: idOf(card),
    original,
    // Negative where money leaves the account.
    amount: Math.abs(amount),
    currency: currency.toUpperCase(),
    merchant: merchantOf(merchant_data ?? {}),
  };
  // Never the last one: several captures may come. What is left of the hold ends with the authorization.
  if (type === 'capture') return { ...fact, type: 'clearing', final: false };
  return type === 'refund' ? { ...fact, type } : null;
}

/** Why Stripe declined without an answer of this engine: it was not asked, or it declined itself. */
const notApprovedHere = new Set([
  'account_disabled',
  'card_active',
  'card_canceled',
  'card_expired',
  'card_inactive',
  'cardholder_blocked',
  'cardholder_inactive',
  'cardholder_verification_required',
  'insecure_authorization_method',
  'insufficient_funds',
  'not_allowed',
  'pin_blocked',
  'spending_controls',
  'verification_failed',
  'webhook_declined',
]);
const approvedHere = 'webhook_approved';

/** What is known of one authorization. */
class Life {
  readonly facts: Fact[] = [];
  /** There is something of a kind that Stripe did not have when this was written. */
  hasUnknown = false;
  readonly #object: Authorization;
  readonly #base: Pick<Fact, 'card' | 'currency' | 'merchant'>;
  #root: string;

  constructor({ id, data }: Event<Authorization>) {
    const { object } = data;
    this.#object = object;
    this.#root = object.id;
    this.#base = {
      card: idOf(object.card),
      currency: object.currency.toUpperCase(),
      merchant: merchantOf(object.merchant_data ?? {}),
    };
    // Sorting keeps the order of equal times.
    const history = [...object.request_history].sort((a, b) => a.created - b.created);
    const approvals = history.filter(({ approved, amount }) => approved && amount > 0);
    const [first, ...others] = approvals;
    if (first === undefined) this.#declined(history);
    else {
      this.#approved(first);
      this.#increments(others);
      this.#changed(id, data.previous_attributes ?? {});
      this.#transactions();
      this.#end();
    }
  }

  #approved({ amount, reason }: HistoryEntry): void {
    if (reason === approvedHere) return;
    const { id } = this.#object;
    // Where it was never asked here, the authorization itself is opened. Where it was, that is a conflict, and what the
    // engine answered counts: an approval stays, and beside a decline one of its own is opened.
    this.facts.push({ ...this.#base, id, type: 'advice', amount });
    this.#root = `${id}:created`;
    this.facts.push({
      ...this.#base,
      id: this.#root,
      type: 'advice',
      answers: 'authorization',
      original: id,
      amount,
    });
  }

  /** Those that this engine approved hold their money already. */
  #increments(others: readonly HistoryEntry[]): void {
    for (const [index, { amount, reason }] of others.entries()) {
      if (reason !== approvedHere) this.#add(`${this.#object.id}:${index + 1}`, 'advice', amount, 'incremental');
    }
  }

  /** What an event changes of the amount, where neither a request nor a transaction says so. */
  #changed(event: string, { amount: before, request_history, transactions }: Previous): void {
    const { amount, status } = this.#object;
    if (before === undefined || status !== 'pending' || transactions !== undefined) return;
    if (amount < before) this.#add(event, 'reversal', before - amount);
    else if (amount > before && request_history === undefined) {
      this.#add(event, 'advice', amount - before, 'incremental');
    }
  }

  #transactions(): void {
    for (const transaction of this.#object.transactions ?? []) {
      const fact = transactionFact(transaction, this.#root);
      if (fact !== null) this.facts.push(fact);
      if (!isKnown(transaction)) this.hasUnknown = true;
    }
  }

  /** The authorization holds nothing any more: what its captures left of the hold ends. */
  #end(): void {
    const { id, status } = this.#object;
    if (status === 'closed' || status === 'reversed' || status === 'expired') this.#add(`${id}:end`, 'reversal');
    else if (status !== 'pending') this.hasUnknown = true;
  }

  /** Where this engine approved it and Stripe did not take that, its hold ends. */
  #declined(history: readonly HistoryEntry[]): void {
    if (history.some(({ approved, reason }) => !approved && !notApprovedHere.has(reason))) {
      this.#add(`${this.#object.id}:declined`, 'reversal');
    }
  }

  #add(id: string, type: Fact['type'], amount?: number, answers?: Fact['answers']): void {
    this.facts.push({ ...this.#base, id, type, original: this.#root, amount, answers });
  }
}
