/**
 * Error bodies of all ports that are written as bytes: application/problem+json (RFC 9457). What never varies is built
 * once at load; callers must not write into it.
 */
import type { FieldError } from './field-error.js';
import { type ProblemCode, problemType } from './problem-codes.js';

export const problemContentType = 'application/problem+json';
export const jsonContentType = 'application/json';

export const encode = (value: object): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value)));

/** Longest dotted path that is echoed, in characters; ours are below 60. */
const fieldLengthMax = 128;

/** Room of all faults together, in characters: the whole body fits into the answer of one message. */
const errorsLengthMax = 1200;

/** The 400 body: names each field at fault as dotted path and as JSON pointer, and says what would be right. */
export function badRequestBody(error: FieldError): Uint8Array {
  const first = shownFault(error);
  const errors = [first];
  let length = JSON.stringify(first).length;
  for (const other of error.others ?? []) {
    const shown = shownFault(other);
    length += JSON.stringify(shown).length;
    if (length > errorsLengthMax) break;
    errors.push(shown);
  }
  const { field, detail } = first;
  return encode({ type: problemType('invalid_request'), title: 'invalid_request', status: 400, detail, field, errors });
}

function shownFault({ field: path, message }: FieldError) {
  const field = path.slice(0, fieldLengthMax);
  return { field, pointer: pointerOf(field), detail: field === '' ? `the body ${message}` : `${field} ${message}` };
}

/** `merchant.mcc` → `/merchant/mcc` (RFC 6901); '' is the whole document. */
export function pointerOf(field: string): string {
  return field === '' ? '' : `/${field.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('.', '/')}`;
}

/** @param more members of our own, after the standard ones */
export function problemBody(status: number, title: ProblemCode, detail: string, more: object = {}): Uint8Array {
  return encode({ type: problemType(title), title, status, detail, ...more });
}

export const notFoundBody = problemBody(404, 'not_found', 'there is nothing at this path');
