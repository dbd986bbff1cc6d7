/**
 * The native form read the obvious way: decode, JSON.parse, schema, copy. It gives the verdict on everything the byte
 * reader in codec.ts does not take, and it is the reference that reader is fuzzed against.
 */

import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber, maskPansInText } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { type Channel, channelNames, MessageType, messageTypeNames, Protocol, packLetters } from '../../core/codes.js';
import { exponentOf } from '../../core/money.js';
import { merchantNameLengthMax, type Request } from '../../core/request.js';
import {
  type CheckResult,
  checkResultNames,
  type Device,
  deviceNames,
  type Initiator,
  initiatorNames,
  type Pin,
  pinNames,
  Recurring,
  type Wallet,
  walletNames,
} from '../../core/vocabulary.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { isDateTime } from '../reading/date-time.js';
import { displayText } from '../reading/display-text.js';
import { memberText, repeatedName, wholeText } from '../reading/json-text.js';
import { nearestName, shownName, type UnknownFields } from '../reading/member-names.js';
import { compileCheck, fieldError, missingField } from '../reading/schema.js';
import { repeatedMessage } from '../reading/slow-parts.js';
import { type NativeBody, nativeDescriptions, nativeFields, nativeSchema } from './fields.js';

/** Answers a card token that is a card number. */
export const panMessage = 'is a card number, which is never kept; send the token of the card';

const check = compileCheck(nativeSchema, nativeDescriptions);

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

/** What both readers of the native form go by. */
export interface NativeRules {
  readonly panKeys: PanKeys;
  /** An unknown field refuses the message. */
  readonly strictFields: boolean;
  readonly unknownFields: UnknownFields;
}

const bodyNames = Object.keys(nativeFields);
/** The objects in a message, with the names of their members. */
const objectNames = (['merchant', 'verification', 'wallet'] as const).map(
  (name) => [name, Object.keys(nativeFields[name].fields)] as const,
);

/** The first member that comes twice, or one that is unknown where that is refused. Counts the unknown ones. */
function nameError(request: Request, text: string, parsed: unknown, rules: NativeRules): FieldError | null {
  const objects = objectNames.map(([name, known]) => [`${name}.`, memberText(text, [name]), known] as const);
  for (const [parent, range, known] of [['', wholeText(text), bodyNames] as const, ...objects]) {
    if (range === null) continue;
    const repeated = repeatedName(text, range);
    if (repeated !== null) return { field: parent + shownName(repeated), message: repeatedMessage };
    const object = (parent === '' ? parsed : (parsed as Record<string, unknown>)[parent.slice(0, -1)]) as object;
    if (typeof object !== 'object' || object === null || Array.isArray(object)) continue;
    for (const name of Object.keys(object)) {
      if (known.includes(name)) continue;
      request.unknownFields |= rules.unknownFields.bitOfText(parent, name);
      if (!rules.strictFields) continue;
      const nearest = nearestName(name, known);
      const hint = nearest === null ? `known are ${known.join(', ')}` : `did you mean ${parent}${nearest}?`;
      return { field: parent + shownName(name), message: `is not a field of this message; ${hint}` };
    }
  }
  return null;
}

/** Codec.read of the native form for any bytes. Leaves `bytes` as they are. */
export function readSlow(
  request: Request,
  bytes: Uint8Array,
  start: number,
  end: number,
  rules: NativeRules,
): FieldError | null {
  request.reset(bytes, Protocol.native);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', nativeDescriptions);
  const error = nameError(request, text, parsed, rules) ?? check(parsed);
  if (error !== null) return error;
  const body = parsed as NativeBody;

  const type = messageTypeNames.indexOf(body.type as (typeof messageTypeNames)[number]) as MessageType;
  if (needsOriginal(type) && body.original === undefined) return missingField('original');
  if (needsAmount(type)) {
    if (body.amount === undefined) return missingField('amount');
    if (body.currency === undefined) return missingField('currency');
  }
  if (body.at !== undefined && !isDateTime(body.at)) return fieldError('at', nativeDescriptions);
  const currency = body.currency === undefined ? 0 : packLetters(body.currency);
  if (currency !== 0 && exponentOf(currency) < 0) return fieldError('currency', nativeDescriptions);
  if (isCardNumber(body.card)) return { field: 'card', message: panMessage };

  const merchant = body.merchant ?? {};
  request.type = type;
  // Adding 0 turns −0, which is an integer to JSON, into 0.
  if (body.amount !== undefined) request.amountMinor = body.amount + 0;
  request.currency = currency;
  if (merchant.mcc !== undefined) request.mcc = Number(merchant.mcc);
  if (merchant.country !== undefined) request.country = packLetters(merchant.country);
  if (body.channel !== undefined) {
    request.channel = channelNames.indexOf(body.channel as (typeof channelNames)[number]) as Channel;
  }
  request.partialAllowed = body.partialAllowed ?? false;
  request.final = body.final ?? true;
  setSignals(request, body);
  keepIds(request, rules.panKeys, { id: body.id, card: body.card, original: body.original }, [
    [request.merchantId, merchant.id === undefined ? undefined : maskPansInText(merchant.id)],
    [request.merchantName, displayText(merchant.name ?? '', merchantNameLengthMax)],
    [request.at, body.at],
  ]);
  return null;
}

function setSignals(request: Request, { verification = {}, wallet = {}, ...body }: NativeBody): void {
  request.avs = codeIn(checkResultNames, verification.avs) as CheckResult;
  request.cvv = codeIn(checkResultNames, verification.cvv) as CheckResult;
  request.threeDS = codeIn(checkResultNames, verification.threeDS) as CheckResult;
  request.pin = codeIn(pinNames, verification.pin) as Pin;
  request.wallet = codeIn(walletNames, wallet.type) as Wallet;
  request.device = codeIn(deviceNames, wallet.device) as Device;
  if (body.recurring !== undefined) request.recurring = body.recurring ? Recurring.yes : Recurring.no;
  request.initiator = codeIn(initiatorNames, body.initiator) as Initiator;
  if (body.riskScore !== undefined) request.riskScore = body.riskScore + 0;
}

function codeIn(names: readonly string[], name: string | undefined): number {
  return name === undefined ? 0 : names.indexOf(name);
}
