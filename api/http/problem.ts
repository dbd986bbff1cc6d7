/**
 * Errors of the API: application/problem+json (RFC 9457). It has a stable `title` for programs, and a `detail` for
 * people that says what to do. For a bad input it has the field as dotted path and JSON pointer. Routes throw a
 * Problem; everything else that is thrown becomes one here, and never tells more than it should.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { maskCardData } from '../../platform/masking/redact.js';
import type { Fault } from '../../platform/problems/fault-words.js';
import { pointerOf } from '../../platform/problems/problem-body.js';
import { type ProblemCode, problemType } from '../../platform/problems/problem-codes.js';
import { isOutOfDescriptors } from '../../platform/process/descriptors.js';
import { ActorRefused, Contended, DatabaseUnavailable } from '../stores/database-errors.js';

export const problemContentType = 'application/problem+json; charset=utf-8';

export interface ProblemOptions {
  /** Dotted path of the field at fault, within the body, the query or the path. */
  readonly field?: string;
  /** All faults, when there may be several; `field` is the first one's. */
  readonly faults?: readonly Fault[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer other than success, thrown by routes. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly title: ProblemCode;
  readonly field: string | undefined;
  readonly faults: readonly Fault[];
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param title stable code for programs; a new one gets its line in platform/problems/problem-codes.ts
   * @param detail one sentence for people: what is wrong and what to do
   */
  constructor(status: number, title: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.field = options.field ?? options.faults?.[0]?.field;
    this.faults = options.faults ?? [];
    this.headers = options.headers ?? {};
  }
}

/** 400: an input is wrong. `message` completes the sentence that begins with the field's name. */
export function invalid(field: string, message: string): Problem {
  return invalidFields([{ field, message }]);
}

/** 400: inputs are wrong. */
export function invalidFields(faults: readonly Fault[]): Problem {
  return new Problem(400, 'invalid_request', faults.map(sentence).join('; '), { faults });
}

function sentence({ field, message }: Fault): string {
  return `${field === '' ? 'the body' : field} ${message}`;
}

/** 401: no credentials came. The scheme says how to do better. */
export function unauthorized(detail = 'send an access token: Authorization: Bearer …'): Problem {
  return new Problem(401, 'unauthorized', detail, { headers: { 'www-authenticate': 'Bearer' } });
}

/** 401: the token is not, or no longer, a good one (RFC 6750, 3.1). */
export function invalidToken(detail = 'the token has expired or is not one of ours: refresh it, or sign in'): Problem {
  const headers = { 'www-authenticate': `Bearer error="invalid_token", error_description="${detail}"` };
  return new Problem(401, 'invalid_token', detail, { headers });
}

/** 403: signed in, but the role does not allow it. */
export function forbidden(detail = 'your role does not allow this'): Problem {
  return new Problem(403, 'forbidden', detail);
}

/** 404, also for an object of another tenant: whether it exists is none of the caller's business. */
export function notFound(what = 'nothing'): Problem {
  return new Problem(404, 'not_found', `there is ${what === 'nothing' ? 'nothing' : `no such ${what}`} here`);
}

/** 409. */
export function conflict(title: ProblemCode, detail: string, options: ProblemOptions = {}): Problem {
  return new Problem(409, title, detail, options);
}

/** 503, with when to try again. */
export function unavailable(detail: string, retryAfterS = 1, title: ProblemCode = 'unavailable'): Problem {
  return new Problem(503, title, detail, { headers: { 'retry-after': String(retryAfterS) } });
}

/** The body of a problem. @param requestId names the request that it answers */
export function bodyOf({ status, title, message, field, faults }: Problem, requestId: string): string {
  const problem = { type: problemType(title), title, status, detail: maskCardData(message), requestId };
  if (field === undefined) return JSON.stringify(problem);
  const all =
    faults.length > 0
      ? faults.map((fault) => ({ field: fault.field, detail: sentence(fault) }))
      : [{ field, detail: message }];
  const errors = all.map((fault) => ({
    ...fault,
    pointer: pointerOf(fault.field),
    detail: maskCardData(fault.detail),
  }));
  return JSON.stringify({ ...problem, field, errors });
}

/** Fastify's own refusals, in our words. */
const frameworkProblems: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new Problem(415, 'unsupported_media_type', 'send the body as application/json'),
  FST_ERR_CTP_BODY_TOO_LARGE: new Problem(413, 'body_too_large', 'the body is too long'),
  FST_ERR_CTP_EMPTY_JSON_BODY: invalid('', 'is empty: send a JSON object'),
  FST_ERR_CTP_INVALID_JSON_BODY: invalid('', 'is not JSON'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: invalid('', 'is not as long as Content-Length says'),
  FST_ERR_BAD_URL: new Problem(400, 'invalid_request', 'the URL is not valid: a percent sign starts two hex digits'),
  FST_ERR_MAX_PARAM_LENGTH: new Problem(404, 'not_found', 'there is nothing here'),
};

/** What any thrown value means to the client. Null: a bug of ours. */
function problemOf(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  if (error instanceof DatabaseUnavailable) return unavailable('the database does not answer; try again', 1);
  if (error instanceof Contended) {
    const headers = { 'retry-after': '1' };
    return new Problem(429, 'too_many_changes', 'others are changing the same thing; try again', { headers });
  }
  if (error instanceof ActorRefused) {
    return error.status === 401
      ? unauthorized('you were signed out or blocked meanwhile: sign in again')
      : forbidden('your role has changed meanwhile: try again');
  }
  if (isOutOfDescriptors(error)) return unavailable('too much at once; try again', 1, 'overloaded');
  const { code, statusCode } = error as Partial<FastifyError>;
  // Postgres takes no NUL in a text, so no object and no name has one.
  if (code === '22021' || code === '22P05') return invalid('', 'has a text with a NUL character');
  if (code !== undefined && frameworkProblems[code] !== undefined) return frameworkProblems[code];
  if (error instanceof SyntaxError && statusCode === 400) return invalid('', 'is not JSON');
  // Plugins' refusals carry a status; their text was written for clients.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const title = statusCode === 417 ? 'expectation_failed' : 'refused';
    return new Problem(statusCode, title, (error as Error).message);
  }
  return null;
}

/** Answers with a problem. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return (
    reply
      .code(problem.status)
      .headers({ ...problem.headers, 'content-type': problemContentType, 'cache-control': 'no-store' })
      // What arises before any hook has no id on it yet.
      .header('request-id', reply.request.id)
      .serializer((text: string) => text)
      .send(bodyOf(problem, reply.request.id))
  );
}

/** Answers with what was thrown. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  if (problem !== null) return sendProblem(reply, problem);
  // Logged with the request (request-log.ts).
  request.bug = error instanceof Error ? error : new Error(String(error));
  return sendProblem(
    reply,
    new Problem(500, 'internal_error', `this is our fault; ask support about request ${request.id}`),
  );
}

/** Longer URLs are no use of this API. */
const urlLengthMax = 8192;

/**
 * Makes every error of the server a problem, and every path that no route takes.
 * @param methodsAt the methods that a path takes
 */
export function registerProblems(app: FastifyInstance, methodsAt: (path: string) => readonly string[]): void {
  app.setErrorHandler(answerError);
  app.addHook('onRequest', async ({ url, headers, raw }) => {
    // RFC 9112, 3.2. Node.js would answer without a body.
    if (headers.host === undefined && raw.httpVersion === '1.1') throw invalid('host', 'is missing in the headers');
    if (url.length <= urlLengthMax) return;
    throw new Problem(414, 'uri_too_long', `the URL is longer than ${urlLengthMax} characters`);
  });
  app.setNotFoundHandler((request, reply) => {
    const methods = methodsAt(request.url.split('?', 1)[0]!);
    if (methods.length === 0) return sendProblem(reply, notFound());
    const allow = methods.join(', ');
    const problem = new Problem(405, 'method_not_allowed', `this path takes ${allow}`, { headers: { allow } });
    return sendProblem(reply, problem);
  });
}
