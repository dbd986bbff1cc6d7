/**
 * The request of the load generator as bytes: built once per connection, then only id, card number and amount are
 * patched in place, in ASCII, at fixed offsets. No string is built per request and Content-Length is constant.
 *
 *   POST <path> HTTP/1.1 … Content-Length: n ␍␊␍␊ {"id":"<prefix>t01n000000042","type":…,"card":"card_000007_1","amount":1250,…}
 *
 * Not for odd or malformed requests: those are the tests' and the fuzzers' job.
 */

export type MessageKind = 'authorization' | 'balance_inquiry';

export interface MessageShape {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Basic credentials; null sends no Authorization header. */
  readonly credentials: { readonly user: string; readonly password: string } | null;
  readonly kind: MessageKind;
  /** First part of every id; must differ between runs, because the engine remembers ids. */
  readonly idPrefix: string;
  /** Number of the sending thread, 0–99: keeps the ids of threads apart. */
  readonly threadNumber: number;
  /** Decimal digits of the card numbers this buffer can carry, see cardDigits(). */
  readonly cardDigitCount: number;
  /** Decimal digits of the amounts this buffer can carry; leading zeros would not be JSON. */
  readonly amountDigitCount: number;
}

/** Digits of the running number in an id: a billion requests per thread and run. */
export const sequenceDigitCount = 9;
export const sequenceMax = 10 ** sequenceDigitCount - 1;
/** Ids are at most 64 characters; the rest is `t01n` and the running number. */
export const idPrefixLengthMax = 64 - 4 - sequenceDigitCount;

/** Card numbers are written with six digits at least, then more: `card_000001_1`, `card_1000000_1`. */
export function cardDigits(cardNumber: number): number {
  return Math.max(6, String(cardNumber).length);
}

/** The token of the only card of account `cardNumber`, as the seed names it. */
export function cardToken(cardNumber: number): string {
  return `card_${String(cardNumber).padStart(6, '0')}_1`;
}

export class Message {
  /** The whole request, head and body; what a socket sends. */
  readonly bytes: Buffer;
  /** Where the id stands in `bytes`, for comparing it with an answer. */
  readonly idOffset: number;
  readonly idLength: number;
  readonly cardDigitCount: number;
  readonly #sequenceOffset: number;
  readonly #cardOffset: number;
  readonly #amountOffset: number;
  readonly #amountDigitCount: number;

  constructor(shape: MessageShape) {
    const id = `${shape.idPrefix}t${String(shape.threadNumber).padStart(2, '0')}n${'0'.repeat(sequenceDigitCount)}`;
    const card = `card_${'0'.repeat(shape.cardDigitCount)}_1`;
    const amount = '1'.repeat(shape.amountDigitCount);
    const merchant = '"merchant":{"id":"m-1","name":"Corner Store","mcc":"5411","country":"US"}';
    const body =
      shape.kind === 'authorization'
        ? `{"id":"${id}","type":"authorization","card":"${card}","amount":${amount},"currency":"USD",${merchant},"channel":"contactless"}`
        : `{"id":"${id}","type":"balance_inquiry","card":"${card}","currency":"USD",${merchant},"channel":"atm"}`;
    const authorization =
      shape.credentials === null
        ? ''
        : `Authorization: Basic ${Buffer.from(`${shape.credentials.user}:${shape.credentials.password}`).toString('base64')}\r\n`;
    const head =
      `POST ${shape.path} HTTP/1.1\r\nHost: ${shape.host}:${shape.port}\r\n${authorization}` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
    // allocUnsafeSlow: a buffer of its own, not a slice of Node's shared pool.
    this.bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(head) + Buffer.byteLength(body));
    const bodyOffset = this.bytes.write(head, 0);
    this.bytes.write(body, bodyOffset);
    this.idOffset = bodyOffset + '{"id":"'.length;
    this.idLength = Buffer.byteLength(id);
    this.cardDigitCount = shape.cardDigitCount;
    this.#sequenceOffset = this.idOffset + this.idLength - sequenceDigitCount;
    this.#cardOffset = this.bytes.indexOf('"card":"card_', bodyOffset) + '"card":"card_'.length;
    const amountAt = this.bytes.indexOf('"amount":', bodyOffset);
    this.#amountOffset = amountAt < 0 ? -1 : amountAt + '"amount":'.length;
    this.#amountDigitCount = shape.amountDigitCount;
  }

  /** Writes the next question. `amountMinor` is ignored by messages that carry none. */
  patch(sequence: number, cardNumber: number, amountMinor: number): void {
    writeDigits(this.bytes, this.#sequenceOffset, sequenceDigitCount, sequence);
    writeDigits(this.bytes, this.#cardOffset, this.cardDigitCount, cardNumber);
    if (this.#amountOffset >= 0) writeDigits(this.bytes, this.#amountOffset, this.#amountDigitCount, amountMinor);
  }
}

/** `value` in ASCII decimal with exactly `digitCount` digits; `value` is below 2^31 so that the division stays in integers. */
function writeDigits(bytes: Uint8Array, offset: number, digitCount: number, value: number): void {
  let rest = value | 0;
  for (let index = offset + digitCount - 1; index >= offset; index--) {
    const quotient = (rest / 10) | 0;
    bytes[index] = 48 + rest - quotient * 10;
    rest = quotient;
  }
}
