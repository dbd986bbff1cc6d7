/**
 * The asking end: one kept connection to each other engine of the view. Messages of partitions of other engines leave
 * in batches, and their answers come back in any order. Where a connection breaks, the outcome of what was asked on it
 * is unknown.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { Log } from '../../platform/log.js';
import { Buckets } from '../../platform/metrics/buckets.js';
import type { TraceParent } from '../../platform/tracing/traces.js';
import { Reason, reasonTable } from '../core/reasons.js';
import type { Answers } from '../exchange/answers.js';
import { EntryStatus } from '../exchange/slab.js';
import { lookMsDefault, PeerConnection } from './peer-connection.js';
import {
  answerHead,
  PeerFrame,
  PeerProtocolError,
  type PeerVersions,
  peerVersions,
  resultHead,
  tracedVersion,
} from './peer-frames.js';
import { PeerKeys, peerTls } from './peer-keys.js';
import { asksMax, callsMax, withdrawalsMax } from './peer-server.js';

export interface PeerAddress {
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** Hears what became of a message: one call in all. */
export interface PeerOutcome {
  /** When it was asked, wall clock ms. */
  readonly askedAtMs: number;
  /** The trace that the other engine continues; none where it is absent, or where traces are off. */
  hopTrace?(): TraceParent | undefined;
  /** `from` is valid during the call. */
  answered(from: Answers, index: number): void;
  refused(reason: Reason): void;
  /** Nothing was decided: the partition is not that engine's. */
  notOwner(): void;
  /** The connection broke: the outcome is unknown. */
  lost(): void;
}

export interface PeerLinksOptions {
  /** Newest first. */
  readonly keys: readonly string[];
  readonly selfId: string;
  /** Wall clock ms, as the messages of this engine are stamped. */
  nowMs(): number;
  readonly log: Log;
  /** An engine is connected, or no longer. */
  changed?(): void;
  /** Tests look more often. */
  readonly lookMs?: number;
  /** Tests are an engine of another release. */
  readonly versions?: PeerVersions;
}

interface LinkOptions extends PeerLinksOptions {
  readonly roundTrips: Buckets;
}

/** A connection with so many pings unanswered has been closed long before. */
const pingsUnansweredMax = 64;
/** From one try to connect to the next: doubles up to the maximum, which is below what a lease lasts. */
const reconnectMsMin = 50;
const reconnectMsMax = 1000;

export class PeerLinks {
  readonly #options: LinkOptions;
  /** From each ping to its pong, ms: the way to another engine and back, and the event loops of both. */
  readonly roundTrips = new Buckets();
  readonly #keys: PeerKeys;
  readonly #links = new Map<string, PeerLink>();
  readonly #timer: NodeJS.Timeout;
  #isClosed = false;
  /** Of engines that are no longer in the view. */
  readonly #gone = { asked: 0, bytesOut: 0 };

  constructor(options: PeerLinksOptions) {
    this.#options = { ...options, roundTrips: this.roundTrips };
    this.#keys = new PeerKeys(options.keys);
    this.#timer = setInterval(() => {
      for (const link of this.#links.values()) link.look();
    }, options.lookMs ?? lookMsDefault).unref();
  }

  /** For the metrics: one a peer of the view. */
  get links(): Iterable<PeerLinkCounts> {
    return this.#links.values();
  }

  /** Messages that any engine was asked, those that were sent again included. */
  get asked(): number {
    return [...this.#links.values()].reduce((sum, link) => sum + link.asked, this.#gone.asked);
  }
  get bytesOut(): number {
    return [...this.#links.values()].reduce((sum, link) => sum + link.bytesOut, this.#gone.bytesOut);
  }

  /** The other engines from now on. Connections to engines that are not among them are closed. */
  setPeers(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return;
    const wanted = new Map(peers.filter(({ id }) => id !== this.#options.selfId).map((peer) => [peer.id, peer]));
    for (const [id, link] of this.#links) {
      const peer = wanted.get(id);
      if (peer?.host === link.peer.host && peer.port === link.peer.port) wanted.delete(id);
      else {
        this.#links.delete(id);
        link.close();
        this.#gone.asked += link.asked;
        this.#gone.bytesOut += link.bytesOut;
      }
    }
    for (const [id, peer] of wanted) {
      this.#links.set(id, new PeerLink(peer, this.#options, this.#keys, () => this.flushIds()));
    }
  }

  isConnected(engineId: string): boolean {
    return this.#links.get(engineId)?.isConnected === true;
  }

  /**
   * @param marked the message and our mark of it (EntryFlag.marked), read during the call only
   * @param arrivalMs when it arrived here, wall clock ms
   * @returns false when there is no connection or its queue is full: `outcome` hears nothing
   */
  ask(
    engineId: string,
    partition: number,
    protocol: number,
    marked: Uint8Array,
    arrivalMs: number,
    outcome: PeerOutcome,
  ): boolean {
    return this.#links.get(engineId)?.ask(partition, protocol, marked, arrivalMs, outcome) === true;
  }

  /**
   * Has an approval revoked whose message was answered 503 here.
   * @returns true once the other engine has acknowledged it; false where it is to be tried again
   */
  withdraw(engineId: string, partition: number, protocol: number, marked: Uint8Array): Promise<boolean> {
    return this.#links.get(engineId)?.withdraw(partition, protocol, marked) ?? Promise.resolve(false);
  }

  /** Lets every connected engine know which partition the id with that hash belongs to. */
  gossip(low: number, high: number, partition: number): void {
    for (const link of this.#links.values()) link.gossip(low, high, partition);
  }

  /** Sends the ids now that wait for company: they are reported before an answer leaves. */
  flushIds(): void {
    for (const link of this.#links.values()) link.flushIds();
  }

  /** Resolves with what the other engine's handler returned. Rejects with its error, and after `timeoutMs`. */
  call(engineId: string, method: string, payload: unknown, timeoutMs: number): Promise<unknown> {
    const link = this.#links.get(engineId);
    return link?.call(method, payload, timeoutMs) ?? Promise.reject(new Error(`engine ${engineId} is not connected`));
  }

  /** Closes every connection; what was asked is lost. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }
}

export interface PeerLinkCounts {
  readonly peer: PeerAddress;
  readonly isConnected: boolean;
  /** Messages that are not answered. */
  readonly waiting: number;
  readonly asked: number;
  readonly answered: number;
  readonly refused: number;
  readonly notOwned: number;
  readonly lost: number;
  readonly withdrawn: number;
  /** Ids that were not passed on, because too much waited. */
  readonly gossipDropped: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

interface Call {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

class PeerLink implements PeerLinkCounts {
  readonly peer: PeerAddress;
  readonly #options: LinkOptions;
  readonly #keys: PeerKeys;
  readonly #flushIds: () => void;
  #connection: PeerConnection | null = null;
  /** When the pings were sent that have no pong yet. */
  #pingedMs: number[] = [];
  /** The other end has accepted the hello. */
  isConnected = false;
  #isClosed = false;
  /** The ids were sent before the first answer of the chunk that is being taken. */
  #areIdsFlushed = false;
  readonly #versions: PeerVersions;
  #version: number;
  /** A hello was sent on the connection. */
  #isOffered = false;
  #reconnectMs = reconnectMsMin;
  #reconnect: NodeJS.Timeout | null = null;
  #correlation = 0;
  readonly #asks = new Map<number, PeerOutcome>();
  readonly #withdrawals = new Map<number, (isDone: boolean) => void>();
  readonly #calls = new Map<number, Call>();
  readonly #answers = new PeerAnswers();
  asked = 0;
  answered = 0;
  refused = 0;
  notOwned = 0;
  lost = 0;
  withdrawn = 0;
  gossipDropped = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  /** @param flushIds of all links */
  constructor(peer: PeerAddress, options: LinkOptions, keys: PeerKeys, flushIds: () => void) {
    this.peer = peer;
    this.#flushIds = flushIds;
    this.#options = options;
    this.#keys = keys;
    this.#versions = options.versions ?? peerVersions;
    this.#version = this.#versions.newest;
    this.#connect();
  }

  get waiting(): number {
    return this.#asks.size;
  }
  get bytesIn(): number {
    return this.#bytesIn + (this.#connection?.bytesIn ?? 0);
  }
  get bytesOut(): number {
    return this.#bytesOut + (this.#connection?.bytesOut ?? 0);
  }

  #connect(): void {
    const { host, port } = this.peer;
    const socket: TLSSocket = connect({
      ...peerTls,
      host,
      port,
      // The key is the proof: there is no certificate whose name could be checked.
      checkServerIdentity: () => undefined,
      pskCallback: (hint) => this.#keys.shared(hint),
    });
    const chunk = () => {
      this.#areIdsFlushed = false;
      this.#answers.returnedAtMs = this.#options.nowMs();
    };
    const take = (kind: number, bytes: Buffer, start: number, end: number) => this.#take(kind, bytes, start, end);
    const connection = new PeerConnection(socket, chunk, take, (error) => this.#closedBy(error), false);
    this.#connection = connection;
    this.#pingedMs = [];
    socket.once('secureConnect', () => {
      this.#isOffered = true;
      connection.frames.hello(this.#options.selfId, this.peer.id, this.#version);
      this.#ping(connection);
      connection.send();
    });
  }

  #closedBy(error: Error | null): void {
    const { bytesIn, bytesOut } = this.#connection!;
    this.#bytesIn += bytesIn;
    this.#bytesOut += bytesOut;
    this.#connection = null;
    const wasConnected = this.isConnected;
    this.isConnected = false;
    if (this.#isOffered && !wasConnected) this.#offerOlder();
    this.#isOffered = false;
    if (!this.#isClosed) {
      // The first failure of a row, and those at the longest pause would be too many.
      if (wasConnected || this.#reconnectMs === reconnectMsMin) {
        const { id, host, port } = this.peer;
        const why = error?.message ?? 'the other engine ended it';
        this.#options.log.warn({ peer: id, host, port, error: why }, 'no connection to an engine: trying again');
      }
      this.#reconnect = setTimeout(() => this.#connect(), this.#reconnectMs).unref();
      this.#reconnectMs = Math.min(2 * this.#reconnectMs, reconnectMsMax);
    }
    this.#loseAll();
    if (wasConnected) this.#options.changed?.();
  }

  /** The hello was refused, perhaps for its version. Below the oldest the newest is next: the peer may be upgraded. */
  #offerOlder(): void {
    const { oldest, newest } = this.#versions;
    this.#version = this.#version > oldest ? this.#version - 1 : newest;
  }

  /** What was asked on the connection has no known outcome. Copied first: an outcome may ask again. */
  #loseAll(): void {
    const asks = [...this.#asks.values()];
    const withdrawals = [...this.#withdrawals.values()];
    const calls = [...this.#calls.values()];
    this.#asks.clear();
    this.#withdrawals.clear();
    this.#calls.clear();
    this.lost += asks.length;
    for (const outcome of asks) outcome.lost();
    for (const done of withdrawals) done(false);
    for (const { reject, timer } of calls) {
      clearTimeout(timer);
      reject(new Error(`the connection to engine ${this.peer.id} is lost`));
    }
  }

  close(): void {
    this.#isClosed = true;
    if (this.#reconnect !== null) clearTimeout(this.#reconnect);
    this.#connection?.close(null);
  }

  flushIds(): void {
    this.#connection?.flushLate();
  }

  look(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (this.isConnected) {
      this.#ping(connection);
      connection.send();
    }
    connection.look();
  }

  #ping(connection: PeerConnection): void {
    const nowMs = performance.now();
    if (this.#pingedMs.length < pingsUnansweredMax) this.#pingedMs.push(nowMs);
    connection.frames.ping(nowMs);
  }

  /** Pongs come in the order of their pings. */
  #ponged(): void {
    const pingedMs = this.#pingedMs.shift();
    if (pingedMs !== undefined) this.#options.roundTrips.add(performance.now() - pingedMs);
  }

  /** The connection that takes more; null where there is none, or too much waits on it. */
  #ready(): PeerConnection | null {
    return this.isConnected && !this.#connection!.isFull ? this.#connection : null;
  }

  #nextCorrelation(): number {
    this.#correlation = (this.#correlation + 1) >>> 0;
    return this.#correlation;
  }

  ask(partition: number, protocol: number, marked: Uint8Array, arrivalMs: number, outcome: PeerOutcome): boolean {
    const connection = this.#ready();
    if (connection === null || this.#asks.size >= asksMax) return false;
    const correlation = this.#nextCorrelation();
    this.#asks.set(correlation, outcome);
    this.asked++;
    const arrivalSteadyMs = performance.now() - (this.#options.nowMs() - arrivalMs);
    const trace = this.#version < tracedVersion ? undefined : outcome.hopTrace?.();
    const { frames } = connection;
    if (trace === undefined) frames.ask(correlation, partition, protocol, arrivalSteadyMs, marked);
    else frames.askTraced(correlation, partition, protocol, arrivalSteadyMs, trace, marked);
    connection.send();
    return true;
  }

  withdraw(partition: number, protocol: number, marked: Uint8Array): Promise<boolean> {
    const connection = this.#ready();
    if (connection === null || this.#withdrawals.size >= withdrawalsMax) return Promise.resolve(false);
    const correlation = this.#nextCorrelation();
    connection.frames.withdraw(correlation, partition, protocol, marked);
    connection.send();
    return new Promise((resolve) => this.#withdrawals.set(correlation, resolve));
  }

  gossip(low: number, high: number, partition: number): void {
    const connection = this.#ready();
    if (connection === null) {
      this.gossipDropped++;
      return;
    }
    connection.frames.id(low, high, partition);
    connection.sendLate();
  }

  call(method: string, payload: unknown, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const connection = this.#ready();
      const { id } = this.peer;
      if (connection === null || this.#calls.size >= callsMax) {
        reject(new Error(`engine ${id} is not connected, or too much waits for it`));
        return;
      }
      const correlation = this.#nextCorrelation();
      if (!connection.frames.call(correlation, JSON.stringify({ method, payload }))) {
        reject(new Error(`the call ${method} is longer than a call may be`));
        return;
      }
      const timer = setTimeout(() => {
        this.#calls.delete(correlation);
        reject(new Error(`engine ${id} did not answer the call ${method} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#calls.set(correlation, { resolve, reject, timer });
      connection.send();
    });
  }

  #take(kind: number, bytes: Buffer, start: number, end: number): void {
    if ((kind === PeerFrame.welcome) === this.isConnected) {
      throw new PeerProtocolError('the first frame, and only the first, is a welcome');
    }
    switch (kind) {
      case PeerFrame.welcome:
        this.isConnected = true;
        // Behind it the other engine hears of every id.
        this.#ping(this.#connection!);
        this.#connection!.send();
        this.#reconnectMs = reconnectMsMin;
        this.#options.changed?.();
        break;
      case PeerFrame.pong:
        this.#ponged();
        break;
      case PeerFrame.answer:
        this.#answer(bytes, start, end);
        break;
      case PeerFrame.refusal:
        this.#refusal(bytes, start);
        break;
      case PeerFrame.notOwner:
        this.notOwned++;
        this.#outcome(bytes, start).notOwner();
        break;
      case PeerFrame.withdrawn:
        this.#withdrawn(bytes, start);
        break;
      case PeerFrame.result:
        this.#result(bytes, start, end);
        break;
      default:
        throw new PeerProtocolError(`an answering engine sends no frame of kind ${kind}`);
    }
  }

  #outcome(bytes: Buffer, start: number): PeerOutcome {
    const correlation = bytes.readUInt32LE(start);
    const outcome = this.#asks.get(correlation);
    if (outcome === undefined) throw new PeerProtocolError('an answer to what was not asked');
    this.#asks.delete(correlation);
    return outcome;
  }

  #answer(bytes: Buffer, start: number, end: number): void {
    const status = bytes[start + 4]!;
    const reason = bytes[start + 6]!;
    if (!isAnswerStatus(status) || reason >= reasonTable.length) throw new PeerProtocolError('an answer that is none');
    const outcome = this.#outcome(bytes, start);
    if (!this.#areIdsFlushed) {
      this.#areIdsFlushed = true;
      this.#flushIds();
    }
    this.answered++;
    const answers = this.#answers;
    answers.status[0] = status;
    answers.answerFlags[0] = bytes[start + 5]!;
    answers.reason[0] = reason;
    answers.answer = bytes;
    answers.answerStart[0] = start + answerHead;
    answers.answerEnd[0] = end;
    answers.sealedAtMs = outcome.askedAtMs;
    outcome.answered(answers, 0);
  }

  #refusal(bytes: Buffer, start: number): void {
    const reason = bytes[start + 4]!;
    if (reason !== Reason.systemError && reason !== Reason.overloaded) {
      throw new PeerProtocolError('a refusal without a reason of refusals');
    }
    this.refused++;
    this.#outcome(bytes, start).refused(reason);
  }

  #withdrawn(bytes: Buffer, start: number): void {
    const correlation = bytes.readUInt32LE(start);
    const done = this.#withdrawals.get(correlation);
    if (done === undefined) throw new PeerProtocolError('an acknowledgement of what was not withdrawn');
    this.#withdrawals.delete(correlation);
    const isDone = bytes[start + 4] === 1;
    if (isDone) this.withdrawn++;
    done(isDone);
  }

  #result(bytes: Buffer, start: number, end: number): void {
    let value: unknown;
    try {
      value = JSON.parse(bytes.toString('utf8', start + resultHead, end));
    } catch {
      throw new PeerProtocolError('a result is no JSON');
    }
    const correlation = bytes.readUInt32LE(start);
    const call = this.#calls.get(correlation);
    // It came too late: the caller has its error.
    if (call === undefined) return;
    this.#calls.delete(correlation);
    clearTimeout(call.timer);
    if (bytes[start + 4] === 1) call.resolve(value);
    else call.reject(new Error(`engine ${this.peer.id}: ${String(value)}`));
  }
}

/** The answer of another engine, in the bytes that came: the one with index 0. */
class PeerAnswers implements Answers {
  readonly status = new Uint8Array(1);
  readonly answerFlags = new Uint8Array(1);
  readonly reason = new Uint8Array(1);
  readonly answerStart = new Int32Array(1);
  readonly answerEnd = new Int32Array(1);
  answer: Buffer = Buffer.alloc(0);
  sealedAtMs = 0;
  returnedAtMs = 0;
}

function isAnswerStatus(status: number): boolean {
  return status === EntryStatus.decided || status === EntryStatus.malformed || status === EntryStatus.unknownAccount;
}
