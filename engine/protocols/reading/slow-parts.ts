/** What the slow readers of processors' messages share. */
import type { FieldError } from '../../../platform/problems/field-error.js';
import { countryOf } from './countries.js';
import type { Words } from './fields.js';
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
