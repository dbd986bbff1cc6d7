/**
 * `POST /v1/authorizations`, our own form. readFast() reads the common shape in place; whatever it does not take,
 * slow-reader.ts judges. The answer is assembled from constant pieces.
 */

import { holdsPanInIds, keepReadIds } from '../../../platform/masking/hidden-ids.js';
import { isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { Channel, channelNames, MessageType, messageTypeNames, Protocol } from '../../core/codes.js';
import { detailName, detailNone } from '../../core/limit-names.js';
import { exponentOf, writeInteger } from '../../core/money.js';
import { type Outcome, responseCode } from '../../core/outcome.js';
import { Reason, reasonTable } from '../../core/reasons.js';
import { idLengthMax, merchantNameLengthMax, type Request, type TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { isCommonDateTime } from '../reading/date-time.js';
import {
  afterColon,
  ascii,
  closedPosition,
  digitsEnd,
  equalsAscii,
  falseEnd,
  firstMember,
  integerValue,
  nextMember,
  objectClosed,
  plainStringEnd,
  skipValue,
  skipWhitespace,
  trueEnd,
} from '../reading/json-scan.js';
import { NamesSeen, UnknownFields } from '../reading/member-names.js';
import { copyBytes, writeEscaped, writeLetters } from '../reading/write.js';
import type { Refusal } from '../refusal.js';
import { merchantParent, type NativeRules, needsAmount, needsOriginal, readSlow } from './slow-reader.js';

// Constants of this file rather than imports: the engine folds only these into the loops.
const point = 0x2e;
const quote = 0x22;
const zero = 0x30;

const key = {
  id: ascii('id'),
  at: ascii('at'),
  type: ascii('type'),
  card: ascii('card'),
  final: ascii('final'),
  amount: ascii('amount'),
  channel: ascii('channel'),
  currency: ascii('currency'),
  original: ascii('original'),
  merchant: ascii('merchant'),
  partialAllowed: ascii('partialAllowed'),
  name: ascii('name'),
  mcc: ascii('mcc'),
  country: ascii('country'),
} as const;

/** One bit per known field, to notice one that comes twice. */
const Field = {
  unknown: 0,
  id: 1 << 0,
  at: 1 << 1,
  type: 1 << 2,
  card: 1 << 3,
  final: 1 << 4,
  amount: 1 << 5,
  channel: 1 << 6,
  currency: 1 << 7,
  original: 1 << 8,
  merchant: 1 << 9,
  partialAllowed: 1 << 10,
  merchantId: 1 << 11,
  merchantName: 1 << 12,
  mcc: 1 << 13,
  country: 1 << 14,
} as const;

/** Which field a key names: by length first, so that most keys meet a single comparison. */
function fieldOf(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 2:
      if (equalsAscii(bytes, start, end, key.id)) return Field.id;
      return equalsAscii(bytes, start, end, key.at) ? Field.at : Field.unknown;
    case 4:
      if (equalsAscii(bytes, start, end, key.card)) return Field.card;
      return equalsAscii(bytes, start, end, key.type) ? Field.type : Field.unknown;
    case 5:
      return equalsAscii(bytes, start, end, key.final) ? Field.final : Field.unknown;
    case 6:
      return equalsAscii(bytes, start, end, key.amount) ? Field.amount : Field.unknown;
    case 7:
      return equalsAscii(bytes, start, end, key.channel) ? Field.channel : Field.unknown;
    case 8:
      if (equalsAscii(bytes, start, end, key.currency)) return Field.currency;
      if (equalsAscii(bytes, start, end, key.merchant)) return Field.merchant;
      return equalsAscii(bytes, start, end, key.original) ? Field.original : Field.unknown;
    case 14:
      return equalsAscii(bytes, start, end, key.partialAllowed) ? Field.partialAllowed : Field.unknown;
    default:
      return Field.unknown;
  }
}

function merchantFieldOf(bytes: Uint8Array, start: number, end: number): number {
  switch (end - start) {
    case 2:
      return equalsAscii(bytes, start, end, key.id) ? Field.merchantId : Field.unknown;
    case 3:
      return equalsAscii(bytes, start, end, key.mcc) ? Field.mcc : Field.unknown;
    case 4:
      return equalsAscii(bytes, start, end, key.name) ? Field.merchantName : Field.unknown;
    case 7:
      return equalsAscii(bytes, start, end, key.country) ? Field.country : Field.unknown;
    default:
      return Field.unknown;
  }
}

const typeNames = messageTypeNames.map(ascii);
const channelTexts = channelNames.map(ascii);

/** The MessageType that the public name means, 0 when none. The commonest stands first. */
function typeOf(bytes: Uint8Array, start: number, end: number): number {
  for (let type: number = MessageType.authorization; type <= MessageType.advice; type++) {
    if (equalsAscii(bytes, start, end, typeNames[type]!)) return type;
  }
  return 0;
}

function channelOf(bytes: Uint8Array, start: number, end: number): number {
  for (let channel: number = Channel.chip; channel <= Channel.atm; channel++) {
    if (equalsAscii(bytes, start, end, channelTexts[channel]!)) return channel;
  }
  return Channel.absent;
}

/** packLetters() of exactly `count` upper-case letters, 0 otherwise. */
function lettersValue(bytes: Uint8Array, start: number, end: number, count: number): number {
  if (end - start !== count) return 0;
  let packed = 0;
  for (let index = start; index < end; index++) {
    const letter = bytes[index]! - 0x40;
    if (letter < 1 || letter > 26) return 0;
    packed = packed * 27 + letter;
  }
  return packed;
}

/**
 * `index` stands at a value. Fills the slice with a plain string of 1 … lengthMax characters; position after it, or −1.
 */
function readText(bytes: Uint8Array, index: number, end: number, slice: TextSlice, lengthMax: number): number {
  if (bytes[index] !== quote) return -1;
  const textEnd = plainStringEnd(bytes, index + 1, end);
  const length = textEnd - index - 1;
  if (length < 1 || length > lengthMax) return -1;
  slice.start = index + 1;
  slice.end = textEnd;
  return textEnd + 1;
}

/** Unknown names of the body and of its merchant: those of the message in hand. */
const unknownInBody = new NamesSeen();
const unknownInMerchant = new NamesSeen();

/**
 * Reads the common shape in place.
 * @returns false when it is not sure, and then `request` is half filled and the slow reader decides.
 */
export function readFast(request: Request, bytes: Uint8Array, start: number, end: number, rules: NativeRules): boolean {
  request.reset(bytes, Protocol.native);
  unknownInBody.reset();
  let seen = 0;
  let index = firstMember(bytes, skipWhitespace(bytes, start, end), end);
  if (index < 0) return false;
  for (;;) {
    const keyStart = index + 1;
    const keyEnd = plainStringEnd(bytes, keyStart, end);
    if (keyEnd < 0) return false;
    index = afterColon(bytes, keyEnd + 1, end);
    if (index < 0) return false;
    const field = fieldOf(bytes, keyStart, keyEnd);
    // The slow reader says which member comes twice.
    if ((seen & field) !== 0) return false;
    seen |= field;
    switch (field) {
      case Field.id:
        index = readText(bytes, index, end, request.id, idLengthMax);
        break;
      case Field.card:
        index = readText(bytes, index, end, request.card, idLengthMax);
        break;
      case Field.original:
        index = readText(bytes, index, end, request.original, idLengthMax);
        break;
      case Field.at:
        index = readText(bytes, index, end, request.at, 40);
        if (index >= 0 && !isCommonDateTime(bytes, request.at.start, request.at.end)) return false;
        break;
      case Field.type: {
        if (bytes[index] !== quote) return false;
        const textEnd = plainStringEnd(bytes, index + 1, end);
        if (textEnd < 0) return false;
        const type = typeOf(bytes, index + 1, textEnd);
        if (type === 0) return false;
        request.type = type as MessageType;
        index = textEnd + 1;
        break;
      }
      case Field.amount: {
        const numberEnd = digitsEnd(bytes, index, end);
        request.amountMinor = integerValue(bytes, index, numberEnd);
        if (request.amountMinor < 0) return false;
        // A fraction or an exponent fails at the next comma or brace.
        index = numberEnd;
        break;
      }
      case Field.currency: {
        if (bytes[index] !== quote || index + 4 >= end || bytes[index + 4] !== quote) return false;
        request.currency = lettersValue(bytes, index + 1, index + 4, 3);
        if (request.currency === 0) return false;
        index += 5;
        break;
      }
      case Field.channel: {
        if (bytes[index] !== quote) return false;
        const textEnd = plainStringEnd(bytes, index + 1, end);
        if (textEnd < 0) return false;
        request.channel = channelOf(bytes, index + 1, textEnd) as Channel;
        if (request.channel === Channel.absent) return false;
        index = textEnd + 1;
        break;
      }
      case Field.final:
      case Field.partialAllowed: {
        const value = bytes[index] === 0x74;
        index = value ? trueEnd(bytes, index, end) : falseEnd(bytes, index, end);
        if (field === Field.final) request.final = value;
        else request.partialAllowed = value;
        break;
      }
      case Field.merchant:
        index = readMerchant(request, bytes, index, end, rules);
        break;
      default:
        if (rules.strictFields || !unknownInBody.add(bytes, keyStart, keyEnd)) return false;
        request.unknownFields |= rules.unknownFields.bitOf('', bytes, keyStart, keyEnd);
        index = skipValue(bytes, index, end);
    }
    if (index < 0) return false;
    const member = nextMember(bytes, index, end);
    if (member < 0) return false;
    if (objectClosed(member)) {
      if (skipWhitespace(bytes, closedPosition(member), end) !== end) return false;
      break;
    }
    index = member;
  }

  let required = Field.id | Field.type | Field.card;
  if (needsAmount(request.type)) required |= Field.amount | Field.currency;
  if (needsOriginal(request.type)) required |= Field.original;
  if ((seen & required) !== required) return false;
  if (request.currency !== 0 && exponentOf(request.currency) < 0) return false;
  const isHidden = holdsPanInIds(request);
  if (isHidden && isCardNumberInBytes(bytes, request.card)) return false;
  // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
  maskPans(bytes, request.merchantId.start, request.merchantId.end);
  maskPans(bytes, request.merchantName.start, request.merchantName.end);
  if (isHidden) keepReadIds(request, rules.panKeys);
  return true;
}

/** `index` stands at the merchant's value. Position after it, or −1. */
function readMerchant(request: Request, bytes: Uint8Array, start: number, end: number, rules: NativeRules): number {
  unknownInMerchant.reset();
  let seen = 0;
  let index = firstMember(bytes, start, end);
  if (index < 0) return -1;
  for (;;) {
    const keyStart = index + 1;
    const keyEnd = plainStringEnd(bytes, keyStart, end);
    if (keyEnd < 0) return -1;
    index = afterColon(bytes, keyEnd + 1, end);
    if (index < 0) return -1;
    const field = merchantFieldOf(bytes, keyStart, keyEnd);
    if ((seen & field) !== 0) return -1;
    seen |= field;
    switch (field) {
      case Field.merchantId:
        index = readText(bytes, index, end, request.merchantId, idLengthMax);
        break;
      case Field.merchantName:
        index = readText(bytes, index, end, request.merchantName, merchantNameLengthMax);
        break;
      case Field.mcc: {
        if (bytes[index] !== quote || index + 5 >= end || bytes[index + 5] !== quote) return -1;
        if (digitsEnd(bytes, index + 1, index + 5) !== index + 5) return -1;
        request.mcc =
          (bytes[index + 1]! - zero) * 1000 +
          (bytes[index + 2]! - zero) * 100 +
          (bytes[index + 3]! - zero) * 10 +
          (bytes[index + 4]! - zero);
        index += 6;
        break;
      }
      case Field.country: {
        if (bytes[index] !== quote || index + 3 >= end || bytes[index + 3] !== quote) return -1;
        request.country = lettersValue(bytes, index + 1, index + 3, 2);
        if (request.country === 0) return -1;
        index += 4;
        break;
      }
      default:
        if (rules.strictFields || !unknownInMerchant.add(bytes, keyStart, keyEnd)) return -1;
        request.unknownFields |= rules.unknownFields.bitOf(merchantParent, bytes, keyStart, keyEnd);
        index = skipValue(bytes, index, end);
    }
    if (index < 0) return -1;
    const member = nextMember(bytes, index, end);
    if (member < 0) return -1;
    if (objectClosed(member)) return closedPosition(member);
    index = member;
  }
}

/** Width of the value of responseTimeMs, bytes: the number, then spaces (JSON whitespace) up to the closing brace. */
export const responseTimeBytes = 10;

/** 999,999.999 ms fill the ten bytes. */
const responseTimeMicrosMax = 999_999_999;

/**
 * Overwrites the value of responseTimeMs, the last member of an answer, with milliseconds to three decimals.
 * @param bodyEnd one past the closing brace
 * @param micros microseconds; below 0 counts as 0, above 999,999,999 as that
 */
export function patchResponseTime(target: Uint8Array, bodyEnd: number, micros: number): void {
  // Written so that NaN, too, becomes 0.
  const whole = micros > 0 ? Math.floor(Math.min(micros, responseTimeMicrosMax)) : 0;
  const start = bodyEnd - 1 - responseTimeBytes;
  const millis = (whole / 1000) | 0;
  let rest = whole - millis * 1000;
  let position = start + writeInteger(target, start, millis);
  target[position++] = point;
  for (let index = position + 2; index >= position; index--) {
    const quotient = (rest / 10) | 0;
    target[index] = zero + (rest - quotient * 10);
    rest = quotient;
  }
  for (position += 3; position < bodyEnd - 1; position++) target[position] = 0x20;
}

const piece = {
  id: ascii('{"id":"'),
  approved: reasonTable.map((entry) => ascii(`","approved":true,"reason":"${entry.name}"`)),
  declined: reasonTable.map((entry) => ascii(`","approved":false,"reason":"${entry.name}"`)),
  responseCode: ascii(',"responseCode":"'),
  authorizationId: ascii('","authorizationId":"'),
  authorizationIdNull: ascii('","authorizationId":null,"amount":'),
  amount: ascii('","amount":'),
  approvedAmount: ascii(',"approvedAmount":'),
  available: ascii(',"available":'),
  currency: ascii(',"currency":"'),
  currencyNull: ascii(',"currency":null,"responseTimeMs":0         }'),
  end: ascii('","responseTimeMs":0         }'),
  conflictEnd: ascii(`,"responseCode":"${reasonTable[Reason.duplicateConflict]!.responseCode}"}`),
} as const;

/** `,"detail":"card.daily.amount"` by detail number, made when first needed: the table of details is append-only. */
const detailPieces: Uint8Array[] = [];

function detailPiece(detail: number): Uint8Array {
  let text = detailPieces[detail];
  if (text === undefined) {
    text = ascii(`,"detail":"${detailName(detail)}"`);
    detailPieces[detail] = text;
  }
  return text;
}

function writeAnswer(
  target: Uint8Array,
  offset: number,
  request: Request,
  outcome: Outcome,
  rootSource: Uint8Array,
  rootId: TextSlice,
): number {
  if (outcome.reason === Reason.duplicateConflict) return writeConflict(target, offset, request);
  let at = copyBytes(target, offset, piece.id);
  const { sentId } = request;
  at = writeEscaped(target, at, request.source, sentId.start, sentId.end);
  at = copyBytes(target, at, (outcome.approved ? piece.approved : piece.declined)[outcome.reason]!);
  if (outcome.detail !== detailNone) at = copyBytes(target, at, detailPiece(outcome.detail));
  at = copyBytes(target, at, piece.responseCode);
  const code = responseCode(outcome, request.type);
  target[at++] = code.charCodeAt(0);
  target[at++] = code.charCodeAt(1);
  if (rootId.end > rootId.start) {
    at = copyBytes(target, at, piece.authorizationId);
    at = writeRoot(target, at, request, rootSource, rootId);
    at = copyBytes(target, at, piece.amount);
  } else at = copyBytes(target, at, piece.authorizationIdNull);
  at += writeInteger(target, at, outcome.amountMinor);
  at = copyBytes(target, at, piece.approvedAmount);
  at += writeInteger(target, at, outcome.approvedAmountMinor);
  at = copyBytes(target, at, piece.available);
  at += writeInteger(target, at, outcome.availableMinor);
  const currency = outcome.currency !== 0 ? outcome.currency : request.currency;
  if (currency === 0) at = copyBytes(target, at, piece.currencyNull);
  else {
    at = copyBytes(target, at, piece.currency);
    at = writeLetters(target, at, currency);
    at = copyBytes(target, at, piece.end);
  }
  return at - offset;
}

/** The root's id: as the message wrote it, where it is hidden and the message named it. */
function writeRoot(target: Uint8Array, at: number, request: Request, source: Uint8Array, root: TextSlice): number {
  if (request.hidden !== null) {
    if (sameText(request.source, request.id, source, root)) {
      return writeEscaped(target, at, request.source, request.sentId.start, request.sentId.end);
    }
    if (sameText(request.source, request.original, source, root)) {
      return writeEscaped(target, at, request.source, request.sentOriginal.start, request.sentOriginal.end);
    }
  }
  return writeEscaped(target, at, source, root.start, root.end);
}

function sameText(a: Uint8Array, aSlice: TextSlice, b: Uint8Array, bSlice: TextSlice): boolean {
  const length = aSlice.end - aSlice.start;
  if (bSlice.end - bSlice.start !== length) return false;
  for (let index = 0; index < length; index++) if (a[aSlice.start + index] !== b[bSlice.start + index]) return false;
  return true;
}

/** A conflict has no amounts: the message is not the one that the id was given for. */
function writeConflict(target: Uint8Array, offset: number, request: Request): number {
  let at = copyBytes(target, offset, piece.id);
  const { sentId } = request;
  at = writeEscaped(target, at, request.source, sentId.start, sentId.end);
  at = copyBytes(target, at, piece.declined[Reason.duplicateConflict]!);
  return copyBytes(target, at, piece.conflictEnd) - offset;
}

export interface NativeCodec extends Codec {
  readonly rules: NativeRules;
}

export function createNativeCodec({ panKeys, strictFields }: CodecOptions): NativeCodec {
  const rules: NativeRules = { panKeys, strictFields, unknownFields: new UnknownFields() };
  return {
    protocol: Protocol.native,
    rules,
    unknownFields: rules.unknownFields,
    read: (request, bytes, start, end): Refusal | null =>
      readFast(request, bytes, start, end, rules) ? null : readSlow(request, bytes, start, end, rules),
    writeAnswer,
    // A conflict is answered without its time.
    stampResponseTime: patchResponseTime,
  };
}
