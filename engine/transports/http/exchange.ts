/**
 * A request on its way to its answer: the owner of its response. Here stands how an answer leaves, with its headers.
 */

import { jsonContentType, problemContentType } from '../../../platform/problems/problem-body.js';
import { Reason } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import { AnswerFlag } from '../../exchange/slab.js';
import type { Waiter } from '../../ledger/waiter.js';
import { Counted } from '../../ops/message-counts.js';
import type { Codec } from '../../protocols/codec.js';
import { HttpAnswer, type HttpForm } from './answers.js';
import { tooLargeBody } from './problem.js';
import type { Route } from './routes.js';
import type { Closing, ServerOptions } from './server-options.js';
import type { HttpResponse } from './uws.js';

export const statusLines: Readonly<Record<number, string>> = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  402: '402 Payment Required',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  409: '409 Conflict',
  413: '413 Content Too Large',
  415: '415 Unsupported Media Type',
  503: '503 Service Unavailable',
};

/**
 * uWebSockets.js closes a connection that was idle for 8 to 12 s, which is no option of it. A client that knows closes
 * it first, and never sends a request into a connection that is being closed.
 */
const keepAlive = '\r\nkeep-alive: timeout=5';
/** Both headers of an answer in one write: a second one costs a call into the addon for each answer. */
const keptOpen: Readonly<Record<string, string>> = {
  [jsonContentType]: jsonContentType + keepAlive,
  [problemContentType]: problemContentType + keepAlive,
};

/** The value of Content-Type, and the header behind it. */
function contentTypeAnd(contentType: string, closes: boolean): string {
  return closes ? contentType : (keptOpen[contentType] ?? contentType);
}

export function problem(res: HttpResponse, status: number, body: Uint8Array, closes = false): void {
  res.writeStatus(statusLines[status]!);
  res.writeHeader('content-type', contentTypeAnd(problemContentType, closes)).end(body, closes);
}

/** One question on its way: owns its response until it is answered or its client has gone. */
export class Exchange implements Waiter {
  readonly codec: Codec;
  readonly kind: number;
  readonly #form: HttpForm;
  readonly #options: ServerOptions;
  readonly #closing: Closing;
  #res: HttpResponse | null;
  arrivalMs = 0;
  reentries = 0;
  isAdmitted = false;
  isRefused = false;
  /** Further headers of a decided answer, each behind a line break. */
  headers = '';
  /** Chunks so far, when the body came in more than one. */
  body: Buffer | null = null;

  constructor({ codec, form }: Route, res: HttpResponse, options: ServerOptions) {
    this.codec = codec;
    this.#form = form;
    this.kind = codec.protocol;
    this.#res = res;
    this.#options = options;
    this.#closing = options.closing;
  }

  get isSettled(): boolean {
    return this.#res === null;
  }

  answer(from: Answers, index: number): void {
    const res = this.#release();
    if (res === null) return;
    const { telemetry, clock, slowMs, deadlineMs, slow } = this.#options;
    const totalMs = clock.nowMs() - this.arrivalMs;
    const start = from.answerStart[index]!;
    const end = from.answerEnd[index]!;
    const flags = from.answerFlags[index]!;
    http.set(this.#form, from.status[index]!, flags, from.reason[index]!, from.answer.subarray(start, end));
    if (http.status === 200) this.codec.stampResponseTime?.(from.answer, end, Math.round(totalMs * 1000));
    if (this.headers !== '') http.contentType += keepAlive + this.headers;
    corked.send(res, http, this.#closing.isLeaving);
    telemetry.called(this.kind, http.status);
    if (http.status === 400) telemetry.add(Counted.badRequests);
    else if ((flags & AnswerFlag.unsupported) !== 0) {
      telemetry.add(Counted.unsupported);
      this.#options.unsupported(from.answer.toString('utf8', start, end));
    } else telemetry.decided(from.reason[index]!, totalMs);
    if ((flags & AnswerFlag.repeated) !== 0) telemetry.add(Counted.repeated);
    if (totalMs > slowMs) {
      if (totalMs > deadlineMs && (flags & AnswerFlag.approved) !== 0) telemetry.add(Counted.lateApprovals);
      slow(totalMs, from.sealedAtMs - this.arrivalMs, from.returnedAtMs - from.sealedAtMs);
    }
  }

  refuse(reason: Reason): void {
    this.#unavailable(reason, false);
  }

  shuttingDown(): void {
    this.#unavailable(Reason.systemError, true);
  }

  #unavailable(reason: Reason, isShuttingDown: boolean): void {
    const { telemetry } = this.#options;
    this.isRefused = true;
    telemetry.refused(reason);
    const res = this.#release();
    if (res === null) return;
    telemetry.called(this.kind, 503);
    http.setUnavailable(this.#form, reason, isShuttingDown);
    corked.send(res, http, this.#closing.isLeaving);
  }

  tooLarge(): void {
    const res = this.#release();
    if (res !== null) corked.send(res, tooLarge, true);
  }

  /** Answers without a decision of the codec. */
  end(status: number, contentType: string, body: Uint8Array, closes = this.#closing.isLeaving): void {
    const res = this.#release();
    if (res === null) return;
    this.#options.telemetry.called(this.kind, status);
    corked.send(res, { status, contentType, body }, closes);
  }

  /** The client has gone. What the worker decides stands: the processor asks again with the same id, or reverses. */
  abort(): void {
    if (this.#release() === null) return;
    this.#options.telemetry.add(Counted.aborted);
    this.#options.ledger.abandon?.(this);
  }

  #release(): HttpResponse | null {
    const res = this.#res;
    this.#res = null;
    if (res !== null && this.isAdmitted) this.#options.admission.leave();
    return res;
  }
}

/** One send per answer, and one function for all of them: a closure each would be garbage at 50,000 a second. */
class CorkedSend {
  #res!: HttpResponse;
  #answer!: Pick<HttpAnswer, 'status' | 'contentType' | 'body'>;
  #closes = false;

  send(res: HttpResponse, answer: Pick<HttpAnswer, 'status' | 'contentType' | 'body'>, closes: boolean): void {
    this.#res = res;
    this.#answer = answer;
    this.#closes = closes;
    res.cork(this.#write);
  }

  readonly #write = (): void => {
    const { status, contentType, body } = this.#answer;
    if (status !== 200) this.#res.writeStatus(statusLines[status] ?? '500 Internal Server Error');
    this.#res.writeHeader('content-type', contentTypeAnd(contentType, this.#closes)).end(body, this.#closes);
  };
}
const corked = new CorkedSend();
/** The answer that is being sent. */
const http = new HttpAnswer();
const tooLarge = { status: 413, contentType: problemContentType, body: tooLargeBody };
