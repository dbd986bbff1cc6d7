/**
 * Traffic as a card program sees it. Some cards and shops are far busier than others, and amounts depend on the kind of
 * shop. An authorization lives its whole life: it grows, is cleared, reversed, refunded and repeated. The answer to
 * every message is known in advance and checked. It is a yes where there is money, a no where there cannot be enough,
 * and the same bytes for a repeat.
 *
 * All from the seed, except which authorization a follow-up speaks of: that is the oldest one that was answered.
 */
import type { AnswerView } from './answer.js';
import { Decision, DecisionReader } from './decision.js';
import { cardDigits, idOfThread, sequenceDigitCount, writeDigits } from './ids.js';
import { type Merchant, makeMerchants } from './merchants.js';
import { integer } from './options.js';
import { Random, Skew } from './random.js';
import {
  type Credentials,
  type Exchange,
  requestHead,
  type Traffic,
  type TrafficContext,
  type TrafficPlan,
  Verdict,
} from './traffic.js';
import { TransactionBook } from './transaction-book.js';

export interface LifeCycleOptions {
  readonly path: string;
  readonly credentials: Credentials | null;
  /** Must be new for every run against the same engine: it remembers ids. See newIdPrefix(). */
  readonly idPrefix: string;
  /** Accounts `cardFirst` … `cardFirst + cardCount − 1`, one card each. */
  readonly cardFirst: number;
  readonly cardCount: number;
  /** 0: all cards alike; below 1. At 0.8 the busiest of 10,000 cards carries 2.8 % of the traffic. */
  readonly cardSkew: number;
  /** `all`: the whole life cycle. `authorizations`: only those, and what asks them again. */
  readonly mix: 'all' | 'authorizations';
  /** More than any account has: an authorization of this amount must be declined. */
  readonly unaffordableMinor: number;
}

export function lifeCycleTraffic(options: LifeCycleOptions): TrafficPlan {
  integer('cardFirst', options.cardFirst, 1, 999_999);
  integer('cardCount', options.cardCount, 1, 999_999);
  integer('unaffordableMinor', options.unaffordableMinor, 1, Number.MAX_SAFE_INTEGER);
  if (cardDigits(options.cardFirst + options.cardCount - 1) !== 6)
    throw new RangeError('load: this traffic knows cards up to number 999999');
  idOfThread(options.idPrefix, 0);
  return { module: import.meta.url, options };
}

const kinds = [
  'authorization',
  'unaffordable',
  'repeat',
  'incremental',
  'clearing',
  'reversal',
  'refund',
  'verification',
  'balance_inquiry',
] as const;
type KindName = (typeof kinds)[number];
const Kind = Object.fromEntries(kinds.map((name, index) => [name, index])) as Record<KindName, number>;

/**
 * Of a thousand messages. Most authorizations are cleared once; the rest of the shares are chosen to exercise, not to
 * mirror.
 */
const shares: Record<LifeCycleOptions['mix'], Partial<Record<KindName, number>>> = {
  all: {
    authorization: 480,
    unaffordable: 10,
    repeat: 20,
    incremental: 40,
    clearing: 340,
    reversal: 40,
    refund: 30,
    verification: 15,
    balance_inquiry: 25,
  },
  authorizations: { authorization: 970, unaffordable: 10, repeat: 20 },
};

/** The wire's name of a kind. */
const typeOf = (kind: KindName) => (kind === 'unaffordable' || kind === 'repeat' ? 'authorization' : kind);
const hasAmount = (kind: KindName) => kind !== 'verification' && kind !== 'balance_inquiry';
const hasOriginal = (kind: KindName) => ['incremental', 'clearing', 'reversal', 'refund'].includes(kind);

const merchantCount = 1000;
const merchantSkew = 0.7;
/** A purchase of more than this is not made with a card. */
const amountMinorMax = 2_000_000;
/** Spread of amounts around the shop's median, as the deviation of the logarithm. */
const amountSpread = 0.7;
/** Enough that a follow-up comes a few seconds after its authorization at 10,000 a second. */
const transactionCountMax = 2 ** 16;
/** Questions that can be asked again. */
const askedCountMax = 1024;
const requestBytesMax = 1024;

/** An authorization that was answered and can be asked again. */
interface Asked {
  readonly sequence: number;
  readonly card: number;
  readonly amountMinor: number;
  readonly tail: Uint8Array;
  readonly answerHash: number;
}

interface LifeCycleExchange extends Exchange {
  readonly bytes: Buffer;
  readonly transaction: { sequence: number; card: number; amountMinor: number };
  sequence: number;
  card: number;
  amountMinor: number;
  tail: Uint8Array;
  /** For a repeat: what the first answer said. */
  answerHash: number;
}

export function createTraffic(options: LifeCycleOptions, context: TrafficContext): Traffic<LifeCycleExchange> {
  return new LifeCycleTraffic(options, context);
}

class LifeCycleTraffic implements Traffic<LifeCycleExchange> {
  readonly kinds = kinds;
  readonly #options: LifeCycleOptions;
  readonly #random: Random;
  readonly #cards: Skew;
  readonly #merchants: readonly Merchant[];
  readonly #merchantSkew = new Skew(merchantCount, merchantSkew);
  readonly #reader = new DecisionReader();
  readonly #open = new TransactionBook(transactionCountMax);
  readonly #cleared = new TransactionBook(transactionCountMax);
  readonly #asked: Asked[] = [];
  /** Kind per thousandth of the traffic. */
  readonly #deck: Uint8Array;
  readonly #head: Buffer;
  readonly #idStart: Buffer;
  readonly #idLength: number;
  /** Per kind: from the id's end to the card's number, from the card to the amount, and from there to the original. */
  readonly #toCard: readonly Buffer[];
  readonly #toAmount = text('_1","amount":');
  readonly #afterCard = text('_1","currency":"USD"');
  readonly #afterAmount = text(',"currency":"USD"');
  readonly #toOriginal: Buffer;
  #sequence = 0;

  constructor(options: LifeCycleOptions, context: TrafficContext) {
    this.#options = options;
    this.#random = new Random(context.seed, context.threadNumber);
    this.#cards = new Skew(options.cardCount, options.cardSkew);
    // From the seed alone: all threads see the same shops.
    this.#merchants = makeMerchants(merchantCount, new Random(context.seed, -1));
    this.#deck = Uint8Array.from(kinds.flatMap((kind) => Array(shares[options.mix][kind] ?? 0).fill(Kind[kind])));
    const id = idOfThread(options.idPrefix, context.threadNumber);
    this.#idLength = id.length + sequenceDigitCount;
    this.#head = text(requestHead(options.path, context, options.credentials));
    this.#idStart = text(`{"id":"${id}`);
    this.#toCard = kinds.map((kind) => text(`","type":"${typeOf(kind)}","card":"card_`));
    this.#toOriginal = text(`,"original":"${id}`);
  }

  exchange(): LifeCycleExchange {
    const bytes = Buffer.allocUnsafeSlow(requestBytesMax);
    bytes.set(this.#head);
    bytes.write('000\r\n\r\n', this.#head.length);
    const tail = this.#merchants[0]!.tails[0]!;
    const transaction = { sequence: 0, card: 0, amountMinor: 0 };
    return { kind: 0, bytes, transaction, sequence: 0, card: 0, amountMinor: 0, tail, answerHash: 0 };
  }

  compose(exchange: LifeCycleExchange): Uint8Array {
    const merchant = this.#merchants[this.#merchantSkew.pick(this.#random)]!;
    exchange.tail = merchant.tails[this.#random.below(merchant.tails.length)]!;
    exchange.kind = this.#deck[this.#random.below(this.#deck.length)]!;
    const kind = this.#prepare(exchange, merchant);
    exchange.kind = Kind[kind];
    return this.#write(exchange, kind);
  }

  /**
   * Fills in who and how much. @returns the kind, which is a plain authorization when there is nothing to follow up.
   */
  #prepare(exchange: LifeCycleExchange, merchant: Merchant): KindName {
    const kind = kinds[exchange.kind]!;
    const { transaction } = exchange;
    const random = this.#random;
    switch (kind) {
      case 'repeat': {
        if (this.#asked.length === 0) break;
        const asked = this.#asked[random.below(this.#asked.length)]!;
        Object.assign(exchange, asked);
        return kind;
      }
      case 'incremental':
      case 'clearing':
      case 'reversal':
      case 'refund':
        if (!(kind === 'refund' ? this.#cleared : this.#open).take(transaction)) break;
        exchange.sequence = this.#sequence++;
        exchange.card = transaction.card;
        exchange.amountMinor = kind === 'incremental' ? 1 + random.below(500) : transaction.amountMinor;
        return kind;
      case 'verification':
      case 'balance_inquiry':
      case 'unaffordable':
        this.#newQuestion(exchange, this.#options.unaffordableMinor);
        return kind;
      case 'authorization':
        break;
    }
    const spread = Math.exp(random.normal() * amountSpread);
    this.#newQuestion(exchange, Math.min(amountMinorMax, Math.max(1, Math.round(merchant.amountMedianMinor * spread))));
    return 'authorization';
  }

  #newQuestion(exchange: LifeCycleExchange, amountMinor: number): void {
    exchange.sequence = this.#sequence++;
    exchange.card = this.#options.cardFirst + this.#cards.pick(this.#random);
    exchange.amountMinor = amountMinor;
  }

  #write({ bytes, transaction, sequence, card, amountMinor, tail }: LifeCycleExchange, kind: KindName): Uint8Array {
    const lengthAt = this.#head.length;
    const bodyAt = lengthAt + 7;
    let at = put(bytes, bodyAt, this.#idStart);
    writeDigits(bytes, at, sequenceDigitCount, sequence);
    at = put(bytes, at + sequenceDigitCount, this.#toCard[Kind[kind]]!);
    writeDigits(bytes, at, 6, card);
    at += 6;
    if (hasAmount(kind)) {
      at = put(bytes, at, this.#toAmount);
      at += bytes.write(String(amountMinor), at, 'latin1');
      at = put(bytes, at, this.#afterAmount);
    } else {
      at = put(bytes, at, this.#afterCard);
    }
    if (hasOriginal(kind)) {
      at = put(bytes, at, this.#toOriginal);
      writeDigits(bytes, at, sequenceDigitCount, transaction.sequence);
      at += sequenceDigitCount;
      bytes[at++] = 34;
    }
    at = put(bytes, at, tail);
    // Bodies have 100 to 999 bytes: three digits, as `000` left room for.
    writeDigits(bytes, lengthAt, 3, at - bodyAt);
    return bytes.subarray(0, at);
  }

  judge(exchange: LifeCycleExchange, answer: AnswerView): Verdict {
    if (answer.status === 503 || answer.status === 429) return this.#notDone(exchange, Verdict.refused);
    if (answer.status !== 200 && answer.status !== 402) return Verdict.wrong;
    const decision = this.#reader.read(
      answer,
      exchange.bytes,
      this.#head.length + 7 + '{"id":"'.length,
      this.#idLength,
    );
    if (decision !== Decision.approved && decision !== Decision.declined) return Verdict.wrong;
    const kind = kinds[exchange.kind]!;
    if (kind === 'unaffordable') return decision === Decision.declined ? Verdict.right : Verdict.wrong;
    if (kind === 'repeat') return answerHash(answer) === exchange.answerHash ? Verdict.right : Verdict.wrong;
    if (decision === Decision.declined) return this.#notDone(exchange, Verdict.declined);
    const { transaction, sequence, card, amountMinor, tail } = exchange;
    if (kind === 'authorization') {
      this.#open.add(exchange);
      // One in eight, so that hashing costs little.
      if ((sequence & 7) === 0) {
        const asked = { sequence, card, amountMinor, tail, answerHash: answerHash(answer) };
        if (this.#asked.length < askedCountMax) this.#asked.push(asked);
        else this.#asked[(sequence >> 3) & (askedCountMax - 1)] = asked;
      }
    } else if (kind === 'incremental') {
      transaction.amountMinor += amountMinor;
      this.#open.add(transaction);
    } else if (kind === 'clearing') {
      this.#cleared.add(transaction);
    }
    return Verdict.right;
  }

  /** The transaction that it spoke of is as it was before. */
  #notDone(exchange: LifeCycleExchange, verdict: Verdict): Verdict {
    const kind = kinds[exchange.kind]!;
    if (hasOriginal(kind)) (kind === 'refund' ? this.#cleared : this.#open).add(exchange.transaction);
    return verdict;
  }
}

function text(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

function put(bytes: Uint8Array, at: number, part: Uint8Array): number {
  bytes.set(part, at);
  return at + part.length;
}

const comma = ','.charCodeAt(0);
const timeKey = text(',"responseTimeMs":');

/** Of the body up to `responseTimeMs`, which is last and the only field that differs when a question is asked again. */
function answerHash({ bytes, bodyStart, bodyEnd }: AnswerView): number {
  let end = bodyEnd - 1;
  while (end > bodyStart && bytes[end] !== comma) end--;
  if (end + timeKey.length > bodyEnd || bytes[end + 2] !== timeKey[2] || bytes[end + 10] !== timeKey[10]) end = bodyEnd;
  let hash = 0x811c9dc5;
  for (let at = bodyStart; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash;
}
