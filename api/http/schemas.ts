/**
 * Building blocks of the API's schemas. Every object is closed: an unknown property of an input is refused by name, an
 * unlisted property of an answer is never written.
 */
import { type Static, type TObject, type TProperties, type TSchema, Type } from 'typebox';

/** An object without other properties. */
export function closed<T extends TProperties>(properties: T, options: { description?: string } = {}): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** A closed object of which at least one property must be given: the body of a PATCH. */
export function closedChange<T extends TProperties>(properties: T): TObject<T> {
  return Type.Object(properties, { additionalProperties: false, minProperties: 1 });
}

/** Public ids are opaque texts without spaces; ours are below 40 characters. */
export const Id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9_-]+$' });
export const IdParams = closed({ id: Id });
/** Integer minor units, any sign: a balance. */
export const Money = Type.Integer({ minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER });
/** Integer minor units above zero: what somebody asks to move. */
export const Amount = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const Timestamp = Type.String({ format: 'date-time' });
export const Version = Type.Integer({ minimum: 1 });
export const Currency = Type.String({ pattern: '^[A-Z]{3}$', description: 'ISO 4217 code' });
/** For a character class: control characters, and halves of characters, which Postgres takes in no jsonb. */
const unprintable = '\\u0000-\\u001f\\u007f\\ud800-\\udfff';
/** Pattern of a text that can be kept and shown. */
export const printable = `^[^${unprintable}]+$`;
/** A name that people read: not empty, printable, not all spaces. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: `^[^${unprintable}]*[^\\s${unprintable}][^${unprintable}]*$`,
});
export const Email = Type.String({ format: 'email', minLength: 3, maxLength: 254 });
export const Kind = Type.Enum(['personal', 'business']);
export const Role = Type.Enum(['owner', 'admin', 'member']);
export const Status = Type.Enum(['active', 'frozen', 'closed']);

/** Query of every list; add filters as `extra`. */
export function pageQuery<T extends TProperties>(extra: T) {
  return closed({
    ...extra,
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  });
}

/** Answer of every list. */
export function page<T extends TSchema>(item: T) {
  return closed({ data: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) });
}

export interface Page<T> {
  readonly data: T[];
  readonly next: string | null;
}

/** Answer of a 204: the handler returns null. */
export const NoContent = Type.Null();

/** The shape of every error answer, for the documentation. */
export const ProblemBody = closed({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  field: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(closed({ pointer: Type.String(), detail: Type.String() }))),
});

export type { Static, TSchema };
export { Type };
