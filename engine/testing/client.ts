/**
 * A small client of the authorization port over kept-alive connections, on raw sockets. It says what it sent, takes
 * answers apart without trusting them, and repeats no message by itself.
 */
import { connect, type Socket } from 'node:net';
import { testPassword, testUser } from './engine-process.js';

export interface Reply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Whether the question was answered is unknown: the connection ended first. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export interface RequestOptions {
  readonly method?: string;
  readonly path?: string;
  /** Added to or put in place of the usual ones; undefined leaves one out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Pieces of the body; more than one is sent chunked. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
}

export const nativePath = '/v1/authorizations';
export const marqetaPath = '/marqeta/jit';

export function basic(user = testUser, password = testPassword): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** The bytes of a request. */
export function requestBytes(options: RequestOptions = {}): Buffer {
  const { method = 'POST', path = nativePath, body = '' } = options;
  const isChunked = Array.isArray(body);
  const parts = (isChunked ? body : [typeof body === 'string' ? Buffer.from(body) : body]) as readonly Uint8Array[];
  const headers: Record<string, string | undefined> = {
    host: '127.0.0.1',
    authorization: basic(),
    'content-type': 'application/json',
    ...(isChunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(parts[0]!.length) }),
    ...options.headers,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (!isChunked) return Buffer.concat([head, parts[0]!]);
  const chunks = parts.flatMap((part) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]);
  return Buffer.concat([head, ...chunks, Buffer.from('0\r\n\r\n')]);
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

/** One connection. Questions are asked one after another; send() leaves that to the caller. */
export class Connection {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  readonly #waiting: Waiting[] = [];
  #isOpen = true;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect({ port, host, noDelay: true });
    this.socket.on('data', (bytes: Buffer) => {
      this.#received = this.#received.length === 0 ? bytes : Buffer.concat([this.#received, bytes]);
      this.#take();
    });
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.#isOpen = false;
      for (const { reject } of this.#waiting.splice(0)) reject(new ConnectionLost('the connection ended'));
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The next answer on this connection. */
  reply(): Promise<Reply> {
    if (!this.#isOpen) return Promise.reject(new ConnectionLost('the connection has ended'));
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Sends a request and waits for its answer. */
  ask(options: RequestOptions): Promise<Reply> {
    const reply = this.reply();
    this.socket.write(requestBytes(options));
    return reply;
  }

  close(): void {
    this.socket.destroy();
  }

  #take(): void {
    for (;;) {
      const headEnd = this.#received.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const [statusLine = '', ...lines] = this.#received.toString('latin1', 0, headEnd).split('\r\n');
      const headers = new Map<string, string>();
      for (const line of lines) {
        const colon = line.indexOf(':');
        headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
      }
      const end = headEnd + 4 + Number(headers.get('content-length') ?? 0);
      if (this.#received.length < end) return;
      const body = this.#received.toString('utf8', headEnd + 4, end);
      this.#received = this.#received.subarray(end);
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? 0);
      this.#waiting.shift()?.resolve({ status, headers, body });
    }
  }
}

/** Questions over a few connections, opened when needed: as many in flight as the caller asks at once. */
export class Client {
  readonly #port: number;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();

  constructor(port: number) {
    this.#port = port;
  }

  /**
   * Rejects with ConnectionLost when no answer came.
   * @param timeoutMs how long until the connection is given up; without it, for ever
   */
  async ask(options: RequestOptions, timeoutMs?: number): Promise<Reply> {
    const connection = this.#take();
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => connection.close(), timeoutMs);
    const reply = await connection.ask(options).finally(() => clearTimeout(timer));
    if (reply.headers.get('connection') === 'close') connection.close();
    else this.#idle.push(connection);
    return reply;
  }

  /** Asks a message in the native form. */
  native(message: object): Promise<Reply> {
    return this.ask({ body: JSON.stringify(message) });
  }

  /** Asks for an authorization in US dollars. */
  authorize(id: string, card: string, amount = 1, changes: object = {}): Promise<Reply> {
    return this.native({ id, type: 'authorization', card, amount, currency: 'USD', ...changes });
  }

  close(): void {
    for (const connection of this.#all) connection.close();
    this.#all.clear();
    this.#idle.length = 0;
  }

  #take(): Connection {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle?.isOpen === true) return idle;
      if (idle !== undefined) continue;
      const opened = new Connection(this.#port);
      this.#all.add(opened);
      opened.socket.on('close', () => this.#all.delete(opened));
      return opened;
    }
  }
}

/** An answer without the one field that differs between two answers to one question. */
export function stableBody(body: string): string {
  return body.replace(/"responseTimeMs":[0-9.]+ *}/, '"responseTimeMs":0}');
}

export interface NativeAnswer {
  readonly id: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail?: string;
  readonly responseCode: string;
  readonly authorizationId: string | null;
  readonly amount: number;
  readonly approvedAmount: number;
  readonly available: number;
  readonly currency: string | null;
  readonly responseTimeMs: number;
}

export function answerOf(reply: Reply): NativeAnswer {
  return JSON.parse(reply.body) as NativeAnswer;
}

/** Sends bytes on a connection of their own. @returns all that comes back until the server closes it */
export async function answerToBytes(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.end(bytes);
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  return answer;
}
