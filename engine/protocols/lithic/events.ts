/**
 * `POST /lithic/events`: what Lithic's card_transaction.updated reports, as facts.
 *
 * Each notification has the whole transaction with all of its events so far. The facts of all of them are booked,
 * oldest first, each under its event's token. So every event counts once, in the same order, whichever notification
 * comes first.
 *
 * The first event that moves money names the transaction by the token that ASA asked with. What it comes to depends on
 * this engine's own answer: an approval is confirmed, a declined or unknown question is booked as Lithic says. The
 * events behind it name the transaction by the token of that first event, which leads to either.
 */
import type { Fact } from '../facts/codec.js';
import {
  amountSchema,
  factMerchant,
  idSchema,
  type Notification,
  type NotificationFault,
  notificationCheck,
  optionalText,
  otherKind,
  unknownPart,
} from '../facts/notification.js';

/** What is booked; every other kind is acknowledged. */
const updated = 'card_transaction.updated';

interface Event {
  readonly token: string;
  readonly type: string;
  readonly result: string;
  readonly created: string;
  readonly amounts: { readonly cardholder: { readonly amount: number; readonly currency: string } };
}

interface Transaction {
  readonly token: string;
  readonly card_token: string;
  readonly status: string;
  readonly events?: readonly Event[] | null;
  readonly merchant?: {
    readonly acceptor_id?: string | null;
    readonly descriptor?: string | null;
    readonly mcc?: string | null;
    readonly country?: string | null;
  } | null;
}

const cardholder = {
  type: 'object',
  required: ['amount', 'currency'],
  properties: { amount: amountSchema, currency: { type: 'string', pattern: '^[A-Z]{3}$' } },
};
const event = {
  type: 'object',
  required: ['token', 'type', 'result', 'created', 'amounts'],
  properties: {
    token: idSchema,
    type: { type: 'string' },
    result: { type: 'string' },
    created: { type: 'string' },
    amounts: { type: 'object', required: ['cardholder'], properties: { cardholder } },
  },
};
const check = notificationCheck({
  required: ['token', 'card_token', 'status'],
  properties: {
    token: idSchema,
    card_token: idSchema,
    status: { type: 'string' },
    events: { type: ['array', 'null'], items: event },
    merchant: {
      type: ['object', 'null'],
      properties: { acceptor_id: optionalText, descriptor: optionalText, mcc: optionalText, country: optionalText },
    },
  },
});

/** @param body what JSON.parse gave */
export function lithicNotification(body: unknown): Notification | NotificationFault {
  const kind = (body as { event_type?: unknown } | null)?.event_type;
  if (kind !== updated) return { kinds: [otherKind], facts: [] };
  const fault = check(body);
  if (fault !== null) return fault;
  const { facts, hasUnknown } = new Life(body as Transaction);
  return { kinds: hasUnknown ? [updated, unknownPart] : [updated], facts };
}

/** The life of one transaction, event by event. */
class Life {
  readonly facts: Fact[] = [];
  /** There is an event of a kind that Lithic did not have when this was written. */
  hasUnknown = false;
  readonly #transaction: Transaction;
  readonly #merchant;
  /** Token of the first event that was booked; null: none was. */
  #first: string | null = null;
  /** A purchase in one message was posted: what is reversed of it is a refund. */
  #isPosted = false;
  /** A credit in one message was posted: what is reversed of it is taken again. */
  #isCredited = false;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
    const { acceptor_id: id, descriptor: name, mcc, country } = transaction.merchant ?? {};
    this.#merchant = factMerchant({ id, name, mcc, country });
    const events = [...(transaction.events ?? [])];
    // Sorting keeps the order of equal times, which is Lithic's.
    events.sort((a, b) => Date.parse(a.created) - Date.parse(b.created) || 0);
    for (const event of events) this.#book(event);
    this.#end(events.at(-1));
  }

  #book(event: Event): void {
    if (event.result !== 'APPROVED') {
      this.#declined(event);
      return;
    }
    const amount = Math.abs(event.amounts.cardholder.amount);
    switch (event.type) {
      case 'AUTHORIZATION':
        if (amount > 0) {
          this.#add(event, { type: 'advice', amount, answers: this.#first === null ? 'authorization' : 'incremental' });
        }
        break;
      case 'AUTHORIZATION_ADVICE':
        // The new total. Of nothing: the hold ends.
        if (amount > 0) this.#add(event, { type: 'advice', amount });
        else this.#add(event, { type: 'reversal' });
        break;
      case 'FINANCIAL_AUTHORIZATION':
        // ASA took a hold for it.
        if (amount > 0) this.#add(event, { type: 'clearing', amount, final: true });
        this.#isPosted = true;
        break;
      case 'AUTHORIZATION_REVERSAL':
        this.#reverse(event, amount);
        break;
      case 'AUTHORIZATION_EXPIRY':
        if (this.#first !== null) this.#add(event, { type: 'reversal' });
        break;
      case 'CLEARING':
      case 'CORRECTION_DEBIT':
      case 'RETURN_REVERSAL':
        // Never the last one: further ones may come. What is left of the hold ends with the transaction.
        if (amount > 0) this.#add(event, { type: 'clearing', amount, final: false });
        break;
      case 'FINANCIAL_CREDIT_AUTHORIZATION':
        this.#isCredited = true;
        if (amount > 0) this.#credit(event, amount);
        break;
      case 'RETURN':
      case 'CORRECTION_CREDIT':
        if (amount > 0) this.#credit(event, amount);
        break;
      case 'BALANCE_INQUIRY':
      case 'CREDIT_AUTHORIZATION':
      case 'CREDIT_AUTHORIZATION_ADVICE':
        break;
      default:
        this.hasUnknown = true;
    }
  }

  /** Lithic did not take an approval: where this engine gave one, its hold ends. */
  #declined(event: Event): void {
    const isPurchase = event.type === 'AUTHORIZATION' || event.type === 'FINANCIAL_AUTHORIZATION';
    if (!isPurchase || this.#first !== null) return;
    this.#add(event, { type: 'reversal' });
    // What follows a decline stands on its own.
    this.#first = null;
  }

  #reverse(event: Event, amount: number): void {
    if (amount === 0) return;
    if (this.#isPosted) this.#credit(event, amount);
    else if (this.#isCredited) this.#add(event, { type: 'clearing', amount, final: false });
    else if (this.#first !== null) this.#add(event, { type: 'reversal', amount });
  }

  /** A refund of a purchase, or of none. */
  #credit(event: Event, amount: number): void {
    if (this.#first === null) {
      this.facts.push({ ...this.#fact(event), type: 'refund', amount });
      this.#first = event.token;
    } else this.#add(event, { type: 'refund', amount });
  }

  #add(event: Event, fact: Pick<Fact, 'type' | 'amount' | 'final' | 'answers'>): void {
    this.facts.push({ ...this.#fact(event), ...fact, original: this.#first ?? this.#transaction.token });
    this.#first ??= event.token;
  }

  #fact(event: Event) {
    const { currency } = event.amounts.cardholder;
    return { id: event.token, card: this.#transaction.card_token, currency, merchant: this.#merchant };
  }

  /** The transaction holds nothing any more: what its clearings left of the hold ends. */
  #end(last: Event | undefined): void {
    if (last === undefined || this.#first === null || this.#transaction.status === 'PENDING') return;
    if (!this.facts.some(({ type }) => type === 'advice')) return;
    const fact = this.#fact(last);
    this.facts.push({ ...fact, id: `${fact.id}:end`, type: 'reversal', original: this.#first });
  }
}
