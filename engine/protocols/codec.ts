/**
 * What every protocol gives the engine: a reader of request bytes in place, and a writer of answer bytes. A codec knows
 * no transport: which HTTP status an answer has is decided in engine/transports/http.
 */

import type { PanKeys } from '../../platform/masking/hidden-ids.js';
import type { Protocol } from '../core/codes.js';
import type { Outcome } from '../core/outcome.js';
import type { Request, TextSlice } from '../core/request.js';
import type { UnknownFields } from './reading/member-names.js';
import type { Refusal } from './refusal.js';

/** What codecs are made with. */
export interface CodecOptions {
  readonly panKeys: PanKeys;
  /** An unknown field of the native form refuses the message, instead of being counted. */
  readonly strictFields: boolean;
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
  /**
   * Writes the decline of a message for which `read` returned Unsupported; absent where it never does.
   * @returns number of bytes written, at most answerBytesMax.
   */
  writeUnsupported?(target: Uint8Array, offset: number, request: Request): number;
  /**
   * Puts the measured time into a decided answer just before it is sent; absent where the protocol has no such field.
   * @param bodyEnd one past the last byte of the body
   * @param micros from arrival to sending, microseconds
   */
  stampResponseTime?(target: Uint8Array, bodyEnd: number, micros: number): void;
}

export { answerBytesMax } from '../core/limits.js';
