/**
 * The ops port: health, metrics and administration, away from the authorization port and loopback by default. Plain
 * node:http: a few requests a second, and a fault here must not touch the front's fast path.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Health } from './health.js';
import { jsonContentType, notFoundBody, problemContentType, unauthorizedBody } from './wire/problem.js';

export interface AccountView {
  readonly id: string;
  readonly currency: string;
  readonly funds: number;
  readonly available: number;
  readonly held: number;
  readonly posted: number;
}

export interface OpsOptions {
  readonly host: string;
  readonly port: number;
  readonly engineToken: string;
  readonly health: Health;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** The account's books as the engine has them now; null when there is no such account. */
  account(publicId: string): Promise<AccountView | null>;
}

/** Ids in a path are short; a longer URL is a mistake or an attack. */
const urlLengthMax = 512;

export class Ops {
  readonly #options: OpsOptions;
  readonly #server: HttpServer;
  readonly #token: Buffer;

  constructor(options: OpsOptions) {
    this.#options = options;
    this.#token = Buffer.from(`Bearer ${options.engineToken}`);
    this.#server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
      this.#answer(request, response).catch(() => send(response, 503, problemContentType, problem(503, 'unavailable')));
    });
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const taken = error.code === 'EADDRINUSE';
        reject(taken ? new Error(`cannot listen on ${host}:${port}: OPS_PORT is taken, choose another`) : error);
      });
      this.#server.listen(port, host, resolve);
    });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    if (request.method !== 'GET' || url.length > urlLengthMax) {
      response.setHeader('allow', 'GET');
      return send(response, 405, problemContentType, problem(405, 'method_not_allowed'));
    }
    const path = url.split('?', 1)[0]!;
    const { health } = this.#options;
    switch (path) {
      case '/livez':
        return send(response, 200, jsonContentType, '{"status":"alive"}');
      case '/readyz': {
        const ready = health.isReady();
        return send(
          response,
          ready ? 200 : 503,
          jsonContentType,
          JSON.stringify({ status: ready ? 'ready' : 'not ready' }),
        );
      }
      case '/health': {
        const report = await health.report();
        return send(response, report.status === 'unhealthy' ? 503 : 200, jsonContentType, JSON.stringify(report));
      }
      case '/metrics': {
        const { contentType, text } = await this.#options.metrics();
        return send(response, 200, contentType, text);
      }
      default:
        break;
    }
    if (path.startsWith('/admin/')) return this.#admin(path, request, response);
    return send(response, 404, problemContentType, notFoundBody);
  }

  async #admin(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isAuthorized(request.headers.authorization ?? '')) {
      response.setHeader('www-authenticate', 'Bearer');
      return send(response, 401, problemContentType, unauthorizedBody);
    }
    const id = /^\/admin\/accounts\/([^/]+)$/.exec(path)?.[1];
    if (id === undefined) return send(response, 404, problemContentType, notFoundBody);
    let publicId: string;
    try {
      publicId = decodeURIComponent(id);
    } catch {
      return send(response, 400, problemContentType, problem(400, 'malformed'));
    }
    // Postgres takes no NUL in a text, so no account is named with one.
    const account = publicId.includes('\0') ? null : await this.#options.account(publicId);
    if (account === null) return send(response, 404, problemContentType, notFoundBody);
    return send(response, 200, jsonContentType, JSON.stringify(account));
  }

  #isAuthorized(header: string): boolean {
    const given = Buffer.alloc(this.#token.length);
    given.write(header.slice(0, this.#token.length + 1));
    return timingSafeEqual(given, this.#token) && Buffer.byteLength(header) === this.#token.length;
  }
}

function problem(status: number, title: string): string {
  return JSON.stringify({ type: 'about:blank', title, status });
}

function send(response: ServerResponse, status: number, contentType: string, body: string | Uint8Array): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
