/**
 * The frames between two engines, over one connection that the asking engine keeps. The only file that knows their
 * layout; numbers are little endian.
 *
 *   u32 length of the rest, u8 kind, then
 *   hello     u8 version, u8 length, the asker's id, the id of the engine that it means
 *   welcome   nothing: the hello was accepted
 *   ping      f64 the asker's steady clock, ms
 *   pong      nothing
 *   ask       u32 correlation, u16 partition, u8 protocol, f64 arrival on the asker's steady clock, message, mark
 *   askTraced as ask, with 16 bytes of trace id, 8 of span id and u8 flags before the message; from version 2
 *   answer    u32 correlation, u8 status, u8 flags, u8 reason, the answer
 *   refusal   u32 correlation, u8 reason
 *   notOwner  u32 correlation
 *   withdraw  u32 correlation, u16 partition, u8 protocol, message, mark
 *   withdrawn u32 correlation, u8 whether it is done
 *   id        u16 partition, u32 and u32 the halves of an id's hash
 *   call      u32 correlation, JSON
 *   result    u32 correlation, u8 whether it succeeded, JSON
 */
import type { TraceParent } from '../../platform/tracing/traces.js';
import { answerBytesMax, bodyBytesMax } from '../core/limits.js';
import type { Answers } from '../exchange/answers.js';
import { markBytes } from '../exchange/slab.js';

export const PeerFrame = {
  hello: 1,
  welcome: 2,
  ping: 3,
  pong: 4,
  ask: 5,
  answer: 6,
  refusal: 7,
  notOwner: 8,
  withdraw: 9,
  withdrawn: 10,
  id: 11,
  call: 12,
  result: 13,
  askTraced: 14,
} as const;

/**
 * Versions of these frames that this engine speaks. A hello names the one of its connection, and the other end accepts
 * each that it speaks. Where a hello is refused, the asker offers the next older one. So a release that adds a version
 * keeps the one before it, and a rolling upgrade goes on.
 */
export interface PeerVersions {
  readonly oldest: number;
  readonly newest: number;
}
export const peerVersions: PeerVersions = { oldest: 1, newest: 2 };
/** The first version whose engines take a message with its trace. */
export const tracedVersion = 2;
/** Longest id of an engine, in bytes. */
export const engineIdBytesMax = 64;
/** Longest JSON of a call or its result: an answer about 200 accounts has a tenth of it. */
export const callBytesMax = 1024 * 1024;
const headBytes = 5;

/** Bytes in front of what has no fixed length. */
export const askHead = 15;
/** Of the trace that a message continues. */
export const traceBytes = 25;
export const answerHead = 7;
export const withdrawHead = 7;
export const callHead = 4;
export const resultHead = 5;

/** Shortest and longest payload of each kind. */
const payloadBounds: readonly (readonly [min: number, max: number] | undefined)[] = [
  undefined,
  [4, 2 + 2 * engineIdBytesMax],
  [0, 0],
  [8, 8],
  [0, 0],
  [askHead + markBytes, askHead + bodyBytesMax + markBytes],
  [answerHead, answerHead + answerBytesMax],
  [5, 5],
  [4, 4],
  [withdrawHead + markBytes, withdrawHead + bodyBytesMax + markBytes],
  [5, 5],
  [10, 10],
  [callHead, callHead + callBytesMax],
  [resultHead, resultHead + callBytesMax],
  [askHead + traceBytes + markBytes, askHead + traceBytes + bodyBytesMax + markBytes],
];

/** The other end sent what no engine of this version sends: its connection is closed. */
export class PeerProtocolError extends Error {
  override readonly name = 'PeerProtocolError';
}

/** Takes a whole frame: its payload is `bytes[start, end)`, valid as long as the caller keeps `bytes`. */
export type TakeFrame = (kind: number, bytes: Buffer, start: number, end: number) => void;

/** Cuts received bytes into frames. Throws PeerProtocolError on bytes that are none. */
export class FrameReader {
  readonly #take: TakeFrame;
  /** The beginning of a frame whose rest is still to come. */
  readonly #head = Buffer.alloc(headBytes);
  #headLength = 0;
  #payload: Buffer | null = null;
  #payloadLength = 0;
  #isEnded = false;

  constructor(take: TakeFrame) {
    this.#take = take;
  }

  /** Takes no more frames, the rest of a chunk included. */
  end(): void {
    this.#isEnded = true;
    this.#payload = null;
  }

  push(chunk: Buffer): void {
    let offset = 0;
    while (offset < chunk.length && !this.#isEnded) {
      offset = this.#headLength === 0 ? this.#whole(chunk, offset) : this.#rest(chunk, offset);
    }
  }

  /** Takes a frame that is whole in the chunk, without a copy, or keeps its beginning. */
  #whole(chunk: Buffer, offset: number): number {
    if (chunk.length - offset < headBytes) return this.#rest(chunk, offset);
    const length = payloadLength(chunk, offset);
    const start = offset + headBytes;
    if (chunk.length - start < length) return this.#rest(chunk, offset);
    this.#take(chunk[offset + 4]!, chunk, start, start + length);
    return start + length;
  }

  #rest(chunk: Buffer, from: number): number {
    let offset = from;
    if (this.#headLength < headBytes) {
      const copied = chunk.copy(this.#head, this.#headLength, offset);
      this.#headLength += copied;
      offset += copied;
      if (this.#headLength < headBytes) return offset;
      this.#payload = Buffer.allocUnsafe(payloadLength(this.#head, 0));
      this.#payloadLength = 0;
    }
    const payload = this.#payload!;
    const copied = chunk.copy(payload, this.#payloadLength, offset);
    this.#payloadLength += copied;
    if (this.#payloadLength === payload.length) {
      this.#headLength = 0;
      this.#payload = null;
      this.#take(this.#head[4]!, payload, 0, payload.length);
    }
    return offset + copied;
  }
}

/** @returns the length of the payload behind the head at `offset`; nothing is allocated for one out of its bounds */
function payloadLength(bytes: Buffer, offset: number): number {
  const length = bytes.readUInt32LE(offset) - 1;
  const kind = bytes[offset + 4]!;
  const bounds = payloadBounds[kind];
  if (bounds === undefined) throw new PeerProtocolError(`a frame of the unknown kind ${kind}`);
  if (length < bounds[0] || length > bounds[1]) {
    throw new PeerProtocolError(`a frame of kind ${kind} with ${length} bytes`);
  }
  return length;
}

/** The trace of an askTraced frame whose payload begins at `start`. */
export function readTrace(bytes: Buffer, start: number): TraceParent {
  const at = start + askHead;
  return {
    traceId: bytes.toString('hex', at, at + 16),
    spanId: bytes.toString('hex', at + 16, at + 24),
    isSampled: (bytes[at + 24]! & 1) === 1,
  };
}

/** What a batch usually needs: a larger buffer is given back once it is empty. */
const batchBytes = 64 * 1024;

/** Lays frames one behind the other, until they leave together. */
export class FrameWriter {
  bytes = Buffer.allocUnsafeSlow(batchBytes);
  length = 0;

  /** Begins a frame. @returns where its payload goes */
  begin(kind: number, payload: number): number {
    const start = this.length + headBytes;
    const end = start + payload;
    if (end > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.bytes.length));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    this.bytes.writeUInt32LE(payload + 1, this.length);
    this.bytes[this.length + 4] = kind;
    this.length = end;
    return start;
  }

  /** The frames so far, copied: the buffer takes the next ones. */
  take(): Buffer {
    const batch = Buffer.from(this.bytes.subarray(0, this.length));
    this.length = 0;
    if (this.bytes.length > 4 * batchBytes) this.bytes = Buffer.allocUnsafeSlow(batchBytes);
    return batch;
  }

  correlated(kind: number, correlation: number): void {
    this.bytes.writeUInt32LE(correlation, this.begin(kind, 4));
  }

  /** A refusal with its reason, or a withdrawal that is done or not. */
  correlatedByte(kind: number, correlation: number, byte: number): void {
    const at = this.begin(kind, 5);
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes[at + 4] = byte;
  }

  hello(from: string, to: string, version = peerVersions.newest): void {
    const fromBytes = Buffer.from(from);
    const toBytes = Buffer.from(to);
    const at = this.begin(PeerFrame.hello, 2 + fromBytes.length + toBytes.length);
    this.bytes[at] = version;
    this.bytes[at + 1] = fromBytes.length;
    fromBytes.copy(this.bytes, at + 2);
    toBytes.copy(this.bytes, at + 2 + fromBytes.length);
  }

  ping(steadyMs: number): void {
    this.bytes.writeDoubleLE(steadyMs, this.begin(PeerFrame.ping, 8));
  }

  empty(kind: number): void {
    this.begin(kind, 0);
  }

  ask(correlation: number, partition: number, protocol: number, arrivalSteadyMs: number, body: Uint8Array): void {
    const at = this.begin(PeerFrame.ask, askHead + body.length);
    this.#askHead(at, correlation, partition, protocol, arrivalSteadyMs);
    this.bytes.set(body, at + askHead);
  }

  askTraced(
    correlation: number,
    partition: number,
    protocol: number,
    arrivalSteadyMs: number,
    { traceId, spanId, isSampled }: TraceParent,
    body: Uint8Array,
  ): void {
    const at = this.begin(PeerFrame.askTraced, askHead + traceBytes + body.length);
    this.#askHead(at, correlation, partition, protocol, arrivalSteadyMs);
    const trace = at + askHead;
    this.bytes.write(traceId, trace, 16, 'hex');
    this.bytes.write(spanId, trace + 16, 8, 'hex');
    this.bytes[trace + 24] = isSampled ? 1 : 0;
    this.bytes.set(body, trace + traceBytes);
  }

  #askHead(at: number, correlation: number, partition: number, protocol: number, arrivalSteadyMs: number): void {
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes.writeUInt16LE(partition, at + 4);
    this.bytes[at + 6] = protocol;
    this.bytes.writeDoubleLE(arrivalSteadyMs, at + 7);
  }

  answer(correlation: number, from: Answers, index: number): void {
    const start = from.answerStart[index]!;
    const end = from.answerEnd[index]!;
    const at = this.begin(PeerFrame.answer, answerHead + end - start);
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes[at + 4] = from.status[index]!;
    this.bytes[at + 5] = from.answerFlags[index]!;
    this.bytes[at + 6] = from.reason[index]!;
    from.answer.copy(this.bytes, at + answerHead, start, end);
  }

  withdraw(correlation: number, partition: number, protocol: number, body: Uint8Array): void {
    const at = this.begin(PeerFrame.withdraw, withdrawHead + body.length);
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes.writeUInt16LE(partition, at + 4);
    this.bytes[at + 6] = protocol;
    this.bytes.set(body, at + withdrawHead);
  }

  id(low: number, high: number, partition: number): void {
    const at = this.begin(PeerFrame.id, 10);
    this.bytes.writeUInt16LE(partition, at);
    this.bytes.writeUInt32LE(low >>> 0, at + 2);
    this.bytes.writeUInt32LE(high >>> 0, at + 6);
  }

  /** @returns false when the JSON is too long: nothing was written */
  call(correlation: number, json: string): boolean {
    const length = Buffer.byteLength(json);
    if (length > callBytesMax) return false;
    const at = this.begin(PeerFrame.call, callHead + length);
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes.write(json, at + callHead);
    return true;
  }

  /** @returns false when the JSON is too long: nothing was written */
  result(correlation: number, succeeded: boolean, json: string): boolean {
    const length = Buffer.byteLength(json);
    if (length > callBytesMax) return false;
    const at = this.begin(PeerFrame.result, resultHead + length);
    this.bytes.writeUInt32LE(correlation, at);
    this.bytes[at + 4] = succeeded ? 1 : 0;
    this.bytes.write(json, at + resultHead);
    return true;
  }
}
