/**
 * The authorization port: the only user of uWebSockets.js, and the only owner of a response. Its rules: a request
 * object lives inside its callback only, and body chunks are copied within theirs. An answer that comes later is
 * corked, and nothing touches a response after its client has gone.
 */

import { jsonContentType, notFoundBody, problemContentType } from '../../../platform/problems/problem-body.js';
import { addressOf, type ConnectionGate } from '../../../platform/process/connection-gate.js';
import type { Clock } from '../../clock.js';
import { bodyBytesMax } from '../../core/limits.js';
import { Reason } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import { AnswerFlag } from '../../exchange/slab.js';
import type { Admission } from '../../ledger/admission.js';
import type { Ledger } from '../../ledger/ledger.js';
import type { Waiter } from '../../ledger/waiter.js';
import type { Telemetry } from '../../ops/telemetry.js';
import type { Codec } from '../../protocols/codec.js';
import { isIdentityEncoding, isJsonMediaType } from '../../protocols/reading/media-type.js';
import { HttpAnswer, type HttpForm } from './answers.js';
import type { BasicAuth } from './basic-auth.js';
import { methodNotAllowedBody, tooLargeBody, unauthorizedBody, unsupportedMediaTypeBody } from './problem.js';
import type { Route } from './routes.js';
import { type HttpRequest, type HttpResponse, loadUws, type TemplatedApp, type us_listen_socket } from './uws.js';

const statusLines: Readonly<Record<number, string>> = {
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

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  readonly routes: readonly Route[];
  readonly auth: BasicAuth;
  readonly clock: Clock;
  readonly admission: Admission;
  readonly gate: ConnectionGate;
  readonly telemetry: Telemetry;
  readonly ledger: Ledger;
  /** Called for a decided answer that took longer than the configured bound. */
  slow(totalMs: number, waitMs: number, runMs: number): void;
  readonly slowMs: number;
  /** Called for a declined message of a kind that we do not serve, with the answer, which names the kind. */
  unsupported(answer: string): void;
}

export class Server {
  readonly #options: ServerOptions;
  readonly #uws = loadUws();
  readonly #app: TemplatedApp;
  #socket: us_listen_socket | null = null;
  readonly #closing = { isLeaving: false, isRefusing: false };
  /** In order of arrival. */
  readonly #newcomers = new Set<Newcomer>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#app = this.#uws.App();
    this.#app.filter((res, change) => this.#connection(res, change as number));
    this.#sweep = setInterval(() => this.#forgetOldNewcomers(), sweepMs).unref();
    for (const route of options.routes) {
      this.#app.post(route.path, (res, req) => this.#receive(route, res, req));
      this.#app.any(route.path, (res) => {
        res.writeStatus(statusLines[405]!).writeHeader('allow', 'POST');
        res.writeHeader('content-type', problemContentType).end(methodNotAllowedBody, true);
      });
    }
    this.#app.any('/*', (res) => problem(res, 404, notFoundBody, true));
  }

  /** Starts listening. Rejects when the port is taken. */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      // Exclusive: without it a second process could share the port in silence and answer half of the questions. The
      // release takes host, port and options together; its types know only two of the three at a time.
      const listen = this.#app.listen.bind(this.#app) as unknown as ListenWithOptions;
      listen(host, port, listenExclusively, (socket) => {
        if (socket === false) {
          reject(
            new Error(`cannot listen on ${host}:${port}: AUTH_PORT is taken, stop what uses it or choose another`),
          );
          return;
        }
        this.#socket = socket;
        resolve();
      });
    });
  }

  /** From now on each answer ends its connection: clients go on at another engine. */
  leave(): void {
    this.#closing.isLeaving = true;
  }

  /** From now on new requests are answered 503 shutting_down. */
  refuse(): void {
    this.#closing.isRefusing = true;
  }

  /** Takes no new connections. */
  stopAccepting(): void {
    if (this.#socket !== null) this.#uws.us_listen_socket_close(this.#socket);
    this.#socket = null;
  }

  /** Closes every connection. */
  close(): void {
    clearInterval(this.#sweep);
    this.#app.close();
  }

  /**
   * A connection was accepted (1) or has ended (-1). uWebSockets.js says that a connection has ended, but not which. So
   * a connection counts for its address only while it is a newcomer: for newcomerMs, or until its first request, when
   * uWebSockets.js drops the abort handler. It closes a connection without a whole request before that, and each answer
   * to a request without the right credentials closes its connection. So the bound of an address holds for all
   * connections that have not proved who they are.
   */
  #connection(res: HttpResponse, change: number): void {
    const { gate, clock } = this.#options;
    if (change < 0) {
      gate.leave();
      return;
    }
    const address = addressOf(Buffer.from(res.getRemoteAddressAsText()).toString('latin1'));
    if (!gate.enter(address)) {
      res.close();
      return;
    }
    const newcomer: Newcomer = { address, sinceMs: clock.nowMs() };
    this.#newcomers.add(newcomer);
    res.onAborted(() => this.#forget(newcomer));
  }

  #forget(newcomer: Newcomer): void {
    if (this.#newcomers.delete(newcomer)) this.#options.gate.forgetAddress(newcomer.address);
  }

  #forgetOldNewcomers(): void {
    const untilMs = this.#options.clock.nowMs() - newcomerMs;
    for (const newcomer of this.#newcomers) {
      if (newcomer.sinceMs > untilMs) return;
      this.#forget(newcomer);
    }
  }

  #receive(route: Route, res: HttpResponse, req: HttpRequest): void {
    const { auth, telemetry } = this.#options;
    if (!auth.accepts(req.getHeader('authorization'))) {
      telemetry.unauthorized++;
      telemetry.called(route.codec.protocol, 401);
      res.writeStatus(statusLines[401]!).writeHeader('www-authenticate', 'Basic realm="authorization port"');
      // A connection that has not proved who it is must not stay: see #connection.
      res.writeHeader('content-type', problemContentType).end(unauthorizedBody, true);
      return;
    }
    const contentType = req.getHeader('content-type');
    if (
      (contentType !== '' && !isJsonMediaType(contentType)) ||
      !isIdentityEncoding(req.getHeader('content-encoding'))
    ) {
      problem(res, 415, unsupportedMediaTypeBody);
      return;
    }
    const exchange = new Exchange(route, res, this.#options, this.#closing);
    res.onAborted(() => exchange.abort());
    res.onData((chunk, isLast) => this.#body(exchange, chunk, isLast));
  }

  #body(exchange: Exchange, chunk: ArrayBuffer, isLast: boolean): void {
    if (exchange.isSettled) return;
    if (isLast && exchange.body === null) {
      this.#admit(exchange, new Uint8Array(chunk));
      return;
    }
    const before = exchange.body ?? emptyBody;
    if (before.length + chunk.byteLength > bodyBytesMax) {
      exchange.tooLarge();
      return;
    }
    exchange.body = Buffer.concat([before, new Uint8Array(chunk)]);
    if (isLast) this.#admit(exchange, exchange.body);
  }

  #admit(exchange: Exchange, body: Uint8Array): void {
    const { admission, clock, ledger } = this.#options;
    exchange.body = null;
    exchange.arrivalMs = clock.nowMs();
    if (this.#closing.isRefusing) {
      exchange.shuttingDown();
      return;
    }
    if (body.length > bodyBytesMax) {
      exchange.tooLarge();
      return;
    }
    if (!admission.enter()) {
      exchange.refuse(Reason.overloaded);
      return;
    }
    exchange.isAdmitted = true;
    ledger.submit(exchange.codec, body, exchange);
  }
}

/** How the port ends. */
interface Closing {
  readonly isLeaving: boolean;
  readonly isRefusing: boolean;
}

/** A connection that counts for its address. */
interface Newcomer {
  readonly address: string;
  readonly sinceMs: number;
}

/** Longer than uWebSockets.js keeps a connection without a whole request: 8 to 12 s. */
const newcomerMs = 13_000;
const sweepMs = 1000;

type ListenWithOptions = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => void;
/** uSockets' LIBUS_LISTEN_EXCLUSIVE_PORT. */
const listenExclusively = 1;

const emptyBody = Buffer.alloc(0);

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

function problem(res: HttpResponse, status: number, body: Uint8Array, closes = false): void {
  res.writeStatus(statusLines[status]!);
  res.writeHeader('content-type', contentTypeAnd(problemContentType, closes)).end(body, closes);
}

/** One question on its way: owns its response until it is answered or its client has gone. */
class Exchange implements Waiter {
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
  /** Chunks so far, when the body came in more than one. */
  body: Buffer | null = null;

  constructor({ codec, form }: Route, res: HttpResponse, options: ServerOptions, closing: Closing) {
    this.codec = codec;
    this.#form = form;
    this.kind = codec.protocol;
    this.#res = res;
    this.#options = options;
    this.#closing = closing;
  }

  get isSettled(): boolean {
    return this.#res === null;
  }

  answer(from: Answers, index: number): void {
    const res = this.#release();
    if (res === null) return;
    const { telemetry, clock, slowMs, slow } = this.#options;
    const totalMs = clock.nowMs() - this.arrivalMs;
    const start = from.answerStart[index]!;
    const end = from.answerEnd[index]!;
    const flags = from.answerFlags[index]!;
    http.set(this.#form, from.status[index]!, flags, from.reason[index]!, from.answer.subarray(start, end));
    if (http.status === 200) this.codec.stampResponseTime?.(from.answer, end, Math.round(totalMs * 1000));
    corked.send(res, http, this.#closing.isLeaving);
    telemetry.called(this.kind, http.status);
    if (http.status === 400) telemetry.badRequests++;
    else if ((flags & AnswerFlag.unsupported) !== 0) {
      telemetry.unsupported++;
      this.#options.unsupported(from.answer.toString('utf8', start, end));
    } else telemetry.decided(from.reason[index]!, totalMs);
    if ((flags & AnswerFlag.repeated) !== 0) telemetry.repeated++;
    if (totalMs > slowMs) slow(totalMs, from.sealedAtMs - this.arrivalMs, from.returnedAtMs - from.sealedAtMs);
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

  /** The client has gone. What the worker decides stands: the processor asks again with the same id, or reverses. */
  abort(): void {
    if (this.#release() !== null) this.#options.telemetry.aborted++;
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
