/**
 * The ops port: health, metrics and administration, away from the authorization port and loopback by default. Plain
 * node:http: a few requests a second, and a fault here must not touch the front's fast path.
 */

import { timingSafeEqual } from 'node:crypto';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { answerClientErrors } from '../../platform/problems/client-errors.js';
import {
  jsonContentType,
  notFoundBody,
  problemBody,
  problemContentType,
} from '../../platform/problems/problem-body.js';
import { boundConnections, type ConnectionGate } from '../../platform/process/connection-gate.js';
import { readTraceparent, type Traces } from '../../platform/tracing/traces.js';
import { authorizationDocument, engineOpsDocument } from '../transports/http/openapi.js';
import type { Health } from './health.js';
import { type AdminOptions, answerAdmin } from './ops-admin.js';
import { send, sendMethodNotAllowed, sendProblem } from './ops-http.js';

export interface OpsOptions {
  readonly host: string;
  readonly port: number;
  readonly gate: ConnectionGate;
  /** Any of them is right: while a token is rotated there are two. */
  readonly engineTokens: readonly string[];
  readonly health: Health;
  /** Null: traces are off. */
  readonly traces: Traces | null;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** What the routes under /admin/ do. */
  readonly admin: AdminOptions;
}

/** A connection without a whole request is closed after this long, milliseconds. */
const timeouts = { requestTimeout: 5000, headersTimeout: 5000, connectionsCheckingInterval: 2000 };
/** 200 ids of 64 characters in a query, with commas; node:http takes 16 KiB of headers in all. */
const urlLengthMax = 14_000;

const opsDocumentText = JSON.stringify(engineOpsDocument);
const authorizationDocumentText = JSON.stringify(authorizationDocument);

export class Ops {
  readonly #options: OpsOptions;
  readonly #server: HttpServer;
  readonly #tokens: readonly Buffer[];

  constructor(options: OpsOptions) {
    this.#options = options;
    this.#tokens = options.engineTokens.map((token) => Buffer.from(`Bearer ${token}`));
    this.#server = createServer(timeouts, (request, response) => {
      this.#trace(request, response);
      this.#answer(request, response).catch(() =>
        sendProblem(response, 503, 'unavailable', 'the engine or its database is not there at the moment; ask again'),
      );
    });
    this.#server.on('clientError', answerClientErrors());
    boundConnections(this.#server, options.gate);
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

  /** A request whose sender traces it: our APIs do. */
  #trace(request: IncomingMessage, response: ServerResponse): void {
    const { traces } = this.#options;
    if (traces === null) return;
    const { traceparent } = request.headers;
    const parent = readTraceparent(typeof traceparent === 'string' ? traceparent : '');
    if (parent?.isSampled !== true) return;
    const nowMs = () => performance.timeOrigin + performance.now();
    const startMs = nowMs();
    response.once('finish', () => {
      // Without ids, which would make endless names.
      const route = /^\/admin\/[a-z]+/.exec(request.url ?? '')?.[0] ?? 'ops';
      const status = response.statusCode;
      const attributes = { 'http.route': route, 'http.response.status_code': status };
      const failure = status < 500 ? '' : `answered ${status}`;
      const name = `${request.method} ${route}`;
      traces.add(traces.begin(parent), { name, kind: 'server', startMs, endMs: nowMs(), attributes, failure }, []);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    if (url.length > urlLengthMax) {
      return sendProblem(response, 414, 'uri_too_long', `the URL is longer than ${urlLengthMax} characters`);
    }
    if (url.startsWith('/admin/')) return this.#admin(url, request, response);
    if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET');
    const path = url.split('?', 1)[0]!;
    const { health } = this.#options;
    switch (path) {
      case '/livez':
        return send(response, 200, jsonContentType, '{"status":"alive"}');
      case '/readyz': {
        const reasons = health.notReady();
        if (reasons.length === 0) return send(response, 200, jsonContentType, '{"status":"ready"}');
        return send(response, 503, jsonContentType, JSON.stringify({ status: 'not ready', reasons }));
      }
      case '/health': {
        const report = await health.report();
        return send(response, report.status === 'unhealthy' ? 503 : 200, jsonContentType, JSON.stringify(report));
      }
      case '/metrics': {
        const { contentType, text } = await this.#options.metrics();
        return send(response, 200, contentType, text);
      }
      case '/openapi.json':
        return send(response, 200, jsonContentType, opsDocumentText);
      case '/openapi/authorization.json':
        return send(response, 200, jsonContentType, authorizationDocumentText);
      default:
        break;
    }
    return send(response, 404, problemContentType, notFoundBody);
  }

  #admin(url: string, request: IncomingMessage, response: ServerResponse): Promise<void> | void {
    if (!this.#isAuthorized(request.headers.authorization ?? '')) {
      response.setHeader('www-authenticate', 'Bearer');
      return send(response, 401, problemContentType, opsUnauthorizedBody);
    }
    return answerAdmin(this.#options.admin, url, request, response);
  }

  #isAuthorized(header: string): boolean {
    // All are compared, whichever is right.
    return this.#tokens.filter((token) => isEqual(header, token)).length > 0;
  }
}

function isEqual(header: string, token: Buffer): boolean {
  const given = Buffer.alloc(token.length);
  given.write(header.slice(0, token.length + 1));
  return timingSafeEqual(given, token) && Buffer.byteLength(header) === token.length;
}

const opsUnauthorizedBody = problemBody(401, 'unauthorized', 'send the engine token as a Bearer token');
