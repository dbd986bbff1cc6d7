/**
 * `POST /v1/authorizations`, our own form. readFast() reads the common shape in place by the table in fields.ts;
 * whatever it does not take, slow-reader.ts judges. The answer is assembled from constant pieces.
 */

import { holdsPanInIds, keepReadIds } from '../../../platform/masking/hidden-ids.js';
import { isCardNumberInBytes, maskPans } from '../../../platform/masking/redact.js';
import { Protocol } from '../../core/codes.js';
import { detailName, detailNone } from '../../core/limit-names.js';
import { exponentOf, writeInteger } from '../../core/money.js';
import { type Outcome, responseCode } from '../../core/outcome.js';
import { Reason, reasonTable } from '../../core/reasons.js';
import type { Request, TextSlice } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { ascii } from '../reading/json-scan.js';
import { UnknownFields } from '../reading/member-names.js';
import { MessageReader } from '../reading/message-reader.js';
import { copyBytes, writeEscaped, writeLetters } from '../reading/write.js';
import type { Refusal } from '../refusal.js';
import { nativeFields } from './fields.js';
import { type NativeRules, needsAmount, needsOriginal, readSlow } from './slow-reader.js';

// Constants of this file rather than imports: the engine folds only these into the loops.
const point = 0x2e;
const zero = 0x30;

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
  /** The byte reader alone, for tests and benchmarks. False: it is not sure, and the request is half filled. */
  readFast(request: Request, bytes: Uint8Array, start: number, end: number): boolean;
}

export function createNativeCodec({ panKeys, strictFields }: CodecOptions): NativeCodec {
  const rules: NativeRules = { panKeys, strictFields, unknownFields: new UnknownFields() };
  const reader = new MessageReader(nativeFields, rules);
  const withAmount = (1 << reader.indexOf('amount')) | (1 << reader.indexOf('currency'));
  const withOriginal = 1 << reader.indexOf('original');

  function readFast(request: Request, bytes: Uint8Array, start: number, end: number): boolean {
    request.reset(bytes, Protocol.native);
    if (!reader.read(request, bytes, start, end)) return false;
    let required = 0;
    if (needsAmount(request.type)) required |= withAmount;
    if (needsOriginal(request.type)) required |= withOriginal;
    if ((reader.seen & required) !== required) return false;
    if (request.currency !== 0 && exponentOf(request.currency) < 0) return false;
    const isHidden = holdsPanInIds(request);
    if (isHidden && isCardNumberInBytes(bytes, request.card)) return false;
    // Last: from here on the message is taken, so the slow reader never meets half-masked bytes.
    maskPans(bytes, request.merchantId.start, request.merchantId.end);
    maskPans(bytes, request.merchantName.start, request.merchantName.end);
    if (isHidden) keepReadIds(request, panKeys);
    return true;
  }

  return {
    protocol: Protocol.native,
    rules,
    unknownFields: rules.unknownFields,
    readFast,
    read: (request, bytes, start, end): Refusal | null =>
      readFast(request, bytes, start, end) ? null : readSlow(request, bytes, start, end, rules),
    writeAnswer,
    // A conflict is answered without its time.
    stampResponseTime: patchResponseTime,
  };
}
