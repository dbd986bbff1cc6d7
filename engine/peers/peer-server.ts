/**
 * The answering end: takes messages of partitions that other engines believe to be ours, and gives their answers back
 * in the order in which they are decided. Connections come from engines that have a key of ours.
 */
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Log } from '../../platform/log.js';
import type { TraceParent } from '../../platform/tracing/traces.js';
import { Protocol } from '../core/codes.js';
import { Reason } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { EntryKind } from '../exchange/slab.js';
import type { Waiter } from '../ledger/waiter.js';
import { PeerClock } from './peer-clock.js';
import { lookMsDefault, PeerConnection } from './peer-connection.js';
import {
  askHead,
  callHead,
  engineIdBytesMax,
  PeerFrame,
  PeerProtocolError,
  type PeerVersions,
  peerVersions,
  readTrace,
  traceBytes,
  withdrawHead,
} from './peer-frames.js';
import { PeerKeys, peerTls } from './peer-keys.js';

/** A message of another engine, whose answer goes back there. */
export interface PeerWaiter extends Waiter {
  /** Nothing was decided: the partition is another engine's. */
  notOwner(): void;
}

export interface PeerHandlers {
  /**
   * A message of a partition that the sender believes to be ours. The waiter is answered, refused, or notOwner() is
   * called.
   * @param marked the message and its mark (EntryFlag.marked), read during the call only
   */
  submit(partition: number, protocol: number, marked: Uint8Array, waiter: PeerWaiter): void;
  /**
   * The sender answered 503 to this message although we may have approved it.
   * @param marked the message and its mark, read during the call only
   * @returns true once it is done, false where we cannot do it now
   */
  withdraw(partition: number, protocol: number, marked: Uint8Array): Promise<boolean>;
  /** The id with that hash belongs to the partition. */
  learn(low: number, high: number, partition: number): void;
  /** From now on that engine reports each id that it sees first. */
  connected(engineId: string): void;
  /** @param from the asking engine */
  call(method: string, payload: unknown, from: string): Promise<unknown>;
}

/** Makes spans of messages that another engine traces. */
export interface HopTraces {
  /** Right after the answer. */
  answered(parent: TraceParent, message: TracedMessage, from: Answers, index: number): void;
  refused(parent: TraceParent, message: TracedMessage, reason: Reason): void;
}

export interface TracedMessage {
  readonly kind: number;
  /** When it came to this engine, wall clock ms. */
  readonly receivedMs: number;
  readonly reentries: number;
}

export interface PeerServerOptions {
  /** Newest first. */
  readonly keys: readonly string[];
  readonly selfId: string;
  readonly partitionCount: number;
  readonly handlers: PeerHandlers;
  /** Absent: traces are off here, and those of other engines have a gap. */
  readonly traces?: HopTraces;
  /** Wall clock ms, as the messages of this engine are stamped. */
  nowMs(): number;
  readonly log: Log;
  /** Tests look more often. */
  readonly lookMs?: number;
  /** Tests are an engine of another release. */
  readonly versions?: PeerVersions;
}

/** Connections at once, those in their handshake included: ten engines have nine each. */
const connectionsMax = 256;
const handshakeMsMax = 2000;
/** Messages of one connection at once: twice what two slabs hold. The asker's own bound is the same. */
export const asksMax = 8192;
/** Withdrawals, and calls, of one connection at once. */
export const withdrawalsMax = 1024;
export const callsMax = 64;

const protocols: ReadonlySet<number> = new Set(
  Object.values(Protocol).filter((protocol) => protocol !== Protocol.internal),
);
/** What an engine may ask: messages, and the booking of what it approved by stand-in. */
const kinds: ReadonlySet<number> = new Set([...protocols, EntryKind.standIn]);

export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  readonly #asking = new Set<Asking>();
  // For the metrics.
  asked = 0;
  answered = 0;
  refused = 0;
  notOwned = 0;
  withdrawn = 0;
  /** Connections without a key of ours, or whose bytes no engine sends. */
  rejected = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    const keys = new PeerKeys(options.keys);
    this.#server = createServer(
      {
        ...peerTls,
        handshakeTimeout: handshakeMsMax,
        pskIdentityHint: keys.hint,
        pskCallback: (_socket, identity) => keys.named(identity),
      },
      (socket) => this.#connected(socket),
    );
    this.#server.maxConnections = connectionsMax;
    this.#server.on('tlsClientError', (error, socket) => {
      // Node.js reports a handshake that takes too long, and leaves the connection open.
      socket.destroy();
      this.#reject(error);
    });
    this.#timer = setInterval(() => this.#look(), options.lookMs ?? lookMsDefault).unref();
  }

  /** Engines that are connected to this one. */
  get connections(): number {
    return this.#asking.size;
  }
  get bytesIn(): number {
    return [...this.#asking].reduce((sum, { connection }) => sum + connection.bytesIn, this.#bytesIn);
  }
  get bytesOut(): number {
    return [...this.#asking].reduce((sum, { connection }) => sum + connection.bytesOut, this.#bytesOut);
  }

  /** @returns the port; rejects when it is taken */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(new Error(`cannot listen on ${host}:${port} for other engines: set PEER_PORT (${error.message})`)),
      );
      this.#server.listen({ host, port }, () => {
        this.#server.on('error', (error) => this.#reject(error));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Closes every connection: the other engines know nothing of what was not answered. */
  close(): void {
    clearInterval(this.#timer);
    this.#server.close();
    for (const { connection } of this.#asking) connection.close(null);
  }

  #look(): void {
    for (const { connection } of this.#asking) connection.look();
  }

  #reject(error: Error): void {
    this.rejected++;
    // The first and every power of two: a program that knocks must not fill the log.
    if ((this.rejected & (this.rejected - 1)) !== 0) return;
    const { rejected } = this;
    this.#options.log.warn({ error: error.message, rejected }, 'a connection to PEER_PORT is refused');
  }

  #connected(socket: TLSSocket): void {
    const asking = new Asking(socket, this.#options, this, (error) => {
      this.#asking.delete(asking);
      this.#bytesIn += asking.connection.bytesIn;
      this.#bytesOut += asking.connection.bytesOut;
      if (error instanceof PeerProtocolError) this.#reject(error);
      else if (error !== null) {
        this.#options.log.warn({ peer: asking.engineId, error: error.message }, 'the connection of an engine is lost');
      }
    });
    this.#asking.add(asking);
  }

  /** An engine keeps one connection: an older one of it is dead, and its end was not noticed yet. */
  replaceOlder(newer: Asking): void {
    for (const asking of this.#asking) {
      if (asking !== newer && asking.engineId === newer.engineId) asking.connection.close(null);
    }
  }
}

/** An engine that asks us. */
class Asking {
  readonly connection: PeerConnection;
  readonly #options: PeerServerOptions;
  readonly #counts: PeerServer;
  readonly #clock = new PeerClock();
  /** '' until its hello. */
  engineId = '';
  /** Messages that are not answered. */
  waiting = 0;
  #withdrawals = 0;
  #calls = 0;
  #pings = 0;
  /** When the chunk came whose frames are taken: wall clock and steady clock. */
  #nowMs = 0;
  #steadyMs = 0;

  constructor(
    socket: TLSSocket,
    options: PeerServerOptions,
    counts: PeerServer,
    closed: (error: Error | null) => void,
  ) {
    this.#options = options;
    this.#counts = counts;
    const chunk = () => {
      this.#nowMs = options.nowMs();
      this.#steadyMs = performance.now();
    };
    const take = (kind: number, bytes: Buffer, start: number, end: number) => this.#take(kind, bytes, start, end);
    this.connection = new PeerConnection(socket, chunk, take, closed, true);
  }

  #take(kind: number, bytes: Buffer, start: number, end: number): void {
    if ((kind === PeerFrame.hello) === (this.engineId !== '')) {
      throw new PeerProtocolError('the first frame, and only the first, is a hello');
    }
    switch (kind) {
      case PeerFrame.hello:
        this.#hello(bytes, start, end);
        break;
      case PeerFrame.ping:
        this.#ping(finite(bytes.readDoubleLE(start)));
        break;
      case PeerFrame.ask:
        this.#ask(bytes, start, end, null);
        break;
      case PeerFrame.askTraced:
        this.#ask(bytes, start, end, readTrace(bytes, start));
        break;
      case PeerFrame.withdraw:
        this.#withdraw(bytes, start, end);
        break;
      case PeerFrame.id:
        this.#id(bytes, start);
        break;
      case PeerFrame.call:
        this.#call(bytes, start, end);
        break;
      default:
        throw new PeerProtocolError(`an asking engine sends no frame of kind ${kind}`);
    }
  }

  #hello(bytes: Buffer, start: number, end: number): void {
    const version = bytes[start]!;
    const { oldest, newest } = this.#options.versions ?? peerVersions;
    if (version < oldest || version > newest) {
      throw new PeerProtocolError(`the other engine speaks version ${version}, and this one ${oldest} to ${newest}`);
    }
    const between = start + 2 + bytes[start + 1]!;
    const from = bytes.toString('utf8', start + 2, Math.min(between, end));
    if (from === '' || between - start - 2 > engineIdBytesMax || between >= end) {
      throw new PeerProtocolError('the hello is malformed');
    }
    if (bytes.toString('utf8', between, end) !== this.#options.selfId) {
      throw new PeerProtocolError('the hello is for an engine that had this address before');
    }
    this.engineId = from;
    this.#counts.replaceOlder(this);
    this.connection.frames.empty(PeerFrame.welcome);
    this.connection.send();
  }

  #ping(sentSteadyMs: number): void {
    this.#clock.ping(sentSteadyMs, this.#steadyMs);
    // The first came with the hello, and the second when it was accepted.
    if (++this.#pings === 2) this.#options.handlers.connected(this.engineId);
    this.connection.frames.empty(PeerFrame.pong);
    this.connection.send();
  }

  #ask(bytes: Buffer, start: number, end: number, trace: TraceParent | null): void {
    const { handlers, partitionCount, traces } = this.#options;
    const message = start + askHead + (trace === null ? 0 : traceBytes);
    const correlation = bytes.readUInt32LE(start);
    const partition = bytes.readUInt16LE(start + 4);
    const protocol = bytes[start + 6]!;
    const elapsedMs = this.#clock.elapsedMs(finite(bytes.readDoubleLE(start + 7)), this.#steadyMs);
    this.#counts.asked++;
    this.waiting++;
    const arrivalMs = this.#nowMs - elapsedMs;
    const waiter =
      trace === null || traces === undefined
        ? new PeerMessage(this, this.#counts, correlation, protocol, arrivalMs)
        : new TracedPeerMessage(traces, trace, this.#nowMs, this, this.#counts, correlation, protocol, arrivalMs);
    if (this.waiting > asksMax) waiter.refuse(Reason.overloaded);
    else if (!kinds.has(protocol)) waiter.refuse(Reason.systemError);
    else if (partition >= partitionCount) waiter.notOwner();
    else handlers.submit(partition, protocol, bytes.subarray(message, end), waiter);
  }

  #withdraw(bytes: Buffer, start: number, end: number): void {
    const { handlers, partitionCount } = this.#options;
    const correlation = bytes.readUInt32LE(start);
    const partition = bytes.readUInt16LE(start + 4);
    const protocol = bytes[start + 6]!;
    const mayTake = this.#withdrawals < withdrawalsMax && partition < partitionCount && protocols.has(protocol);
    if (!mayTake) {
      this.#sendWithdrawn(correlation, false);
      return;
    }
    this.#withdrawals++;
    const done = (isDone: boolean) => {
      this.#withdrawals--;
      if (isDone) this.#counts.withdrawn++;
      this.#sendWithdrawn(correlation, isDone);
    };
    handlers.withdraw(partition, protocol, bytes.subarray(start + withdrawHead, end)).then(done, () => done(false));
  }

  #sendWithdrawn(correlation: number, isDone: boolean): void {
    if (this.connection.isClosed) return;
    this.connection.frames.correlatedByte(PeerFrame.withdrawn, correlation, isDone ? 1 : 0);
    this.connection.send();
  }

  #id(bytes: Buffer, start: number): void {
    const partition = bytes.readUInt16LE(start);
    if (partition >= this.#options.partitionCount) throw new PeerProtocolError(`there is no partition ${partition}`);
    this.#options.handlers.learn(bytes.readUInt32LE(start + 2), bytes.readUInt32LE(start + 6), partition);
  }

  #call(bytes: Buffer, start: number, end: number): void {
    const correlation = bytes.readUInt32LE(start);
    if (this.#calls >= callsMax) {
      this.#sendResult(correlation, false, 'too many calls at once');
      return;
    }
    const { method, payload } = jsonObject(bytes.toString('utf8', start + callHead, end));
    if (typeof method !== 'string') throw new PeerProtocolError('a call names its method');
    this.#calls++;
    this.#options.handlers.call(method, payload, this.engineId).then(
      (value) => {
        this.#calls--;
        this.#sendResult(correlation, true, value);
      },
      (error: unknown) => {
        this.#calls--;
        this.#sendResult(correlation, false, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #sendResult(correlation: number, succeeded: boolean, value: unknown): void {
    if (this.connection.isClosed) return;
    const { frames } = this.connection;
    if (!frames.result(correlation, succeeded, JSON.stringify(value ?? null))) {
      frames.result(correlation, false, JSON.stringify('the result is longer than a call may bring back'));
    }
    this.connection.send();
  }
}

class PeerMessage implements PeerWaiter {
  readonly kind: number;
  readonly arrivalMs: number;
  readonly #asking: Asking;
  readonly #counts: PeerServer;
  readonly #correlation: number;
  reentries = 0;
  isRefused = false;
  #isSettled = false;

  constructor(asking: Asking, counts: PeerServer, correlation: number, protocol: number, arrivalMs: number) {
    this.#asking = asking;
    this.#counts = counts;
    this.#correlation = correlation;
    this.kind = protocol;
    this.arrivalMs = arrivalMs;
  }

  /** A lost connection is as a client that has gone: the asker asks again, or withdraws. */
  get isSettled(): boolean {
    return this.#isSettled || this.#asking.connection.isClosed;
  }

  answer(from: Answers, index: number): void {
    if (!this.#settle()) return;
    this.#counts.answered++;
    this.#asking.connection.frames.answer(this.#correlation, from, index);
    this.#asking.connection.send();
  }

  refuse(reason: Reason): void {
    if (!this.#settle()) return;
    this.isRefused = true;
    this.#counts.refused++;
    this.#asking.connection.frames.correlatedByte(PeerFrame.refusal, this.#correlation, reason);
    this.#asking.connection.send();
  }

  notOwner(): void {
    if (!this.#settle()) return;
    this.#counts.notOwned++;
    this.#asking.connection.frames.correlated(PeerFrame.notOwner, this.#correlation);
    this.#asking.connection.send();
  }

  #settle(): boolean {
    if (this.isSettled) return false;
    this.#isSettled = true;
    this.#asking.waiting--;
    return true;
  }
}

/** One that the asking engine traces. */
class TracedPeerMessage extends PeerMessage implements TracedMessage {
  readonly #traces: HopTraces;
  readonly #parent: TraceParent;
  readonly receivedMs: number;

  constructor(
    traces: HopTraces,
    parent: TraceParent,
    receivedMs: number,
    ...message: ConstructorParameters<typeof PeerMessage>
  ) {
    super(...message);
    this.#traces = traces;
    this.#parent = parent;
    this.receivedMs = receivedMs;
  }

  override answer(from: Answers, index: number): void {
    if (this.isSettled) return;
    super.answer(from, index);
    this.#traces.answered(this.#parent, this, from, index);
  }

  override refuse(reason: Reason): void {
    if (this.isSettled) return;
    super.refuse(reason);
    this.#traces.refused(this.#parent, this, reason);
  }
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new PeerProtocolError('a time is no number');
  return value;
}

/** What a call carries. */
function jsonObject(text: string): { readonly method?: unknown; readonly payload?: unknown } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new PeerProtocolError('a call is no JSON');
  }
  if (typeof parsed !== 'object' || parsed === null) throw new PeerProtocolError('a call is no JSON object');
  return parsed;
}
