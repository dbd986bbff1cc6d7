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
import { idLengthMax, merchantNameLengthMax, type Request } from '../../core/request.js';
import { panMessage, repeatedMessage } from '../native/slow-reader.js';
import { decodeBody, parseJson } from '../reading/body-text.js';
import { countryOf } from '../reading/countries.js';
import { displayText } from '../reading/display-text.js';
import { memberText, repeatedName, wholeText } from '../reading/json-text.js';
import { shownName } from '../reading/member-names.js';
import { compileCheck, fieldError, keptTextPattern, missingField } from '../reading/schema.js';
import type { Refusal, Unsupported } from '../refusal.js';
import { type Method, methods, plainAuthorization } from './methods.js';

const token = { type: 'string', minLength: 1, maxLength: idLengthMax, pattern: keptTextPattern } as const;
/** Optional texts: null and '' are how some senders say "none". */
const optionalToken = { type: ['string', 'null'], maxLength: idLengthMax, pattern: keptTextPattern } as const;

/** A text of two or three letters or of digits, or a number: anything else names no country. */
const country = { type: ['string', 'number', 'null'] } as const;

/** Where Request.echoes has what only Marqeta's form knows. */
export const Echo = { method: 0, userToken: 1, actingUserToken: 2 } as const;

/** Longest method name taken; the longest known has 47 characters. */
export const methodLengthMax = 64;

const jit = 'gpa_order.jit_funding';

const schema = {
  type: 'object',
  required: ['card_token', 'gpa_order'],
  properties: {
    card_token: token,
    currency_code: { type: ['string', 'null'], pattern: '^[A-Z]{3}$' },
    gpa_order: {
      type: 'object',
      required: ['jit_funding'],
      properties: {
        currency_code: { type: ['string', 'null'], pattern: '^[A-Z]{3}$' },
        jit_funding: {
          type: 'object',
          required: ['token', 'method', 'amount'],
          properties: {
            token,
            method: { type: 'string', minLength: 1, maxLength: methodLengthMax, pattern: keptTextPattern },
            user_token: optionalToken,
            acting_user_token: optionalToken,
            original_jit_funding_token: optionalToken,
            amount: { type: 'number' },
          },
        },
      },
    },
    card_acceptor: {
      type: ['object', 'null'],
      properties: {
        mid: optionalToken,
        // Only ever shown: cleaned and cut, never refused for what stands in it.
        name: { type: ['string', 'null'] },
        mcc: { type: ['string', 'null'], pattern: '^([0-9]{4})?$' },
        country_code: country,
        country,
        poi: { type: ['object', 'null'] },
      },
    },
    pos: {
      type: ['object', 'null'],
      properties: { pan_entry_mode: { type: ['string', 'null'] }, country_code: country },
    },
    transaction_metadata: {
      type: ['object', 'null'],
      properties: { payment_channel: { type: ['string', 'null'] } },
    },
  },
} as const;

const text64 = `a string of 1 to ${idLengthMax} characters without control characters`;
const countryText = 'an ISO 3166 code as a string';
const currencyText = 'an ISO 4217 code of three upper-case letters';
const descriptions: Readonly<Record<string, string>> = {
  '': 'a JSON object in UTF-8',
  card_token: text64,
  currency_code: currencyText,
  gpa_order: 'an object',
  'gpa_order.currency_code': currencyText,
  [jit]: 'an object',
  [`${jit}.token`]: text64,
  [`${jit}.method`]: `a string of 1 to ${methodLengthMax} characters without control characters`,
  [`${jit}.user_token`]: text64,
  [`${jit}.acting_user_token`]: text64,
  [`${jit}.original_jit_funding_token`]: text64,
  [`${jit}.amount`]: 'a decimal number of at least 0, with no more fraction digits than its currency has',
  card_acceptor: 'an object',
  'card_acceptor.mid': `a string of at most ${idLengthMax} characters without control characters`,
  'card_acceptor.name': 'a string',
  'card_acceptor.mcc': 'a string of four digits (ISO 18245)',
  'card_acceptor.country_code': countryText,
  'card_acceptor.country': countryText,
  'pos.country_code': countryText,
  'card_acceptor.poi': 'an object',
  pos: 'an object',
  'pos.pan_entry_mode': 'a string',
  transaction_metadata: 'an object',
  'transaction_metadata.payment_channel': 'a string',
};

const check = compileCheck(schema, descriptions);

type Optional<T> = T | null | undefined;

/** What the schema lets through. */
interface Body {
  readonly card_token: string;
  readonly currency_code?: Optional<string>;
  readonly gpa_order: {
    readonly currency_code?: Optional<string>;
    readonly jit_funding: {
      readonly token: string;
      readonly method: string;
      readonly user_token?: Optional<string>;
      readonly acting_user_token?: Optional<string>;
      readonly original_jit_funding_token?: Optional<string>;
    };
  };
  readonly card_acceptor?: Optional<{
    readonly mid?: Optional<string>;
    readonly name?: Optional<string>;
    readonly mcc?: Optional<string>;
    readonly country_code?: Optional<string | number>;
    readonly country?: Optional<string | number>;
    readonly poi?: Optional<{ readonly partial_approval_capable?: unknown }>;
  }>;
  readonly pos?: Optional<{
    readonly pan_entry_mode?: Optional<string>;
    readonly partial_approval_capable?: unknown;
    readonly country_code?: Optional<string | number>;
  }>;
  readonly transaction_metadata?: Optional<{ readonly payment_channel?: Optional<string> }>;
}

const entryModeChannels: Readonly<Record<string, Channel>> = {
  CHIP: Channel.chip,
  CHIP_CONTACTLESS: Channel.contactless,
  MAG_STRIPE_CONTACTLESS: Channel.contactless,
  MAG_STRIPE: Channel.magstripe,
  CHIP_FALLBACK: Channel.magstripe,
  MANUAL: Channel.manual,
  KEY_ENTERED: Channel.manual,
  CARD_ON_FILE: Channel.ecommerce,
  CREDENTIALS_ON_FILE: Channel.ecommerce,
};

/**
 * The terminal's own word is the weakest: a card on file keyed at a web shop is e-commerce, any cash machine is atm.
 */
function channelOf(method: Method | undefined, entryMode: Optional<string>, paymentChannel: Optional<string>): Channel {
  if (method?.atm === true || paymentChannel === 'ATM') return Channel.atm;
  if (paymentChannel === 'ECOMMERCE') return Channel.ecommerce;
  if (typeof entryMode !== 'string' || !Object.hasOwn(entryModeChannels, entryMode)) return Channel.absent;
  return entryModeChannels[entryMode]!;
}

/** The capability is documented as a boolean and seen as a text. */
function isYes(value: unknown): boolean {
  return value === true || value === 'TRUE' || value === 'true' || value === '1';
}

/**
 * Hash of what only Marqeta's form knows of the question: method, user, acting user. FNV-1a over the bytes, 0xff (never
 * in UTF-8) after each, so that no two splits of the same bytes meet. Unsigned 32 bits.
 */
const hashStart = 0x811c9dc5;

export function extraHashOf({ source, echoes }: Request): number {
  let hash = hashStart;
  for (let index = Echo.method; index <= Echo.actingUserToken; index++) {
    hash = hashSlice(hash, source, echoes[index]!.start, echoes[index]!.end);
  }
  return hash >>> 0;
}

/** The same of texts that are masked: a hash without a key must know no card number. */
function hashOfTexts(texts: readonly string[]): number {
  let hash = hashStart;
  for (const text of texts) {
    const bytes = Buffer.from(text);
    hash = hashSlice(hash, bytes, 0, bytes.length);
  }
  return hash >>> 0;
}

function hashSlice(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  for (let index = start; index < end; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return Math.imul(hash ^ 0xff, 0x01000193);
}

/** The first of the merchant's country fields that names a country, packed; 0 when none does. */
function countryIn(values: readonly Optional<string | number>[]): number {
  for (const value of values) {
    const bytes = Buffer.from(String(value ?? ''));
    const country = countryOf(bytes, 0, bytes.length);
    if (country !== 0) return country;
  }
  return 0;
}

/** The objects that are read: in each of them a member may come once. */
const readObjects = ['', 'gpa_order', jit, 'card_acceptor', 'card_acceptor.poi', 'pos', 'transaction_metadata'];

function repeatedMember(text: string): FieldError | null {
  for (const path of readObjects) {
    const range = path === '' ? wholeText(text) : memberText(text, path.split('.'));
    const name = range === null ? null : repeatedName(text, range);
    if (name === null) continue;
    return { field: path === '' ? shownName(name) : `${path}.${shownName(name)}`, message: repeatedMessage };
  }
  return null;
}

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
  const error = repeatedMember(text) ?? check(parsed);
  if (error !== null) return error;
  const body = parsed as Body;
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
  request.channel = channelOf(method, body.pos?.pan_entry_mode, body.transaction_metadata?.payment_channel);
  request.partialAllowed = isYes(body.pos?.partial_approval_capable) || isYes(merchant.poi?.partial_approval_capable);
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
function readCurrencyAndAmount(request: Request, text: string, body: Body): FieldError | null {
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
