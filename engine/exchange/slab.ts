/**
 * A slab: one batch on its way between the front and a partition's thread, in shared memory. The only file that knows
 * its layout.
 *
 *   header   count, bytes used, whether it is stale
 *   columns  one element per entry: arrival, kind, flags, request range, answer range, status, reason
 *   request  the bodies' bytes, as they arrived
 *   answer   the answers' bytes, as they leave
 *
 * Ownership alternates. The front fills an open slab and hands it over by its number (SlabQueue, or a Piscina task).
 * Until the thread says that it is done, the thread alone touches it. The queue's counts are the fence: neither side
 * needs atomics on the columns. The answers may leave once the journal is durable up to lastSequence.
 */
import { answerBytesMax } from '../core/limits.js';
import type { Answers } from './answers.js';

/** What an entry is: a message of the protocol with that number, below 16, or one of these. */
export const EntryKind = {
  /** JSON from the front: cards, transactions and records that were missing, or changes that the feed brought. */
  rows: 16,
  /** An approval that missed its deadline is revoked. The bytes are its location, an f64. */
  revocation: 17,
  /** A hold's lifetime ended. The bytes are the transaction's root id. */
  expiry: 18,
  /**
   * Another engine has answered 503 to a message that may have been approved here. The bytes are its protocol, one
   * byte, the message, and its mark. A ledger command of that name takes money out instead.
   */
  withdrawal: 19,
  /** The front approved an authorization without its partition. The bytes are the record that it journaled. */
  standIn: 20,
} as const;

export const EntryFlag = {
  /** Looked up: there is no such card. */
  cardAbsent: 1,
  /** Looked up: the id was never asked. */
  seenAbsent: 2,
  /** Looked up: there is no such original. */
  originalAbsent: 4,
  /** Looked up: there is no such account. */
  accountAbsent: 8,
  /** Looked up: the card or account is another partition's, and only its writer may have it. */
  foreign: 16,
  /** Something was looked up for it already, and no client waits for it: it is not sent a third time. */
  again: 32,
  /** Of another engine: behind the message stands that engine's mark of it, see markBytes. */
  marked: 64,
} as const;

/**
 * A mark is an f64. An engine gives each message that it sends to others its own, and a message that it sends again has
 * the same.
 */
export const markBytes = 8;

/**
 * What became of an entry: a decision, a lookup that is needed first, or nothing. The front's transport puts it into
 * its own words, an HTTP status for example.
 */
export const EntryStatus = {
  none: 0,
  /**
   * The answer bytes name what is missing: a card token, a request id, an original's id, an account's public id. Ids
   * that may be kept in several forms are named in all of them, see keySeparator.
   */
  lookupCard: 1,
  lookupSeen: 2,
  lookupOriginal: 3,
  lookupAccount: 4,
  /** Nothing was decided or journaled; `reason` says why: system_error or overloaded. */
  unavailable: 5,
  /** The approval is revoked: its client gets system_error, and a repeat of the id is decided. */
  revoked: 6,
  /**
   * Memory is full of what the books do not have yet: nothing was decided, and the message comes again when they have
   * more.
   */
  noRoom: 7,
  /** The answer bytes are the answer in the protocol's words; `reason` and the flags say the same to the front. */
  decided: 8,
  /** The message cannot be read: the answer bytes are the fault, see protocols/refusal.ts. */
  malformed: 9,
  /** A ledger command names no account. Nothing is remembered, so the same command may come again. */
  unknownAccount: 10,
  /** The approval that the entry names is withdrawn. */
  withdrawn: 11,
} as const;

/**
 * Stands between the forms of an id in the name of what is missing. No id contains it, and PostgreSQL refuses it in a
 * text. So an unsplit name can never count as an id that does not exist.
 */
export const keySeparator = '\0';

export const AnswerFlag = {
  approved: 1,
  /** An approval that may still be revoked. */
  revocable: 2,
  /** The answer of an earlier question with the same id. */
  repeated: 4,
  /** A kind of message that its protocol knows and we do not: declined, and worth a line in the log. */
  unsupported: 8,
} as const;

/**
 * A batch of fewer messages costs less to decide than to wake a thread for. It goes the way with the fewest wake-ups:
 * it waits for the slab ahead of it, and the thread that decides it makes it durable as well.
 */
export const fullBatchMin = 16;

export interface SlabSize {
  /** Most entries per slab. */
  readonly entries: number;
  /** Bytes for request bodies. */
  readonly requestBytes: number;
}

const headerInts = 4;
const timesBytes = 5 * 8;

export class Slab implements Answers {
  readonly buffer: SharedArrayBuffer;
  readonly size: SlabSize;
  readonly #header: Int32Array;
  /**
   * Wall clock ms, and a sequence: [0] sealed at (the only clock a partition knows), [1] deadline ms, [2] returned at,
   * [3] last sequence, [4] decided at.
   */
  readonly #times: Float64Array;
  /** Stamped once, wall clock ms since 1970 with a fraction. */
  readonly arrivalMs: Float64Array;
  /** Where the worker journaled the entry's record. */
  readonly location: Float64Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  readonly start: Int32Array;
  readonly end: Int32Array;
  readonly answerStart: Int32Array;
  readonly answerEnd: Int32Array;
  readonly status: Uint8Array;
  readonly reason: Uint8Array;
  readonly answerFlags: Uint8Array;
  /** Buffers, because they cut strings out of themselves without a copy in between. */
  readonly request: Buffer;
  readonly answer: Buffer;

  /** Bytes of shared memory of one slab. Answers get their worst case each: an answer must always fit. */
  static bytes(size: SlabSize): number {
    const perEntry = 2 * 8 + 4 * 4 + 5;
    return headerInts * 4 + timesBytes + size.entries * (perEntry + answerBytesMax) + size.requestBytes + 64;
  }

  constructor(size: SlabSize, buffer = new SharedArrayBuffer(Slab.bytes(size))) {
    this.buffer = buffer;
    this.size = size;
    const { entries } = size;
    let offset = 0;
    this.#times = new Float64Array(buffer, offset, timesBytes / 8);
    offset += timesBytes;
    this.arrivalMs = new Float64Array(buffer, offset, entries);
    offset += 8 * entries;
    this.location = new Float64Array(buffer, offset, entries);
    offset += 8 * entries;
    this.#header = new Int32Array(buffer, offset, headerInts);
    offset += 4 * headerInts;
    this.start = new Int32Array(buffer, offset, entries);
    offset += 4 * entries;
    this.end = new Int32Array(buffer, offset, entries);
    offset += 4 * entries;
    this.answerStart = new Int32Array(buffer, offset, entries);
    offset += 4 * entries;
    this.answerEnd = new Int32Array(buffer, offset, entries);
    offset += 4 * entries;
    this.status = new Uint8Array(buffer, offset, entries);
    offset += entries;
    this.kind = new Uint8Array(buffer, offset, entries);
    offset += entries;
    this.flags = new Uint8Array(buffer, offset, entries);
    offset += entries;
    this.reason = new Uint8Array(buffer, offset, entries);
    offset += entries;
    this.answerFlags = new Uint8Array(buffer, offset, entries);
    offset += entries;
    this.request = Buffer.from(buffer, offset, size.requestBytes);
    offset += size.requestBytes;
    this.answer = Buffer.from(buffer, offset, entries * answerBytesMax);
  }

  get count(): number {
    return this.#header[0]!;
  }
  get sealedAtMs(): number {
    return this.#times[0]!;
  }
  get deadlineMs(): number {
    return this.#times[1]!;
  }

  /** When the front got the slab back, wall clock ms. */
  get returnedAtMs(): number {
    return this.#times[2]!;
  }
  set returnedAtMs(nowMs: number) {
    this.#times[2] = nowMs;
  }

  /** When the front heard that the partition has decided it, wall clock ms. */
  get decidedAtMs(): number {
    return this.#times[4]!;
  }
  set decidedAtMs(nowMs: number) {
    this.#times[4] = nowMs;
  }

  /** The journal record that must be durable before any answer in here leaves. */
  get lastSequence(): number {
    return this.#times[3]!;
  }
  set lastSequence(sequence: number) {
    this.#times[3] = sequence;
  }

  /** Empties the slab for the next batch. */
  clear(): void {
    this.#header[0] = 0;
    this.#header[1] = 0;
  }

  /** What is known of cards may be too old: nothing in this batch may be approved, only facts are taken. */
  get isStale(): boolean {
    return this.#header[2] !== 0;
  }

  /** Stamps the batch when the front sends it off. */
  seal(nowMs: number, deadlineMs: number, isStale = false): void {
    this.#times[0] = nowMs;
    this.#times[1] = deadlineMs;
    this.#header[2] = isStale ? 1 : 0;
  }

  /** Whether an entry of `length` bytes still fits. */
  fits(length: number): boolean {
    return this.#header[0]! < this.size.entries && this.#header[1]! + length <= this.size.requestBytes;
  }

  /** Adds an entry; the caller has asked fits(). @returns its index */
  add(kind: number, flags: number, arrivalMs: number, bytes: Uint8Array): number {
    const index = this.#header[0]!;
    const start = this.#header[1]!;
    this.request.set(bytes, start);
    this.kind[index] = kind;
    this.flags[index] = flags;
    this.arrivalMs[index] = arrivalMs;
    this.start[index] = start;
    this.end[index] = start + bytes.length;
    this.status[index] = EntryStatus.none;
    this.#header[0] = index + 1;
    this.#header[1] = start + bytes.length;
    return index;
  }
}
