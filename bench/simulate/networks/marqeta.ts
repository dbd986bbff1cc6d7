/**
 * Marqeta: Gateway JIT Funding asks, and notifications of the webhook report every message of the life, also those that
 * the engine answered. Facts: docs/protocols/marqeta.md.
 */
import { packLetters } from '../../../engine/core/codes.js';
import { exponentOf, writeDecimal } from '../../../engine/core/money.js';
import { Reason, reasonTable } from '../../../engine/core/reasons.js';
import { countLimitExceeded, declineReasons } from '../../../engine/protocols/marqeta/reasons.js';
import {
  type MarqetaMessage,
  marqetaMessage,
  marqetaSample,
  sampleText,
} from '../../../engine/protocols/testing/marqeta-sample.js';
import { NumberText } from '../../../engine/protocols/testing/mutate.js';
import { marqetaHeaders } from '../../../engine/testing/signing.js';
import type { Channel, Merchant, Say } from '../story.js';
import { newToken } from './ids.js';
import type { Answer, Deliver, Life, LifeOptions, Network } from './network.js';
import { basicHeader, type Credentials, type Port, plainAnswer, type Reply } from './port.js';

type Path = '/marqeta/jit' | '/marqeta/webhook';
type Post = (path: Path, body: string) => Promise<Reply>;

export class MarqetaNetwork implements Network {
  readonly protocol = 'marqeta';
  readonly #post: Post;

  constructor(port: Port, credentials: Credentials) {
    const secret = credentials.marqetaSecret;
    this.#post = (path, body) => {
      const signed = path === '/marqeta/webhook' && secret !== null ? marqetaHeaders(body, { secret }) : {};
      return port.post(path, body, { ...basicHeader(credentials), ...signed });
    };
  }

  refuses(): null {
    return null;
  }

  open(options: LifeOptions): Life {
    return new MarqetaLife(options, this.#post);
  }

  isReason({ words }: Answer, reason: string): boolean {
    if (reason === 'limit_exceeded' && words === countLimitExceeded) return true;
    const entry = reasonTable.find(({ name }) => name === reason);
    return words === declineReasons[entry?.number ?? Reason.approved];
  }
}

const entryModes: Readonly<Record<Channel, string>> = {
  chip: 'CHIP',
  contactless: 'CHIP_CONTACTLESS',
  magstripe: 'MAG_STRIPE',
  ecommerce: 'CREDENTIALS_ON_FILE',
  manual: 'KEY_ENTERED',
  atm: 'CHIP',
};

const decimalBytes = new Uint8Array(32);
/** Decimals of an amount that Marqeta sends: as many as the currency has. */
const digitsOf = (currency: string) => exponentOf(packLetters(currency));

class MarqetaLife implements Life {
  transactionId: string;
  readonly #options: LifeOptions;
  readonly #post: Post;
  /** Of the first message, and of its JIT funding. */
  readonly #token: string;
  readonly #jit: string;
  /** No message came before. */
  #isNew: boolean;
  #heldMinor = 0;

  constructor(options: LifeOptions, post: Post) {
    this.#options = options;
    this.#post = post;
    this.#jit = options.id ?? newToken();
    this.#token = options.id === undefined ? newToken() : `of-${options.id}`.slice(0, 36);
    this.transactionId = this.#jit;
    this.#isNew = options.id === undefined;
  }

  get id(): string {
    return this.#jit;
  }

  /** An amount as Marqeta writes it: a decimal of major units, exactly. */
  #major(minor: number): string {
    const length = writeDecimal(decimalBytes, 0, minor, digitsOf(this.#options.currency));
    return Buffer.from(decimalBytes.subarray(0, length)).toString();
  }

  async play(say: Say, deliver: Deliver): Promise<Answer | null> {
    const { amountMinor, verb } = say;
    const amount = amountMinor ?? 0;
    switch (verb) {
      case 'authorize':
        return this.#authorize(say, amount, deliver);
      case 'purchase':
        return this.#ask(deliver, { amount, method: 'pgfs.pindebit', type: 'pindebit', state: 'COMPLETION' });
      case 'verify':
        return this.#ask(deliver, {
          ...{ amount, method: 'pgfs.authorization.account_verification', type: 'authorization', state: 'CLEARED' },
        });
      case 'inquire':
        return this.#ask(deliver, {
          ...{ amount, method: 'pgfs.balanceinquiry', type: 'balanceinquiry', state: 'COMPLETION' },
        });
      case 'increment':
        return this.#increment(amount, deliver);
      case 'stand_in':
        return this.#standIn(amount, deliver);
      case 'advise':
        return this.#advise(amount, deliver);
      case 'reverse':
      case 'expire':
        return this.#reverse(verb, amountMinor ?? this.#heldMinor, deliver);
      case 'clear': {
        this.#heldMinor = say.isFinal ? 0 : Math.max(0, this.#heldMinor - amount);
        return this.#report(deliver, amount, {
          type: 'authorization.clearing',
          state: 'COMPLETION',
          changes: { is_final_clearing: say.isFinal },
        });
      }
      case 'refund':
        return this.#report(deliver, amount, { type: 'refund', state: 'COMPLETION', isUnload: true });
      case 'credit':
        return this.#report(deliver, amount, {
          ...{ type: 'original.credit.auth_plus_capture', state: 'COMPLETION', isUnload: true },
        });
      case 'chargeback':
        return this.#report(deliver, amount, {
          ...{ type: 'authorization.clearing.chargeback.provisional.credit', state: 'COMPLETION', isUnload: true },
        });
    }
  }

  async #authorize(say: Say, amount: number, deliver: Deliver): Promise<Answer | null> {
    const isAtm = this.#options.channel === 'atm';
    const type = isAtm ? 'authorization.atm.withdrawal' : 'authorization';
    const { outcome, isPartialAllowed } = say;
    return this.#ask(deliver, { amount, method: `pgfs.${type}`, type, state: 'PENDING', outcome, isPartialAllowed });
  }

  /** Asks about the first message of the life, and reports what became of it. */
  async #ask(
    deliver: Deliver,
    of: {
      readonly amount: number;
      readonly method: string;
      readonly type: string;
      readonly state: string;
      readonly outcome?: Say['outcome'];
      readonly isPartialAllowed?: boolean;
    },
  ): Promise<Answer | null> {
    const { amount, method, type, state, outcome = 'taken', isPartialAllowed = false } = of;
    const answer = await this.#question(deliver, {
      token: this.#token,
      jit: this.#jit,
      amount,
      method,
      isPartialAllowed,
    });
    this.#isNew = false;
    const isTaken = answer?.approved === true && outcome === 'taken';
    const approved = isTaken ? (answer.approvedMinor ?? amount) : amount;
    const isOn = isTaken || outcome === 'overruled';
    if (isOn && state === 'PENDING') this.#heldMinor = approved;
    if (outcome === 'overruled' && answer?.approved !== true) this.transactionId = this.#token;
    await this.#deliverMessage(deliver, approved, {
      type,
      state: isOn ? state : 'DECLINED',
      token: this.#token,
      jit: { token: this.#jit, method },
      ...(answer === null ? {} : { log: { code: String(answer.status), timed_out: outcome === 'lost' } }),
      ...(outcome === 'overruled' ? { changes: { standin_approved_by: 'COMMANDO_AUTO' } } : {}),
    });
    return answer;
  }

  async #increment(amount: number, deliver: Deliver): Promise<Answer | null> {
    const asked = { token: newToken(), jit: newToken(), method: 'pgfs.authorization.incremental', amount };
    const answer = await this.#question(deliver, { ...asked, original: this.#jit, isPartialAllowed: false });
    const isApproved = answer?.approved === true;
    if (isApproved) this.#heldMinor += amount;
    await this.#deliverMessage(deliver, amount, {
      type: 'authorization.incremental',
      state: isApproved ? 'PENDING' : 'DECLINED',
      token: asked.token,
      jit: { token: asked.jit, original: this.#jit, method: asked.method },
      ...(answer === null ? {} : { log: { code: String(answer.status) } }),
      changes: this.#links(),
    });
    return answer;
  }

  #standIn(amount: number, deliver: Deliver): Promise<Answer | null> {
    this.#heldMinor = amount;
    // Also where the engine declined: the stand-in opens a transaction by the name of its message.
    this.transactionId = this.#token;
    this.#isNew = false;
    return this.#deliverMessage(deliver, amount, {
      type: 'authorization',
      state: 'PENDING',
      token: this.#token,
      jit: { token: this.#jit, method: 'pgfs.authorization' },
      changes: { standin_approved_by: 'COMMANDO_AUTO' },
    });
  }

  #advise(total: number, deliver: Deliver): Promise<Answer | null> {
    const before = this.#heldMinor;
    this.#heldMinor = total;
    const method = total < before ? 'pgfs.authorization.reversal' : 'pgfs.authorization.incremental';
    return this.#deliverMessage(deliver, total, {
      type: 'authorization.advice',
      state: 'PENDING',
      token: newToken(),
      isUnload: total < before,
      jit: { token: newToken(), original: this.#jit, method, amount: this.#major(Math.abs(before - total)) },
      changes: { ...this.#links(), request_amount: new NumberText(this.#major(before)) },
    });
  }

  #reverse(verb: 'reverse' | 'expire', amount: number, deliver: Deliver): Promise<Answer | null> {
    const before = this.#heldMinor;
    this.#heldMinor = Math.max(0, before - amount);
    return this.#report(deliver, amount, {
      type: verb === 'expire' ? 'authorization.reversal.issuerexpiration' : 'authorization.reversal',
      state: 'PENDING',
      isUnload: true,
      changes: { request_amount: new NumberText(this.#major(Math.max(before, amount))) },
    });
  }

  /** A message that follows the life; where there is none yet, one that stands on its own. */
  #report(deliver: Deliver, amount: number, message: Omit<MarqetaMessage, 'token' | 'card' | 'amount'>) {
    const token = this.#isNew ? this.#token : newToken();
    const method = message.isUnload === true ? 'pgfs.authorization.reversal' : 'pgfs.authorization.capture';
    const follows = !this.#isNew;
    if (this.#isNew) this.transactionId = `${token}${message.isUnload === true ? ':credit' : ':clearing'}`;
    this.#isNew = false;
    return this.#deliverMessage(deliver, amount, {
      token,
      jit: { token: newToken(), ...(follows ? { original: this.#jit } : {}), method },
      ...message,
      changes: { ...(follows ? this.#links() : {}), ...message.changes },
    });
  }

  #links(): Record<string, unknown> {
    return { preceding_related_transaction_token: this.#token };
  }

  #deliverMessage(deliver: Deliver, amount: number, message: Omit<MarqetaMessage, 'card' | 'amount'>) {
    const { card, merchant, currency } = this.#options;
    const full = marqetaMessage({ ...message, card, amount: this.#major(amount) });
    const body = sampleText({
      transactions: [{ ...full, card_acceptor: acceptorOf(full, merchant), currency_code: currency }],
    });
    return deliver({
      title: message.state === 'DECLINED' ? `${message.type} DECLINED` : message.type,
      amountMinor: amount,
      isQuestion: false,
      send: async () => plainAnswer(await this.#post('/marqeta/webhook', body)),
    });
  }

  #question(
    deliver: Deliver,
    of: {
      readonly token: string;
      readonly jit: string;
      readonly amount: number;
      readonly method: string;
      readonly original?: string;
      readonly isPartialAllowed: boolean;
    },
  ): Promise<Answer | null> {
    const { card, merchant, channel, currency } = this.#options;
    const funding = {
      token: of.jit,
      method: of.method,
      amount: new NumberText(this.#major(of.amount)),
      original_jit_funding_token: of.original,
    };
    const sample = marqetaSample(funding);
    const acceptor = acceptorOf(sample, merchant) as { poi: object };
    const body = sampleText({
      ...sample,
      token: of.token,
      card_token: card,
      currency_code: currency,
      amount: new NumberText(this.#major(of.amount)),
      request_amount: new NumberText(this.#major(of.amount)),
      card_acceptor: {
        ...acceptor,
        poi: { ...acceptor.poi, partial_approval_capable: of.isPartialAllowed ? '1' : '0' },
      },
      pos: {
        ...(sample['pos'] as object),
        pan_entry_mode: entryModes[channel],
        partial_approval_capable: of.isPartialAllowed,
      },
      transaction_metadata: {
        payment_channel: channel === 'atm' ? 'ATM' : channel === 'ecommerce' ? 'ECOMMERCE' : 'OTHER',
      },
    });
    return deliver({
      title: of.method,
      amountMinor: of.amount,
      isQuestion: true,
      send: async () => answerOf(await this.#post('/marqeta/jit', body), 10 ** digitsOf(currency)),
    });
  }
}

function acceptorOf(sample: Record<string, unknown>, { id, name, mcc, country }: Merchant): object {
  return { ...(sample['card_acceptor'] as object), mid: id, name, mcc, country_code: country };
}

/** @param unit minor units of a major one */
function answerOf(reply: Reply, unit: number): Answer {
  const { status, text } = reply;
  const funding = reply.json['jit_funding'] as Record<string, unknown> | undefined;
  if ((status !== 200 && status !== 402) || funding === undefined) return plainAnswer(reply);
  const reason = funding['decline_reason'];
  const balances = funding['balances'] as Record<string, { available_balance?: number }> | undefined;
  const available = Object.values(balances ?? {})[0]?.available_balance;
  return {
    ...{ status, approved: status === 200, words: typeof reason === 'string' ? reason : 'approved' },
    ...(typeof funding['amount'] === 'number' ? { approvedMinor: Math.round(funding['amount'] * unit) } : {}),
    ...(available === undefined ? {} : { availableMinor: Math.round(available * unit) }),
    repeatable: text,
  };
}
