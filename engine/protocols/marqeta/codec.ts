/**
 * `POST /marqeta/jit`, Marqeta's Gateway JIT Funding. A message is a whole transaction object of one to three
 * kilobytes, of which the decision needs some fifteen fields: the byte reader walks the objects that hold them and
 * skips the rest unparsed. What it does not take, slow-reader.ts judges.
 */

import { holdsPanInIds, keepReadIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { holdsPan, isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { Channel, MessageType, Protocol } from '../../core/codes.js';
import { isCountDetail } from '../../core/limit-names.js';
import { decimalToMinor, exponentOf, writeDecimal } from '../../core/money.js';
import type { Outcome } from '../../core/outcome.js';
import { Reason } from '../../core/reasons.js';
import { idLengthMax, merchantNameLengthMax, type Request, type TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { countryOf } from '../reading/countries.js';
import {
  afterColon,
  ascii,
  closedPosition,
  digitsEnd,
  equalsAscii,
  firstMember,
  nextMember,
  numberEnd,
  objectClosed,
  plainStringEnd,
  skipValue,
  skipWhitespace,
} from '../reading/json-scan.js';
import { NamesSeen } from '../reading/member-names.js';
import { copyBytes, writeEscaped, writeLetters } from '../reading/write.js';
import { type Method, methods, plainAuthorization } from './methods.js';
import { countLimitExceeded, declineReasons, notPermitted } from './reasons.js';
import { Echo, extraHashOf, methodLengthMax, readSlow } from './slow-reader.js';

// Constants of this file rather than imports: the engine folds only these into the loops.
const quote = 0x22;
const zero = 0x30;

/** Known members, numbered; one bit of `seen` each, so at most 31. */
const Field = {
  cardToken: 1 << 0,
  currencyCode: 1 << 1,
  gpaOrder: 1 << 2,
  cardAcceptor: 1 << 3,
  pos: 1 << 4,
  transactionMetadata: 1 << 5,
  orderCurrencyCode: 1 << 6,
  jitFunding: 1 << 7,
  token: 1 << 8,
  method: 1 << 9,
  userToken: 1 << 10,
  actingUserToken: 1 << 11,
  originalToken: 1 << 12,
  amount: 1 << 13,
  mid: 1 << 14,
  name: 1 << 15,
  mcc: 1 << 16,
  countryCode: 1 << 17,
  poi: 1 << 18,
  poiPartial: 1 << 19,
  panEntryMode: 1 << 20,
  posPartial: 1 << 21,
  paymentChannel: 1 << 22,
  country: 1 << 23,
  posCountryCode: 1 << 24,
} as const;

/** The members of an object that are read, and the names of the others that one message has there. */
interface Names {
  readonly known: ReadonlyArray<readonly [Uint8Array, number]>;
  readonly others: NamesSeen;
}
const names = (entries: Record<string, number>): Names => ({
  known: Object.entries(entries).map(([name, bit]) => [ascii(name), bit]),
  others: new NamesSeen(),
});

const bodyNames = names({
  card_token: Field.cardToken,
  gpa_order: Field.gpaOrder,
  card_acceptor: Field.cardAcceptor,
  currency_code: Field.currencyCode,
  pos: Field.pos,
  transaction_metadata: Field.transactionMetadata,
});
const orderNames = names({ jit_funding: Field.jitFunding, currency_code: Field.orderCurrencyCode });
const fundingNames = names({
  token: Field.token,
  amount: Field.amount,
  method: Field.method,
  user_token: Field.userToken,
  acting_user_token: Field.actingUserToken,
  original_jit_funding_token: Field.originalToken,
});
const acceptorNames = names({
  mid: Field.mid,
  mcc: Field.mcc,
  name: Field.name,
  country_code: Field.countryCode,
  country: Field.country,
  poi: Field.poi,
});
const poiNames = names({ partial_approval_capable: Field.poiPartial });
const posNames = names({
  pan_entry_mode: Field.panEntryMode,
  partial_approval_capable: Field.posPartial,
  country_code: Field.posCountryCode,
});
const metadataNames = names({ payment_channel: Field.paymentChannel });

/** The bit of the member a key names, 0 for one that is skipped. Few names per object: lengths tell most apart. */
function fieldOf({ known }: Names, bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  for (let index = 0; index < known.length; index++) {
    const candidate = known[index]!;
    if (candidate[0].length === length && equalsAscii(bytes, start, end, candidate[0])) return candidate[1];
  }
  return 0;
}

const entryModes: ReadonlyArray<readonly [Uint8Array, Channel]> = [
  [ascii('CHIP'), Channel.chip],
  [ascii('CHIP_CONTACTLESS'), Channel.contactless],
  [ascii('MAG_STRIPE_CONTACTLESS'), Channel.contactless],
  [ascii('MAG_STRIPE'), Channel.magstripe],
  [ascii('CHIP_FALLBACK'), Channel.magstripe],
  [ascii('MANUAL'), Channel.manual],
  [ascii('KEY_ENTERED'), Channel.manual],
  [ascii('CARD_ON_FILE'), Channel.ecommerce],
  [ascii('CREDENTIALS_ON_FILE'), Channel.ecommerce],
];
const paymentChannelAtm = ascii('ATM');
const paymentChannelEcommerce = ascii('ECOMMERCE');
const yesTexts = [ascii('TRUE'), ascii('true'), ascii('1')];

function methodOf(bytes: Uint8Array, start: number, end: number): Method | null {
  for (let index = 0; index < methods.length; index++) {
    const method = methods[index]!;
    if (equalsAscii(bytes, start, end, method.bytes)) return method;
  }
  return null;
}

/** Three upper-case letters in quotes at `index`, packed; 0 when it is anything else. */
function quotedCurrency(bytes: Uint8Array, index: number, end: number): number {
  if (index + 4 >= end || bytes[index] !== quote || bytes[index + 4] !== quote) return 0;
  let packed = 0;
  for (let at = index + 1; at < index + 4; at++) {
    const letter = bytes[at]! - 0x40;
    if (letter < 1 || letter > 26) return 0;
    packed = packed * 27 + letter;
  }
  return packed;
}

/**
 * The byte reader with what it remembers of one message: fields may come in any order, so they are judged at the end.
 */
class FastReader {
  readonly #panKeys: PanKeys;
  #request: Request = undefined as unknown as Request;
  #bytes: Uint8Array = new Uint8Array(0);
  #end = 0;
  #seen = 0;
  #method: Method | null = null;
  #currency = 0;
  #orderCurrency = 0;
  #country = 0;
  #acceptorCountry = 0;
  #posCountry = 0;
  #amountStart = 0;
  #amountEnd = 0;
  #entryChannel: Channel = Channel.absent;
  #paymentAtm = false;
  #paymentEcommerce = false;
  #partial = false;

  constructor(panKeys: PanKeys) {
    this.#panKeys = panKeys;
  }

  /** @returns false when it is not sure; `request` is then half filled. */
  read(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    request.reset(bytes, Protocol.marqeta);
    this.#request = request;
    this.#bytes = bytes;
    this.#end = end;
    this.#seen = 0;
    this.#method = null;
    this.#currency = 0;
    this.#orderCurrency = 0;
    this.#country = 0;
    this.#acceptorCountry = 0;
    this.#posCountry = 0;
    this.#entryChannel = Channel.absent;
    this.#paymentAtm = false;
    this.#paymentEcommerce = false;
    this.#partial = false;
    const after = this.#readObject(bodyNames, skipWhitespace(bytes, start, end));
    if (after < 0 || skipWhitespace(bytes, after, end) !== end) return false;
    return this.#judge();
  }

  /** What needs the whole message: amount by currency, type by method and amount, card numbers. */
  #judge(): boolean {
    const required = Field.cardToken | Field.token | Field.method | Field.amount;
    if ((this.#seen & required) !== required) return false;
    const request = this.#request;
    const method = this.#method!;
    request.currency = this.#orderCurrency !== 0 ? this.#orderCurrency : this.#currency;
    const exponent = exponentOf(request.currency);
    if (exponent < 0) return false;
    request.amountMinor = decimalToMinor(this.#bytes, this.#amountStart, this.#amountEnd, exponent);
    if (request.amountMinor < 0) return false;
    request.type = method.type;
    request.capture = method.capture;
    if (method.type === MessageType.incremental && request.original.end === request.original.start) return false;
    if (method === plainAuthorization && request.amountMinor === 0) request.type = MessageType.verification;
    if (method.atm || this.#paymentAtm) request.channel = Channel.atm;
    else request.channel = this.#paymentEcommerce ? Channel.ecommerce : this.#entryChannel;
    request.partialAllowed = this.#partial;
    request.country = this.#country !== 0 ? this.#country : this.#acceptorCountry;
    if (request.country === 0) request.country = this.#posCountry;
    request.extraHash = extraHashOf(request);
    // Their hash has no key: the slow reader masks them for it.
    if (this.#holdsPan(request.echoes[Echo.userToken]!) || this.#holdsPan(request.echoes[Echo.actingUserToken]!))
      return false;
    const isHidden = holdsPanInIds(request);
    if (isHidden && isCardNumberInBytes(this.#bytes, request.card)) return false;
    // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
    maskPans(this.#bytes, request.merchantId.start, request.merchantId.end);
    maskPans(this.#bytes, request.merchantName.start, request.merchantName.end);
    if (isHidden) keepReadIds(request, this.#panKeys);
    return true;
  }

  #holdsPan({ start, end }: TextSlice): boolean {
    return holdsPan(this.#bytes, start, end);
  }

  /**
   * `start` stands at a value that should be an object. Position after it, or −1. Depth is bounded by the name lists.
   */
  #readObject(candidates: Names, start: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    let index = firstMember(bytes, start, end);
    if (index < 0) return -1;
    candidates.others.reset();
    for (;;) {
      const keyStart = index + 1;
      const keyEnd = plainStringEnd(bytes, keyStart, end);
      if (keyEnd < 0) return -1;
      index = afterColon(bytes, keyEnd + 1, end);
      if (index < 0) return -1;
      const field = fieldOf(candidates, bytes, keyStart, keyEnd);
      if (field === 0) {
        if (!candidates.others.add(bytes, keyStart, keyEnd)) return -1;
        index = skipValue(bytes, index, end);
      } else {
        // The slow reader says which member comes twice.
        if ((this.#seen & field) !== 0) return -1;
        this.#seen |= field;
        index = this.#readField(field, index);
      }
      if (index < 0) return -1;
      const member = nextMember(bytes, index, end);
      if (member < 0) return -1;
      if (objectClosed(member)) return closedPosition(member);
      index = member;
    }
  }

  /** `index` stands at the value of a known member. Position after it, or −1. */
  #readField(field: number, index: number): number {
    const request = this.#request;
    switch (field) {
      case Field.gpaOrder:
        return this.#readObject(orderNames, index);
      case Field.jitFunding:
        return this.#readObject(fundingNames, index);
      case Field.cardAcceptor:
        return this.#readObject(acceptorNames, index);
      case Field.poi:
        return this.#readObject(poiNames, index);
      case Field.pos:
        return this.#readObject(posNames, index);
      case Field.transactionMetadata:
        return this.#readObject(metadataNames, index);
      case Field.cardToken:
        return this.#readText(index, request.card, 1, idLengthMax);
      case Field.token:
        return this.#readText(index, request.id, 1, idLengthMax);
      case Field.originalToken:
        return this.#readText(index, request.original, 0, idLengthMax);
      case Field.userToken:
        return this.#readText(index, request.echoes[Echo.userToken]!, 0, idLengthMax);
      case Field.actingUserToken:
        return this.#readText(index, request.echoes[Echo.actingUserToken]!, 0, idLengthMax);
      case Field.mid:
        return this.#readText(index, request.merchantId, 0, idLengthMax);
      case Field.name:
        return this.#readText(index, request.merchantName, 0, merchantNameLengthMax);
      case Field.method: {
        const method = request.echoes[Echo.method]!;
        const after = this.#readText(index, method, 1, methodLengthMax);
        if (after < 0) return -1;
        this.#method = methodOf(this.#bytes, method.start, method.end);
        return this.#method === null ? -1 : after;
      }
      case Field.amount:
        this.#amountStart = index;
        this.#amountEnd = numberEnd(this.#bytes, index, this.#end);
        return this.#amountEnd;
      case Field.currencyCode:
        this.#currency = quotedCurrency(this.#bytes, index, this.#end);
        return this.#currency === 0 ? -1 : index + 5;
      case Field.orderCurrencyCode:
        this.#orderCurrency = quotedCurrency(this.#bytes, index, this.#end);
        return this.#orderCurrency === 0 ? -1 : index + 5;
      case Field.mcc:
        return this.#readMcc(index);
      case Field.poiPartial:
      case Field.posPartial:
        return this.#readPartial(index);
      default:
        return this.#readWord(field, index);
    }
  }

  #readText(index: number, slice: TextSlice, lengthMin: number, lengthMax: number): number {
    if (this.#bytes[index] !== quote) return -1;
    const textEnd = plainStringEnd(this.#bytes, index + 1, this.#end);
    const length = textEnd - index - 1;
    if (textEnd < 0 || length < lengthMin || length > lengthMax) return -1;
    // An empty text is an absent one, and that is written 0, 0 by both readers.
    if (length > 0) {
      slice.start = index + 1;
      slice.end = textEnd;
    }
    return textEnd + 1;
  }

  #readMcc(index: number): number {
    const bytes = this.#bytes;
    if (index + 5 >= this.#end || bytes[index] !== quote || bytes[index + 5] !== quote) return -1;
    if (digitsEnd(bytes, index + 1, index + 5) !== index + 5) return -1;
    let mcc = 0;
    for (let at = index + 1; at < index + 5; at++) mcc = mcc * 10 + (bytes[at]! - zero);
    this.#request.mcc = mcc;
    return index + 6;
  }

  /** True, or one of the texts that mean it; any other value means no. */
  #readPartial(index: number): number {
    const after = skipValue(this.#bytes, index, this.#end);
    if (after < 0) return -1;
    if (this.#bytes[index] === 0x74) this.#partial = true;
    else if (this.#bytes[index] === quote) {
      if (plainStringEnd(this.#bytes, index + 1, this.#end) !== after - 1) return -1;
      for (const text of yesTexts) if (equalsAscii(this.#bytes, index + 1, after - 1, text)) this.#partial = true;
    }
    return after;
  }

  /** Country, entry mode, payment channel: words of a list; an unknown one means absent. */
  #readWord(field: number, index: number): number {
    const bytes = this.#bytes;
    if (bytes[index] !== quote) return -1;
    const wordEnd = plainStringEnd(bytes, index + 1, this.#end);
    if (wordEnd < 0) return -1;
    if (field === Field.countryCode) this.#country = countryOf(bytes, index + 1, wordEnd);
    else if (field === Field.country) this.#acceptorCountry = countryOf(bytes, index + 1, wordEnd);
    else if (field === Field.posCountryCode) this.#posCountry = countryOf(bytes, index + 1, wordEnd);
    else if (field === Field.paymentChannel) {
      this.#paymentAtm = equalsAscii(bytes, index + 1, wordEnd, paymentChannelAtm);
      this.#paymentEcommerce = equalsAscii(bytes, index + 1, wordEnd, paymentChannelEcommerce);
    } else {
      for (let mode = 0; mode < entryModes.length; mode++) {
        const entry = entryModes[mode]!;
        if (equalsAscii(bytes, index + 1, wordEnd, entry[0])) this.#entryChannel = entry[1];
      }
    }
    return wordEnd + 1;
  }
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
