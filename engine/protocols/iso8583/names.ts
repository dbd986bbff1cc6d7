/**
 * Names of what an ISO 8583 message is about. A card's token is a keyed hash of its number. A message's id is a hash of
 * that token and of the fields that ISO 8583 repeats: transmission time, system trace audit number and acquirer. So a
 * repeat has the id of the first message, and a reversal can compute the id of what it reverses from DE 90.
 *
 * PAN_KEY takes several keys, so each name has several forms, the newest first.
 */
import { hash } from 'node:crypto';
import { letters } from '../../../platform/masking/hidden-ids.js';

/** What an id is of; part of the hash, so that an advice and the question it answers have two ids. */
export type IdKind = 'question' | 'advice' | 'reversal';

/** The fields by which the sender of a message knows it again. */
export interface MessageKey {
  /** DE 7, ten digits; in 1993 DE 12, twelve digits. */
  readonly transmittedAt: string;
  /** DE 11. */
  readonly traceNumber: number;
  /** DE 32 as institutionId() gives it; '': not known. */
  readonly acquirerId: string;
}

const idPrefix = 'iso_';
const idHashBytes = 16;
/** Of an id and of a card token. */
export const nameLength = idPrefix.length + 2 * idHashBytes;

/** The id of a message of that card. */
export function messageId(card: string, kind: IdKind, key: MessageKey): string {
  return idOf(`${card}|${kind}|${key.transmittedAt}|${key.traceNumber}|${key.acquirerId}`);
}

function idOf(text: string): string {
  return idPrefix + letters(hash('sha256', text, 'binary'), idHashBytes);
}

/** The approval code (DE 38) of an id: the same for each repeat. */
export function writeApprovalCode(target: Uint8Array, offset: number, source: Uint8Array, idStart: number): void {
  for (let index = 0; index < approvalCodeLength; index++) {
    const at = idStart + idPrefix.length + 2 * index;
    const value = ((source[at]! - 0x61) * 16 + (source[at + 1]! - 0x61)) % codeCharacters.length;
    target[offset + index] = codeCharacters.charCodeAt(value);
  }
}

export const approvalCodeLength = 6;
const codeCharacters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';
