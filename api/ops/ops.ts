/**
 * The API's ops port: health and metrics, away from the customers' port and loopback by default. Plain node:http, so
 * that neither the rate limits nor a fault of the customers' port reaches it. In return it takes nothing from
 * customers. Health and metrics are made once a second at most, and answers leave at a bounded pace, however many
 * connections there are.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerClientErrors } from '../../platform/problems/client-errors.js';
import {
  jsonContentType,
  notFoundBody,
  problemBody,
  problemContentType,
} from '../../platform/problems/problem-body.js';
import type { ProblemCode } from '../../platform/problems/problem-codes.js';
import { boundConnections, type ConnectionGate } from '../../platform/process/connection-gate.js';
import { portInUse } from '../port-in-use.js';
import type { Health } from './health.js';
import { apiOpsDocument } from './openapi.js';

export interface OpsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly gate: ConnectionGate;
  readonly health: Health;
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** A connection without a whole request is closed after this long, milliseconds. */
const timeouts = { requestTimeout: 5000, headersTimeout: 5000, connectionsCheckingInterval: 1000 };
/** Answers leave this far apart while requests wait: 64 connections wait for 0.3 s then. */
const paceMs = 5;

interface Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export class OpsServer {
  readonly #options: OpsOptions;
  readonly #server: Server;
  readonly #health: KeptAnswer;
  readonly #metrics: KeptAnswer;
  /** At most one request of each connection. */
  readonly #waiting: Waiting[] = [];
  #pause: NodeJS.Timeout | null = null;

  constructor(options: OpsOptions) {
    this.#options = options;
    this.#health = new KeptAnswer(() => reportOf(options.health));
    this.#metrics = new KeptAnswer(async () => {
      const { contentType, text } = await options.scrape();
      return { status: 200, contentType, body: Buffer.from(text) };
    });
    this.#server = createServer(timeouts, (request, response) => this.#enqueue(request, response));
    this.#server.on('clientError', answerClientErrors());
    // The newest connection may be the scrape's.
    boundConnections(this.#server, options.gate, 'close-oldest');
  }

  /** @returns where it listens */
  listen(): Promise<string> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(portInUse(error, host, port, 'API_OPS_PORT')));
      this.#server.listen(port, host, () => {
        const { port: taken } = this.#server.address() as AddressInfo;
        resolve(`http://${host.includes(':') ? `[${host}]` : host}:${taken}`);
      });
    });
  }

  async close(): Promise<void> {
    if (this.#pause !== null) clearTimeout(this.#pause);
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #enqueue(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    // A client that sends requests ahead of its answers would make the queue as long as it likes.
    if (this.#waiting.some((other) => other.request.socket === socket)) {
      socket.destroy();
      return;
    }
    this.#waiting.push({ request, response });
    if (this.#pause === null) this.#answerNext();
  }

  #answerNext(): void {
    this.#pause = null;
    let next = this.#waiting.shift();
    while (next?.request.socket.destroyed) next = this.#waiting.shift();
    if (next === undefined) return;
    this.#pause = setTimeout(() => this.#answerNext(), paceMs).unref();
    const { request, response } = next;
    this.#answerOf(request).then(
      (made) => send(response, made),
      () => send(response, problem(503, 'unavailable', 'the API cannot tell at the moment; ask again')),
    );
  }

  async #answerOf({ method, url = '/' }: IncomingMessage): Promise<Answer> {
    const { health } = this.#options;
    const path = url.split('?', 1)[0]!;
    if (!paths.has(path)) return { status: 404, contentType: problemContentType, body: Buffer.from(notFoundBody) };
    if (method !== 'GET') return problem(405, 'method_not_allowed', 'this path takes GET only');
    switch (path) {
      case '/livez':
        return json(200, { status: 'alive' });
      case '/readyz': {
        const reasons = health.notReady();
        return reasons.length === 0 ? json(200, { status: 'ready' }) : json(503, { status: 'not ready', reasons });
      }
      case '/openapi.json':
        return json(200, apiOpsDocument);
      case '/health':
        return this.#health.get();
      default:
        return this.#metrics.get();
    }
  }
}

const paths = new Set(['/livez', '/readyz', '/health', '/metrics', '/openapi.json']);

/** How long an answer is kept. */
const keptMs = 1000;

/** An answer that is made for all requests of a second at once. */
class KeptAnswer {
  readonly #make: () => Promise<Answer>;
  #kept: Promise<Answer> | null = null;
  #madeAtMs = 0;

  constructor(make: () => Promise<Answer>) {
    this.#make = make;
  }

  get(): Promise<Answer> {
    const nowMs = performance.now();
    if (this.#kept !== null && nowMs - this.#madeAtMs < keptMs) return this.#kept;
    const made = this.#make();
    this.#kept = made;
    this.#madeAtMs = nowMs;
    // A failure is the answer of those who wait for it, and of no later request.
    made.catch(() => {
      if (this.#kept === made) this.#kept = null;
    });
    return made;
  }
}

async function reportOf(health: Health): Promise<Answer> {
  const report = await health.report();
  return json(report.status === 'unhealthy' ? 503 : 200, report);
}

function json(status: number, value: unknown): Answer {
  return { status, contentType: jsonContentType, body: Buffer.from(JSON.stringify(value)) };
}

function problem(status: number, title: ProblemCode, detail: string): Answer {
  return { status, contentType: problemContentType, body: Buffer.from(problemBody(status, title, detail)) };
}

function send(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': body.length,
    'cache-control': 'no-store',
    ...(status === 405 ? { allow: 'GET' } : {}),
  });
  response.end(body);
}
