/**
 * A decision as the ops port explains it, from the bytes of its record alone: whether they come from a partition's
 * journal or from PostgreSQL, and whatever has changed since.
 */
import { channelNames, MessageType, messageTypeNames, protocolNames, unpackLetters } from '../core/codes.js';
import { type ExplainedCheck, explain } from '../core/explain.js';
import { detailName } from '../core/limit-names.js';
import { Outcome } from '../core/outcome.js';
import { reasonEntry } from '../core/reasons.js';
import { RecordOffset, readRecordOutcome, readRecordRequest, readRecordRoot } from '../core/record.js';
import { Request, type TextSlice, textOf } from '../core/request.js';
import { commandIdPrefix } from '../protocols/commands/codec.js';
import type { Hops } from './batch-times.js';

export interface DecisionView {
  readonly id: string;
  readonly authorizationId: string;
  readonly original: string | null;
  readonly type: string;
  readonly protocol: string;
  readonly approved: boolean;
  readonly reason: string;
  readonly detail: string;
  /** Minor units of `currency`. */
  readonly amount: number | null;
  readonly approvedAmount: number;
  /** What the account had after this record. */
  readonly available: number;
  readonly held: number;
  readonly currency: string;
  /** As it is kept: of a ledger command the account's public id. */
  readonly card: string;
  readonly cardVersion: number;
  readonly merchant: { readonly id: string; readonly name: string; readonly mcc: string; readonly country: string };
  readonly channel: string;
  readonly accountNumber: number;
  readonly cardNumber: number;
  readonly userNumber: number;
  readonly partition: number;
  readonly sequence: number;
  readonly atMs: number;
  /** The approval was late, and taken back then. */
  readonly revokedAtMs: number | null;
  /** False: an older release decided, and the checks lack most numbers. */
  readonly numbersKept: boolean;
  readonly hopsMs: Hops | null;
  readonly checks: readonly ExplainedCheck[];
}

/** A command's id as its sender wrote it. */
function sentId(id: string): string {
  return id.startsWith(commandIdPrefix) ? id.slice(commandIdPrefix.length) : id;
}

export function viewOfDecision(
  partition: number,
  sequence: number,
  record: Uint8Array,
  hopsMs: Hops | null,
): DecisionView {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const request = new Request();
  const outcome = new Outcome();
  const root: TextSlice = { start: 0, end: 0 };
  readRecordRequest(record, view, 0, request);
  readRecordOutcome(view, 0, outcome);
  readRecordRoot(view, 0, root);
  const { type, approved, reason, detail, approvedAmount, atMs, revokedAtMs, numbersKept, checks } = explain(
    record,
    view,
    0,
  );
  const text = (slice: TextSlice) => textOf(record, slice);
  const number = (offset: number) => view.getFloat64(offset, true);
  return {
    id: sentId(text(request.id)),
    authorizationId: sentId(text(root)),
    original: text(request.original) || null,
    type: messageTypeNames[type],
    protocol: protocolNames[request.protocol],
    approved,
    reason: reasonEntry(reason).name,
    detail: detailName(detail),
    amount: request.amountMinor < 0 ? null : request.amountMinor,
    approvedAmount,
    available: outcome.availableMinor,
    held: outcome.heldMinor,
    currency: unpackLetters(outcome.currency),
    card: text(request.card),
    cardVersion: view.getUint32(RecordOffset.profileVersion, true),
    merchant: {
      id: text(request.merchantId),
      name: text(request.merchantName),
      mcc: request.mcc < 0 ? '' : String(request.mcc).padStart(4, '0'),
      country: unpackLetters(request.country),
    },
    channel: channelNames[request.channel],
    accountNumber: number(RecordOffset.accountNumber),
    cardNumber: number(RecordOffset.cardNumber),
    userNumber: number(RecordOffset.userNumber),
    partition,
    sequence,
    atMs,
    revokedAtMs,
    numbersKept,
    // A revocation's batch is not the decision's.
    hopsMs: revokedAtMs === null && request.type !== MessageType.expiry ? hopsMs : null,
    checks,
  };
}
