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
  /** Of what this engine may have posted at once: see Request.askedType. */
  | 'posted'
  /** The amount is what remains of the hold, or of what was posted at once. */
  | 'holdRemains'
  | 'postedRemains'
  /** Takes back a refund, all but the amount. */
  | 'refunded';

const meanings: readonly Meaning[] = ['plain', 'capture', 'posted', 'holdRemains', 'postedRemains', 'refunded'];
const askedTypes = [
  0,
  0,
  MessageType.authorization,
  MessageType.advice,
  MessageType.clearing,
  MessageType.refund,
] as const;
const headBytes = 2;

/** The names of a message under one key of PAN_KEY. */
export interface Names {
  readonly id: string;
  readonly card: string;
  /** '': the message has none, or it is the same under every key. */
  readonly original: string;
}
const namesBytes = 3 * nameLength;

/** The message as a partition reads it. @param older its names under the older keys of PAN_KEY */
export function partitionBytes(message: PartitionMessage, meaning: Meaning, older: readonly Names[]): Buffer {
  const json = JSON.stringify(message);
  const names = older.map(({ id, card, original }) => id + card.padEnd(nameLength) + original.padEnd(nameLength));
  return Buffer.from(
    String.fromCharCode(0x30 + meanings.indexOf(meaning), 0x30 + older.length) + names.join('') + json,
  );
}

/** The names under the older keys become further forms of the newest one: see kept-forms.ts. */
function keepOlderNames(request: Request, bytes: Uint8Array, start: number, count: number): void {
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
      const olderCount = (bytes[start + 1] ?? 0) - 0x30;
      const at = start + headBytes + olderCount * namesBytes;
      const refusal = native.read(request, bytes, Math.min(at, end), end);
      request.protocol = Protocol.iso8583;
      if (refusal !== null) return refusal;
      request.capture = meanings[meaning] === 'capture';
      if (request.type !== MessageType.refund) request.askedType = askedTypes[meaning] ?? 0;
      if (olderCount > 0) keepOlderNames(request, bytes, start + headBytes, olderCount);
      return null;
    },
    writeAnswer,
  };
}
