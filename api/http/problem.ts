/**
 * Errors of the API: application/problem+json (RFC 9457), with a stable `title` for programs, a `detail` for people that
 * says what to do, and for a bad input the field as dotted path and JSON pointer. Routes throw a Problem; everything
 * else that is thrown becomes one here, and never tells more than it should.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isOutOfDescriptors } from '../../engine/process/descriptors.js';
import { maskCardData } from '../../engine/wire/redact.js';
import { Contended, DatabaseUnavailable } from '../stores/database-errors.js';

export const problemContentType = 'application/problem+json; charset=utf-8';

export interface ProblemOptions {
  /** Dotted path of the field at fault, within the body, the query or the path. */
  readonly field?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer other than success, thrown by routes. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly title: string;
  readonly field: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param title stable snake_case code for programs
   * @param detail one sentence for people: what is wrong and what to do
   */
  constructor(status: number, title: string, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.field = options.field;
    this.headers = options.headers ?? {};
  }
}

/** 400: an input is wrong. `message` completes the sentence that begins with the field's name. */
export function invalid(field: string, message: string): Problem {
  return new Problem(400, 'invalid_request', `${field === '' ? 'the body' : field} ${message}`, { field });
}

/** 401. The scheme says how to do better. */
export function unauthorized(detail = 'send a valid access token: Authorization: Bearer …'): Problem {
  return new Problem(401, 'unauthorized', detail, { headers: { 'www-authenticate': 'Bearer' } });
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
export function conflict(title: string, detail: string, options: ProblemOptions = {}): Problem {
  return new Problem(409, title, detail, options);
}

/** 503, with when to try again. */
export function unavailable(detail: string, retryAfterS = 1, title = 'unavailable'): Problem {
  return new Problem(503, title, detail, { headers: { 'retry-after': String(retryAfterS) } });
}

/** The body of a problem. */
export function problemBody(status: number, title: string, detail: string, field?: string): string {
  const safe = maskCardData(detail);
  if (field === undefined) return JSON.stringify({ type: 'about:blank', title, status, detail: safe });
  return JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail: safe,
    field,
    errors: [{ pointer: pointerOf(field), detail: safe }],
  });
}

/** `merchant.mcc` → `/merchant/mcc` (RFC 6901); '' is the whole document. */
function pointerOf(field: string): string {
  return field === '' ? '' : `/${field.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('.', '/')}`;
}

/** Fastify's own refusals, in our words. */
const frameworkProblems: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: new Problem(415, 'unsupported_media_type', 'send the body as application/json'),
  FST_ERR_CTP_BODY_TOO_LARGE: new Problem(413, 'body_too_large', 'the body is too long'),
  FST_ERR_CTP_EMPTY_JSON_BODY: invalid('', 'is empty: send a JSON object'),
  FST_ERR_CTP_INVALID_JSON_BODY: invalid('', 'is not JSON'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: invalid('', 'is not as long as Content-Length says'),
  FST_ERR_BAD_URL: new Problem(400, 'invalid_request', 'the URL is not valid'),
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
  if (isOutOfDescriptors(error)) return unavailable('too much at once; try again', 1, 'overloaded');
  const { code, statusCode } = error as Partial<FastifyError>;
  // Postgres takes no NUL in a text, so no object and no name has one.
  if (code === '22021') return invalid('', 'has a text with a NUL character');
  if (code !== undefined && frameworkProblems[code] !== undefined) return frameworkProblems[code];
  if (error instanceof SyntaxError && statusCode === 400) return invalid('', 'is not JSON');
  // Plugins' refusals carry a status; their text was written for clients.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem(statusCode, 'refused', (error as Error).message);
  }
  return null;
}

/** Answers with a problem. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .headers({ ...problem.headers, 'content-type': problemContentType, 'cache-control': 'no-store' })
    .serializer((text: string) => text)
    .send(problemBody(problem.status, problem.title, problem.message, problem.field));
}

/** Makes every error and every unknown path of the server a problem. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const problem = problemOf(error);
    if (problem !== null) return sendProblem(reply, problem);
    // Logged with the request (request-log.ts).
    request.bug = error instanceof Error ? error : new Error(String(error));
    return sendProblem(
      reply,
      new Problem(500, 'internal_error', `this is our fault; ask support about request ${request.id}`),
    );
  });
  app.setNotFoundHandler((_request, reply) => sendProblem(reply, notFound()));
}
