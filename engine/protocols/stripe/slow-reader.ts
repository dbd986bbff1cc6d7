/**
 * A question of Stripe read the obvious way: decode, JSON.parse, schema, copy. It judges what the byte reader in
 * codec.ts does not take, and is the reference that reader is fuzzed against.
 */
import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber, maskPansInText } from '../../../platform/masking/redact.js';
import { Channel, MessageType, Protocol, packLetters } from '../../core/codes.js';
import { exponentOf } from '../../core/money.js';
import { merchantNameLengthMax, type Request } from '../../core/request.js';
import { panMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { displayText } from '../reading/display-text.js';
import { descriptionsOf, objectPathsOf, schemaOf } from '../reading/fields.js';
import { compileCheck, fieldError } from '../reading/schema.js';
import { setSignals } from '../reading/signals.js';
import { codeOf, countryIn, repeatedMember } from '../reading/slow-parts.js';
import type { Refusal } from '../refusal.js';
import { atmMcc, methods, type StripeBody, stripeFields } from './fields.js';
import { signals } from './signals.js';

const descriptions = descriptionsOf(stripeFields);
const check = compileCheck(schemaOf(stripeFields), descriptions);
const readObjects = objectPathsOf(stripeFields);

const object = 'data.object';

/**
 * The type of a question. The first one of an authorization has the authorization's id. A later one asks for more of
 * the same, so it has its event's.
 * @param heldMinor what Stripe holds so far
 */
export function typeOf(heldMinor: number, askedMinor: number): MessageType {
  if (heldMinor > 0) return MessageType.incremental;
  // An authorization of nothing asks whether the card is good.
  return askedMinor === 0 ? MessageType.verification : MessageType.authorization;
}

export function channelOf(mcc: number, method: number): Channel {
  return mcc === atmMcc ? Channel.atm : (method as Channel);
}

/** Codec.read of a question of Stripe for any bytes. Leaves `bytes` as they are. */
export function readSlow(
  request: Request,
  bytes: Uint8Array,
  start: number,
  end: number,
  panKeys: PanKeys,
): Refusal | null {
  request.reset(bytes, Protocol.stripe);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', descriptions);
  const error = repeatedMember(text, readObjects) ?? check(parsed);
  if (error !== null) return error;
  const { id: event, data } = parsed as StripeBody;
  const { id, amount: held, card, authorization_method: method, pending_request: pending } = data.object;
  if (held < 0) return fieldError(`${object}.amount`, descriptions);
  if (pending.amount < 0) return fieldError(`${object}.pending_request.amount`, descriptions);
  request.currency = packLetters(pending.currency.toUpperCase());
  if (exponentOf(request.currency) < 0) return fieldError(`${object}.pending_request.currency`, descriptions);
  // Adding 0 turns −0, which is an integer to JSON, into 0.
  request.amountMinor = pending.amount + 0;
  request.type = typeOf(held, request.amountMinor);
  const merchant = data.object.merchant_data ?? {};
  const { category_code: mcc } = merchant;
  if (typeof mcc === 'string' && mcc !== '') request.mcc = Number(mcc);
  request.country = countryIn([merchant.country]);
  request.channel = channelOf(request.mcc, codeOf(methods, method));
  request.partialAllowed = pending.is_amount_controllable === true;
  setSignals(signals, request, stripeFields, parsed);
  if (isCardNumber(card.id)) return { field: `${object}.card.id`, message: panMessage };
  const isIncrement = request.type === MessageType.incremental;
  const ids = { id: isIncrement ? event : id, card: card.id, original: isIncrement ? id : undefined };
  keepIds(request, panKeys, ids, [
    [request.merchantId, maskPansInText(merchant.network_id ?? '')],
    [request.merchantName, displayText(merchant.name ?? '', merchantNameLengthMax)],
  ]);
  return null;
}
