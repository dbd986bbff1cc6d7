/**
 * A request of Lithic read the obvious way: decode, JSON.parse, schema, copy. It judges what the byte reader in
 * codec.ts does not take, and is the reference that reader is fuzzed against.
 */
import { keepIds, type PanKeys } from '../../../platform/masking/hidden-ids.js';
import { isCardNumber, maskCardData, maskPansInText } from '../../../platform/masking/redact.js';
import type { FieldError } from '../../../platform/problems/field-error.js';
import { type Channel, MessageType, Protocol, packLetters } from '../../core/codes.js';
import { exponentOf } from '../../core/money.js';
import { merchantNameLengthMax, type Request } from '../../core/request.js';
import { panMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { displayText } from '../reading/display-text.js';
import { hashSlice, hashStart } from '../reading/extra-hash.js';
import { descriptionsOf, objectPathsOf, schemaOf } from '../reading/fields.js';
import { compileCheck, fieldError, missingField } from '../reading/schema.js';
import { setSignals } from '../reading/signals.js';
import { codeOf, countryIn, repeatedMember } from '../reading/slow-parts.js';
import type { Refusal, Unsupported } from '../refusal.js';
import { Echo, type LithicBody, lithicFields, panModes, statusWords, terminalTypes } from './fields.js';
import { signals } from './signals.js';
import { type Status, statuses } from './statuses.js';

const descriptions = descriptionsOf(lithicFields);
const check = compileCheck(schemaOf(lithicFields), descriptions);
const readObjects = objectPathsOf(lithicFields);

/** Fills in what the status makes of the amount. @param amountMinor of a credit: whatever its sign */
export function setQuestion(request: Request, status: Status | undefined, amountMinor: number): void {
  const amount = Math.abs(amountMinor);
  if (status === undefined) {
    request.amountMinor = amount;
    return;
  }
  request.type = status.type;
  request.amountMinor = status.type === MessageType.balanceInquiry ? 0 : amount;
  // An authorization of nothing asks whether the card is good.
  if (status.type === MessageType.authorization && amount === 0) request.type = MessageType.verification;
}

/** 32 bits, so that 2^32 * high is the rest of an amount. */
const wordSize = 2 ** 32;

/** Begins the hash of what only Lithic's form knows of the question; the event's token follows. */
export function hashOfStatus(status: number, amountMinor: number): number {
  const amount = Math.abs(amountMinor);
  const seed = Math.imul(hashStart ^ status, 0x01000193);
  return Math.imul(Math.imul(seed ^ (amount % wordSize), 0x01000193) ^ Math.floor(amount / wordSize), 0x01000193);
}

const unsupportedMessage = 'names a kind of request that is not decided here; declined';

/** Codec.read of a request of Lithic for any bytes. Leaves `bytes` as they are. */
export function readSlow(
  request: Request,
  bytes: Uint8Array,
  start: number,
  end: number,
  panKeys: PanKeys,
): Refusal | null {
  request.reset(bytes, Protocol.lithic);
  const text = decodeBody(bytes, start, end);
  const parsed = text === null ? undefined : parseJson(text);
  if (text === null || parsed === undefined) return fieldError('', descriptions);
  const error = repeatedMember(text, readObjects) ?? check(parsed);
  if (error !== null) return error;
  const body = parsed as LithicBody;
  const status = codeOf(statusWords, body.status);
  const amount = readAmount(request, body, statuses[status - 1]);
  if (typeof amount !== 'number') return amount;
  setQuestion(request, statuses[status - 1], amount);
  const merchant = body.merchant ?? {};
  if (typeof merchant.mcc === 'string' && merchant.mcc !== '') request.mcc = Number(merchant.mcc);
  request.country = countryIn([merchant.country]);
  const terminal = body.pos?.terminal ?? {};
  const terminalChannel = codeOf(terminalTypes, terminal.type);
  request.channel = (terminalChannel || codeOf(panModes, body.pos?.entry_mode?.pan)) as Channel;
  request.partialAllowed = terminal.partial_approval_capable === true;
  setSignals(signals, request, lithicFields, body);
  if (isCardNumber(body.card.token)) return { field: 'card.token', message: panMessage };
  const eventToken = body.event_token ?? undefined;
  keepIds(request, panKeys, { id: body.token, card: body.card.token, original: undefined }, [
    [request.merchantId, maskPansInText(merchant.acceptor_id ?? '')],
    [request.merchantName, displayText(merchant.descriptor ?? '', merchantNameLengthMax)],
    [request.echoes[Echo.eventToken]!, eventToken],
  ]);
  const masked = Buffer.from(maskPansInText(eventToken ?? ''));
  request.extraHash = hashSlice(hashOfStatus(status, amount), masked, 0, masked.length) >>> 0;
  return status === 0 ? unsupported(body.status) : null;
}

/** The amount to reserve: Lithic's hold where it names one, else what the network asked for. */
function readAmount(request: Request, body: LithicBody, status: Status | undefined): FieldError | number {
  const { cardholder, hold } = body.amounts;
  const name = hold == null ? 'cardholder' : 'hold';
  const { amount, currency } = hold ?? cardholder;
  if (amount === undefined) return missingField(`amounts.${name}.amount`);
  if (currency === undefined) return missingField(`amounts.${name}.currency`);
  request.currency = packLetters(currency);
  if (exponentOf(request.currency) < 0) return fieldError(`amounts.${name}.currency`, descriptions);
  if (amount < 0 && status?.isCredit !== true) return fieldError(`amounts.${name}.amount`, descriptions);
  return amount;
}

function unsupported(status: string | null): Unsupported {
  return { unsupported: true, field: 'status', message: unsupportedMessage, kind: maskCardData(String(status)) };
}
