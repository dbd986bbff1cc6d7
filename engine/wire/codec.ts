/**
 * What every protocol gives the engine. A protocol is one file: it reads request bytes in place, writes answer bytes,
 * and maps the table of reasons to its own words and HTTP status.
 */
import type { Protocol } from '../core/codes.js';
import type { Outcome } from '../core/outcome.js';
import type { Request, TextSlice } from '../core/request.js';

/** Why a message was refused before any decision: HTTP 400 naming the field. */
export interface FieldError {
  /** Dotted path as the sender wrote it, for example `merchant.mcc`; '' when the body as a whole is at fault. */
  readonly field: string;
  /** What is wrong and what would be right; never repeats the value (it could be a card number). */
  readonly message: string;
}

export interface Codec {
  readonly protocol: Protocol;
  /** Path on the authorization port. */
  readonly path: string;
  /**
   * Reads `bytes[start, end)` into `request` (after request.reset). The common shape is read in place without
   * allocating; anything unusual goes to JSON.parse and the schema, with the same verdict.
   * @returns null, or what is wrong. Never throws, whatever the bytes.
   */
  read(request: Request, bytes: Uint8Array, start: number, end: number): FieldError | null;
  /**
   * Writes the answer's body at `target[offset…]`.
   * @param authorizationId the root of the chain: slice `rootId` of `rootSource`
   * @returns number of bytes written, at most answerBytesMax.
   */
  writeAnswer(
    target: Uint8Array,
    offset: number,
    request: Request,
    outcome: Outcome,
    rootSource: Uint8Array,
    rootId: TextSlice,
  ): number;
  /** HTTP status of a decided answer. */
  status(outcome: Outcome): number;
}

/** Largest answer body in bytes, asserted by the codecs' tests: id and root id of 64 characters, each escaped at worst. */
export const answerBytesMax = 2048;
