/** Metadata of cards and users: what a program keeps with them, texts by key. */
import { maskCardData } from '../../platform/masking/redact.js';
import { invalid } from '../http/problem.js';
import { printable, Type } from '../http/schemas.js';

const keysMax = 20;
const valueLengthMax = 500;

export const Metadata = Type.Unsafe<Record<string, string>>({
  title: 'Metadata',
  type: 'object',
  description: `what your program keeps here: up to ${keysMax} texts by key`,
  maxProperties: keysMax,
  propertyNames: { type: 'string', pattern: '^[A-Za-z0-9_.-]{1,40}$' },
  additionalProperties: { type: 'string', minLength: 1, maxLength: valueLengthMax, pattern: printable },
});

/** Metadata is kept and shown as it is: throws 400 when a key or a value may hide a card number. */
export function checkMetadata(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [key, value] of Object.entries(metadata)) {
    if (maskCardData(key) !== key || maskCardData(value) !== value) {
      throw invalid(`metadata.${maskCardData(key)}`, 'looks like a card number or a secret: keep it elsewhere');
    }
  }
  return metadata;
}
