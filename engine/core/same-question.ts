/**
 * Whether a request asks what a journaled one asked. The same id with the same content is a repeat and gets the first
 * answer; with other content it is a conflict. Compared field by field as understood, not byte by byte as sent: a
 * sender that writes its fields in another order still asks the same.
 */
import type { Request, TextSlice } from './request.js';
import { sameSignals } from './vocabulary.js';

export function sameQuestion(request: Request, record: Request): boolean {
  return (
    request.type === record.type &&
    request.protocol === record.protocol &&
    request.amountMinor === record.amountMinor &&
    request.currency === record.currency &&
    request.mcc === record.mcc &&
    request.country === record.country &&
    request.channel === record.channel &&
    request.partialAllowed === record.partialAllowed &&
    request.final === record.final &&
    request.capture === record.capture &&
    hasSameSignals(request, record) &&
    request.extraHash === record.extraHash &&
    sameText(request.source, request.keptCard, record.source, record.keptCard) &&
    sameText(request.source, request.original, record.source, record.original) &&
    sameText(request.source, request.merchantId, record.source, record.merchantId) &&
    sameText(request.source, request.merchantName, record.source, record.merchantName) &&
    sameText(request.source, request.at, record.source, record.at)
  );
}

/** The record of an older release says nothing of signals, so a repeat may bring some that it does not have. */
function hasSameSignals(request: Request, record: Request): boolean {
  return !record.hasSignals || sameSignals(request, record);
}

export function sameText(left: Uint8Array, leftSlice: TextSlice, right: Uint8Array, rightSlice: TextSlice): boolean {
  const length = leftSlice.end - leftSlice.start;
  if (rightSlice.end - rightSlice.start !== length) return false;
  for (let index = 0; index < length; index++) {
    if (left[leftSlice.start + index] !== right[rightSlice.start + index]) return false;
  }
  return true;
}
