/**
 * One connection of a link: takes frames apart, has each message decided, and answers in whatever order the decisions
 * come. A peer that sends more than it may have in flight, or does not take its answers, is not read from meanwhile.
 */
import type { Socket } from 'node:net';
import { Reason } from '../../core/reasons.js';
import type { Answers } from '../../exchange/answers.js';
import { Counted } from '../../ops/message-counts.js';
import { answerWith } from '../../protocols/iso8583/answers.js';
import { FrameSplitter } from '../../protocols/iso8583/frame-splitter.js';
import { IsoMessage } from '../../protocols/iso8583/message.js';
import {
  classOf,
  functionOf,
  IsoClass,
  IsoFunction,
  isResponse,
  messageNameOf,
} from '../../protocols/iso8583/message-types.js';
import { bytesOf, readQuestion } from '../../protocols/iso8583/questions.js';
import { describeRefusal } from '../../protocols/iso8583/refusal.js';
import { ResponseCode } from '../../protocols/iso8583/results.js';
import { unpack } from '../../protocols/iso8583/unpack.js';
import { answerOf } from './decided-answers.js';
import type { ExchangeOwner, IsoExchange } from './iso-exchange.js';
import type { LinkOutcome } from './link-counts.js';
import type { LinkParts } from './link-options.js';
import { echoRequest, networkReply } from './network-messages.js';
import { PeerWriter } from './peer-writer.js';
import { exchangeFor } from './traced-iso-exchange.js';

/** A frame that has begun is whole after that, and written bytes are taken: a network is nearer than that. */
const slowMsMax = 10_000;
/** A peer that answers no echo for so long is gone. */
const echoAnswerMsMax = 10_000;

/** The answers to messages that are not decided, and how they are counted. */
const undecided = {
  nothing: [ResponseCode.approved, 'acknowledged'],
  unsupported: [ResponseCode.notSupported, 'unsupported'],
  fault: [ResponseCode.formatError, 'malformed'],
} as const;

/** Nothing waits while they are in use, so all connections share them. */
const asked = new IsoMessage();
const answer = new IsoMessage();

export class LinkConnection implements ExchangeOwner {
  readonly #link: LinkParts;
  readonly #socket: Socket;
  readonly #writer: PeerWriter;
  readonly #splitter: FrameSplitter;
  readonly #exchanges = new Set<IsoExchange>();
  #isSignedOn: boolean;
  #isClosed = false;
  #isPaused = false;
  #lastReceivedMs: number;
  /** Since when a frame is unfinished, written bytes are not taken, and an echo is not answered; 0: none is. */
  #unfinishedSinceMs = 0;
  #fullSinceMs = 0;
  #echoSentMs = 0;

  constructor(link: LinkParts, socket: Socket) {
    this.#link = link;
    this.#socket = socket;
    this.#writer = new PeerWriter(socket, link.packager, link.framing);
    this.#splitter = new FrameSplitter(link.framing, {
      frame: (bytes, start, end, headerAt) => this.#frame(bytes, start, end, headerAt),
      keepAlive: () => {
        if (link.settings.framing.keepAlive === 'echo') this.#writer.writeKeepAlive();
      },
    });
    this.#isSignedOn = !link.settings.signOnRequired;
    this.#lastReceivedMs = link.clock.nowMs();
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('drain', () => this.#resume());
    socket.once('close', () => this.#ended());
    // Its end follows as close.
    socket.on('error', () => undefined);
  }

  get isIdle(): boolean {
    return this.#exchanges.size === 0;
  }

  /** Sends what is written, then closes. */
  end(): void {
    this.#writer.flush();
    this.#socket.end();
  }

  destroy(): void {
    this.#splitter.stop();
    this.#socket.destroy();
  }

  /** Closes a peer that takes too long, and asks a silent one whether it is there. Called by one coarse timer. */
  look(nowMs: number): void {
    if (this.#isClosed) return;
    if (this.#splitter.pendingBytes === 0) this.#unfinishedSinceMs = 0;
    else if (this.#unfinishedSinceMs === 0) this.#unfinishedSinceMs = nowMs;
    if (this.#socket.writableLength === 0) this.#fullSinceMs = 0;
    else if (this.#fullSinceMs === 0) this.#fullSinceMs = nowMs;
    const isOver = (sinceMs: number, msMax: number): boolean => sinceMs !== 0 && nowMs - sinceMs > msMax;
    const why = isOver(this.#unfinishedSinceMs, slowMsMax)
      ? 'a frame was not whole in time'
      : isOver(this.#fullSinceMs, slowMsMax)
        ? 'the peer does not take its answers'
        : isOver(this.#echoSentMs, echoAnswerMsMax)
          ? 'the peer answers no echo'
          : null;
    if (why !== null) {
      this.#link.counts.slow++;
      this.#fail(why);
      return;
    }
    const { idleEchoS } = this.#link.settings;
    if (idleEchoS === 0 || this.#echoSentMs !== 0 || nowMs - this.#lastReceivedMs < idleEchoS * 1000) return;
    this.#echoSentMs = nowMs;
    echoRequest(answer, this.#link.settings.packager.version, nowMs);
    this.#writer.write(answer, null);
  }

  #fail(why: string): void {
    this.#link.trouble(this.#link.settings.name, why);
    this.destroy();
  }

  #received(chunk: Buffer): void {
    this.#lastReceivedMs = this.#link.clock.nowMs();
    this.#echoSentMs = 0;
    this.#unfinishedSinceMs = 0;
    const fault = this.#splitter.push(chunk);
    if (fault !== null) {
      this.#link.counts.brokenFrames++;
      this.#fail(`its bytes are no frames: ${fault}`);
      return;
    }
    if (this.#splitter.pendingBytes > 0) this.#unfinishedSinceMs = this.#lastReceivedMs;
    if (this.#exchanges.size >= this.#link.settings.inFlightMax || this.#writer.isFull) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  #resume(): void {
    if (!this.#isPaused || this.#isClosed) return;
    if (this.#exchanges.size >= this.#link.settings.inFlightMax || this.#writer.isFull) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  #ended(): void {
    this.#isClosed = true;
    this.#splitter.stop();
    for (const exchange of this.#exchanges) {
      exchange.abort();
      this.#link.admission.leave();
      this.#link.telemetry.add(Counted.aborted);
    }
    this.#exchanges.clear();
  }

  // --- messages -----------------------------------------------------------------------------------------------------

  #frame(bytes: Uint8Array, start: number, end: number, headerAt: number): void {
    const { packager, counts, settings, closing } = this.#link;
    const header = bytes.subarray(headerAt, start);
    const refusal = unpack(packager, bytes, start, end, asked);
    const { mti } = asked;
    const isReadable = mti > 0 && asked.has(11) && (refusal === null || refusal.fault !== 'version');
    if (refusal !== null) {
      if (isReadable && !isResponse(mti)) this.#answerWith(header, ResponseCode.formatError, 'malformed');
      else {
        counts.unparsable++;
        this.#link.trouble(settings.name, `dropped a message: ${describeRefusal(refusal)}`);
      }
      return;
    }
    // Our echo's answer has done its work by coming.
    if (isResponse(mti)) return;
    if (classOf(mti) === IsoClass.network) {
      const reply = networkReply(asked, settings.packager.version);
      if (reply.isSignedOn !== undefined) this.#isSignedOn = reply.isSignedOn || !settings.signOnRequired;
      const isServed = reply.code === ResponseCode.approved;
      this.#answerWith(header, reply.code, isServed ? 'acknowledged' : 'unsupported');
    } else if (closing.isRefusing || !this.#isSignedOn) {
      this.#answerWith(header, ResponseCode.unavailable, 'unavailable');
    } else this.#read(bytes, end, headerAt, header);
  }

  #read(bytes: Uint8Array, end: number, headerAt: number, header: Uint8Array): void {
    const { settings, panKeys, originals, admission, clock } = this.#link;
    const messageClass = classOf(asked.mti);
    const isServed =
      messageClass === IsoClass.authorization ||
      messageClass === IsoClass.financial ||
      messageClass === IsoClass.reversal;
    if (!isServed || functionOf(asked.mti) > IsoFunction.adviceResponse) {
      this.#answerWith(header, ResponseCode.notSupported, 'unsupported');
      return;
    }
    // First: under too much load, what is turned away must cost little.
    if (!admission.enter()) {
      this.#link.telemetry.refused(Reason.overloaded);
      this.#answerWith(header, ResponseCode.unavailable, 'unavailable');
      return;
    }
    const nowMs = clock.nowMs();
    const reading = readQuestion(asked, settings, panKeys, originals, nowMs);
    if (reading.kind !== 'decide') {
      admission.leave();
      const [code, outcome] = undecided[reading.kind];
      this.#answerWith(header, code, outcome);
      return;
    }
    const frame = Buffer.from(bytes.subarray(headerAt, end));
    const exchange = exchangeFor(this.#link, this, nowMs, frame, reading.question);
    this.#exchanges.add(exchange);
    this.#submit(exchange);
  }

  #submit(exchange: IsoExchange): void {
    const { cards, ledger, codec } = this.#link;
    const { question } = exchange;
    cards.find(question.cards, exchange, (card) => ledger.submit(codec, bytesOf(question, card), exchange));
  }

  /** Answers the message in `asked` without a decision. */
  #answerWith(header: Uint8Array, code: string, outcome: LinkOutcome): void {
    const { settings, counts } = this.#link;
    counts.answered(messageNameOf(asked.mti), outcome);
    answerWith(answer, asked, settings, code);
    this.#write(header);
  }

  #write(header: Uint8Array): void {
    if (this.#writer.write(answer, header)) return;
    this.#link.trouble(this.#link.settings.name, 'an answer does not fit into the form of the link, and was not sent');
  }

  // --- answers ------------------------------------------------------------------------------------------------------

  answered(exchange: IsoExchange, from: Answers, index: number): void {
    const header = this.#settle(exchange);
    const outcome = answerOf(this.#link, exchange, from, index, asked, answer);
    this.#link.counts.answered(messageNameOf(asked.mti), outcome);
    this.#write(header);
    this.#resume();
  }

  refused(exchange: IsoExchange, reason: Reason): void {
    const header = this.#settle(exchange);
    this.#link.telemetry.refused(reason);
    this.#answerWith(header, ResponseCode.unavailable, 'unavailable');
    this.#resume();
  }

  /** It leaves, and its message is in `asked` again. @returns its header */
  #settle(exchange: IsoExchange): Uint8Array {
    const { admission, packager, framing } = this.#link;
    this.#exchanges.delete(exchange);
    admission.leave();
    const { frame } = exchange;
    unpack(packager, frame, framing.headerBytes, frame.length, asked);
    return frame.subarray(0, framing.headerBytes);
  }
}
