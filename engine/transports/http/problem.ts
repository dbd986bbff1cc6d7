/** Error bodies that only the authorization port answers with. Built once at load; callers must not write into them. */

import { encode, problemBody } from '../../../platform/problems/problem-body.js';
import { type ProblemCode, problemType } from '../../../platform/problems/problem-codes.js';
import { Reason, reasonEntry } from '../../core/reasons.js';

export const unauthorizedBody = problemBody(
  401,
  'unauthorized',
  'send the processor credentials as HTTP Basic authentication',
);
export const unsignedBody = problemBody(
  401,
  'unauthorized',
  'send the credentials and the signature over the body that this path wants; its time must be within five minutes',
);
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
