/**
 * Error bodies of the authorization port: application/problem+json (RFC 9457). What never varies is built once at load;
 * callers must not write into it.
 */

import { type ProblemCode, problemType } from '../../../platform/problems/problem-codes.js';
import { Reason, reasonEntry } from '../../core/reasons.js';
import type { FieldError } from '../../protocols/codec.js';

export const problemContentType = 'application/problem+json';
export const jsonContentType = 'application/json';

const encode = (value: object): Uint8Array => new Uint8Array(Buffer.from(JSON.stringify(value)));

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

export const unauthorizedBody = problemBody(
  401,
  'unauthorized',
  'send the processor credentials as HTTP Basic authentication',
);
export const notFoundBody = problemBody(404, 'not_found', 'there is nothing at this path');
export const methodNotAllowedBody = problemBody(405, 'method_not_allowed', 'this path takes POST only');
export const tooLargeBody = problemBody(413, 'body_too_large', 'the body is longer than 65536 bytes');
export const unsupportedMediaTypeBody = problemBody(
  415,
  'unsupported_media_type',
  'send the body as application/json in UTF-8, not encoded',
);

function unavailable(title: ProblemCode, reason: Reason, detail: string): Uint8Array {
  const entry = reasonEntry(reason);
  return encode({
    type: problemType(title),
    title,
    status: 503,
    detail,
    approved: false,
    reason: entry.name,
    responseCode: entry.responseCode,
  });
}

/** 503 bodies carry a decline, so that a processor that reads only the body has its answer. */
export const overloadedBody = unavailable('overloaded', Reason.overloaded, 'too many requests are waiting; declined');
export const shuttingDownBody = unavailable('shutting_down', Reason.systemError, 'this engine is stopping; declined');
export const systemErrorBody = unavailable('system_error', Reason.systemError, 'no decision could be made; declined');
