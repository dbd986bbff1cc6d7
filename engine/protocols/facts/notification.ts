/** What the front makes of a processor's notification. */
import type { FieldError } from '../../../platform/problems/field-error.js';
import { unpackLetters } from '../../core/codes.js';
import { idLengthMax, merchantNameLengthMax } from '../../core/request.js';
import { compileCheck } from '../reading/schema.js';
import { countryIn } from '../reading/slow-parts.js';
import type { Fact, FactMerchant } from './codec.js';

/** Facts in the order in which they happened: each is booked when the one before it is. */
export interface Notification {
  readonly facts: readonly Fact[];
  /** The kinds under which it is counted, of a bounded number. */
  readonly kinds: readonly string[];
}

/** A kind of notification that is acknowledged unread. */
export const otherKind = 'other';
/** Something in a notification that is not known, and moves nothing. */
export const unknownPart = 'unknown_part';

/** The body is no notification: it asks, and the protocol's codec reads it. */
export interface Question {
  /** Further headers of the answer, each behind a line break; '': none. */
  readonly headers: string;
}

/** Why a notification cannot be read. */
export type NotificationFault = FieldError;

export type NotificationRead = Notification | Question | NotificationFault;

export function isFault(read: NotificationRead): read is NotificationFault {
  return 'field' in read;
}

export function isQuestion(read: NotificationRead): read is Question {
  return 'headers' in read;
}

/** Stays within 64 characters, whatever a processor sends. */
export const idSchema = { type: 'string', minLength: 1, maxLength: idLengthMax - 8 } as const;
export const amountSchema = {
  type: 'integer',
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
} as const;
export const optionalText = { type: ['string', 'null'] } as const;

/** A check whose errors say what is wanted of every field, by its path. */
export function notificationCheck(schema: object): (body: unknown) => FieldError | null {
  return compileCheck({ type: 'object', ...schema }, { '': 'a JSON object in UTF-8' });
}

interface MerchantTexts {
  readonly id: string | null | undefined;
  readonly name: string | null | undefined;
  readonly mcc: string | null | undefined;
  readonly country: string | null | undefined;
}

/** The merchant as far as it can be read: nothing about it may keep money from being booked. */
export function factMerchant({ id, name, mcc, country }: MerchantTexts): FactMerchant {
  const packed = countryIn([country]);
  return {
    id: cut(id, idLengthMax),
    name: cut(name, 4 * merchantNameLengthMax),
    mcc: /^[0-9]{4}$/.test(mcc ?? '') ? mcc! : undefined,
    country: packed === 0 ? undefined : unpackLetters(packed),
  };
}

function cut(text: string | null | undefined, lengthMax: number): string | undefined {
  const clean = [...(text ?? '').replace(/[\p{Cc}\p{Cs}]/gu, '')].slice(0, lengthMax).join('');
  return clean === '' ? undefined : clean;
}
