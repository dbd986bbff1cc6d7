/**
 * Lithic: Auth Stream Access asks, and each report is the whole transaction with all of its events so far. Facts:
 * docs/protocols/lithic.md.
 */
import { reasonTable } from '../../../engine/core/reasons.js';
import { results } from '../../../engine/protocols/lithic/results.js';
import {
  type LithicEvent,
  lithicAmounts,
  lithicMerchant,
  lithicSample,
  lithicTransaction,
} from '../../../engine/protocols/testing/lithic-sample.js';
import { lithicHeaders } from '../../../engine/testing/signing.js';
import type { Channel, Merchant, Say } from '../story.js';
import { letters, newToken } from './ids.js';
import type { Answer, Deliver, Life, LifeOptions, Network } from './network.js';
import { type Credentials, type Port, plainAnswer, type Reply } from './port.js';

type Path = '/lithic/asa' | '/lithic/events';
type Post = (path: Path, body: string) => Promise<Reply>;

export class LithicNetwork implements Network {
  readonly protocol = 'lithic';
  readonly #post: Post;

  /** @param secret of the auth stream or the subscription */
  constructor(port: Port, { lithicSecret }: Credentials) {
    this.#post = (path, body) =>
      port.post(path, body, lithicHeaders(body, { secret: lithicSecret ?? '', id: `msg_${letters(20)}` }));
  }

  refuses({ verb }: Say): string | null {
    return verb === 'chargeback' ? 'Lithic reports no chargeback as an event of a card transaction' : null;
  }

  open(options: LifeOptions): Life {
    return new LithicLife(options, this.#post);
  }

  isReason({ words }: Answer, reason: string): boolean {
    const entry = reasonTable.find(({ name }) => name === reason);
    return entry !== undefined && words === results[entry.number];
  }
}

const entryModes: Readonly<Record<Channel, string>> = {
  chip: 'ICC',
  contactless: 'CONTACTLESS',
  magstripe: 'MAGNETIC_STRIPE',
  ecommerce: 'ECOMMERCE',
  manual: 'KEY_ENTERED',
  atm: 'ICC',
};

class LithicLife implements Life {
  transactionId: string;
  readonly #options: LifeOptions;
  readonly #post: Post;
  readonly #token: string;
  readonly #events: LithicEvent[] = [];
  #heldMinor = 0;
  #status = 'PENDING';

  constructor(options: LifeOptions, post: Post) {
    this.#options = options;
    this.#post = post;
    this.#token = options.id ?? newToken();
    this.transactionId = this.#token;
    // The first event of a life that an earlier run began: its amount counts no more, since its token was booked.
    if (options.id !== undefined)
      this.#events.push({ token: firstEventOf(options.id), type: 'AUTHORIZATION', amount: 1 });
  }

  get id(): string {
    return this.#token;
  }

  async play(say: Say, deliver: Deliver): Promise<Answer | null> {
    const amount = say.amountMinor ?? 0;
    switch (say.verb) {
      case 'authorize':
        return this.#ask(deliver, 'AUTHORIZATION', amount, say);
      case 'purchase':
        return this.#ask(deliver, 'FINANCIAL_AUTHORIZATION', amount, say);
      case 'verify':
        return this.#ask(deliver, 'AUTHORIZATION', 0, say);
      case 'inquire':
        return this.#ask(deliver, 'BALANCE_INQUIRY', 0, say);
      case 'increment':
      case 'stand_in':
        this.#heldMinor += amount;
        return this.#event(deliver, 'AUTHORIZATION', amount, 'PENDING');
      case 'advise':
        this.#heldMinor = amount;
        return this.#event(deliver, 'AUTHORIZATION_ADVICE', amount, 'PENDING');
      case 'reverse':
        return this.#reverse(deliver, say.amountMinor ?? this.#heldMinor);
      case 'expire': {
        const left = this.#heldMinor;
        this.#heldMinor = 0;
        return this.#event(deliver, 'AUTHORIZATION_EXPIRY', left, 'EXPIRED');
      }
      case 'clear':
        this.#heldMinor = say.isFinal ? 0 : Math.max(0, this.#heldMinor - amount);
        return this.#event(deliver, 'CLEARING', amount, say.isFinal ? 'SETTLED' : 'PENDING');
      case 'refund':
        return this.#event(deliver, 'RETURN', amount, this.#isFirst ? 'SETTLED' : this.#status);
      case 'credit':
        return this.#event(deliver, 'FINANCIAL_CREDIT_AUTHORIZATION', amount, 'SETTLED');
      case 'chargeback':
        throw new Error('a step that Lithic has no word for');
    }
  }

  get #isFirst(): boolean {
    return this.#events.length === 0;
  }

  async #ask(deliver: Deliver, status: string, amount: number, say: Say): Promise<Answer | null> {
    const answer = await this.#question(deliver, status, amount, say.isPartialAllowed);
    const isTaken = answer?.approved === true && say.outcome === 'taken';
    const isOn = isTaken || say.outcome === 'overruled';
    const approved = isTaken ? (answer.approvedMinor ?? amount) : amount;
    const isHeld = isOn && status === 'AUTHORIZATION' && amount > 0;
    if (isHeld) this.#heldMinor = approved;
    if (say.outcome === 'overruled' && answer?.approved !== true) this.transactionId = firstEventOf(this.#token);
    const result = isOn ? 'APPROVED' : say.outcome === 'lost' ? 'CUSTOMER_ASA_TIMEOUT' : (answer?.words ?? 'DECLINED');
    await this.#event(deliver, status, approved, isOn ? (isHeld ? 'PENDING' : 'SETTLED') : 'DECLINED', result);
    return answer;
  }

  #reverse(deliver: Deliver, amount: number) {
    this.#heldMinor = Math.max(0, this.#heldMinor - amount);
    const isCleared = this.#events.some(({ type }) => type === 'CLEARING');
    const ended = isCleared ? 'SETTLED' : 'VOIDED';
    return this.#event(deliver, 'AUTHORIZATION_REVERSAL', amount, this.#heldMinor > 0 ? 'PENDING' : ended);
  }

  /** Adds an event and reports the transaction as it is then. */
  #event(deliver: Deliver, type: string, amount: number, status: string, result = 'APPROVED'): Promise<Answer | null> {
    const token = this.#isFirst ? firstEventOf(this.#token) : newToken();
    // What was not asked is named by its first event.
    if (this.#isFirst && !this.#isAsked) this.transactionId = token;
    this.#events.push({ token, type, amount, result });
    this.#status = status;
    const { card, merchant } = this.#options;
    const transaction = lithicTransaction({ token: this.#token, card, status }, [...this.#events]);
    const body = JSON.stringify({ ...transaction, merchant: merchantOf(merchant) });
    return deliver({
      title: result === 'APPROVED' ? `event ${type}` : `event ${type} ${result}`,
      amountMinor: amount,
      isQuestion: false,
      send: async () => plainAnswer(await this.#post('/lithic/events', body)),
    });
  }

  #isAsked = false;

  #question(deliver: Deliver, status: string, amount: number, isPartialAllowed: boolean): Promise<Answer | null> {
    this.#isAsked = true;
    const { card, merchant, channel, currency } = this.#options;
    const sample = lithicSample({ token: this.#token, status, amounts: lithicAmounts(amount, null, currency) });
    const pos = sample['pos'] as { entry_mode: object; terminal: object };
    const body = JSON.stringify({
      ...sample,
      ...{ amount, authorization_amount: amount, merchant_amount: amount },
      cash_amount: channel === 'atm' ? amount : 0,
      card: { ...(sample['card'] as object), token: card },
      merchant: merchantOf(merchant),
      pos: {
        entry_mode: { ...pos.entry_mode, pan: entryModes[channel] },
        terminal: {
          ...pos.terminal,
          partial_approval_capable: isPartialAllowed,
          type: channel === 'atm' ? 'ATM' : 'POS_TERMINAL',
        },
      },
    });
    return deliver({
      title: `asa ${status}`,
      amountMinor: amount,
      isQuestion: true,
      send: async () => answerOf(await this.#post('/lithic/asa', body), amount),
    });
  }
}

/** Of the transaction's token, so that a later run names it too. */
function firstEventOf(token: string): string {
  return `${token.slice(0, 50)}-e1`;
}

function merchantOf({ id, name, mcc, country }: Merchant): object {
  return { ...lithicMerchant, acceptor_id: id, descriptor: name, mcc, country };
}

function answerOf(reply: Reply, asked: number): Answer {
  const { status, text, json } = reply;
  const { result, approved_amount: partial, balance } = json;
  if (status !== 200 || typeof result !== 'string') return plainAnswer(reply);
  const approved = result === 'APPROVED';
  const available = (balance as { available?: number } | undefined)?.available;
  return {
    ...{ status, approved, words: approved ? 'APPROVED' : result, repeatable: text },
    approvedMinor: approved ? (typeof partial === 'number' ? partial : asked) : 0,
    ...(available === undefined ? {} : { availableMinor: available }),
  };
}
