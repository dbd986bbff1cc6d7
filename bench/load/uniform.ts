/**
 * The plainest traffic: one kind of question, cards all alike, the cheapest to generate, so that a closed loop measures
 * the server. The request is bytes built once per connection. Only id, card number and amount are patched in place, in
 * ASCII, at fixed offsets. So no request needs a string, and Content-Length is constant.
 *
 *   POST <path> HTTP/1.1 … Content-Length: n ␍␊␍␊
 *   {"id":"<prefix>t01n000000042","type":…,"card":"card_000007_1","amount":1250,…}
 *
 * Not for odd or malformed requests: those are the tests' and the fuzzers' job.
 */
import type { AnswerView } from './answer.js';
import { Decision, DecisionReader, echoesId } from './decision.js';
import { cardDigits, idOfThread, sequenceDigitCount, writeDigits } from './ids.js';
import { integer } from './options.js';
import { Random } from './random.js';
import {
  type Credentials,
  type Exchange,
  requestHead,
  type Traffic,
  type TrafficContext,
  type TrafficPlan,
  Verdict,
} from './traffic.js';

export interface UniformOptions {
  readonly path: string;
  readonly credentials: Credentials | null;
  readonly kind: 'authorization' | 'balance_inquiry';
  /** Must be new for every run against the same engine: it remembers ids. See newIdPrefix(). */
  readonly idPrefix: string;
  /** Accounts (with one card each) `cardFirst` … `cardFirst + cardCount − 1`; one card is one hot account. */
  readonly cardFirst: number;
  readonly cardCount: number;
  /** Up to 9, drawn at random: with one account this is a hot account of several cards. Usually 1. */
  readonly cardsPerAccount: number;
  /** `random`: uniform, from the seed. `sequence`: every card in turn. */
  readonly cardOrder: 'random' | 'sequence';
  /** Amounts are uniform in [min, max], minor units; both have the same number of digits. */
  readonly amountMinorMin: number;
  readonly amountMinorMax: number;
  /**
   * `decision`: yes or no is read, yes is right. `echo`: the server gives back what it got, and the id is all there is
   * to check.
   */
  readonly answers: 'decision' | 'echo';
}

/** Names this traffic for load(). Throws on options that make no sense. */
export function uniformTraffic(options: UniformOptions): TrafficPlan {
  integer('cardFirst', options.cardFirst, 1, 999_999_999);
  integer('cardCount', options.cardCount, 1, 999_999_999);
  integer('cardsPerAccount', options.cardsPerAccount, 1, 9);
  integer('amountMinorMin', options.amountMinorMin, 1, 999_999_999);
  integer('amountMinorMax', options.amountMinorMax, options.amountMinorMin, 999_999_999);
  idOfThread(options.idPrefix, 0);
  if (String(options.amountMinorMin).length !== String(options.amountMinorMax).length)
    throw new RangeError('load: amountMinorMin and amountMinorMax must have the same number of digits');
  return { module: import.meta.url, options };
}

interface UniformExchange extends Exchange {
  /** One per length of card numbers, shortest first: each length has its own Content-Length. */
  readonly messages: readonly UniformMessage[];
  /** The one in flight. */
  sent: UniformMessage;
}

export function createTraffic(options: UniformOptions, context: TrafficContext): Traffic<UniformExchange> {
  return new UniformTraffic(options, context);
}

class UniformTraffic implements Traffic<UniformExchange> {
  readonly kinds: readonly string[];
  readonly #options: UniformOptions;
  readonly #context: TrafficContext;
  readonly #random: Random;
  readonly #reader = new DecisionReader();
  readonly #amountSpan: number;
  /** The first card number that needs the second message. */
  readonly #cardNarrowEnd: number;
  #sequence = 0;

  constructor(options: UniformOptions, context: TrafficContext) {
    this.kinds = [options.kind];
    this.#options = options;
    this.#context = context;
    this.#random = new Random(context.seed, context.threadNumber);
    this.#amountSpan = options.amountMinorMax - options.amountMinorMin + 1;
    this.#cardNarrowEnd = 10 ** cardDigits(options.cardFirst);
  }

  exchange(): UniformExchange {
    const { cardFirst, cardCount } = this.#options;
    const messages: UniformMessage[] = [];
    for (let digits = cardDigits(cardFirst); digits <= cardDigits(cardFirst + cardCount - 1); digits++) {
      messages.push(new UniformMessage(this.#options, this.#context, digits));
    }
    return { kind: 0, messages, sent: messages[0]! };
  }

  compose(exchange: UniformExchange): Uint8Array {
    const sequence = this.#sequence++;
    const card = this.#card(sequence);
    const { messages } = exchange;
    const index = card < this.#cardNarrowEnd ? 0 : cardDigits(card) - cardDigits(this.#options.cardFirst);
    const message = messages[index]!;
    const { cardsPerAccount, amountMinorMin } = this.#options;
    const cardOfAccount = cardsPerAccount === 1 ? 1 : 1 + this.#random.below(cardsPerAccount);
    message.patch(sequence, card, cardOfAccount, amountMinorMin + this.#random.below(this.#amountSpan));
    exchange.sent = message;
    return message.bytes;
  }

  judge({ sent }: UniformExchange, answer: AnswerView): Verdict {
    if (answer.status === 503 || answer.status === 429) return Verdict.refused;
    // A no of Marqeta's form is a 402.
    if (answer.status !== 200 && answer.status !== 402) return Verdict.wrong;
    if (this.#options.answers === 'echo') {
      return echoesId(answer, sent.bytes, sent.idOffset, sent.idLength) ? Verdict.right : Verdict.wrong;
    }
    const decision = this.#reader.read(answer, sent.bytes, sent.idOffset, sent.idLength);
    if (decision === Decision.approved) return Verdict.right;
    return decision === Decision.declined ? Verdict.declined : Verdict.wrong;
  }

  #card(sequence: number): number {
    const { cardOrder, cardFirst, cardCount } = this.#options;
    if (cardOrder === 'random') return cardFirst + this.#random.below(cardCount);
    // Thread t takes cards t, t + threads, …: together they visit every card once per round.
    return cardFirst + ((sequence * this.#context.threadCount + this.#context.threadNumber) % cardCount);
  }
}

/** The request of one connection. */
export class UniformMessage {
  /** The whole request, head and body; what a socket sends. */
  readonly bytes: Buffer;
  /** Where the id stands in `bytes`, for comparing it with an answer. */
  readonly idOffset: number;
  readonly idLength: number;
  readonly #cardDigitCount: number;
  readonly #sequenceOffset: number;
  readonly #cardOffset: number;
  readonly #amountOffset: number;
  readonly #amountDigitCount: number;

  constructor(
    options: Pick<UniformOptions, 'path' | 'credentials' | 'kind' | 'idPrefix' | 'amountMinorMin'>,
    context: Pick<TrafficContext, 'host' | 'port' | 'threadNumber'>,
    cardDigitCount: number,
  ) {
    const id = idOfThread(options.idPrefix, context.threadNumber) + '0'.repeat(sequenceDigitCount);
    const card = `card_${'0'.repeat(cardDigitCount)}_1`;
    this.#amountDigitCount = String(options.amountMinorMin).length;
    // Leading zeros would not be JSON.
    const amount = '1'.repeat(this.#amountDigitCount);
    const merchant = '"merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"}';
    const body =
      options.kind === 'authorization'
        ? `{"id":"${id}","type":"authorization","card":"${card}","amount":${amount},"currency":"USD",` +
          `${merchant},"channel":"contactless"}`
        : `{"id":"${id}","type":"balance_inquiry","card":"${card}","currency":"USD",${merchant},"channel":"atm"}`;
    const head = `${requestHead(options.path, context, options.credentials)}${Buffer.byteLength(body)}\r\n\r\n`;
    // allocUnsafeSlow: a buffer of its own, not a slice of Node's shared pool.
    this.bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(head) + Buffer.byteLength(body));
    const bodyOffset = this.bytes.write(head, 0);
    this.bytes.write(body, bodyOffset);
    this.idOffset = bodyOffset + '{"id":"'.length;
    this.idLength = Buffer.byteLength(id);
    this.#cardDigitCount = cardDigitCount;
    this.#sequenceOffset = this.idOffset + this.idLength - sequenceDigitCount;
    this.#cardOffset = this.bytes.indexOf('"card":"card_', bodyOffset) + '"card":"card_'.length;
    const amountAt = this.bytes.indexOf('"amount":', bodyOffset);
    this.#amountOffset = amountAt < 0 ? -1 : amountAt + '"amount":'.length;
  }

  /** Writes the next question. `amountMinor` is ignored by messages that carry none. */
  patch(sequence: number, cardNumber: number, cardOfAccount: number, amountMinor: number): void {
    writeDigits(this.bytes, this.#sequenceOffset, sequenceDigitCount, sequence);
    writeDigits(this.bytes, this.#cardOffset, this.#cardDigitCount, cardNumber);
    // `card_000007_1`: the digit after the underscore.
    this.bytes[this.#cardOffset + this.#cardDigitCount + 1] = 48 + cardOfAccount;
    if (this.#amountOffset >= 0) writeDigits(this.bytes, this.#amountOffset, this.#amountDigitCount, amountMinor);
  }
}
