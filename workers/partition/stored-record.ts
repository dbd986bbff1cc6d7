/**
 * A record read back, to answer a repeat from it, to revoke it, or to learn which transaction its message belongs to.
 */

import { MessageType } from '../../engine/core/codes.js';
import { Outcome } from '../../engine/core/outcome.js';
import {
  isWholeRecord,
  RecordOffset,
  readRecordOutcome,
  readRecordRequest,
  recordBytesMax,
  recordFixedBytes,
} from '../../engine/core/record.js';
import { Request, type TextSlice } from '../../engine/core/request.js';
import type { Root } from './root.js';

export class StoredRecord {
  readonly bytes = new Uint8Array(recordBytesMax);
  readonly view = new DataView(this.bytes.buffer);
  readonly #request = new Request();
  readonly #outcome = new Outcome();

  isWhole(length: number): boolean {
    return isWholeRecord(this.view, 0, length);
  }

  get isRevocation(): boolean {
    return this.view.getUint8(RecordOffset.type) === MessageType.revocation;
  }

  get isClearing(): boolean {
    return this.view.getUint8(RecordOffset.type) === MessageType.clearing;
  }

  /** Its message follows another one. */
  get isFollowUp(): boolean {
    return this.view.getUint16(RecordOffset.rootLength, true) > 0;
  }

  isNamed(source: Uint8Array, id: TextSlice): boolean {
    const length = id.end - id.start;
    if (this.view.getUint16(RecordOffset.idLength, true) !== length) return false;
    for (let index = 0; index < length; index++) {
      if (this.bytes[recordFixedBytes + index] !== source[id.start + index]) return false;
    }
    return true;
  }

  /** Its question; valid until another record is read. */
  request(): Request {
    this.readRequest(this.#request);
    return this.#request;
  }

  readRequest(request: Request): void {
    readRecordRequest(this.bytes, this.view, 0, request);
  }

  /** Its answer; valid until another record's is read. */
  outcome(): Outcome {
    readRecordOutcome(this.view, 0, this.#outcome);
    return this.#outcome;
  }

  readRoot(root: Root): void {
    root.read(this.bytes, this.view, 0);
  }
}
