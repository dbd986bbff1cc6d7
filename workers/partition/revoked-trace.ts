/**
 * The trace of a revocation: that of the approval, and what of the approval the revocation's own fields do not say. So
 * the newest record of an id explains the decision, whether the older one is in the journal or not.
 */
import type { Outcome } from '../../engine/core/outcome.js';
import { RecordOffset, type RecordTrace, readRecordTrace } from '../../engine/core/record.js';
import type { TextSlice } from '../../engine/core/request.js';
import { revokedBytes, TraceFlag, traceFlagsAt } from '../../engine/core/trace-format.js';
import type { StoredRecord } from './stored-record.js';

export class RevokedTrace implements RecordTrace {
  #record: StoredRecord | null = null;
  #availableBefore = 0;
  #approvedAmount = 0;
  readonly #slice: TextSlice = { start: 0, end: 0 };

  /** @returns false when the approval has no trace: an older release journaled it */
  isOf(record: StoredRecord, approval: Readonly<Outcome>): boolean {
    if (!readRecordTrace(record.view, 0, this.#slice)) return false;
    this.#record = record;
    const { availableMinor, fundsDelta, heldDelta, postedDelta, approvedAmountMinor } = approval;
    this.#availableBefore = availableMinor - fundsDelta + heldDelta + postedDelta;
    this.#approvedAmount = approvedAmountMinor;
    return true;
  }

  write(target: Uint8Array, view: DataView, start: number): number {
    const { bytes, view: source } = this.#record!;
    const slice = this.#slice;
    target.set(bytes.subarray(slice.start, slice.end), start);
    target[start + traceFlagsAt]! |= TraceFlag.revoked;
    const end = start + slice.end - slice.start;
    view.setFloat64(end, this.#availableBefore, true);
    view.setFloat64(end + 8, source.getFloat64(RecordOffset.arrivalMs, true), true);
    view.setFloat64(end + 16, this.#approvedAmount, true);
    view.setUint16(start, end + revokedBytes - start, true);
    return end + revokedBytes;
  }
}
