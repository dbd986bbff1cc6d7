/**
 * A JIT Funding request read the obvious way: decode, JSON.parse, schema, copy. It judges what the byte reader in
 * codec.ts does not take, and is the reference that reader is fuzzed against. The amount comes from the text of its
 * number, never from JSON.parse's double.
 */

import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber, maskCardData, maskPansInText } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { Channel, MessageType, Protocol, packLetters } from '../../core/codes.js';
import { DecimalError, decimalToMinor, exponentOf } from '../../core/money.js';
import { merchantNameLengthMax, type Request } from '../../core/request.js';
import { panMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { displayText } from '../reading/display-text.js';
import { hashOfTexts, hashSlice, hashStart } from '../reading/extra-hash.js';
import { descriptionsOf, objectPathsOf, schemaOf } from '../reading/fields.js';
import { memberText } from '../reading/json-text.js';
import { compileCheck, fieldError, missingField } from '../reading/schema.js';
import { setSignals } from '../reading/signals.js';
import { codeOf, countryIn, repeatedMember } from '../reading/slow-parts.js';
import type { Refusal, Unsupported } from '../refusal.js';
import { Echo, entryModes, type MarqetaBody, marqetaFields, paymentChannels, yesWords } from './fields.js';
import { type Method, methods, plainAuthorization } from './methods.js';
import { signals } from './signals.js';

export const jit = 'gpa_order.jit_funding';
/** Where a message names the merchant's country, and say that the terminal takes less. The first that does counts. */
export const countryPaths = ['card_acceptor.country_code', 'card_acceptor.country', 'pos.country_code'];
export const capabilityPaths = ['pos.partial_approval_capable', 'card_acceptor.poi.partial_approval_capable'];

const descriptions = descriptionsOf(marqetaFields);
const check = compileCheck(schemaOf(marqetaFields), descriptions);

/** The entry mode is the weakest: a card on file keyed at a web shop is e-commerce, any cash machine is atm. */
export function channelOf(method: Method | undefined, entryMode: number, paymentChannel: number): Channel {
  if (method?.atm === true || paymentChannel === Channel.atm) return Channel.atm;
  return (paymentChannel === Channel.ecommerce ? Channel.ecommerce : entryMode) as Channel;
}

function isYes(value: unknown): boolean {
  return value === true || yesWords.some(([word]) => word === value);
}

/** Hash of what only Marqeta's form knows of the question: method, user, acting user. */
export function extraHashOf({ source, echoes }: Request): number {
  let hash = hashStart;
  for (let index = Echo.method; index <= Echo.actingUserToken; index++) {
    hash = hashSlice(hash, source, echoes[index]!.start, echoes[index]!.end);
  }
  return hash >>> 0;
}

const readObjects = objectPathsOf(marqetaFields);

const unsupportedMessage = 'names a kind of message that is not decided here; declined';

/** Codec.read of a JIT Funding request for any bytes. Leaves `bytes` as they are. */
export function readSlow(
  request: Request,
  bytes: Uint8Array,
  start: number,
  end: number,
  panKeys: PanKeys,
): Refusal | null {
  request.reset(bytes, Protocol.marqeta);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', descriptions);
  const error = repeatedMember(text, readObjects) ?? check(parsed);
  if (error !== null) return error;
  const body = parsed as MarqetaBody;
  const funding = body.gpa_order.jit_funding;
  const method = methods.find(({ name }) => name === funding.method);

  const currencyError = readCurrencyAndAmount(request, text, body);
  if (currencyError !== null) return currencyError;
  const original = funding.original_jit_funding_token ?? undefined;
  if (method?.type === MessageType.incremental && (original === undefined || original === '')) {
    return missingField(`${jit}.original_jit_funding_token`);
  }

  const merchant = body.card_acceptor ?? {};
  if (method !== undefined) {
    request.type = method.type;
    request.capture = method.capture;
    // A plain authorization of nothing asks whether the card is good.
    if (method === plainAuthorization && request.amountMinor === 0) request.type = MessageType.verification;
  }
  if (typeof merchant.mcc === 'string' && merchant.mcc !== '') request.mcc = Number(merchant.mcc);
  request.country = countryIn([merchant.country_code, merchant.country, body.pos?.country_code]);
  const entryMode = codeOf(entryModes, body.pos?.pan_entry_mode);
  request.channel = channelOf(method, entryMode, codeOf(paymentChannels, body.transaction_metadata?.payment_channel));
  request.partialAllowed = isYes(body.pos?.partial_approval_capable) || isYes(merchant.poi?.partial_approval_capable);
  setSignals(signals, request, marqetaFields, body);
  if (isCardNumber(body.card_token)) return { field: 'card_token', message: panMessage };
  keepIds(request, panKeys, { id: funding.token, card: body.card_token, original: original || undefined }, [
    [request.merchantId, maskPansInText(merchant.mid ?? '')],
    [request.merchantName, displayText(merchant.name ?? '', merchantNameLengthMax)],
    [request.echoes[Echo.method]!, funding.method],
    [request.echoes[Echo.userToken]!, funding.user_token ?? undefined],
    [request.echoes[Echo.actingUserToken]!, funding.acting_user_token ?? undefined],
  ]);
  request.extraHash = hashOfTexts([
    funding.method,
    maskPansInText(funding.user_token ?? ''),
    maskPansInText(funding.acting_user_token ?? ''),
  ]);
  if (method === undefined) {
    const unsupported: Unsupported = {
      unsupported: true,
      field: `${jit}.method`,
      message: unsupportedMessage,
      kind: maskCardData(funding.method),
    };
    return unsupported;
  }
  return null;
}

/** The order's own currency speaks for its amount; the message's stands in when the order names none. */
function readCurrencyAndAmount(request: Request, text: string, body: MarqetaBody): FieldError | null {
  const orderCurrency = body.gpa_order.currency_code ?? null;
  const currency = orderCurrency ?? body.currency_code ?? null;
  if (currency !== null) {
    request.currency = packLetters(currency);
    if (exponentOf(request.currency) < 0) {
      return fieldError(orderCurrency === null ? 'currency_code' : 'gpa_order.currency_code', descriptions);
    }
  }
  const range = memberText(text, ['gpa_order', 'jit_funding', 'amount']);
  const digits = Buffer.from(range === null ? '' : text.slice(range.start, range.end));
  const exponent = currency === null ? 0 : exponentOf(request.currency);
  const amountMinor = decimalToMinor(digits, 0, digits.length, exponent);
  // Without a currency only zero has a meaning (verifications, balance inquiries).
  if (currency === null && amountMinor !== 0 && amountMinor !== DecimalError.negative)
    return missingField('currency_code');
  if (amountMinor < 0) return fieldError(`${jit}.amount`, descriptions);
  request.amountMinor = amountMinor;
  return null;
}
