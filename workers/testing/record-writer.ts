/**
 * Journal records for tests and benchmarks of settling: what happened, in few words, written by the engine's own code.
 */
import { MessageType, packLetters, TransactionStatus } from '../../engine/core/codes.js';
import { Outcome } from '../../engine/core/outcome.js';
import { Reason } from '../../engine/core/reasons.js';
import { recordBytesMax, writeRecord } from '../../engine/core/record.js';
import { Request } from '../../engine/core/request.js';

/** A message and its effects; everything has a default: an approved authorization of 0 on a transaction of its own. */
export interface RecordSketch {
  readonly id: string;
  /** The transaction's root id; absent: its own. */
  readonly root?: string;
  readonly original?: string;
  readonly type?: MessageType;
  readonly approved?: boolean;
  readonly reason?: Reason;
  readonly detail?: number;
  readonly status?: TransactionStatus;
  /** Default: a message without `root` opens its own transaction. */
  readonly opensTransaction?: boolean;
  readonly tombstone?: boolean;
  readonly amount?: number;
  readonly answerAmount?: number;
  readonly approvedAmount?: number;
  readonly held?: number;
  readonly posted?: number;
  readonly funds?: number;
  readonly day?: number;
  readonly spend?: number;
  readonly spendCount?: number;
  readonly olderDay?: number;
  readonly olderSpend?: number;
  readonly olderSpendCount?: number;
  readonly expiresAtMs?: number;
  readonly account?: number;
  readonly card?: number;
  readonly cardSpend?: number;
  readonly usesCard?: boolean;
  readonly user?: number;
  readonly rollingLevels?: number;
  readonly atMs?: number;
  readonly merchantId?: string;
  readonly merchantName?: string;
  readonly mcc?: number;
  /** Of question and answer. */
  readonly currency?: string;
}

export interface WrittenRecords {
  readonly source: Uint8Array;
  readonly offsets: number[];
}

const encoder = new TextEncoder();

/** Writes the records one after the other. */
export function writeRecords(sketches: readonly RecordSketch[]): WrittenRecords {
  const request = new Request();
  const outcome = new Outcome();
  const buffer = new Uint8Array(Math.max(1, sketches.length) * Math.min(recordBytesMax, 1024));
  const view = new DataView(buffer.buffer);
  const texts = new Uint8Array(4096);
  const offsets: number[] = [];
  let position = 0;
  for (const sketch of sketches) {
    request.reset(texts, 1);
    let textEnd = 0;
    const text = (slice: { start: number; end: number }, value: string): void => {
      slice.start = textEnd;
      textEnd += encoder.encodeInto(value, texts.subarray(textEnd)).written;
      slice.end = textEnd;
    };
    const root = { start: 0, end: 0 };
    request.type = sketch.type ?? MessageType.authorization;
    request.amountMinor = sketch.amount ?? -1;
    request.currency = packLetters(sketch.currency ?? 'USD');
    request.country = packLetters('US');
    request.mcc = sketch.mcc ?? 5411;
    request.channel = 1;
    text(request.id, sketch.id);
    text(request.card, `card_${sketch.card ?? 1}`);
    text(request.original, sketch.original ?? '');
    text(request.merchantId, sketch.merchantId ?? 'm-1');
    text(request.merchantName, sketch.merchantName ?? 'Corner Store');
    text(root, sketch.root ?? '');
    outcome.reset();
    outcome.approved = sketch.approved ?? true;
    outcome.reason = sketch.reason ?? (outcome.approved ? Reason.approved : Reason.insufficientFunds);
    outcome.detail = sketch.detail ?? 0;
    outcome.transactionStatus =
      sketch.status ?? (outcome.approved ? TransactionStatus.open : TransactionStatus.declined);
    outcome.currency = request.currency;
    outcome.amountMinor = sketch.answerAmount ?? sketch.amount ?? 0;
    outcome.approvedAmountMinor = sketch.approvedAmount ?? (outcome.approved ? outcome.amountMinor : 0);
    outcome.heldDelta = sketch.held ?? 0;
    outcome.postedDelta = sketch.posted ?? 0;
    outcome.fundsDelta = sketch.funds ?? 0;
    outcome.spendDay = sketch.day ?? 20_000;
    outcome.spendAmountDelta = sketch.spend ?? 0;
    outcome.spendCountDelta = sketch.spendCount ?? 0;
    outcome.olderSpendDay = sketch.olderDay ?? 0;
    outcome.olderSpendAmountDelta = sketch.olderSpend ?? 0;
    outcome.olderSpendCountDelta = sketch.olderSpendCount ?? 0;
    outcome.rollingLevels = sketch.rollingLevels ?? 0;
    outcome.expiresAtMs = sketch.expiresAtMs ?? 0;
    const owner = {
      accountNumber: sketch.account ?? 1,
      cardNumber: sketch.card ?? 1,
      cardSpend: sketch.cardSpend ?? sketch.card ?? 1,
      userNumber: sketch.user ?? 1,
      profileVersion: 1,
    };
    outcome.opensTransaction = sketch.opensTransaction ?? (sketch.root === undefined && sketch.tombstone !== true);
    outcome.tombstone = sketch.tombstone ?? false;
    outcome.usesCard = sketch.usesCard ?? false;
    offsets.push(position);
    const atMs = sketch.atMs ?? 1_750_000_000_000;
    position += writeRecord(buffer, view, position, request, outcome, owner, atMs, texts, root);
  }
  return { source: buffer.subarray(0, position), offsets };
}
