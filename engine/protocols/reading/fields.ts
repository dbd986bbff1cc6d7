/**
 * A protocol's message as a table: each field is declared once, with name, type, bound and target. The byte reader
 * (message-reader.ts), the JSON schema, the texts of errors and the OpenAPI document come from it.
 */
import { keptTextPattern } from './schema.js';

/** How the byte reader takes a value. */
export const Kind = {
  text: 1,
  dateTime: 2,
  word: 3,
  looseWord: 4,
  integer: 5,
  decimal: 6,
  letters: 7,
  digits: 8,
  flag: 9,
  capability: 10,
  country: 11,
  object: 12,
  lowerLetters: 13,
  hint: 14,
  score: 15,
} as const;

/** Where a number goes that the byte reader takes: a field of the request, or `kept` for the protocol to judge. */
export const Target = {
  kept: 0,
  amountMinor: 1,
  currency: 2,
  mcc: 3,
  country: 4,
  type: 5,
  channel: 6,
  partialAllowed: 7,
  final: 8,
  avs: 9,
  cvv: 10,
  threeDS: 11,
  pin: 12,
  wallet: 13,
  device: 14,
  recurring: 15,
  initiator: 16,
  riskScore: 17,
} as const;

/** A word with the code that it means. The commonest stands first. */
export type Words = readonly (readonly [word: string, code: number])[];

/** @typeParam T what JSON.parse gives for a valid value */
export interface Field<T = unknown, R extends boolean = boolean> {
  readonly kind: number;
  readonly isRequired: R;
  /** Null says "none". The byte reader takes it where an object may stand; elsewhere it is not sure. */
  readonly isNullable: boolean;
  /** Of an object: any other value may stand in its place, and says nothing. */
  readonly isLoose: boolean;
  /** Of a hint: the code of a text that is not in `words`. */
  readonly otherwise: number;
  /** Completes "must be …". */
  readonly must: string;
  /** JSON schema of the value; null where any value may stand. */
  readonly schema: object | null;
  /** A Target; of a text, a slot of Request.texts. */
  readonly to: number;
  /** Length of a text in characters, of letters or digits exactly `max`. */
  readonly min: number;
  readonly max: number;
  readonly words: Words;
  /** Of an object. */
  readonly fields: Fields;
  /** Never set: carries T. */
  readonly value?: T;
}

export interface Fields {
  readonly [name: string]: Field;
}

type RequiredNames<F> = { [K in keyof F]: F[K] extends Field<unknown, true> ? K : never }[keyof F];
type ValueOf<F> = F extends Field<infer T> ? T : never;
/** What JSON.parse gives for a message that the schema of these fields lets through. */
export type BodyOf<F> = { readonly [K in RequiredNames<F>]: ValueOf<F[K]> } & {
  readonly [K in Exclude<keyof F, RequiredNames<F>>]?: ValueOf<F[K]>;
};

const base = {
  isRequired: false,
  isNullable: false,
  isLoose: false,
  otherwise: 0,
  to: Target.kept,
  min: 0,
  max: 0,
  words: [],
  fields: {},
} as const;

function field<T>(kind: number, must: string, schema: object | null, more: object = {}): Field<T, false> {
  return { ...base, kind, must, schema, ...more };
}

export function required<T>(of: Field<T>): Field<T, true> {
  return { ...of, isRequired: true };
}

/** The same, and null is how some senders say "none". */
export function nullable<T>(of: Field<T>): Field<T | null, false> {
  const schema = of.schema as { readonly type: string };
  return { ...of, isRequired: false, isNullable: true, schema: { ...schema, type: [schema.type, 'null'] } };
}

/** A text that is kept, of 1 to `max` characters. */
export function text(max: number, to: number): Field<string, false> {
  const must = `a string of 1 to ${max} characters without control characters`;
  return field(
    Kind.text,
    must,
    { type: 'string', minLength: 1, maxLength: max, pattern: keptTextPattern },
    {
      to,
      min: 1,
      max,
    },
  );
}

/** A text that is kept, of 0 to `max` characters, or null. */
export function optionalText(max: number, to: number, must = text(max, to).must): Field<string | null, false> {
  return field(Kind.text, must, { type: ['string', 'null'], maxLength: max, pattern: keptTextPattern }, { to, max });
}

/** A text that is only ever shown: cleaned and cut at `max`, never refused for what stands in it. */
export function shownText(max: number, to: number): Field<string | null, false> {
  return field(Kind.text, 'a string', { type: ['string', 'null'] }, { to, max });
}

/** An RFC 3339 date-time, kept as sent. The byte reader takes the common ones, of at most 40 characters. */
export function dateTime(to: number): Field<string, false> {
  const must = 'an RFC 3339 date-time, its fraction of at most 12 digits, for example 2026-11-22T18:00:00Z';
  return field(Kind.dateTime, must, { type: 'string' }, { to, min: 1, max: 40 });
}

export function word(words: Words, to: number = Target.kept): Field<string, false> {
  const names = words.map(([name]) => name);
  return field(Kind.word, `one of ${names.join(', ')}`, { enum: names }, { to, words });
}

/** A word of an open list: one that is not in `words` means 0. */
export function looseWord(words: Words): Field<string | null, false> {
  return field(Kind.looseWord, 'a string', { type: ['string', 'null'] }, { words });
}

/** An amount in minor units. */
export function minorUnits(): Field<number, false> {
  const schema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
  return field(Kind.integer, `an integer of minor units, 0 to ${Number.MAX_SAFE_INTEGER}`, schema, {
    to: Target.amountMinor,
  });
}

/** An integer of 0 to `max`. */
export function upTo(max: number, to: number): Field<number, false> {
  const schema = { type: 'integer', minimum: 0, maximum: max };
  return field(Kind.integer, `an integer, 0 to ${max}`, schema, { to, max });
}

/** An amount in minor units, kept for the protocol to judge. The byte reader takes those of at least 0. */
export function keptMinorUnits(): Field<number, false> {
  const { MIN_SAFE_INTEGER, MAX_SAFE_INTEGER } = Number;
  const schema = { type: 'integer', minimum: MIN_SAFE_INTEGER, maximum: MAX_SAFE_INTEGER };
  return field(Kind.integer, 'an integer of minor units', schema);
}

/** An amount as a decimal number. The byte reader keeps where it stands: its currency may come later. */
export function decimal(must: string): Field<number, false> {
  return field(Kind.decimal, must, { type: 'number' });
}

/** Exactly `count` upper-case letters, packed. */
export function letters(count: number, to: number, must: string): Field<string, false> {
  return field(Kind.letters, must, { type: 'string', pattern: `^[A-Z]{${count}}$` }, { to, max: count });
}

/** Exactly `count` lower-case letters, packed as their capitals. */
export function lowerLetters(count: number, to: number, must: string): Field<string, false> {
  return field(Kind.lowerLetters, must, { type: 'string', pattern: `^[a-z]{${count}}$` }, { to, max: count });
}

export function mcc(pattern: string): Field<string, false> {
  const must = 'a string of four digits (ISO 18245)';
  return field(Kind.digits, must, { type: 'string', pattern }, { to: Target.mcc, max: 4 });
}

export function flag(to: number): Field<boolean, false> {
  return field(Kind.flag, 'true or false', { type: 'boolean' }, { to });
}

/** Documented as a boolean and seen as a text: true, or a text that means it; any other value means no. */
export function capability(words: Words): Field<unknown, false> {
  return field(Kind.capability, 'true or false', null, { words });
}

/**
 * A word, or true or false, that never refuses a message. Null, a number, an object or a list says nothing (0), and so
 * does an empty text.
 * @param otherwise the code of any other text
 */
export function hint(words: Words, otherwise = 0): Field<unknown, false> {
  return field(Kind.hint, 'a string', null, { words, otherwise });
}

/** A score of 0 to `max` that never refuses a message: kept plus one, and 0 for whatever is no such integer. */
export function score(max: number): Field<unknown, false> {
  return field(Kind.score, 'an integer', null, { max });
}

/** A text of two or three letters or of digits, or a number: anything else names no country. */
export function looseCountry(): Field<string | number | null, false> {
  return field(Kind.country, 'an ISO 3166 code as a string', { type: ['string', 'number', 'null'] });
}

export function object<F extends Fields>(fields: F): Field<BodyOf<F>, false> {
  return field(Kind.object, 'an object', schemaOf(fields), { fields });
}

/** An object of hints and scores: any other value in its place says nothing. */
export function looseObject<F extends Fields>(fields: F): Field<unknown, false> {
  return field(Kind.object, 'an object', null, { fields, isLoose: true });
}

/** The JSON schema of an object with these fields. */
export function schemaOf(fields: Fields) {
  const names = Object.keys(fields);
  const known = names.filter((name) => fields[name]!.schema !== null);
  const needed = names.filter((name) => fields[name]!.isRequired);
  return {
    type: 'object',
    ...(needed.length === 0 ? {} : { required: needed }),
    properties: Object.fromEntries(known.map((name): [string, object] => [name, fields[name]!.schema!])),
  };
}

/** What each field must be, by its path; '' is the body. */
export function descriptionsOf(fields: Fields): Readonly<Record<string, string>> {
  const described: Record<string, string> = { '': 'a JSON object in UTF-8' };
  for (const { path, field } of pathsOf(fields)) if (field.schema !== null) described[path] = field.must;
  return described;
}

/** The paths of the objects in which a member may come once, the body first. */
export function objectPathsOf(fields: Fields): string[] {
  return ['', ...[...pathsOf(fields)].filter(({ field }) => field.kind === Kind.object).map(({ path }) => path)];
}

function* pathsOf(fields: Fields, parent = ''): Generator<{ readonly path: string; readonly field: Field }> {
  for (const [name, field] of Object.entries(fields)) {
    yield { path: parent + name, field };
    yield* pathsOf(field.fields, `${parent}${name}.`);
  }
}
