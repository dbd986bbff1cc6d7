/**
 * One line for each request, once its answer has left or its connection is gone. A line names the declared route and
 * never the URL, whose path and query may name people. It has no header and no part of a body. Successful requests may
 * be sampled, failed and slow ones are all logged. Refusals under a flood (429, 503) are logged up to a bound, and
 * counted by the metrics.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../../platform/log.js';
import { addressOf } from '../../platform/process/connection-gate.js';
import type { Actor } from '../auth/principal.js';

export interface RequestLogSettings {
  /** Of requests that are neither slow nor failed for a reason of ours. */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** Share of the successful requests that are logged, 0 to 1. */
  readonly sample: number;
}

export interface RequestLogOptions {
  readonly log: Log;
  readonly settings: RequestLogSettings;
  readonly slowResponseMs: number;
}

/** Refusals logged in one second. */
const refusalsMax = 50;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, as the log names them: kind and public id. */
    caller: string;
    /** What was thrown and is a bug of ours. */
    bug: Error | null;
  }
}

export function callerName(actor: Actor): string {
  return `${actor.kind}:${actor.publicId}`;
}

/** Must be registered first: a request that a later hook refuses is logged too. */
export function registerRequestLog(app: FastifyInstance, options: RequestLogOptions): void {
  const requestLog = new RequestLog(options);
  app.decorateRequest('caller', 'anonymous');
  app.decorateRequest('bug', null);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id);
    reply.raw.once('close', () => requestLog.ended(request, reply));
    done();
  });
}

class RequestLog {
  readonly #log: Log;
  readonly #settings: RequestLogSettings;
  readonly #slowResponseMs: number;
  /** Successes are logged whenever this reaches 1. */
  #due = 0;
  #second = 0;
  #refusals = 0;

  constructor({ log, settings, slowResponseMs }: RequestLogOptions) {
    this.#log = log;
    this.#settings = settings;
    this.#slowResponseMs = slowResponseMs;
  }

  ended(request: FastifyRequest, reply: FastifyReply): void {
    const { statusCode: status, elapsedTime: ms } = reply;
    const isSlow = ms > this.#slowResponseMs && request.routeOptions.config.route?.stream !== true;
    const level = status >= 500 ? (status === 503 ? 'warn' : 'error') : isSlow ? 'warn' : this.#settings.level;
    if (!this.#log.isLevelEnabled(level) || !this.#isWanted(status, isSlow)) return;
    const { bug } = request;
    this.#log[level](
      {
        requestId: request.id,
        method: request.method,
        route: request.routeOptions.url ?? 'unknown',
        status,
        ms: Math.round(ms * 10) / 10,
        principal: request.caller,
        address: addressOf(request.ip),
        ...(reply.raw.writableFinished ? {} : { aborted: true }),
        ...(bug === null ? {} : { error: withoutInput(bug.stack ?? bug.message, request) }),
      },
      bug !== null ? 'bug: a request failed' : isSlow ? 'alert: slow response' : 'request',
    );
  }

  #isWanted(status: number, isSlow: boolean): boolean {
    if (status === 429 || status === 503) return this.#isFirstRefusals();
    if (status >= 400 || isSlow) return true;
    this.#due += this.#settings.sample;
    if (this.#due < 1) return false;
    this.#due -= 1;
    return true;
  }

  #isFirstRefusals(): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#refusals = 0;
    }
    return ++this.#refusals <= refusalsMax;
  }
}

/** Shorter values would take words out of the message, and are no secrets. */
const inputLengthMin = 4;
/** Values of one request that are looked for. */
const inputsMax = 1000;

/** The text without what the client sent: an error may quote it. */
function withoutInput(text: string, request: FastifyRequest): string {
  const sent: string[] = [];
  collectTexts([request.body, request.params, request.query, request.headers.authorization?.split(' ')], sent);
  // A value may be part of another one.
  sent.sort((one, other) => other.length - one.length);
  let left = text;
  for (const value of sent) left = left.replaceAll(value, '[masked]');
  return left;
}

function collectTexts(value: unknown, into: string[]): void {
  if (into.length >= inputsMax) return;
  if (typeof value === 'string') {
    if (value.length >= inputLengthMin) into.push(value);
  } else if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) collectTexts(part, into);
  }
}
