/**
 * One connection of the load generator: at most one request in flight, whole answers out, renewed when it fails. Lean
 * on purpose, because it runs on the cores of the server under test. Answers are read into one buffer shared by all
 * connections, for each read is consumed before the next begins. Nothing is allocated per request on our side. What is
 * left is the kernel's: about three quarters of the generator's CPU are its send and receive.
 */
import { connect, type Socket } from 'node:net';
import { AnswerView, answerBytesMax, answerIncomplete, answerMalformed, readAnswer } from './answer.js';
import type { Exchange } from './traffic.js';

/** Pause before a connection is renewed, so that a server that refuses is not hammered. */
const reconnectMs = 50;
/** A connection that failed this often stays closed: the run ends with its errors instead of looping on them. */
const reconnectCountMax = 20;

// One for all connections: libuv reads and calls back per socket, one after the other.
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const view = new AnswerView();

/**
 * What a sender does with its connections. Every call but `onOpen` and `onClosed` ends the request that was in flight.
 */
export interface ConnectionOwner {
  /** Free and connected: after the first connect and after each renewal. */
  onOpen(connection: Connection): void;
  /** The connection is free again. */
  onAnswer(connection: Connection, answer: AnswerView, nowMs: number): void;
  /** `startMs` of the request lost with it, or null when none was in flight. It is being renewed. */
  onError(connection: Connection, error: Error, startMs: number | null): void;
  onTimeout(connection: Connection, startMs: number, nowMs: number): void;
  /** It failed too often and stays closed. */
  onClosed(connection: Connection): void;
  /** The server was never reached. */
  onUnreachable(error: Error): void;
}

export class Connection {
  readonly exchange: Exchange;
  /** Written by the sender: when the request in flight began, and since when it waits on this connection. */
  startMs = 0;
  sentMs = 0;
  busy = false;
  connected = false;
  readonly #owner: ConnectionOwner;
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;
  #everConnected = false;
  /** Bytes of an answer that came in parts; null nearly always. */
  #partial: Buffer | null = null;
  #reconnectCount = 0;
  #renew = true;

  constructor(owner: ConnectionOwner, host: string, port: number, exchange: Exchange) {
    this.#owner = owner;
    this.#host = host;
    this.#port = port;
    this.exchange = exchange;
  }

  connect(): void {
    const socket = connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (length: number, bytes: Uint8Array): boolean => {
          if (socket === this.#socket) this.#onBytes(bytes, length);
          return true;
        },
      },
    });
    this.#socket = socket;
    socket.on('connect', () => {
      this.connected = true;
      this.#everConnected = true;
      this.#owner.onOpen(this);
    });
    socket.on('error', (error) => this.#fail(socket, error));
    socket.on('close', () => this.#fail(socket, new Error('connection closed by the server')));
  }

  /**
   * @param bytes stay untouched until the answer came, so the socket may keep them if the kernel takes only a part
   * @param startMs from when the latency counts
   */
  send(bytes: Uint8Array, startMs: number, nowMs: number): void {
    this.busy = true;
    this.startMs = startMs;
    this.sentMs = nowMs;
    this.#socket!.write(bytes);
  }

  /** Gives up a request that has waited on this connection for too long. */
  expire(nowMs: number, timeoutMs: number): void {
    if (!this.busy || nowMs - this.sentMs < timeoutMs) return;
    this.busy = false;
    this.#forgetSocket();
    this.#owner.onTimeout(this, this.startMs, nowMs);
    this.#reconnect();
  }

  /** From now on a failed connection stays closed. */
  stopRenewing(): void {
    this.#renew = false;
  }

  #onBytes(received: Uint8Array, receivedLength: number): void {
    const nowMs = performance.now();
    let bytes: Uint8Array = received;
    let end = receivedLength;
    if (this.#partial !== null) {
      bytes = Buffer.concat([this.#partial, received.subarray(0, receivedLength)]);
      end = bytes.length;
      this.#partial = null;
    }
    const length = this.busy ? readAnswer(bytes, 0, end, view) : answerMalformed;
    if (length === answerIncomplete && end <= answerBytesMax * 2) {
      this.#partial = Buffer.from(bytes.subarray(0, end));
      return;
    }
    // One request was in flight, so more than one answer is as wrong as no HTTP at all.
    if (length <= 0 || length !== end) {
      const what = this.busy ? 'malformed or surplus answer' : 'an answer without a question';
      this.#fail(this.#socket, new Error(what));
      return;
    }
    this.busy = false;
    this.#owner.onAnswer(this, view, nowMs);
  }

  #fail(socket: Socket | null, error: Error): void {
    // `close` follows `error`: the first of them handles the failure and forgets the socket.
    if (socket === null || socket !== this.#socket) return;
    const startMs = this.busy ? this.startMs : null;
    this.busy = false;
    this.#forgetSocket();
    if (!this.#everConnected) {
      this.#owner.onUnreachable(error);
      return;
    }
    this.#owner.onError(this, error, startMs);
    this.#reconnect();
  }

  #forgetSocket(): void {
    const socket = this.#socket;
    this.connected = false;
    this.#partial = null;
    // Its late events no longer find themselves in #socket and are ignored.
    this.#socket = null;
    socket?.destroy();
  }

  #reconnect(): void {
    if (this.#renew && ++this.#reconnectCount <= reconnectCountMax) setTimeout(() => this.connect(), reconnectMs);
    else this.#owner.onClosed(this);
  }
}
