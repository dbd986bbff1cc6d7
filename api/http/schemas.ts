/**
 * Building blocks of the API's schemas. Every object is closed: an unknown property of an input is refused by name, an
 * unlisted property of an answer is never written.
 */

import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';
import { kycStatuses } from '../auth/principal.js';

/** An object without other properties. */
export function closed<T extends TProperties>(properties: T, options: ObjectOptions = {}): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** A closed object of which at least one property must be given: the body of a PATCH. */
export function closedChange<T extends TProperties>(properties: T, options: ObjectOptions = {}): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false, minProperties: 1 });
}

export interface ObjectOptions {
  /**
   * Name of the schema in the OpenAPI document, such as `Card`: every body and every answer that is an object has one.
   */
  readonly title?: string;
  readonly description?: string;
  /** Bodies of requests that work as they are with the demo data, or for a customer who has just registered. */
  readonly examples?: readonly unknown[];
}

/** One of these texts. `options.title` names the schema in the OpenAPI document. */
export function oneOf<const T extends string>(values: readonly T[], options: ObjectOptions = {}) {
  return Type.Enum([...values] as [T, ...T[]], { type: 'string', ...options });
}

/** A schema whose value may also be null. */
export function nullable<T extends TSchema>(schema: T, options: { description?: string } = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** Public ids are opaque texts without spaces; ours are below 40 characters. */
export const Id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_-]+$' });
export const IdParams = closed({ id: Id });
/** Integer minor units, any sign: a balance. */
export const Money = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });
/** Integer minor units above zero: what a caller asks to move. */
export const Amount = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const Timestamp = Type.String({ format: 'date-time' });
/** A bound of a period: a date-time, or a day. `periodOf` makes instants of them. */
export const Moment = Type.String({
  format: 'date-or-date-time',
  description: 'RFC 3339 date-time, or a date: that day in UTC, which `to` includes',
});
export const Version = Type.Integer({ minimum: 1 });
export const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code' });
/**
 * For a character class: control characters (C0, C1), those that turn the direction of the text around them (Trojan
 * Source, CVE-2021-42574), and lone surrogates. Postgres accepts none of those in jsonb.
 */
const unprintable = '\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff';
/** Pattern of a text that can be kept and shown. */
export const printable = `^[^${unprintable}]+$`;
/** A name that people read: not empty, printable, not all spaces. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: `^[^${unprintable}]*[^\\s${unprintable}][^${unprintable}]*$`,
});
/** What is looked for in a text. */
export const Part = { minLength: 1, maxLength: 100, pattern: printable };
export const Email = Type.String({ format: 'email', minLength: 3, maxLength: 254 });
export const Kind = oneOf(['personal', 'business'], { title: 'Kind' });
export const Role = oneOf(['owner', 'admin', 'member'], { title: 'Role' });
export const KycStatus = oneOf(kycStatuses, { title: 'KycStatus' });
export const Status = oneOf(['active', 'frozen', 'closed'], { title: 'Status' });

/** Where a list goes on: `next` of the page before. */
export const CursorText = Type.Optional(Type.String({ minLength: 1, maxLength: 256 }));

/** Query of every list; add filters as `extra`. */
export function pageQuery<T extends TProperties>(extra: T) {
  return closed({
    ...extra,
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
    cursor: CursorText,
  });
}

/** Answer of every list. A list of the schema `Card` is the schema `CardList`. */
export function page<T extends TSchema>(item: T) {
  const { title } = item as { title?: string };
  return closed(
    {
      data: Type.Array(item),
      next: nullable(Type.String(), { description: '`cursor` of the next page; null: no more' }),
    },
    title === undefined ? {} : { title: `${title}List` },
  );
}

export interface Page<T> {
  readonly data: T[];
  readonly next: string | null;
}

/** Answer of a 204: the handler returns null. */
export const NoContent = Type.Null();

/** The shape of every error answer, for the documentation. */
export const ProblemBody = closed(
  {
    type: Type.String({ format: 'uri-reference', description: 'where the kind of error is documented' }),
    title: Type.String({ description: 'stable snake_case code for programs' }),
    status: Type.Integer(),
    detail: Type.String({ description: 'what is wrong and what to do' }),
    field: Type.Optional(Type.String({ description: 'dotted path of the first field at fault' })),
    requestId: Type.String({ description: 'names the request, for support and in the logs' }),
    errors: Type.Optional(
      Type.Array(
        closed({
          field: Type.String({ description: 'dotted path; empty: the whole body' }),
          pointer: Type.String({ description: 'the same as a JSON pointer (RFC 6901)' }),
          detail: Type.String(),
        }),
        { description: 'every field at fault' },
      ),
    ),
  },
  { title: 'Problem', description: 'An error as RFC 9457 has it, of type application/problem+json.' },
);

export type { Static, TSchema };
export { Type };
