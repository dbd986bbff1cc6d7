/**
 * `POST /marqeta/jit`, Marqeta's Gateway JIT Funding. A message is a whole transaction object of one to three
 * kilobytes, of which the decision needs some fifteen fields. The byte reader walks the objects that hold them and
 * skips the rest unparsed. What it does not take, slow-reader.ts judges.
 */

import { holdsPanInIds, keepReadIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { holdsPan, isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { MessageType, Protocol } from '../../core/codes.js';
import { isCountDetail } from '../../core/limit-names.js';
import { decimalToMinor, exponentOf, writeDecimal } from '../../core/money.js';
import type { Outcome } from '../../core/outcome.js';
import { Reason } from '../../core/reasons.js';
import type { Request, TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { ascii, equalsAscii } from '../reading/json-scan.js';
import { MessageReader } from '../reading/message-reader.js';
import { SignalReader } from '../reading/signals.js';
import { copyBytes, writeEscaped, writeLetters } from '../reading/write.js';
import { Echo, marqetaFields } from './fields.js';
import { type Method, methods, plainAuthorization } from './methods.js';
import { countLimitExceeded, declineReasons, notPermitted } from './reasons.js';
import { signals } from './signals.js';
import { capabilityPaths, channelOf, countryPaths, extraHashOf, jit, readSlow } from './slow-reader.js';

function methodOf(bytes: Uint8Array, start: number, end: number): Method | null {
  for (let index = 0; index < methods.length; index++) {
    const method = methods[index]!;
    if (equalsAscii(bytes, start, end, method.bytes)) return method;
  }
  return null;
}

/** The byte reader: fields may come in any order, so they are judged at the end. */
class FastReader {
  readonly #panKeys: PanKeys;
  readonly #fields = new MessageReader(marqetaFields, { strictFields: false });
  readonly #amount = this.#fields.indexOf(`${jit}.amount`);
  readonly #currencies = ['gpa_order.currency_code', 'currency_code'].map((path) => this.#fields.indexOf(path));
  readonly #countries = countryPaths.map((path) => this.#fields.indexOf(path));
  readonly #capabilities = capabilityPaths.map((path) => this.#fields.indexOf(path));
  readonly #entryMode = this.#fields.indexOf('pos.pan_entry_mode');
  readonly #paymentChannel = this.#fields.indexOf('transaction_metadata.payment_channel');
  readonly #signals = new SignalReader(signals, this.#fields);

  constructor(panKeys: PanKeys) {
    this.#panKeys = panKeys;
  }

  /** @returns false when it is not sure; `request` is then half filled. */
  read(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    request.reset(bytes, Protocol.marqeta);
    const fields = this.#fields;
    if (!fields.read(request, bytes, start, end)) return false;
    const methodText = request.echoes[Echo.method]!;
    const method = methodOf(bytes, methodText.start, methodText.end);
    if (method === null) return false;
    request.currency = this.#first(this.#currencies);
    const exponent = exponentOf(request.currency);
    if (exponent < 0) return false;
    const amount = this.#amount;
    request.amountMinor = decimalToMinor(bytes, fields.kept(amount), fields.keptEnd(amount), exponent);
    if (request.amountMinor < 0) return false;
    request.type = method.type;
    request.capture = method.capture;
    if (method.type === MessageType.incremental && request.original.end === request.original.start) return false;
    if (method === plainAuthorization && request.amountMinor === 0) request.type = MessageType.verification;
    request.channel = channelOf(method, fields.kept(this.#entryMode), fields.kept(this.#paymentChannel));
    request.partialAllowed = this.#first(this.#capabilities) === 1;
    request.country = this.#first(this.#countries);
    this.#signals.set(request);
    request.extraHash = extraHashOf(request);
    // Their hash has no key: the slow reader masks them for it.
    if (holdsPanIn(bytes, request.echoes[Echo.userToken]!)) return false;
    if (holdsPanIn(bytes, request.echoes[Echo.actingUserToken]!)) return false;
    const isHidden = holdsPanInIds(request);
    if (isHidden && isCardNumberInBytes(bytes, request.card)) return false;
    // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
    maskPans(bytes, request.merchantId.start, request.merchantId.end);
    maskPans(bytes, request.merchantName.start, request.merchantName.end);
    if (isHidden) keepReadIds(request, this.#panKeys);
    return true;
  }

  /** The first of these fields that says something, 0 when none does. */
  #first(indexes: readonly number[]): number {
    for (let at = 0; at < indexes.length; at++) {
      const value = this.#fields.kept(indexes[at]!);
      if (value !== 0) return value;
    }
    return 0;
  }
}

function holdsPanIn(bytes: Uint8Array, { start, end }: TextSlice): boolean {
  return holdsPan(bytes, start, end);
}

const piece = {
  token: ascii('{"jit_funding":{"token":"'),
  method: ascii('","method":"'),
  userToken: ascii('","user_token":"'),
  actingUserToken: ascii('","acting_user_token":"'),
  originalToken: ascii('","original_jit_funding_token":"'),
  amount: ascii('","amount":'),
  declineReason: declineReasons.map((word) => ascii(`,"decline_reason":"${word}"`)),
  declineCount: ascii(`,"decline_reason":"${countLimitExceeded}"`),
  declineUnsupported: ascii(`,"decline_reason":"${notPermitted}"`),
  balances: ascii(',"balances":{"'),
  balanceCurrency: ascii('":{"currency_code":"'),
  balanceLedger: ascii('","ledger_balance":'),
  balanceAvailable: ascii(',"available_balance":'),
  balanceEnd: ascii('}}'),
  end: ascii('}}'),
} as const;

/** `{"jit_funding":{…,"amount":84.20`: what every answer echoes. Returns the position after it. */
function writeEcho(target: Uint8Array, offset: number, request: Request, amountMinor: number): number {
  const { source, sentId } = request;
  let at = copyBytes(target, offset, piece.token);
  at = writeEscaped(target, at, source, sentId.start, sentId.end);
  at = copyBytes(target, at, piece.method);
  const method = request.echoes[Echo.method]!;
  at = writeEscaped(target, at, source, method.start, method.end);
  at = writeMember(target, at, piece.userToken, source, request.echoes[Echo.userToken]!);
  at = writeMember(target, at, piece.actingUserToken, source, request.echoes[Echo.actingUserToken]!);
  at = writeMember(target, at, piece.originalToken, source, request.sentOriginal);
  at = copyBytes(target, at, piece.amount);
  return at + writeDecimal(target, at, amountMinor, exponentOf(request.currency));
}

function writeMember(target: Uint8Array, at: number, name: Uint8Array, source: Uint8Array, text: TextSlice): number {
  if (text.end === text.start) return at;
  return writeEscaped(target, copyBytes(target, at, name), source, text.start, text.end);
}

function writeAnswer(target: Uint8Array, offset: number, request: Request, outcome: Outcome): number {
  // Declined: the amount in question, echoed. Approved: what was approved, less than asked in a partial approval.
  const asked = Math.max(0, request.amountMinor);
  let at = writeEcho(target, offset, request, outcome.approved ? outcome.approvedAmountMinor : asked);
  if (!outcome.approved) {
    const isCount = outcome.reason === Reason.limitExceeded && isCountDetail(outcome.detail);
    at = copyBytes(target, at, isCount ? piece.declineCount : piece.declineReason[outcome.reason]!);
  } else if (request.type === MessageType.balanceInquiry && outcome.currency !== 0) {
    at = writeBalances(target, at, outcome);
  }
  return copyBytes(target, at, piece.end) - offset;
}

/** The ledger balance still counts open holds; the available one does not. */
function writeBalances(target: Uint8Array, offset: number, outcome: Outcome): number {
  const exponent = exponentOf(outcome.currency);
  let at = copyBytes(target, offset, piece.balances);
  at = writeLetters(target, at, outcome.currency);
  at = copyBytes(target, at, piece.balanceCurrency);
  at = writeLetters(target, at, outcome.currency);
  at = copyBytes(target, at, piece.balanceLedger);
  at += writeDecimal(target, at, outcome.availableMinor + outcome.heldMinor, exponent);
  at = copyBytes(target, at, piece.balanceAvailable);
  at += writeDecimal(target, at, outcome.availableMinor, exponent);
  return copyBytes(target, at, piece.balanceEnd);
}

export interface MarqetaCodec extends Codec {
  /** The byte reader alone, for tests and benchmarks. False: it is not sure, and the request is half filled. */
  readFast(request: Request, bytes: Uint8Array, start: number, end: number): boolean;
}

export function createMarqetaCodec({ panKeys }: Pick<CodecOptions, 'panKeys'>): MarqetaCodec {
  const reader = new FastReader(panKeys);
  return {
    protocol: Protocol.marqeta,
    readFast: (request, bytes, start, end) => reader.read(request, bytes, start, end),
    read: (request, bytes, start, end) =>
      reader.read(request, bytes, start, end) ? null : readSlow(request, bytes, start, end, panKeys),
    writeAnswer,
    writeUnsupported(target, offset, request) {
      let at = writeEcho(target, offset, request, request.amountMinor);
      at = copyBytes(target, at, piece.declineUnsupported);
      return copyBytes(target, at, piece.end) - offset;
    },
  };
}
