/**
 * Stripe Issuing: real-time authorizations ask, and each event has the authorization as it is then. Facts:
 * docs/protocols/stripe.md.
 */
import {
  stripeAuthorization,
  stripeEvent,
  stripeMerchant,
  stripeQuestion,
} from '../../../engine/protocols/testing/stripe-sample.js';
import { stripeHeaders } from '../../../engine/testing/signing.js';
import type { Channel, Merchant, Say, Verb } from '../story.js';
import { letters } from './ids.js';
import type { Answer, Deliver, Life, LifeOptions, Network } from './network.js';
import { type Credentials, type Port, plainAnswer, type Reply } from './port.js';

type Post = (body: string) => Promise<Reply>;

const refused: Readonly<Partial<Record<Verb, string>>> = {
  inquire: 'Stripe asks no balance inquiry',
  credit: 'Stripe documents no message for an original credit',
  chargeback: 'Stripe reports a dispute beside the card transaction, with no transaction of its own',
};

export class StripeNetwork implements Network {
  readonly protocol = 'stripe';
  readonly #post: Post;

  constructor(port: Port, { stripeSecret }: Credentials) {
    this.#post = (body) => port.post('/stripe/issuing', body, stripeHeaders(body, { secrets: [stripeSecret ?? ''] }));
  }

  refuses({ verb }: Say): string | null {
    return refused[verb] ?? null;
  }

  open(options: LifeOptions): Life {
    return new StripeLife(options, this.#post);
  }

  isReason({ words }: Answer, reason: string): boolean {
    return words === reason;
  }
}

const methods: Readonly<Record<Channel, string>> = {
  chip: 'chip',
  contactless: 'contactless',
  magstripe: 'swipe',
  ecommerce: 'online',
  manual: 'keyed_in',
  atm: 'chip',
};

interface HistoryEntry {
  readonly amount: number;
  readonly approved: boolean;
  readonly reason: string;
}

/** The first second of invented histories. */
const createdSeconds = 1_790_000_000;

class StripeLife implements Life {
  transactionId: string;
  readonly #options: LifeOptions;
  readonly #post: Post;
  readonly #id: string;
  readonly #history: HistoryEntry[] = [];
  readonly #transactions: object[] = [];
  /** What Stripe holds. */
  #heldMinor = 0;
  #status = 'pending';
  /** There is an authorization; a capture or refund alone has none. */
  #hasAuthorization: boolean;
  #isMoved = false;

  constructor(options: LifeOptions, post: Post) {
    this.#options = options;
    this.#post = post;
    this.#id = options.id ?? `iauth_1${letters(22)}`;
    this.transactionId = this.#id;
    this.#hasAuthorization = options.id !== undefined;
    if (options.id !== undefined) this.#history.push({ amount: 1, approved: true, reason: 'webhook_approved' });
  }

  get id(): string {
    return this.#id;
  }

  async play(say: Say, deliver: Deliver): Promise<Answer | null> {
    const amount = say.amountMinor ?? 0;
    switch (say.verb) {
      case 'authorize':
      case 'verify':
        return this.#authorize(say, amount, deliver);
      case 'purchase': {
        const answer = await this.#authorize(say, amount, deliver);
        if (answer?.approved === true) await this.#move('capture', amount, true, deliver);
        return answer;
      }
      case 'increment':
        return this.#increment(amount, deliver);
      case 'stand_in':
        return this.#created(deliver, { amount, approved: true, reason: 'network_fallback' });
      case 'advise':
        return this.#changed(amount, deliver);
      case 'reverse': {
        const left = say.amountMinor === null ? 0 : Math.max(0, this.#heldMinor - amount);
        return left > 0 ? this.#changed(left, deliver) : this.#ended('reversed', deliver);
      }
      case 'expire':
        return this.#ended('expired', deliver);
      case 'clear':
        return this.#move('capture', amount, say.isFinal, deliver);
      case 'refund':
        return this.#move('refund', amount, false, deliver);
      case 'inquire':
      case 'credit':
      case 'chargeback':
        throw new Error('a step that Stripe has no word for');
    }
  }

  async #authorize(say: Say, amount: number, deliver: Deliver): Promise<Answer | null> {
    const { outcome } = say;
    const answer = await this.#question(deliver, amount, say.isPartialAllowed);
    const isOurs = answer?.approved === true;
    if (outcome === 'overruled') {
      if (!isOurs) this.transactionId = `${this.#id}:created`;
      await this.#created(deliver, { amount, approved: true, reason: 'webhook_timeout' });
    } else if (outcome === 'lost') {
      await this.#created(deliver, { amount, approved: false, reason: 'webhook_timeout' });
    } else {
      const approved = isOurs ? (answer.approvedMinor ?? amount) : amount;
      const reason = isOurs ? 'webhook_approved' : 'webhook_declined';
      await this.#created(deliver, { amount: approved, approved: isOurs, reason });
    }
    return answer;
  }

  #created(deliver: Deliver, entry: HistoryEntry): Promise<Answer | null> {
    this.#hasAuthorization = true;
    this.#history.push(entry);
    this.#heldMinor = entry.approved ? entry.amount : 0;
    this.#status = entry.approved && entry.amount > 0 ? 'pending' : 'closed';
    return this.#event(deliver, 'created', entry.amount, undefined, entry.reason);
  }

  async #increment(amount: number, deliver: Deliver): Promise<Answer | null> {
    const answer = await this.#question(deliver, amount, false);
    const approved = answer?.approved === true;
    const previous = { amount: this.#heldMinor, request_history: historyOf(this.#history) };
    const reason = approved ? 'webhook_approved' : 'webhook_declined';
    this.#history.push({ amount, approved, reason });
    if (approved) this.#heldMinor += amount;
    await this.#event(deliver, 'updated', amount, previous, reason);
    return answer;
  }

  /** A new amount without a request for it. */
  #changed(amount: number, deliver: Deliver): Promise<Answer | null> {
    const previous = { amount: this.#heldMinor };
    this.#heldMinor = amount;
    return this.#event(deliver, 'updated', amount, previous, 'amount');
  }

  #ended(status: string, deliver: Deliver): Promise<Answer | null> {
    const previous = { amount: this.#heldMinor, status: this.#status };
    const left = this.#heldMinor;
    this.#heldMinor = 0;
    this.#status = status;
    return this.#event(deliver, 'updated', left, previous, status);
  }

  /** A capture or a refund; the last capture closes the authorization. */
  async #move(type: 'capture' | 'refund', amount: number, isLast: boolean, deliver: Deliver): Promise<Answer | null> {
    const { card, merchant } = this.#options;
    const transaction = {
      id: `ipi_1${letters(22)}`,
      object: 'issuing.transaction',
      type,
      // Negative where money leaves the account.
      amount: type === 'capture' ? -amount : amount,
      authorization: this.#hasAuthorization ? this.#id : null,
      card,
      cardholder: 'ich_demo_204',
      currency: this.#currency,
      merchant_amount: amount,
      merchant_currency: this.#currency,
      merchant_data: merchantOf(merchant),
      created: createdSeconds + 100,
      metadata: {},
      wallet: null,
    };
    // The refund of a force post has nothing to name either.
    if (!this.#hasAuthorization && !this.#isMoved) this.transactionId = transaction.id;
    this.#isMoved = true;
    const answer = await this.#send(deliver, 'issuing_transaction.created', transaction, amount, type);
    if (!this.#hasAuthorization) return answer;
    const previous = { amount: this.#heldMinor, status: this.#status, transactions: [...this.#transactions] };
    this.#transactions.push(transaction);
    if (type === 'capture') {
      this.#heldMinor = isLast ? 0 : Math.max(0, this.#heldMinor - amount);
      if (isLast) this.#status = 'closed';
    }
    await this.#event(deliver, 'updated', amount, previous, this.#status);
    return answer;
  }

  get #currency(): string {
    return this.#options.currency.toLowerCase();
  }

  /** The authorization as it is now. */
  #event(deliver: Deliver, kind: 'created' | 'updated', amount: number, previous: object | undefined, note: string) {
    const object = this.#object({
      status: this.#status,
      approved: this.#history.some(({ approved }) => approved),
      request_history: historyOf(this.#history),
      transactions: [...this.#transactions],
    });
    return this.#send(deliver, `issuing_authorization.${kind}`, object, amount, note, previous);
  }

  #object(changes: Record<string, unknown>): object {
    const { card, merchant, channel } = this.#options;
    return stripeAuthorization({
      ...{ id: this.#id, card, amount: this.#heldMinor },
      changes: {
        currency: this.#currency,
        merchant_data: merchantOf(merchant),
        authorization_method: methods[channel],
        ...changes,
      },
    });
  }

  #send(deliver: Deliver, type: string, object: object, amount: number, note: string, previous?: object) {
    const body = JSON.stringify(stripeEvent(`evt_1${letters(22)}`, type, object, previous));
    return deliver({
      title: `${type.replace('issuing_', '')} ${note}`,
      amountMinor: amount,
      isQuestion: false,
      send: async () => plainAnswer(await this.#post(body)),
    });
  }

  #question(deliver: Deliver, asked: number, isControllable: boolean): Promise<Answer | null> {
    const { card, merchant, channel } = this.#options;
    const body = JSON.stringify(
      stripeQuestion(`evt_1${letters(22)}`, {
        ...{ id: this.#id, card, amount: this.#heldMinor, asked, isControllable, currency: this.#currency },
        changes: {
          merchant_data: merchantOf(merchant),
          authorization_method: methods[channel],
          request_history: historyOf(this.#history),
        },
      }),
    );
    return deliver({
      title: 'authorization.request',
      amountMinor: asked,
      isQuestion: true,
      send: async () => answerOf(await this.#post(body), asked),
    });
  }
}

function merchantOf({ id, name, mcc, country }: Merchant): object {
  return { ...stripeMerchant, network_id: id, name, category_code: mcc, country };
}

function historyOf(entries: readonly HistoryEntry[]): object[] {
  return entries.map(({ amount, approved, reason }, index) => ({
    ...{ amount, approved, reason, reason_message: null, authorization_code: approved ? 'S49816' : null },
    ...{ created: createdSeconds + index, currency: 'usd', merchant_amount: amount, merchant_currency: 'usd' },
  }));
}

function answerOf(reply: Reply, asked: number): Answer {
  const { status, text, json } = reply;
  const { approved, amount, metadata } = json;
  if (status !== 200 || typeof approved !== 'boolean') return plainAnswer(reply);
  const decision = (metadata as { decision?: string } | undefined)?.decision;
  return {
    ...{ status, approved, words: decision ?? (approved ? 'approved' : 'declined'), repeatable: text },
    approvedMinor: approved ? (typeof amount === 'number' ? amount : asked) : 0,
  };
}
