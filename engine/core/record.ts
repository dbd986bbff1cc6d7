/**
 * The journal record of one message: the question as it was understood, the answer, and the effects on the books. One
 * layout serves the journal, the replay after a restart, the shipper that settles into Postgres, and the memory of seen
 * ids. A repeat is answered from its record. Little-endian; 8-byte fields stand on 8-byte offsets within the record,
 * whose start need not be aligned (DataView).
 *
 *    0 u16 length of the record        2 u8 type     3 u8 reason   4 u16 flags    6 u8 protocol
 *    7 u8 channel (bits 0 to 4), rolling levels (5 to 7)
 *    8 u8 detail    9 u8 transaction status  10 u16 currency (answer)    12 u16 country 14 u16 mcc (65535 absent)
 *   16 f64 arrivalMs (stamped once)    24 f64 amount (−1 absent)   32 f64 amount in question (answer)
 *   40 f64 approved amount             48 f64 available after      56 f64 held after
 *   64 f64 held delta   72 f64 posted delta   80 f64 funds delta
 *   88 f64 expiresAtMs; of a ledger command, which opens no hold: posted after
 *   96 f64 account number  104 f64 card number  112 f64 user number
 *  120 i32 spend day       124 i32 spend count delta               128 f64 spend amount delta
 *  136 i32 older spend day 140 i32 older spend count delta         144 f64 older spend amount delta
 *  152 u32 profile version 156 u32 extra hash
 *  160 u16 lengths: id, card, original, merchant id, merchant name, at, root id; 174 u16 currency of the request
 *  176 the texts in that order, UTF-8 (the root id is empty when it equals the id; a ledger command's account is in
 *      the card's place); before the root id, where the flag traced says so: the trace (trace-format.ts)
 *  then, where the flag signals says so: four bytes of signals (vocabulary.ts)
 *  then, where the flag spendsAsOther says so: f64 number that keys the card's spend windows
 */
import { type Channel, isLedgerCommand, MessageType, type Protocol, type TransactionStatus } from './codes.js';
import { assert } from './invariant.js';
import type { Outcome } from './outcome.js';
import type { Reason } from './reasons.js';
import type { Request, TextSlice } from './request.js';
import { userSpendNumber } from './spend-key.js';
import { traceBytesMax } from './trace-format.js';
import { readSignals, signalsBytes, writeSignals } from './vocabulary.js';

export const recordFixedBytes = 176;
/**
 * 176 fixed bytes, four texts of 64 and one of 128 code points at 4 bytes, a time of 40, trace, root id, signals and
 * spend number. A u16 length holds that.
 */
export const recordBytesMax = recordFixedBytes + 5 * 64 * 4 + 128 * 4 + 40 + traceBytesMax + signalsBytes + 8;

export const RecordFlag = {
  approved: 1,
  partial: 2,
  partialAllowed: 4,
  final: 8,
  /** The message opened the transaction that its root id names. */
  opensTransaction: 16,
  /** A reversal that came before its authorization left a tombstone for the original. */
  tombstone: 32,
  /** Authorized and posted by one message. */
  capture: 64,
  /** The signals of the message stand behind the root id. Records of older releases have none. */
  signals: 128,
  /** Outcome.usesCard. */
  usesCard: 0x2000,
  /** The card spends in the windows of a card that it replaced: the last 8 bytes say whose. */
  spendsAsOther: 0x4000,
  /** What the decision saw stands before the root id. */
  traced: 0x8000,
} as const;
/** Five bits of the flags are Request.askedType: a revocation answers for a question of another type. */
const askedTypeShift = 8;
const askedTypeMask = 0b11111;

/** Request.askedType of a record. @param flags its flags */
export function askedTypeOf(flags: number): MessageType | 0 {
  return ((flags >> askedTypeShift) & askedTypeMask) as MessageType | 0;
}
const spendNumberBytes = 8;
/** The channel shares its byte with the levels in whose rolling windows the message counts. */
export const channelMask = 0b11111;
export const rollingShift = 5;

export const mccAbsent = 0xffff;

/** Byte offsets of the fixed fields, for readers that want a few of them (shipper, seen ids). */
export const RecordOffset = {
  length: 0,
  type: 2,
  reason: 3,
  flags: 4,
  protocol: 6,
  channel: 7,
  detail: 8,
  transactionStatus: 9,
  currency: 10,
  country: 12,
  mcc: 14,
  arrivalMs: 16,
  amount: 24,
  answerAmount: 32,
  approvedAmount: 40,
  available: 48,
  held: 56,
  heldDelta: 64,
  postedDelta: 72,
  fundsDelta: 80,
  expiresAtMs: 88,
  accountNumber: 96,
  cardNumber: 104,
  userNumber: 112,
  spendDay: 120,
  spendCountDelta: 124,
  spendAmountDelta: 128,
  olderSpendDay: 136,
  olderSpendCountDelta: 140,
  olderSpendAmountDelta: 144,
  profileVersion: 152,
  extraHash: 156,
  idLength: 160,
  cardLength: 162,
  originalLength: 164,
  merchantIdLength: 166,
  merchantNameLength: 168,
  atLength: 170,
  rootLength: 172,
  requestCurrency: 174,
} as const;
const O = RecordOffset;
/** The account's posted money after a ledger command: a hold's end has no meaning there, so it has that place. */
const postedOffset = O.expiresAtMs;

/** Whose record it is: numbers from the card's profile; 0 where the card is unknown. */
export interface RecordOwner {
  readonly accountNumber: number;
  readonly cardNumber: number;
  /** Keys the card's spend windows. */
  readonly cardSpend: number;
  readonly userNumber: number;
  readonly profileVersion: number;
}

/** What a decision saw, as its record keeps it. */
export interface RecordTrace {
  /** Writes the trace at `start`; its first two bytes say how long it is. @returns where it ends */
  write(target: Uint8Array, view: DataView, start: number): number;
}

/**
 * Writes the record of `request` and `outcome` at `offset`.
 * @param arrivalMs wall clock milliseconds since 1970, stamped on arrival
 * @param rootSource bytes that hold the transaction's root id at `rootId`; an empty slice when the message is its own
 *   root
 * @returns the record's length in bytes
 */
export function writeRecord(
  target: Uint8Array,
  view: DataView,
  offset: number,
  request: Request,
  outcome: Outcome,
  owner: RecordOwner,
  arrivalMs: number,
  rootSource: Uint8Array,
  rootId: TextSlice,
  trace: RecordTrace | null = null,
): number {
  const spendsAsOther = owner.cardSpend !== owner.cardNumber;
  view.setUint8(offset + O.type, request.type);
  view.setUint8(offset + O.reason, outcome.reason);
  view.setUint16(
    offset + O.flags,
    (outcome.approved ? RecordFlag.approved : 0) |
      (outcome.partial ? RecordFlag.partial : 0) |
      (request.partialAllowed ? RecordFlag.partialAllowed : 0) |
      (request.final ? RecordFlag.final : 0) |
      (request.capture ? RecordFlag.capture : 0) |
      (outcome.opensTransaction ? RecordFlag.opensTransaction : 0) |
      (outcome.tombstone ? RecordFlag.tombstone : 0) |
      (outcome.usesCard ? RecordFlag.usesCard : 0) |
      (request.hasSignals ? RecordFlag.signals : 0) |
      (spendsAsOther ? RecordFlag.spendsAsOther : 0) |
      (trace === null ? 0 : RecordFlag.traced) |
      (request.askedType << askedTypeShift),
    true,
  );
  view.setUint8(offset + O.protocol, request.protocol);
  view.setUint8(offset + O.channel, request.channel | (outcome.rollingLevels << rollingShift));
  view.setUint8(offset + O.detail, outcome.detail);
  view.setUint8(offset + O.transactionStatus, outcome.transactionStatus);
  view.setUint16(offset + O.currency, outcome.currency, true);
  view.setUint16(offset + O.country, request.country, true);
  view.setUint16(offset + O.mcc, request.mcc < 0 ? mccAbsent : request.mcc, true);
  view.setFloat64(offset + O.arrivalMs, arrivalMs, true);
  view.setFloat64(offset + O.amount, request.amountMinor, true);
  view.setFloat64(offset + O.answerAmount, outcome.amountMinor, true);
  view.setFloat64(offset + O.approvedAmount, outcome.approvedAmountMinor, true);
  view.setFloat64(offset + O.available, outcome.availableMinor, true);
  view.setFloat64(offset + O.held, outcome.heldMinor, true);
  view.setFloat64(offset + O.heldDelta, outcome.heldDelta, true);
  view.setFloat64(offset + O.postedDelta, outcome.postedDelta, true);
  view.setFloat64(offset + O.fundsDelta, outcome.fundsDelta, true);
  if (isLedgerCommand(request.type)) view.setFloat64(offset + postedOffset, outcome.postedMinor, true);
  else view.setFloat64(offset + O.expiresAtMs, outcome.expiresAtMs, true);
  view.setFloat64(offset + O.accountNumber, owner.accountNumber, true);
  view.setFloat64(offset + O.cardNumber, owner.cardNumber, true);
  view.setFloat64(offset + O.userNumber, owner.userNumber, true);
  view.setInt32(offset + O.spendDay, outcome.spendDay, true);
  view.setInt32(offset + O.spendCountDelta, outcome.spendCountDelta, true);
  view.setFloat64(offset + O.spendAmountDelta, outcome.spendAmountDelta, true);
  view.setInt32(offset + O.olderSpendDay, outcome.olderSpendDay, true);
  view.setInt32(offset + O.olderSpendCountDelta, outcome.olderSpendCountDelta, true);
  view.setFloat64(offset + O.olderSpendAmountDelta, outcome.olderSpendAmountDelta, true);
  view.setUint32(offset + O.profileVersion, owner.profileVersion, true);
  view.setUint32(offset + O.extraHash, request.extraHash, true);
  view.setUint16(offset + O.requestCurrency, request.currency, true);

  let position = offset + recordFixedBytes;
  position = writeText(target, view, position, offset + O.idLength, request.source, request.id);
  position = writeText(target, view, position, offset + O.cardLength, request.source, request.keptCard);
  position = writeText(target, view, position, offset + O.originalLength, request.source, request.original);
  position = writeText(target, view, position, offset + O.merchantIdLength, request.source, request.merchantId);
  position = writeText(target, view, position, offset + O.merchantNameLength, request.source, request.merchantName);
  position = writeText(target, view, position, offset + O.atLength, request.source, request.at);
  if (trace !== null) position = trace.write(target, view, position);
  position = writeText(target, view, position, offset + O.rootLength, rootSource, rootId);
  if (request.hasSignals) {
    writeSignals(view, position, request);
    position += signalsBytes;
  }
  if (spendsAsOther) {
    view.setFloat64(position, owner.cardSpend, true);
    position += spendNumberBytes;
  }
  const length = position - offset;
  assert(length <= recordBytesMax, 'a record is longer than its bound');
  view.setUint16(offset + O.length, length, true);
  return length;
}

function writeText(
  target: Uint8Array,
  view: DataView,
  position: number,
  lengthOffset: number,
  source: Uint8Array,
  slice: TextSlice,
): number {
  const length = slice.end - slice.start;
  view.setUint16(lengthOffset, length, true);
  // A loop beats subarray().set() here: the texts are short, and subarray allocates.
  for (let index = 0; index < length; index++) target[position + index] = source[slice.start + index]!;
  return position + length;
}

/**
 * Reads the question of a record back into `request`; its slices point into `source`. The exact inverse of writeRecord.
 */
export function readRecordRequest(source: Uint8Array, view: DataView, offset: number, request: Request): void {
  request.reset(source, view.getUint8(offset + O.protocol) as Protocol);
  const flags = view.getUint16(offset + O.flags, true);
  request.type = view.getUint8(offset + O.type) as MessageType;
  request.askedType = askedTypeOf(flags);
  request.amountMinor = view.getFloat64(offset + O.amount, true);
  request.currency = view.getUint16(offset + O.requestCurrency, true);
  request.country = view.getUint16(offset + O.country, true);
  const mcc = view.getUint16(offset + O.mcc, true);
  request.mcc = mcc === mccAbsent ? -1 : mcc;
  request.channel = (view.getUint8(offset + O.channel) & channelMask) as Channel;
  request.partialAllowed = (flags & RecordFlag.partialAllowed) !== 0;
  request.final = (flags & RecordFlag.final) !== 0;
  request.capture = (flags & RecordFlag.capture) !== 0;
  request.extraHash = view.getUint32(offset + O.extraHash, true);
  request.hasSignals = (flags & RecordFlag.signals) !== 0;
  if (request.hasSignals) {
    const end = offset + view.getUint16(offset + O.length, true);
    readSignals(view, end - tailBytes(view, offset), request);
  }
  let position = offset + recordFixedBytes;
  position = readText(view, position, offset + O.idLength, request.id);
  position = readText(view, position, offset + O.cardLength, request.card);
  position = readText(view, position, offset + O.originalLength, request.original);
  position = readText(view, position, offset + O.merchantIdLength, request.merchantId);
  position = readText(view, position, offset + O.merchantNameLength, request.merchantName);
  readText(view, position, offset + O.atLength, request.at);
}

function readText(view: DataView, position: number, lengthOffset: number, slice: TextSlice): number {
  slice.start = position;
  slice.end = position + view.getUint16(lengthOffset, true);
  return slice.end;
}

/**
 * Whether the `length` bytes at `offset` are one whole record by their own account: the texts fill what the fixed part
 * leaves. Bytes of another record, or of none, do not add up.
 */
export function isWholeRecord(view: DataView, offset: number, length: number): boolean {
  if (length < recordFixedBytes || view.getUint16(offset + O.length, true) !== length) return false;
  let total = recordFixedBytes + tailBytes(view, offset);
  for (let at = O.idLength; at <= O.rootLength; at += 2) total += view.getUint16(offset + at, true);
  if ((view.getUint16(offset + O.flags, true) & RecordFlag.traced) === 0) return total === length;
  return total + 2 <= length && total + view.getUint16(traceStart(view, offset), true) === length;
}

function traceStart(view: DataView, offset: number): number {
  let start = offset + recordFixedBytes;
  for (let at = O.idLength; at <= O.atLength; at += 2) start += view.getUint16(offset + at, true);
  return start;
}

/** Where the trace stands in the record. @returns false: it has none */
export function readRecordTrace(view: DataView, offset: number, slice: TextSlice): boolean {
  if ((view.getUint16(offset + O.flags, true) & RecordFlag.traced) === 0) return false;
  slice.start = traceStart(view, offset);
  slice.end = slice.start + view.getUint16(slice.start, true);
  return true;
}

/**
 * Whether the record moves a transaction that an earlier one opened, whatever its type: an authorization that was
 * revoked may join its transaction again.
 */
export function followsTransaction(view: DataView, offset: number): boolean {
  const opensTransaction = (view.getUint16(offset + O.flags, true) & RecordFlag.opensTransaction) !== 0;
  return !opensTransaction && view.getUint8(offset + O.transactionStatus) !== 0;
}

/** Where the transaction's root id stands in the record: its own text, or the id when the message is its own root. */
export function readRecordRoot(view: DataView, offset: number, slice: TextSlice): void {
  const rootLength = view.getUint16(offset + O.rootLength, true);
  if (rootLength === 0) {
    slice.start = offset + recordFixedBytes;
    slice.end = slice.start + view.getUint16(offset + O.idLength, true);
    return;
  }
  slice.end = offset + view.getUint16(offset + O.length, true) - tailBytes(view, offset);
  slice.start = slice.end - rootLength;
}

/** How much stands behind the texts. */
function tailBytes(view: DataView, offset: number): number {
  const flags = view.getUint16(offset + O.flags, true);
  return (
    ((flags & RecordFlag.signals) === 0 ? 0 : signalsBytes) +
    ((flags & RecordFlag.spendsAsOther) === 0 ? 0 : spendNumberBytes)
  );
}

/** The number under which the record's card spends; 0: there is no card. */
export function readCardSpend(view: DataView, offset: number): number {
  const spendsAsOther = (view.getUint16(offset + O.flags, true) & RecordFlag.spendsAsOther) !== 0;
  if (!spendsAsOther) return view.getFloat64(offset + O.cardNumber, true);
  return view.getFloat64(offset + view.getUint16(offset + O.length, true) - spendNumberBytes, true);
}

/** What the record changes of the count of purchases (CardUse) of a card that is not virtual. */
export function readUseDelta(view: DataView, offset: number): number {
  const flags = view.getUint16(offset + O.flags, true);
  if ((flags & RecordFlag.usesCard) === 0) return 0;
  return useDelta(view.getUint8(offset + O.type) as MessageType, (flags & RecordFlag.opensTransaction) !== 0);
}

/** Of a message whose outcome says `usesCard`. */
export function useDelta(type: MessageType, opensTransaction: boolean): number {
  if (type === MessageType.revocation) return -1;
  return opensTransaction ? 1 : 0;
}

/** Reads the answer and the effects of a record. */
export function readRecordOutcome(view: DataView, offset: number, outcome: Outcome): void {
  const flags = view.getUint16(offset + O.flags, true);
  outcome.approved = (flags & RecordFlag.approved) !== 0;
  outcome.partial = (flags & RecordFlag.partial) !== 0;
  outcome.opensTransaction = (flags & RecordFlag.opensTransaction) !== 0;
  outcome.tombstone = (flags & RecordFlag.tombstone) !== 0;
  outcome.usesCard = (flags & RecordFlag.usesCard) !== 0;
  outcome.reason = view.getUint8(offset + O.reason) as Reason;
  outcome.detail = view.getUint8(offset + O.detail);
  outcome.transactionStatus = view.getUint8(offset + O.transactionStatus) as TransactionStatus;
  outcome.currency = view.getUint16(offset + O.currency, true);
  outcome.amountMinor = view.getFloat64(offset + O.answerAmount, true);
  outcome.approvedAmountMinor = view.getFloat64(offset + O.approvedAmount, true);
  outcome.availableMinor = view.getFloat64(offset + O.available, true);
  outcome.heldMinor = view.getFloat64(offset + O.held, true);
  outcome.heldDelta = view.getFloat64(offset + O.heldDelta, true);
  outcome.postedDelta = view.getFloat64(offset + O.postedDelta, true);
  outcome.fundsDelta = view.getFloat64(offset + O.fundsDelta, true);
  const isCommand = isLedgerCommand(view.getUint8(offset + O.type) as MessageType);
  outcome.postedMinor = isCommand ? view.getFloat64(offset + postedOffset, true) : 0;
  outcome.expiresAtMs = isCommand ? 0 : view.getFloat64(offset + O.expiresAtMs, true);
  outcome.spendDay = view.getInt32(offset + O.spendDay, true);
  outcome.spendCountDelta = view.getInt32(offset + O.spendCountDelta, true);
  outcome.spendAmountDelta = view.getFloat64(offset + O.spendAmountDelta, true);
  outcome.olderSpendDay = view.getInt32(offset + O.olderSpendDay, true);
  outcome.olderSpendCountDelta = view.getInt32(offset + O.olderSpendCountDelta, true);
  outcome.olderSpendAmountDelta = view.getFloat64(offset + O.olderSpendAmountDelta, true);
  outcome.rollingLevels = view.getUint8(offset + O.channel) >> rollingShift;
}

/**
 * The number under which the record's user spends in its account's currency. 0: there is no user, or the record is a
 * refusal. That may name another currency, and moves no window and no transaction.
 */
export function readUserSpend(view: DataView, offset: number): number {
  const user = view.getFloat64(offset + O.userNumber, true);
  const flags = view.getUint16(offset + O.flags, true);
  const isApproved = (flags & (RecordFlag.approved | RecordFlag.tombstone)) !== 0;
  // A revocation is no approval, and follows one.
  if (user === 0 || !(isApproved || followsTransaction(view, offset))) return 0;
  return userSpendNumber(user, view.getUint16(offset + O.currency, true));
}
