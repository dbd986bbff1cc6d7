/**
 * What a front thread and the main thread hand to each other: batches of entries, one batch an event-loop turn. The
 * only file that knows their layout; numbers are little endian.
 *
 *   message   u32 place, u8 kind, u8 protocol, u16 bytes of the traceparent, u32 bytes of the body, f64 arrival,
 *             traceparent, body
 *   abandon   u32 place, u8 kind: the client has gone
 *
 *   answer    u32 place, u8 kind, u8 status, u8 flags, u8 reason, u16 reentries, u16 bytes of the trace, u32 bytes of
 *             the answer, f64 sealed at, f64 returned at, trace, answer
 *   refusal   u32 place, u8 kind, u8 reason, u16 reentries, u16 bytes of the trace, trace
 *   abandoned u32 place, u8 kind
 *
 * A place is a number that the front thread gives a message. The main thread ends each message once: with an answer, a
 * refusal, or `abandoned`. Only then the front thread uses the place again, so an answer never meets another message.
 */
import { assert } from '../core/invariant.js';
import type { Answers } from '../exchange/answers.js';

export const BatchEntry = {
  message: 1,
  abandon: 2,
  answer: 3,
  refusal: 4,
  abandoned: 5,
} as const;

const messageHead = 20;
const answerHead = 32;
const refusalHead = 10;
const shortHead = 5;
const reentriesMax = 0xffff;

/** What a batch usually needs: larger memory is given back once it is empty. */
const usualBytes = 64 * 1024;

/** Lays entries one behind the other until they leave together. */
export class BatchWriter {
  #bytes = Buffer.allocUnsafeSlow(usualBytes);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** The entries so far, copied: the memory takes the next ones. The caller may transfer it to another thread. */
  take(): ArrayBuffer {
    const { buffer, byteOffset } = this.#bytes;
    const batch = (buffer as ArrayBuffer).slice(byteOffset, byteOffset + this.#length);
    this.#length = 0;
    if (this.#bytes.length > 4 * usualBytes) this.#bytes = Buffer.allocUnsafeSlow(usualBytes);
    return batch;
  }

  message(place: number, protocol: number, arrivalMs: number, traceparent: string, body: Uint8Array): void {
    const traceBytes = Buffer.byteLength(traceparent);
    const at = this.#begin(place, BatchEntry.message, messageHead + traceBytes + body.length);
    this.#bytes[at + 5] = protocol;
    this.#bytes.writeUInt16LE(traceBytes, at + 6);
    this.#bytes.writeUInt32LE(body.length, at + 8);
    this.#bytes.writeDoubleLE(arrivalMs, at + 12);
    this.#bytes.write(traceparent, at + messageHead);
    this.#bytes.set(body, at + messageHead + traceBytes);
  }

  abandon(place: number): void {
    this.#begin(place, BatchEntry.abandon, shortHead);
  }

  /** @param trace see FrontMessage.sentOn; '': none */
  answer(place: number, from: Answers, index: number, reentries: number, trace: string): void {
    const start = from.answerStart[index]!;
    const end = from.answerEnd[index]!;
    const traceBytes = Buffer.byteLength(trace);
    const at = this.#begin(place, BatchEntry.answer, answerHead + traceBytes + end - start);
    this.#bytes[at + 5] = from.status[index]!;
    this.#bytes[at + 6] = from.answerFlags[index]!;
    this.#bytes[at + 7] = from.reason[index]!;
    this.#bytes.writeUInt16LE(Math.min(reentries, reentriesMax), at + 8);
    this.#bytes.writeUInt16LE(traceBytes, at + 10);
    this.#bytes.writeUInt32LE(end - start, at + 12);
    this.#bytes.writeDoubleLE(from.sealedAtMs, at + 16);
    this.#bytes.writeDoubleLE(from.returnedAtMs, at + 24);
    this.#bytes.write(trace, at + answerHead);
    from.answer.copy(this.#bytes, at + answerHead + traceBytes, start, end);
  }

  refusal(place: number, reason: number, reentries: number, trace: string): void {
    const traceBytes = Buffer.byteLength(trace);
    const at = this.#begin(place, BatchEntry.refusal, refusalHead + traceBytes);
    this.#bytes[at + 5] = reason;
    this.#bytes.writeUInt16LE(Math.min(reentries, reentriesMax), at + 6);
    this.#bytes.writeUInt16LE(traceBytes, at + 8);
    this.#bytes.write(trace, at + refusalHead);
  }

  abandoned(place: number): void {
    this.#begin(place, BatchEntry.abandoned, shortHead);
  }

  /** @returns where the entry begins */
  #begin(place: number, kind: number, length: number): number {
    const at = this.#length;
    const end = at + length;
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#bytes.writeUInt32LE(place, at);
    this.#bytes[at + 4] = kind;
    this.#length = end;
    return at;
  }
}

/** Takes the entries of a batch that came to the main thread, in order. */
export interface MessageTaker {
  /** @param body valid as long as the caller keeps the batch */
  message(place: number, protocol: number, arrivalMs: number, traceparent: string, body: Buffer): void;
  abandon(place: number): void;
}

export function readMessages(batch: ArrayBuffer, taker: MessageTaker): void {
  const bytes = Buffer.from(batch);
  let at = 0;
  while (at < bytes.length) {
    const place = bytes.readUInt32LE(at);
    const kind = bytes[at + 4]!;
    if (kind === BatchEntry.abandon) {
      at += shortHead;
      taker.abandon(place);
      continue;
    }
    assert(kind === BatchEntry.message, `a front thread sends no entry of kind ${kind}`);
    const traceEnd = at + messageHead + bytes.readUInt16LE(at + 6);
    const end = traceEnd + bytes.readUInt32LE(at + 8);
    const traceparent = bytes.toString('latin1', at + messageHead, traceEnd);
    taker.message(place, bytes[at + 5]!, bytes.readDoubleLE(at + 12), traceparent, bytes.subarray(traceEnd, end));
    at = end;
  }
}

/** Takes the entries of a batch that came to a front thread, in order. */
export interface AnswerTaker {
  /** The answer is the one with index 0, valid during the call. */
  answer(place: number, from: Answers, reentries: number, trace: string): void;
  refusal(place: number, reason: number, reentries: number, trace: string): void;
  abandoned(place: number): void;
}

export function readAnswers(batch: ArrayBuffer, taker: AnswerTaker): void {
  const bytes = Buffer.from(batch);
  const answers = new BatchAnswers(bytes);
  let at = 0;
  while (at < bytes.length) {
    const place = bytes.readUInt32LE(at);
    switch (bytes[at + 4]) {
      case BatchEntry.answer: {
        const traceEnd = at + answerHead + bytes.readUInt16LE(at + 10);
        const end = traceEnd + bytes.readUInt32LE(at + 12);
        const trace = bytes.toString('latin1', at + answerHead, traceEnd);
        const reentries = bytes.readUInt16LE(at + 8);
        answers.set(at, traceEnd, end);
        at = end;
        taker.answer(place, answers, reentries, trace);
        break;
      }
      case BatchEntry.refusal: {
        const [reason, reentries] = [bytes[at + 5]!, bytes.readUInt16LE(at + 6)];
        const traceStart = at + refusalHead;
        at = traceStart + bytes.readUInt16LE(at + 8);
        taker.refusal(place, reason, reentries, bytes.toString('latin1', traceStart, at));
        break;
      }
      default:
        assert(bytes[at + 4] === BatchEntry.abandoned, `the main thread sends no entry of kind ${bytes[at + 4]}`);
        at += shortHead;
        taker.abandoned(place);
    }
  }
}

/** One answer after the other, in the bytes that came. */
class BatchAnswers implements Answers {
  readonly status = new Uint8Array(1);
  readonly answerFlags = new Uint8Array(1);
  readonly reason = new Uint8Array(1);
  readonly answerStart = new Int32Array(1);
  readonly answerEnd = new Int32Array(1);
  sealedAtMs = 0;
  returnedAtMs = 0;

  constructor(readonly answer: Buffer) {}

  set(at: number, start: number, end: number): void {
    this.status[0] = this.answer[at + 5]!;
    this.answerFlags[0] = this.answer[at + 6]!;
    this.reason[0] = this.answer[at + 7]!;
    this.sealedAtMs = this.answer.readDoubleLE(at + 16);
    this.returnedAtMs = this.answer.readDoubleLE(at + 24);
    this.answerStart[0] = start;
    this.answerEnd[0] = end;
  }
}
