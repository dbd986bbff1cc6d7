/**
 * An ISO 8583 message on its way from the front to its partition and back. The front reads the sender's bytes, because
 * only a link knows how they are packed. What it sends on is a message of the native form behind a few bytes: no card
 * number is in it. The answer is a few numbers, of which the front makes the sender's form again.
 */

import { MessageType, Protocol } from '../../core/codes.js';
import { keepTexts, type TextEntry } from '../../core/kept-texts.js';
import { type Outcome, responseCode } from '../../core/outcome.js';
import { type Request, type TextSlice, textOf } from '../../core/request.js';
import type { Codec, CodecOptions } from '../codec.js';
import { createNativeCodec } from '../native/codec.js';
import { digitsOf } from './message.js';
import { approvalCodeLength, nameLength, writeApprovalCode } from './names.js';

export interface MerchantWords {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
  readonly mcc?: string | undefined;
  readonly country?: string | undefined;
}

/** A message of the native form, and what that has no words for. */
export interface PartitionMessage {
  readonly id: string;
  readonly type: 'authorization' | 'reversal' | 'clearing' | 'refund' | 'verification' | 'balance_inquiry' | 'advice';
  readonly card: string;
  readonly original?: string | undefined;
  readonly amount?: number | undefined;
  readonly currency?: string | undefined;
  readonly merchant?: MerchantWords | undefined;
  readonly verification?: { readonly pin: 'entered' } | undefined;
  readonly channel?: string | undefined;
  readonly partialAllowed?: boolean | undefined;
}

/** What the native form does not say. */
export type Meaning =
  | 'plain'
  /** Authorize and post at once. */
  | 'capture'
  /** A clearing or reversal of what is posted: see Request.askedType. */
  | 'posted'
  /** A clearing or reversal of what is held or posted: the books know which. */
  | 'either'
  /** Takes back a refund, all but the amount. */
  | 'refunded';

const meanings: readonly Meaning[] = ['plain', 'capture', 'posted', 'either', 'refunded'];
const askedTypes = [0, 0, MessageType.clearing, MessageType.reversal, MessageType.refund] as const;

/** How a message is meant, beside its native form. */
export interface Manner {
  readonly meaning: Meaning;
  readonly waitsForOriginal: boolean;
  /** See Request.wholeMinor. */
  readonly wholeMinor: number;
}

const waits = 0x31;
const wholeDigits = 16;
/** Meaning, number of further names, whether it waits for its original, and the whole amount: all digits. */
const headBytes = 3 + wholeDigits;

/** The names of a message under one key of PAN_KEY. */
export interface Names {
  readonly id: string;
  readonly card: string;
  /** '': the message has none, or it is the same under every key. */
  readonly original: string;
}

/** Where a message may be about one of two, the second one. */
export function otherOriginal(original: string): Names {
  return { id: '', card: '', original };
}

const namesBytes = 3 * nameLength;

/**
 * The message as a partition reads it.
 * @param further its names under the older keys of PAN_KEY, and what else its original may be
 */
export function partitionBytes(message: PartitionMessage, manner: Manner, further: readonly Names[]): Buffer {
  const { meaning, waitsForOriginal, wholeMinor } = manner;
  const names = further.map((name) => padded(name.id) + padded(name.card) + padded(name.original)).join('');
  const head = String.fromCharCode(
    0x30 + meanings.indexOf(meaning),
    0x30 + further.length,
    waitsForOriginal ? waits : 0x30,
  );
  return Buffer.from(
    head + String(Math.max(0, wholeMinor)).padStart(wholeDigits, '0') + names + JSON.stringify(message),
  );
}

function padded(name: string): string {
  return name.padEnd(nameLength);
}

/** The further names become further forms of the first one: see kept-forms.ts. */
function keepFurtherNames(request: Request, bytes: Uint8Array, start: number, count: number): void {
  const text = (slice: TextSlice): string => textOf(request.source, slice);
  const { id, card, original, merchantId, merchantName, at } = request;
  const plain: TextEntry[] = [id, card, original, merchantId, merchantName, at].map((slice) => [slice, text(slice)]);
  const hidden = request.hide();
  const entries: TextEntry[] = [
    ...plain,
    [hidden.sentId, plain[0]![1]],
    [hidden.sentOriginal, plain[2]![1]],
    [hidden.keptCard, plain[1]![1]],
  ];
  const forms = [hidden.olderIds, hidden.olderCards, hidden.olderOriginals];
  const names = Buffer.from(bytes.buffer, bytes.byteOffset + start, count * namesBytes).toString('latin1');
  for (let index = 0; index < 3 * count; index++) {
    const name = names.slice(index * nameLength, (index + 1) * nameLength).trimEnd();
    if (name === '') continue;
    const slice = { start: 0, end: 0 };
    forms[index % 3]!.push(slice);
    entries.push([slice, name]);
  }
  keepTexts(request, entries);
}

/** A decision as the front reads it. */
export interface PartitionAnswer {
  /** ISO 8583:1987 DE 39. */
  readonly responseCode: string;
  readonly approvalCode: string;
  readonly isPartial: boolean;
  readonly amountMinor: number;
  readonly availableMinor: number;
  readonly heldMinor: number;
  /** packLetters() of the account's currency. */
  readonly currency: number;
}

const Offset = { responseCode: 0, approvalCode: 2, isPartial: 8, currency: 9, amounts: 11 } as const;
const answerBytes = Offset.amounts + 3 * 8;
/** Amounts on their way into bytes that are aligned to nothing. */
const amounts = new Float64Array(3);
const amountBytes = new Uint8Array(amounts.buffer);

function writeAnswer(target: Uint8Array, offset: number, request: Request, outcome: Outcome): number {
  const code = responseCode(outcome, request.type);
  target[offset] = code.charCodeAt(0);
  target[offset + 1] = code.charCodeAt(1);
  writeApprovalCode(target, offset + Offset.approvalCode, request.source, request.id.start);
  target[offset + Offset.isPartial] = outcome.partial ? 1 : 0;
  const currency = outcome.currency !== 0 ? outcome.currency : request.currency;
  target[offset + Offset.currency] = currency >> 8;
  target[offset + Offset.currency + 1] = currency & 0xff;
  amounts[0] = outcome.approvedAmountMinor;
  amounts[1] = outcome.availableMinor;
  amounts[2] = outcome.heldMinor;
  target.set(amountBytes, offset + Offset.amounts);
  return answerBytes;
}

/** @param bytes what writeAnswer() wrote, from `start` */
export function readPartitionAnswer(bytes: Buffer, start: number): PartitionAnswer {
  amountBytes.set(bytes.subarray(start + Offset.amounts, start + answerBytes));
  const codeAt = start + Offset.approvalCode;
  return {
    responseCode: bytes.toString('latin1', start, start + Offset.approvalCode),
    approvalCode: bytes.toString('latin1', codeAt, codeAt + approvalCodeLength),
    isPartial: bytes[start + Offset.isPartial] === 1,
    currency: bytes.readUInt16BE(start + Offset.currency),
    amountMinor: amounts[0]!,
    availableMinor: amounts[1]!,
    heldMinor: amounts[2]!,
  };
}

export function createIsoCodec(options: Pick<CodecOptions, 'panKeys'>): Codec {
  const native = createNativeCodec({ ...options, strictFields: false });
  return {
    protocol: Protocol.iso8583,
    read(request, bytes, start, end) {
      const meaning = (bytes[start] ?? 0) - 0x30;
      const furtherCount = (bytes[start + 1] ?? 0) - 0x30;
      const at = start + headBytes + furtherCount * namesBytes;
      const refusal = native.read(request, bytes, Math.min(at, end), end);
      request.protocol = Protocol.iso8583;
      if (refusal !== null) return refusal;
      request.capture = meanings[meaning] === 'capture';
      if (request.type !== MessageType.refund) request.askedType = askedTypes[meaning] ?? 0;
      request.waitsForOriginal = bytes[start + 2] === waits;
      if (meanings[meaning] === 'refunded') request.wholeMinor = digitsOf(bytes, start + 3, start + headBytes);
      if (furtherCount > 0) keepFurtherNames(request, bytes, start + headBytes, furtherCount);
      return null;
    },
    writeAnswer,
  };
}
