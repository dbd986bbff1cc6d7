/**
 * The native form read the obvious way: decode, JSON.parse, schema, copy. It gives the verdict on everything the byte
 * reader in native.ts does not take, and it is the reference that reader is fuzzed against.
 */
import { Channel, channelNames, MessageType, messageTypeNames, Protocol, packLetters } from '../core/codes.js';
import { idLengthMax, merchantNameLengthMax, type Request } from '../core/request.js';
import { decodeBody, keepTexts, parseJson } from './body-text.js';
import type { FieldError } from './codec.js';
import { isDateTime } from './date-time.js';
import { looksLikePan, maskPans } from './redact.js';
import { compileCheck, fieldError, keptTextPattern, missingField } from './schema.js';

/** What a token field that holds a card number is told. */
export const panMessage = 'looks like a card number; send a token';

/** Names a sender may use: the internal types that follow advice are not among them. */
const typeNames = messageTypeNames.slice(MessageType.authorization, MessageType.advice + 1);
const channels = channelNames.slice(Channel.chip);

const token = { type: 'string', minLength: 1, maxLength: idLengthMax, pattern: keptTextPattern } as const;

const schema = {
  type: 'object',
  required: ['id', 'type', 'card'],
  properties: {
    id: token,
    type: { enum: typeNames },
    card: token,
    original: token,
    amount: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' },
    merchant: {
      type: 'object',
      properties: {
        id: token,
        name: { type: 'string', minLength: 1, maxLength: merchantNameLengthMax, pattern: keptTextPattern },
        mcc: { type: 'string', pattern: '^[0-9]{4}$' },
        country: { type: 'string', pattern: '^[A-Z]{2}$' },
      },
    },
    channel: { enum: channels },
    partialAllowed: { type: 'boolean' },
    final: { type: 'boolean' },
    at: { type: 'string' },
  },
} as const;

const text64 = `a string of 1 to ${idLengthMax} characters without control characters`;
const descriptions = {
  '': 'a JSON object in UTF-8',
  id: text64,
  type: `one of ${typeNames.join(', ')}`,
  card: text64,
  original: text64,
  amount: `an integer of minor units, 0 to ${Number.MAX_SAFE_INTEGER}`,
  currency: 'an ISO 4217 code of three upper-case letters',
  merchant: 'an object',
  'merchant.id': text64,
  'merchant.name': `a string of 1 to ${merchantNameLengthMax} characters without control characters`,
  'merchant.mcc': 'a string of four digits (ISO 18245)',
  'merchant.country': 'an ISO 3166 code of two upper-case letters',
  channel: `one of ${channels.join(', ')}`,
  partialAllowed: 'true or false',
  final: 'true or false',
  at: 'an RFC 3339 date-time, its fraction of at most 12 digits, for example 2026-11-22T18:00:00Z',
} as const;

const check = compileCheck(schema, descriptions);

/** What the schema lets through. */
interface Body {
  readonly id: string;
  readonly type: string;
  readonly card: string;
  readonly original?: string;
  readonly amount?: number;
  readonly currency?: string;
  readonly merchant?: {
    readonly id?: string;
    readonly name?: string;
    readonly mcc?: string;
    readonly country?: string;
  };
  readonly channel?: string;
  readonly partialAllowed?: boolean;
  readonly final?: boolean;
  readonly at?: string;
}

/** Types that ask about or report an amount; the others may leave amount and currency out. */
export function needsAmount(type: MessageType): boolean {
  return (
    type === MessageType.authorization ||
    type === MessageType.incremental ||
    type === MessageType.clearing ||
    type === MessageType.refund ||
    type === MessageType.advice
  );
}

/** Types that make no sense without the authorization they follow. */
export function needsOriginal(type: MessageType): boolean {
  return type === MessageType.incremental || type === MessageType.reversal;
}

/** Codec.read of the native form for any bytes. Leaves `bytes` as they are. */
export function readSlow(request: Request, bytes: Uint8Array, start: number, end: number): FieldError | null {
  request.reset(bytes, Protocol.native);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (parsed === undefined) return fieldError('', descriptions);
  const error = check(parsed);
  if (error !== null) return error;
  const body = parsed as Body;

  const type = messageTypeNames.indexOf(body.type as (typeof messageTypeNames)[number]) as MessageType;
  if (needsOriginal(type) && body.original === undefined) return missingField('original');
  if (needsAmount(type)) {
    if (body.amount === undefined) return missingField('amount');
    if (body.currency === undefined) return missingField('currency');
  }
  if (body.at !== undefined && !isDateTime(body.at)) return fieldError('at', descriptions);

  const merchant = body.merchant ?? {};
  request.type = type;
  // Adding 0 turns −0, which is an integer to JSON, into 0.
  if (body.amount !== undefined) request.amountMinor = body.amount + 0;
  if (body.currency !== undefined) request.currency = packLetters(body.currency);
  if (merchant.mcc !== undefined) request.mcc = Number(merchant.mcc);
  if (merchant.country !== undefined) request.country = packLetters(merchant.country);
  if (body.channel !== undefined) {
    request.channel = channelNames.indexOf(body.channel as (typeof channelNames)[number]) as Channel;
  }
  request.partialAllowed = body.partialAllowed ?? false;
  request.final = body.final ?? true;
  keepTexts(request, [
    [request.id, body.id],
    [request.card, body.card],
    [request.original, body.original],
    [request.merchantId, merchant.id],
    [request.merchantName, merchant.name],
    [request.at, body.at],
  ]);
  for (const field of ['id', 'card', 'original'] as const) {
    const slice = request[field];
    if (looksLikePan(request.source, slice.start, slice.end)) return { field, message: panMessage };
  }
  maskPans(request.source, request.merchantId.start, request.merchantId.end);
  maskPans(request.source, request.merchantName.start, request.merchantName.end);
  return null;
}
