/**
 * What every protocol gives the engine: a reader of request bytes in place, a writer of answer bytes, and a map from the
 * table of reasons to its own words and HTTP status.
 */

import type { FieldError } from '../../platform/problems/field-error.js';
import type { Protocol } from '../core/codes.js';
import type { Outcome } from '../core/outcome.js';
import type { Reason } from '../core/reasons.js';
import type { Request, TextSlice } from '../core/request.js';
import type { UnknownFields } from './reading/member-names.js';

/**
 * A well-formed message of a kind this program does not decide (a processor's new method). It is declined, not
 * refused: the sender's grammar is right and a terminal is waiting. The request is filled as far as the answer echoes it.
 */
export interface Unsupported extends FieldError {
  readonly unsupported: true;
  /** The kind as sent, card data masked and bounded: safe to log. */
  readonly kind: string;
}

/** Everything `read` can say instead of "here is your request". */
export type Refusal = FieldError | Unsupported;

export function isUnsupported(refusal: Refusal): refusal is Unsupported {
  return 'unsupported' in refusal;
}

export interface Codec {
  readonly protocol: Protocol;
  /** Where the names stand that Request.unknownFields has bits of; absent where unknown fields are not counted. */
  readonly unknownFields?: UnknownFields;
  /**
   * Reads `bytes[start, end)` into `request` (after request.reset). The common shape is read in place without
   * allocating; anything unusual goes to JSON.parse and the schema, with the same verdict. Card numbers in the
   * merchant's fields are masked within `bytes`, so the range must be writable and the caller's own.
   * @returns null, or why there is nothing to decide. Never throws, whatever the bytes.
   */
  read(request: Request, bytes: Uint8Array, start: number, end: number): Refusal | null;
  /**
   * Writes the answer's body at `target[offset…]`.
   * @param authorizationId the root of the transaction: slice `rootId` of `rootSource`; an empty slice writes null
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
  /**
   * Writes the body for what `read` returned, for the same request.
   * @returns number of bytes written, at most answerBytesMax.
   */
  writeRefusal(target: Uint8Array, offset: number, request: Request, refusal: Refusal): number;
  /** HTTP status of what `read` returned: 400, or a decline for an unsupported kind. */
  refusalStatus(refusal: Refusal): number;
  /** Content-Type of a body sent with `status`. */
  contentType(status: number): string;
  /**
   * Puts the measured time into an answer just before it is sent; does nothing where the protocol has no such field.
   * @param bodyEnd one past the last byte of the body
   * @param status the HTTP status it is sent with
   * @param micros from arrival to sending, microseconds
   */
  stampResponseTime(target: Uint8Array, bodyEnd: number, status: number, micros: number): void;
  /**
   * The prebuilt decline body of a 503, when no decision could be made. Shared: never write into it.
   * @param shuttingDown says so instead of naming the reason, in protocols that have words for it
   */
  unavailableBody(reason: Reason, shuttingDown?: boolean): Uint8Array;
}

/** A protocol of the authorization port. */
export interface PortCodec extends Codec {
  readonly path: string;
}

export { answerBytesMax } from '../core/limits.js';
