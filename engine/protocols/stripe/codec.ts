/**
 * `POST /stripe/issuing`, Stripe's real-time authorizations. A question is a whole event of four to eight kilobytes, of
 * which the decision needs some ten fields. The byte reader walks the objects that hold them and skips the rest
 * unparsed. What it does not take, slow-reader.ts judges.
 */
import { holdsPanInIds, keepReadIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { MessageType, Protocol } from '../../core/codes.js';
import { exponentOf, writeInteger } from '../../core/money.js';
import type { Outcome } from '../../core/outcome.js';
import { reasonTable } from '../../core/reasons.js';
import type { Request, TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { ascii } from '../reading/json-scan.js';
import { MessageReader } from '../reading/message-reader.js';
import { SignalReader } from '../reading/signals.js';
import { copyBytes } from '../reading/write.js';
import { Echo, stripeFields } from './fields.js';
import { signals } from './signals.js';
import { channelOf, readSlow, typeOf } from './slow-reader.js';

const object = 'data.object';

/** The byte reader: fields may come in any order, so they are judged at the end. */
class FastReader {
  readonly #panKeys: PanKeys;
  readonly #fields = new MessageReader(stripeFields, { strictFields: false });
  readonly #held = this.#fields.indexOf(`${object}.amount`);
  readonly #asked = this.#fields.indexOf(`${object}.pending_request.amount`);
  readonly #currency = this.#fields.indexOf(`${object}.pending_request.currency`);
  readonly #isPartial = this.#fields.indexOf(`${object}.pending_request.is_amount_controllable`);
  readonly #method = this.#fields.indexOf(`${object}.authorization_method`);
  readonly #country = this.#fields.indexOf(`${object}.merchant_data.country`);
  readonly #signals = new SignalReader(signals, this.#fields);

  constructor(panKeys: PanKeys) {
    this.#panKeys = panKeys;
  }

  /** @returns false when it is not sure; `request` is then half filled */
  read(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    request.reset(bytes, Protocol.stripe);
    const fields = this.#fields;
    if (!fields.read(request, bytes, start, end)) return false;
    request.currency = fields.kept(this.#currency);
    if (exponentOf(request.currency) < 0) return false;
    request.amountMinor = fields.kept(this.#asked);
    request.type = typeOf(fields.kept(this.#held), request.amountMinor);
    request.country = fields.kept(this.#country);
    request.channel = channelOf(request.mcc, fields.kept(this.#method));
    request.partialAllowed = fields.kept(this.#isPartial) === 1;
    this.#signals.set(request);
    const event = request.echoes[Echo.event]!;
    if (request.type === MessageType.incremental) {
      move(request.id, request.original);
      move(event, request.id);
    } else clear(event);
    const isHidden = holdsPanInIds(request);
    if (isHidden && isCardNumberInBytes(bytes, request.card)) return false;
    // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
    maskPans(bytes, request.merchantId.start, request.merchantId.end);
    maskPans(bytes, request.merchantName.start, request.merchantName.end);
    if (isHidden) keepReadIds(request, this.#panKeys);
    return true;
  }
}

function move(from: TextSlice, to: TextSlice): void {
  to.start = from.start;
  to.end = from.end;
  clear(from);
}

function clear(slice: TextSlice): void {
  slice.start = 0;
  slice.end = 0;
}

const piece = {
  approved: ascii('{"approved":true'),
  declined: ascii('{"approved":false'),
  amount: ascii(',"amount":'),
  reasons: reasonTable.map(({ name }) => ascii(`,"metadata":{"decision":"${name}"}}`)),
} as const;

function writeAnswer(target: Uint8Array, offset: number, _request: Request, outcome: Outcome): number {
  let at = copyBytes(target, offset, outcome.approved ? piece.approved : piece.declined);
  // Stripe takes an amount only where the question says that it is controllable, as every partial approval needs.
  if (outcome.partial) {
    at = copyBytes(target, at, piece.amount);
    at += writeInteger(target, at, outcome.approvedAmountMinor);
  }
  return copyBytes(target, at, piece.reasons[outcome.reason]!) - offset;
}

export interface StripeCodec extends Codec {
  /** The byte reader alone, for tests and benchmarks. */
  readFast(request: Request, bytes: Uint8Array, start: number, end: number): boolean;
}

export function createStripeCodec({ panKeys }: Pick<CodecOptions, 'panKeys'>): StripeCodec {
  const reader = new FastReader(panKeys);
  return {
    protocol: Protocol.stripe,
    readFast: (request, bytes, start, end) => reader.read(request, bytes, start, end),
    read: (request, bytes, start, end) =>
      reader.read(request, bytes, start, end) ? null : readSlow(request, bytes, start, end, panKeys),
    writeAnswer,
  };
}
