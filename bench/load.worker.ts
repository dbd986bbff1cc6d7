/**
 * One sending thread of the load generator: its share of the connections, one request in flight on each.
 *
 * Lean on purpose, because it runs on the cores of the server under test: the request is patched in place, answers are
 * read into one buffer shared by all connections (each read is consumed before the next begins), one clock read per
 * answer serves as its end and as the start of the next request, nothing is allocated per request on our side.
 */
import { connect, type Socket } from 'node:net';
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { parentPort, workerData } from 'node:worker_threads';
import { AnswerView, answerBytesMax, answerIncomplete, answerMalformed, readAnswer } from './answer.js';
import { Latency } from './latency.js';
import type { ThreadCommand, ThreadMessage, ThreadPlan, ThreadReport } from './load.js';
import { cardDigits, Message, sequenceMax } from './message.js';

const plan = workerData as ThreadPlan;
const options = plan.options;
const port = parentPort!;
const cardLast = options.cardFirst + options.cardCount - 1;
const amountSpan = options.amountMinorMax - options.amountMinorMin + 1;
const requestCountMax = plan.requestCountMax ?? sequenceMax;

/** How often ages are checked, milliseconds; a timeout is found at most this late. */
const timeoutCheckMs = Math.max(1, Math.min(250, Math.floor(options.timeoutMs / 4)));
/** Pause before a connection is renewed, so that a server that refuses is not hammered. */
const reconnectMs = 50;
/** A connection that failed this often stays closed: the run ends with its errors instead of looping on them. */
const reconnectCountMax = 20;

const idStart = Buffer.from('{"id":"', 'latin1');
const approvedNeedle = Buffer.from('"approved":true', 'latin1');
const declinedNeedle = Buffer.from('"approved":false', 'latin1');
const approvedKeyLength = '"approved":'.length;
const letterT = 't'.charCodeAt(0);

// One for all connections: libuv reads and calls back per socket, one after the other.
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);
const answer = new AnswerView();

// Written on every answer.
let sequence = 0;
let inFlightCount = 0;
let answerCount = 0;
let answerCountTotal = 0;
let approvedCount = 0;
let declinedCount = 0;
/** Where `"approved":` stood after the id in the last answer: the same place in the next, nearly always. */
let approvedDistance = -1;
let random = (options.seed ^ Math.imul(plan.threadNumber + 1, 0x9e3779b1)) | 0 || 1;

let wrongCount = 0;
let errorCount = 0;
let timeoutCount = 0;
let errorFirst: string | null = null;
const statusCounts = new Uint32Array(1000);
const latency = new Latency();

type Phase = 'connecting' | 'warm-up' | 'measuring' | 'draining';
let phase: Phase = 'connecting';
let connectedCount = 0;
/** Connections that stay closed, see reconnectCountMax. */
let closedCount = 0;
let exhaustedReported = false;
let reported = false;
let answerCountMeasured = 0;
let measureStartedMs = 0;
let measureSeconds = 0;
let utilizationAtStart: EventLoopUtilization | undefined;
let utilization = 0;

class Connection {
  readonly #message: Message;
  readonly #messageWide: Message;
  /** The first card number that needs #messageWide. */
  readonly #cardNarrowEnd: number;
  #socket!: Socket;
  #connected = false;
  #everConnected = false;
  #inFlight = false;
  #sentAtMs = 0;
  /** The message in flight: an answer is compared with the id in it. */
  #sent: Message;
  /** Bytes of an answer that came in parts; null nearly always. */
  #partial: Buffer | null = null;
  #reconnectCount = 0;

  constructor() {
    // Card numbers of two lengths occur when the range crosses 999,999; each length needs its own Content-Length.
    this.#message = newMessage(cardDigits(options.cardFirst));
    this.#messageWide =
      cardDigits(cardLast) === this.#message.cardDigitCount ? this.#message : newMessage(cardDigits(cardLast));
    this.#cardNarrowEnd = 10 ** this.#message.cardDigitCount;
    this.#sent = this.#message;
    this.#connect();
  }

  #connect(): void {
    const socket = connect({
      host: options.host,
      port: options.port,
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
      this.#connected = true;
      if (!this.#everConnected) {
        this.#everConnected = true;
        onFirstConnect();
      }
      if (phase === 'warm-up' || phase === 'measuring') this.send(performance.now());
    });
    socket.on('error', (error) => this.#fail(socket, error));
    socket.on('close', () => this.#fail(socket, new Error('connection closed by the server')));
  }

  /** Sends the next request unless there is none left. `nowMs` becomes its start. */
  send(nowMs: number): void {
    if (!this.#connected || this.#inFlight) return;
    if (sequence >= requestCountMax) {
      reportExhausted();
      return;
    }
    const cardNumber = nextCard();
    const message = cardNumber < this.#cardNarrowEnd ? this.#message : this.#messageWide;
    message.patch(sequence++, cardNumber, options.amountMinorMin + (nextRandom() % amountSpan));
    this.#sent = message;
    this.#sentAtMs = nowMs;
    this.#inFlight = true;
    inFlightCount++;
    // The bytes are not touched before the answer came, so the socket may keep them if the kernel takes only a part.
    this.#socket.write(message.bytes);
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
    const length = this.#inFlight ? readAnswer(bytes, 0, end, answer) : answerMalformed;
    if (length === answerIncomplete && end <= answerBytesMax * 2) {
      this.#partial = Buffer.from(bytes.subarray(0, end));
      return;
    }
    // One request was in flight, so more than one answer is as wrong as no HTTP at all.
    if (length <= 0 || length !== end) {
      this.#fail(
        this.#socket,
        new Error(this.#inFlight ? 'malformed or surplus answer' : 'an answer nobody asked for'),
      );
      return;
    }
    this.#finish(nowMs);
    check(bytes, this.#sent);
    if (phase === 'warm-up' || phase === 'measuring') this.send(nowMs);
    else if (phase === 'draining' && inFlightCount === 0) report();
  }

  #finish(nowMs: number): void {
    this.#inFlight = false;
    inFlightCount--;
    latency.record((nowMs - this.#sentAtMs) * 1000);
  }

  /** Gives up a request that waited too long. */
  expire(nowMs: number): void {
    if (!this.#inFlight || nowMs - this.#sentAtMs < options.timeoutMs) return;
    timeoutCount++;
    this.#finish(nowMs);
    this.#renew();
  }

  #fail(socket: Socket, error: Error): void {
    // `close` follows `error`: the first of them handles the failure and forgets the socket.
    if (socket !== this.#socket) return;
    if (!this.#everConnected) throw error;
    errorCount++;
    errorFirst ??= error.message;
    if (this.#inFlight) {
      this.#inFlight = false;
      inFlightCount--;
    }
    this.#renew();
  }

  #renew(): void {
    const socket = this.#socket;
    this.#connected = false;
    this.#partial = null;
    // Its late events no longer find themselves in #socket and are ignored.
    this.#socket = undefined as unknown as Socket;
    socket.destroy();
    if (phase === 'draining') {
      if (inFlightCount === 0) report();
      return;
    }
    if (++this.#reconnectCount > reconnectCountMax) {
      closedCount++;
      reportExhausted();
      return;
    }
    setTimeout(() => this.#connect(), reconnectMs);
  }
}

function newMessage(cardDigitCount: number): Message {
  return new Message({
    host: options.host,
    port: options.port,
    path: options.path,
    credentials: options.credentials,
    kind: options.kind,
    idPrefix: options.idPrefix,
    threadNumber: plan.threadNumber,
    cardDigitCount,
    amountDigitCount: String(options.amountMinorMin).length,
  });
}

/** xorshift32: a fixed seed gives the same traffic every time. @returns an unsigned 32-bit integer. */
function nextRandom(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return random >>> 0;
}

function nextCard(): number {
  if (options.cardOrder === 'random') return options.cardFirst + (nextRandom() % options.cardCount);
  // Thread t takes cards t, t + threads, …: together they visit every card once per round.
  return options.cardFirst + ((sequence * options.threadCount + plan.threadNumber) % options.cardCount);
}

/** Counts the answer and checks that it is the answer to `sent`. */
function check(bytes: Uint8Array, sent: Message): void {
  statusCounts[answer.status]!++;
  answerCount++;
  answerCountTotal++;
  // Only decisions carry the id; an error (400, 401, 503 …) is told by its status.
  if (answer.status !== 200 && answer.status !== 402) return;
  if (!echoesId(bytes, sent)) {
    wrongCount++;
    return;
  }
  // The usual place first: past `{"id":"…"`.
  const base = answer.bodyStart + idStart.length + sent.idLength;
  if (approvedDistance >= 0) {
    const valueAt = base + approvedDistance + approvedKeyLength;
    if (
      valueAt < answer.bodyEnd &&
      bytes[valueAt] === letterT &&
      matches(bytes, base + approvedDistance, approvedNeedle)
    ) {
      approvedCount++;
      return;
    }
  }
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + answer.bodyStart, answer.bodyEnd - answer.bodyStart);
  const approvedAt = body.indexOf(approvedNeedle);
  if (approvedAt >= 0) {
    approvedDistance = approvedAt + answer.bodyStart - base;
    approvedCount++;
  } else if (body.indexOf(declinedNeedle) >= 0) {
    declinedCount++;
  }
}

function echoesId(bytes: Uint8Array, sent: Message): boolean {
  const idAt = answer.bodyStart + idStart.length;
  if (idAt + sent.idLength < answer.bodyEnd && matches(bytes, answer.bodyStart, idStart)) {
    // From the end: the running number differs first.
    let index = sent.idLength - 1;
    while (index >= 0 && bytes[idAt + index] === sent.bytes[sent.idOffset + index]) index--;
    return index < 0;
  }
  // The id may stand elsewhere in the object; slow, and only for servers that order their fields otherwise.
  try {
    const id = sent.bytes.toString('latin1', sent.idOffset, sent.idOffset + sent.idLength);
    const body: unknown = JSON.parse(Buffer.from(bytes.subarray(answer.bodyStart, answer.bodyEnd)).toString());
    return typeof body === 'object' && body !== null && 'id' in body && body.id === id;
  } catch {
    return false;
  }
}

function matches(bytes: Uint8Array, offset: number, needle: Uint8Array): boolean {
  for (let index = 0; index < needle.length; index++) if (bytes[offset + index] !== needle[index]) return false;
  return true;
}

function onFirstConnect(): void {
  if (++connectedCount === plan.connectionCount) post({ kind: 'ready' });
}

function reportExhausted(): void {
  const usedUp = sequence >= requestCountMax && inFlightCount === 0;
  if (exhaustedReported || !(usedUp || closedCount === plan.connectionCount)) return;
  exhaustedReported = true;
  post({ kind: 'exhausted' });
}

function onCommand(command: ThreadCommand): void {
  const nowMs = performance.now();
  if (command === 'warm-up') {
    phase = 'warm-up';
    for (const connection of connections) connection.send(nowMs);
  } else if (command === 'measure') {
    // What is in flight now was sent during warm-up; its answer is the first of the measured time.
    latency.reset();
    statusCounts.fill(0);
    answerCount = 0;
    approvedCount = 0;
    declinedCount = 0;
    wrongCount = 0;
    errorCount = 0;
    timeoutCount = 0;
    errorFirst = null;
    phase = 'measuring';
    measureStartedMs = nowMs;
    utilizationAtStart = performance.eventLoopUtilization();
    // Connections with a request in flight ignore this.
    for (const connection of connections) connection.send(nowMs);
  } else {
    phase = 'draining';
    measureSeconds = (nowMs - measureStartedMs) / 1000;
    utilization = performance.eventLoopUtilization(utilizationAtStart).utilization;
    answerCountMeasured = answerCount;
    if (inFlightCount === 0) report();
  }
}

function report(): void {
  if (reported) return;
  reported = true;
  const counts: Record<string, number> = {};
  for (const [status, count] of statusCounts.entries()) if (count > 0) counts[status] = count;
  const threadReport: ThreadReport = {
    seconds: measureSeconds,
    answerCount: answerCountMeasured,
    statusCounts: counts,
    approvedCount,
    declinedCount,
    wrongCount,
    errorCount,
    timeoutCount,
    latency: latency.encode(),
    utilization,
    errorFirst,
  };
  post({ kind: 'report', report: threadReport });
}

function post(message: ThreadMessage): void {
  port.postMessage(message);
}

let progressAtMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  for (const connection of connections) connection.expire(nowMs);
  reportExhausted();
  if (nowMs - progressAtMs >= 500) {
    progressAtMs = nowMs;
    post({ kind: 'progress', answerCount: answerCountTotal });
  }
}, timeoutCheckMs);

const connections = Array.from({ length: plan.connectionCount }, () => new Connection());
port.on('message', onCommand);
