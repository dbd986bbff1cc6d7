/**
 * The bytes of a trace: what a decision saw of card, account, limits and lists, as far as its record does not say so.
 * Stands in the record behind the merchant's time, where the flag `traced` says so. It is written by trace.ts, and
 * explain.ts reads it. An integer is a varint: seven bits a byte, the lowest first, the top bit set where more follow.
 * A signed one is doubled, less one where it is negative.
 *
 *   0 u16 bytes of the trace   2 u8 format, 3
 *   3 u8 status of the card (bits 0, 1), of its user (2, 3) and account (4, 5), type of the card (6, 7)
 *   4 u16 currency of the account, packed
 *   6 u8 status of the transaction that the message follows (bits 0 to 2; 0 none); flags of TraceFollow
 *   7 u8 local day less the day in UTC, plus one (bits 0, 1); flags of TraceFlag
 *   8 signed last day of the card
 *     where lists are checked: integer of two bits a list (Rules.listBits), of the card at bit 0, the user at 8, the
 *       account at 16; from format 2 on integer of what is asked of signals (Rules.signalBits), of the card at bit 0,
 *       the user at 9, the account at 18
 *     of a decline by a list or a lock: u8 level whose list declined, 3 the lock
 *     of an invalid amount: u8 AmountFault, f64 what the amount would have made of the books
 *     of an increment, and of one that rejoins its transaction: signed amount of the transaction before
 *     where limits are checked: integer of days by which the spend day is later than the local day; u8 bits: limits per
 *       authorization of card, user and account (0 to 2), windows of theirs (3 to 5); then
 *       where there are windows: u8 bytes of the time zone's name (0: UTC), and the name
 *       for each limit per authorization: integer
 *       for each level with windows: u16 Rules.windowBits, and for each bit the limit and what was used, integers
 *     where limits are checked, from format 3 on: integer of how many rolling windows there are, of the card (bits 0 to
 *       2), the user (3 to 5) and account (6 to 8)
 *     for each of them: integers of its hours, of the amount's limit plus one (0 none), of what was used, and the same
 *       of the count
 *     where the flag `locked` says so: integer bytes of the merchant that the card is locked to, and its id
 *     where the flag `revoked` says so, of a revocation: f64 available before the approval, f64 its arrival, f64 what
 *       it approved
 */
import type { TextSlice } from './request.js';
import { rollingMax } from './rolling.js';

export const traceFormat = 3;
/** Format 1 knows no signals, format 2 no rolling windows. */
export const traceFormatOldest = 1;
export const traceFixedBytes = 8;
export const traceFormatAt = 2;
export const traceStatesAt = 3;
export const traceCurrencyAt = 4;
export const traceFollowAt = 6;
export const traceFlagsAt = 7;

/** Above the status of the transaction, three bits. */
export const TraceFollow = {
  statusMask: 0b111,
  idIsSpent: 8,
  replacesHold: 16,
  rejoins: 32,
} as const;
/** Above the day, two bits. */
export const TraceFlag = {
  dayMask: 0b11,
  /** The account takes less than it was asked for. */
  partialApproval: 4,
  /** The protocol's program does not. */
  wholeAmountsOnly: 8,
  /** A card that is not virtual has bought something. */
  isUsed: 16,
  locked: 32,
  revoked: 64,
} as const;

export const listLevelShift = 8;
/** Instead of a level. */
export const levelOfLock = 3;
export const windowsShift = 3;

/** Names of the zone data have at most 32 bytes. */
export const zoneBytesMax = 64;
const merchantBytesMax = 64 * 4;
const integerBytesMax = 8;
export const revokedBytes = 24;
/** Of ten windows the limit, and what is used: sums have 53 bits, counts 31. */
const windowBytesMax = 5 * (integerBytesMax + integerBytesMax) + 5 * (integerBytesMax + 5);
/** Of a rolling window the hours, the amount's limit and use, the count's limit and use: see limits-shape.ts. */
const rollingBytesMax = 2 + 7 + integerBytesMax + 5 + 5;
export const rollingBitsEach = 3;
/** All limits of three levels at their longest, with the longest texts. */
export const traceBytesMax =
  traceFixedBytes +
  integerBytesMax +
  4 +
  4 +
  1 +
  9 +
  integerBytesMax +
  (integerBytesMax + 1 + 1 + zoneBytesMax) +
  3 * (integerBytesMax + 2 + windowBytesMax) +
  2 +
  3 * rollingMax * rollingBytesMax +
  (2 + merchantBytesMax) +
  revokedBytes;

const integerBits = 7;
const more = 0x80;
/** Above it, bit operations would cut bits off. */
const wordMax = 2 ** 31;

/** Writes an integer 0 … 2^53 − 1. @returns where it ends */
export function putInteger(target: Uint8Array, position: number, value: number): number {
  let rest = value;
  let at = position;
  while (rest >= wordMax) {
    target[at++] = (rest % more) | more;
    rest = Math.floor(rest / more);
  }
  while (rest >= more) {
    target[at++] = (rest & (more - 1)) | more;
    rest >>>= integerBits;
  }
  target[at++] = rest;
  return at;
}

/** Writes an integer between −2^52 and 2^52. @returns where it ends */
export function putSigned(target: Uint8Array, position: number, value: number): number {
  return putInteger(target, position, value < 0 ? -2 * value - 1 : 2 * value);
}

/** Reads what the two above have written, one after the other. */
export class TraceReader {
  readonly #view: DataView;
  readonly #end: number;
  #position: number;

  constructor(view: DataView, { start, end }: TextSlice) {
    this.#view = view;
    this.#position = start;
    this.#end = end;
  }

  byte(): number {
    return this.#view.getUint8(this.#step(1));
  }
  half(): number {
    return this.#view.getUint16(this.#step(2), true);
  }
  double(): number {
    return this.#view.getFloat64(this.#step(8), true);
  }

  integer(): number {
    let value = 0;
    for (let factor = 1; ; factor *= more) {
      const byte = this.byte();
      value += (byte & (more - 1)) * factor;
      if ((byte & more) === 0) return value;
    }
  }

  signed(): number {
    const value = this.integer();
    return value % 2 === 0 ? value / 2 : 0 - (value + 1) / 2;
  }

  text(length: number): string {
    const start = this.#step(length);
    const { buffer, byteOffset } = this.#view;
    return Buffer.from(buffer, byteOffset + start, length).toString();
  }

  #step(bytes: number): number {
    const start = this.#position;
    this.#position += bytes;
    if (this.#position > this.#end) throw new RangeError('a trace ends before its last field');
    return start;
  }
}
