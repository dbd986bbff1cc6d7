/**
 * The authorization port: the only user of uWebSockets.js, and the only owner of a response. Its rules: a request
 * object lives inside its callback only, and body chunks are copied within theirs. An answer that comes later is
 * corked, and nothing touches a response after its client has gone.
 */

import { notFoundBody, problemContentType } from '../../../platform/problems/problem-body.js';
import { addressOf } from '../../../platform/process/connection-gate.js';
import { bodyBytesMax } from '../../core/limits.js';
import { Counted } from '../../ops/message-counts.js';
import { isIdentityEncoding, isJsonMediaType } from '../../protocols/reading/media-type.js';
import { type Exchange, problem, statusLines } from './exchange.js';
import { methodNotAllowedBody, unauthorizedBody, unsupportedMediaTypeBody } from './problem.js';
import { RefusalPace } from './refusal-pace.js';
import type { Route } from './routes.js';
import type { AuthorizationPort, Closing, ServerOptions } from './server-options.js';
import { SignedPort } from './signed-port.js';
import { exchangeFor } from './traced-exchange.js';
import { type HttpRequest, type HttpResponse, loadUws, type TemplatedApp, type us_listen_socket } from './uws.js';

export class Server implements AuthorizationPort {
  readonly #options: ServerOptions;
  readonly #uws = loadUws();
  readonly #app: TemplatedApp;
  #socket: us_listen_socket | null = null;
  readonly #closing: Closing;
  readonly #refusals: RefusalPace;
  /** In order of arrival. */
  readonly #newcomers = new Set<Newcomer>();
  readonly #sweep: NodeJS.Timeout;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#closing = options.closing;
    this.#app = this.#uws.App();
    this.#refusals = new RefusalPace(() => options.clock.nowMs());
    this.#app.filter((res, change) => this.#connection(res, change as number));
    this.#sweep = setInterval(() => this.#forgetOldNewcomers(), sweepMs).unref();
    for (const route of options.routes) {
      this.#app.post(route.path, (res, req) => this.#receive(route, res, req));
      this.#onlyPost(route);
    }
    const signedPort = new SignedPort(options, this.#refusals);
    for (const route of options.signedRoutes) {
      this.#app.post(route.path, (res, req) => signedPort.receive(route, res, req));
      this.#onlyPost(route);
    }
    this.#app.any('/*', (res) => problem(res, 404, notFoundBody, true));
  }

  #onlyPost({ path }: Route): void {
    this.#app.any(path, (res) => {
      res.writeStatus(statusLines[405]!).writeHeader('allow', 'POST');
      res.writeHeader('content-type', problemContentType).end(methodNotAllowedBody, true);
    });
  }

  listen(): Promise<void> {
    const { host, port, isPortShared } = this.#options;
    return new Promise((resolve, reject) => {
      // Exclusive: without it a second process could share the port in silence and answer half of the questions. For
      // threads that share the port PortLock sees to that. The release takes host, port and options together; its types
      // know only two of the three at a time.
      const listen = this.#app.listen.bind(this.#app) as unknown as ListenWithOptions;
      listen(host, port, isPortShared ? listenShared : listenExclusively, (socket) => {
        if (socket === false) {
          reject(portTaken(host, port));
          return;
        }
        this.#socket = socket;
        resolve();
      });
    });
  }

  leave(): void {
    this.#closing.isLeaving = true;
  }

  refuse(): void {
    this.#closing.isRefusing = true;
  }

  stopAccepting(): void {
    if (this.#socket !== null) this.#uws.us_listen_socket_close(this.#socket);
    this.#socket = null;
  }

  close(): void {
    clearInterval(this.#sweep);
    this.#refusals.end();
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
      telemetry.add(Counted.unauthorized);
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
    const exchange = exchangeFor(route, res, req, this.#options);
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
      this.#refusals.refuse(exchange);
      return;
    }
    exchange.isAdmitted = true;
    ledger.submit(exchange.codec, body, exchange);
  }
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
/** uSockets' LIBUS_LISTEN_EXCLUSIVE_PORT, and its default: SO_REUSEPORT. */
const listenExclusively = 1;
const listenShared = 0;

export function portTaken(host: string, port: number): Error {
  return new Error(`cannot listen on ${host}:${port}: AUTH_PORT is taken, stop what uses it or choose another`);
}

const emptyBody = Buffer.alloc(0);
