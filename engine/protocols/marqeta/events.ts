/**
 * `POST /marqeta/webhook`: what Marqeta's notifications report, as facts.
 *
 * Each notification has messages of transactions, one by one, up to ten times over twelve days and in any order. A
 * message is named by its own token, which is the id of its fact: it counts once. The life that it belongs to is named
 * by the token of its first message, and by the token of the JIT question (`jit_funding`) that this engine was asked.
 *
 * Every message opens its life first, in case it overtook the others: an advice under the first token. Where this
 * engine approved the question, the advice confirms that and changes nothing. Where it declined or was never asked, the
 * advice holds what the network approved. Only differences follow, so the books end the same in whatever order they
 * come.
 */
import { packLetters } from '../../core/codes.js';
import { decimalToMinor, exponentOf } from '../../core/money.js';
import type { Fact } from '../facts/codec.js';
import {
  factMerchant,
  type NotificationFault,
  type NotificationRead,
  notificationCheck,
  optionalText,
  otherKind,
  unknownPart,
} from '../facts/notification.js';
import { methods } from './methods.js';

/** Tokens have at most 36 characters; a suffix of ours must fit behind them. */
const token = { type: 'string', minLength: 1, maxLength: 52 } as const;
const optionalToken = { type: ['string', 'null'], minLength: 1, maxLength: 52 } as const;
const optionalFlag = { type: ['boolean', 'null'] } as const;
const optionalCount = { type: ['integer', 'null'] } as const;
/** Of major units: a double is exact to 15 digits, which is more than books hold with any number of decimals. */
const amountMajorMax = 1e12;
const optionalAmount = { type: ['number', 'null'], minimum: 0, maximum: amountMajorMax } as const;

interface Order {
  readonly amount?: number | null;
  readonly jit_funding?: {
    readonly token?: string | null;
    readonly original_jit_funding_token?: string | null;
    readonly method?: string | null;
    readonly amount?: number | null;
  } | null;
  readonly funding?: {
    readonly gateway_log?: {
      readonly timed_out?: boolean | null;
      readonly response?: { readonly code?: string | number | null } | null;
    } | null;
  } | null;
}

interface Message {
  readonly type: string;
  readonly state: string;
  readonly token: string;
  readonly card_token: string;
  readonly currency_code: string;
  readonly amount?: number | null;
  readonly request_amount?: number | null;
  readonly original_transaction_token?: string | null;
  readonly preceding_related_transaction_token?: string | null;
  readonly is_final_clearing?: boolean | null;
  readonly multi_clearing_sequence_number?: number | null;
  readonly multi_clearing_sequence_count?: number | null;
  readonly standin_approved_by?: string | null;
  readonly gpa_order?: Order | null;
  readonly gpa_order_unload?: Order | null;
  readonly card_acceptor?: {
    readonly mid?: string | null;
    readonly name?: string | null;
    readonly mcc?: string | null;
    readonly country_code?: string | null;
    readonly country?: string | null;
  } | null;
}

const order = {
  type: ['object', 'null'],
  properties: {
    amount: optionalAmount,
    jit_funding: {
      type: ['object', 'null'],
      properties: {
        token: optionalToken,
        original_jit_funding_token: optionalToken,
        method: optionalText,
        amount: optionalAmount,
      },
    },
    funding: {
      type: ['object', 'null'],
      properties: {
        gateway_log: {
          type: ['object', 'null'],
          properties: {
            timed_out: optionalFlag,
            response: { type: ['object', 'null'], properties: { code: { type: ['string', 'integer', 'null'] } } },
          },
        },
      },
    },
  },
};
const message = {
  type: 'object',
  required: ['type', 'state', 'token', 'card_token', 'currency_code'],
  properties: {
    type: { type: 'string' },
    state: { type: 'string' },
    token,
    card_token: token,
    currency_code: { type: 'string', pattern: '^[A-Z]{3}$' },
    amount: optionalAmount,
    request_amount: optionalAmount,
    original_transaction_token: optionalToken,
    preceding_related_transaction_token: optionalToken,
    is_final_clearing: optionalFlag,
    multi_clearing_sequence_number: optionalCount,
    multi_clearing_sequence_count: optionalCount,
    standin_approved_by: optionalText,
    gpa_order: order,
    gpa_order_unload: order,
    card_acceptor: {
      type: ['object', 'null'],
      properties: {
        mid: optionalText,
        name: optionalText,
        mcc: optionalText,
        country_code: optionalText,
        country: optionalText,
      },
    },
  },
};
/** More messages than a body of 64 KiB can hold with every field that is required. */
const messagesMax = 512;
const check = notificationCheck({
  required: ['transactions'],
  properties: { transactions: { type: 'array', maxItems: messagesMax, items: message } },
});

/** What a type of message means for the books. */
type Effect =
  | 'authorization'
  | 'increment'
  | 'advice'
  | 'reversal'
  | 'expiry'
  | 'clearing'
  | 'credit'
  /** A credit is taken back. */
  | 'debit'
  /** The order says which way the money went: none, no money. */
  | 'byOrder'
  | 'nothing';

const effects: Readonly<Record<string, Effect>> = {
  authorization: 'authorization',
  'authorization.cashback': 'authorization',
  'authorization.quasi.cash': 'authorization',
  'authorization.atm.withdrawal': 'authorization',
  'authorization.standin': 'authorization',
  'authorization.incremental': 'increment',
  'authorization.advice': 'advice',
  'authorization.reversal': 'reversal',
  'authorization.reversal.issuerexpiration': 'expiry',
  'authorization.clearing': 'clearing',
  'authorization.clearing.quasi.cash': 'clearing',
  'authorization.clearing.atm.withdrawal': 'clearing',
  'authorization.clearing.chargeback': 'byOrder',
  'authorization.clearing.chargeback.completed': 'byOrder',
  'authorization.clearing.chargeback.reversal': 'byOrder',
  'authorization.clearing.chargeback.provisional.credit': 'byOrder',
  'authorization.clearing.chargeback.provisional.debit': 'byOrder',
  'authorization.clearing.chargeback.writeoff': 'byOrder',
  pindebit: 'authorization',
  'pindebit.cashback': 'authorization',
  'pindebit.quasi.cash': 'authorization',
  'pindebit.atm.withdrawal': 'authorization',
  'pindebit.authorization': 'authorization',
  'pindebit.authorization.clearing': 'clearing',
  'pindebit.authorization.reversal': 'reversal',
  'pindebit.authorization.reversal.issuerexpiration': 'expiry',
  'pindebit.chargeback': 'byOrder',
  'pindebit.chargeback.completed': 'byOrder',
  'pindebit.chargeback.reversal': 'byOrder',
  'pindebit.refund': 'credit',
  refund: 'credit',
  'refund.authorization': 'nothing',
  'refund.authorization.advice': 'nothing',
  'refund.authorization.reversal': 'nothing',
  'refund.authorization.clearing': 'credit',
  'original.credit.authorization': 'nothing',
  'original.credit.authorization.reversal': 'nothing',
  'original.credit.authorization.clearing': 'credit',
  'original.credit.auth_plus_capture': 'credit',
  'original.credit.auth_plus_capture.reversal': 'debit',
  'dispute.credit': 'byOrder',
  'dispute.debit': 'byOrder',
  balanceinquiry: 'nothing',
  'pindebit.balanceinquiry': 'nothing',
};

/** Purchases in one message: this engine posts them when it approves them, and no clearing follows. */
const singleTypes = new Set(['pindebit', 'pindebit.cashback', 'pindebit.quasi.cash', 'pindebit.atm.withdrawal']);
const singleMethods = new Set([
  ...methods.filter(({ capture }) => capture).map(({ name }) => name),
  'pgfs.auth_plus_capture.standin',
]);

const declinedStates = new Set(['DECLINED', 'ERROR']);
/** A clearing or a credit that is pending comes again when it is done. */
const doneStates = new Set(['COMPLETION', 'CLEARED']);

/** Counted when the two readings of an advice disagree: its new total, and the difference to the one before. */
export const mismatchedAdvice = 'mismatched_advice';
export const ping = 'ping';

/** @param body what JSON.parse gave */
export function marqetaNotification(body: unknown): NotificationRead {
  const { pings, transactions } = (body ?? {}) as { pings?: unknown; transactions?: unknown };
  if (transactions === undefined) return { kinds: [Array.isArray(pings) ? ping : otherKind], facts: [] };
  const fault = check(body);
  if (fault !== null) return fault;
  const facts: Fact[] = [];
  const kinds: string[] = [];
  for (const [index, found] of (transactions as readonly Message[]).entries()) {
    // A type may have the name of something that every object has, such as `constructor`.
    const effect = Object.hasOwn(effects, found.type) ? effects[found.type] : undefined;
    if (effect === undefined) kinds.push(unknownPart);
    else {
      const reader = new MessageFacts(found);
      reader.read(effect);
      if (reader.fault !== null) return { ...reader.fault, field: `transactions.${index}.${reader.fault.field}` };
      kinds.push(found.type, ...reader.kinds);
      facts.push(...reader.facts);
    }
  }
  return { kinds, facts };
}

const amountMust = 'must be a decimal number with no more fraction digits than its currency has';
const currencyMust = 'must be a currency of ISO 4217 in upper-case letters, such as USD';

class MessageFacts {
  readonly facts: Fact[] = [];
  readonly kinds: string[] = [];
  /** By its path within the message. */
  fault: NotificationFault | null = null;
  readonly #message: Message;
  readonly #order: Order;
  readonly #base: Pick<Fact, 'card' | 'currency' | 'merchant'>;
  readonly #exponent: number;

  constructor(message: Message) {
    this.#message = message;
    this.#order = message.gpa_order_unload ?? message.gpa_order ?? {};
    const { mid: id, name, mcc, country_code, country } = message.card_acceptor ?? {};
    this.#exponent = exponentOf(packLetters(message.currency_code));
    this.#base = {
      card: message.card_token,
      currency: message.currency_code,
      merchant: factMerchant({ id, name, mcc, country: country_code ?? country }),
    };
  }

  read(effect: Effect): void {
    const { state } = this.#message;
    if (declinedStates.has(state)) {
      if (effect === 'authorization' || effect === 'increment') this.#declined(effect);
      return;
    }
    switch (effect) {
      case 'authorization':
        this.#authorization();
        break;
      case 'increment':
        this.#increment();
        break;
      case 'advice':
        this.#advice();
        break;
      case 'reversal':
        this.#reversal(this.#amount('amount'));
        break;
      case 'expiry':
        this.#reversal(undefined);
        break;
      case 'clearing':
        if (doneStates.has(state)) this.#clearing();
        break;
      case 'credit':
      case 'debit':
        if (doneStates.has(state)) this.#moved(effect, this.#amount('amount'));
        break;
      case 'byOrder':
        if (doneStates.has(state)) this.#byOrder();
        break;
      case 'nothing':
        break;
    }
  }

  /** Minor units of the message's amount; 0: it has none. The shortest text of a double has the digits that came. */
  #amount(name: 'amount' | 'request_amount'): number {
    return this.#minor(name, this.#message[name]);
  }

  /** What this engine was asked about; else what the message is about. */
  #askedAmount(): number {
    const asked = this.#order.jit_funding?.amount;
    return asked == null ? this.#amount('amount') : this.#minor('gpa_order.jit_funding.amount', asked);
  }

  #minor(name: string, major: number | null | undefined): number {
    if (major == null) return 0;
    if (this.#exponent < 0) {
      this.fault ??= { field: 'currency_code', message: currencyMust };
      return 0;
    }
    const digits = Buffer.from(String(major));
    const minor = decimalToMinor(digits, 0, digits.length, this.#exponent);
    if (minor >= 0) return minor;
    this.fault ??= { field: name, message: amountMust };
    return 0;
  }

  #authorization(): void {
    const { token } = this.#message;
    const jit = this.#order.jit_funding;
    const amount = this.#askedAmount();
    if (amount === 0) return;
    // Also gives the life its second name, by which a refund finds a purchase that this engine posted.
    this.#add({ id: token, type: 'advice', answers: 'authorization', original: jit?.token ?? undefined, amount });
    // Posted already where this engine approved it.
    if (!this.#isSingle() || this.#isOurs()) return;
    const posting = { type: 'clearing', answers: 'authorization', original: token, amount, final: true } as const;
    this.#add({ id: `${token}:posted`, ...posting });
  }

  /** One that this engine approved is held already. */
  #increment(): void {
    const amount = this.#askedAmount();
    if (amount === 0 || this.#isOurs()) return;
    const original = this.#opened(amount);
    this.#add({ id: this.#message.token, type: 'advice', answers: 'incremental', original, amount });
  }

  /** The amount is the new total, that of the JIT funding the difference to the total before. */
  #advice(): void {
    const { token } = this.#message;
    const total = this.#amount('amount');
    const before = this.#amount('request_amount');
    const jit = this.#order.jit_funding?.amount;
    if (jit == null && before === 0) {
      // Nothing tells the difference.
      const original = this.#opened(total);
      if (total > 0) this.#add({ id: `${token}:total`, type: 'advice', original, amount: total });
      else this.#add({ id: `${token}:total`, type: 'reversal', original });
      return;
    }
    const isLower = this.#isLower(total, before);
    const difference = jit == null ? Math.abs(before - total) : this.#askedAmount();
    const wasBefore = isLower ? total + difference : total - difference;
    if (before !== 0 && before !== wasBefore) this.kinds.push(mismatchedAdvice);
    if (difference === 0) return;
    const original = this.#opened(Math.max(wasBefore, 0));
    if (isLower) this.#add({ id: token, type: 'reversal', original, amount: difference });
    else this.#add({ id: token, type: 'advice', answers: 'incremental', original, amount: difference });
  }

  #isLower(total: number, before: number): boolean {
    if (this.#message.gpa_order_unload != null) return true;
    const method = this.#order.jit_funding?.method;
    if (method?.endsWith('.reversal') === true) return true;
    return before !== 0 && total < before;
  }

  /** @param amount undefined: all that is left */
  #reversal(amount: number | undefined): void {
    const { token } = this.#message;
    if (amount === 0) return;
    const reversed = this.#amount('amount');
    const original = this.#opened(Math.max(this.#amount('request_amount'), reversed));
    this.#add({ id: `${token}:reversal`, type: 'reversal', original, amount });
  }

  #clearing(): void {
    const message = this.#message;
    const amount = this.#amount('amount');
    const final = this.#isFinal();
    if (amount === 0 && !final) return;
    const original = this.#opened(amount);
    // Of nothing: what is left of the hold ends. A force post of nothing is nothing.
    if (amount > 0) this.#add({ id: `${message.token}:clearing`, type: 'clearing', original, amount, final });
    else if (original !== undefined) this.#add({ id: `${message.token}:clearing`, type: 'reversal', original });
  }

  #isFinal(): boolean {
    const {
      is_final_clearing: isFinal,
      multi_clearing_sequence_number: number,
      multi_clearing_sequence_count: count,
    } = this.#message;
    if (isFinal != null) return isFinal;
    return number == null || count == null || number >= count;
  }

  #moved(effect: 'credit' | 'debit', amount: number): void {
    if (amount === 0) return;
    const { token } = this.#message;
    const original = this.#chain() ?? this.#order.jit_funding?.original_jit_funding_token ?? undefined;
    if (effect === 'credit') this.#add({ id: `${token}:credit`, type: 'refund', original, amount });
    // A purchase that was refunded is over: what is taken again stands on its own.
    else this.#add({ id: `${token}:debit`, type: 'clearing', amount, final: true });
  }

  #byOrder(): void {
    const { gpa_order: debit, gpa_order_unload: credit } = this.#message;
    if (credit != null) this.#moved('credit', this.#minor('gpa_order_unload.amount', credit.amount));
    else if (debit != null) this.#moved('debit', this.#minor('gpa_order.amount', debit.amount));
  }

  /**
   * The network did not take it. Where this engine may have approved, that ends. Its own declines, and those of
   * Marqeta's controls, only inform.
   */
  #declined(effect: 'authorization' | 'increment'): void {
    const jit = this.#order.jit_funding;
    const log = this.#order.funding?.gateway_log;
    if (jit?.token == null || (this.#answered() === '402' && log?.timed_out !== true)) return;
    const id = `${this.#message.token}:declined`;
    const original = jit.token;
    if (effect === 'authorization') this.#add({ id, type: 'reversal', answers: 'authorization', original });
    else {
      const amount = this.#askedAmount();
      if (amount > 0) this.#add({ id, type: 'reversal', original, amount });
    }
  }

  /** Whether the network took an approval of this engine. */
  #isOurs(): boolean {
    const { type, standin_approved_by: standIn } = this.#message;
    if (type === 'authorization.standin' || (standIn ?? '') !== '') return false;
    if (this.#order.jit_funding?.method?.endsWith('.standin') === true) return false;
    const log = this.#order.funding?.gateway_log;
    return log != null && log.timed_out !== true && this.#answered() === '200';
  }

  #answered(): string {
    return String(this.#order.funding?.gateway_log?.response?.code ?? '');
  }

  #isSingle(): boolean {
    const { type } = this.#message;
    return singleTypes.has(type) || singleMethods.has(this.#order.jit_funding?.method ?? '');
  }

  /** Token of the first message of the life. */
  #chain(): string | undefined {
    const { original_transaction_token: first, preceding_related_transaction_token: before } = this.#message;
    return first ?? before ?? undefined;
  }

  /**
   * Opens the life of a message that follows another one, in case that it overtook it.
   * @param amount of the life before this message, as far as the message tells; 0: it does not
   * @returns by what facts name the life; undefined: the message follows nothing
   */
  #opened(amount: number): string | undefined {
    const chain = this.#chain();
    const asked = this.#order.jit_funding?.original_jit_funding_token ?? undefined;
    if (chain === undefined || asked === undefined) return chain ?? asked;
    if (amount > 0) this.#add({ id: chain, type: 'advice', answers: 'authorization', original: asked, amount });
    return chain;
  }

  #add(fact: Omit<Fact, 'card' | 'currency' | 'merchant'>): void {
    this.facts.push({ ...this.#base, ...fact });
  }
}
