/** What the slow readers of processors' messages share. */
import type { FieldError } from '../../../platform/problems/field-error.js';
import { countryOf } from './countries.js';
import { type Field, type Fields, Kind, type Words } from './fields.js';
import { memberText, repeatedName, wholeText } from './json-text.js';
import { shownName } from './member-names.js';

/** Answers a message that has a member twice: which of the two was meant? */
export const repeatedMessage = 'comes twice in the message; send it once';

/** The code of a word, 0 when it is none of them. */
export function codeOf(words: Words, word: string | null | undefined): number {
  return words.find(([name]) => name === word)?.[1] ?? 0;
}

/** The first of these fields that names a country, packed; 0 when none does. */
export function countryIn(values: readonly (string | number | null | undefined)[]): number {
  for (const value of values) {
    const bytes = Buffer.from(String(value ?? ''));
    const country = countryOf(bytes, 0, bytes.length);
    if (country !== 0) return country;
  }
  return 0;
}

/** The first member that comes twice in one of the objects at these paths. */
export function repeatedMember(text: string, objectPaths: readonly string[]): FieldError | null {
  for (const path of objectPaths) {
    const range = path === '' ? wholeText(text) : memberText(text, path.split('.'));
    const name = range === null ? null : repeatedName(text, range);
    if (name === null) continue;
    return { field: path === '' ? shownName(name) : `${path}.${shownName(name)}`, message: repeatedMessage };
  }
  return null;
}

/**
 * What the byte reader keeps of the hint or score at `path` of a parsed body: 0 where the message says nothing of it.
 */
export function keptOf(fields: Fields, body: unknown, path: string): number {
  let value = body;
  let field: Field | undefined;
  let known = fields;
  for (const name of path.split('.')) {
    field = known[name]!;
    known = field.fields;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    value = isObject && Object.hasOwn(value as object, name) ? (value as Record<string, unknown>)[name] : undefined;
  }
  return field!.kind === Kind.score ? scoreOf(field!, value) : hintOf(field!, value);
}

function scoreOf({ max }: Field, value: unknown): number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max ? (value as number) + 1 : 0;
}

function hintOf({ words, otherwise }: Field, value: unknown): number {
  if (typeof value === 'boolean') return codeOf(words, String(value));
  if (typeof value !== 'string' || value === '') return 0;
  return words.find(([word]) => word === value)?.[1] ?? otherwise;
}
