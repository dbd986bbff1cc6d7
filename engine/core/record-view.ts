/** The fields of one journal record after the other, by name, read where they stand: see record.ts for the layout. */
import type { Channel, MessageType, Protocol, TransactionStatus } from './codes.js';
import { Level } from './limit-names.js';
import type { Reason } from './reasons.js';
import {
  askedTypeOf,
  channelMask,
  RecordFlag,
  RecordOffset,
  readCardSpend,
  readRecordRoot,
  readUseDelta,
  recordFixedBytes,
  rollingShift,
} from './record.js';
import type { TextSlice } from './request.js';
import { userSpendNumber } from './spend-key.js';

const O = RecordOffset;

export class RecordView {
  readonly #view: DataView;
  readonly #root: TextSlice = { start: 0, end: 0 };
  /** Where the record starts in the source. */
  offset = 0;

  constructor(source: Uint8Array) {
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }

  /** Turns to the record at `offset`. */
  at(offset: number): this {
    this.offset = offset;
    return this;
  }

  #u8(field: number): number {
    return this.#view.getUint8(this.offset + field);
  }
  #u16(field: number): number {
    return this.#view.getUint16(this.offset + field, true);
  }
  #i32(field: number): number {
    return this.#view.getInt32(this.offset + field, true);
  }
  #f64(field: number): number {
    return this.#view.getFloat64(this.offset + field, true);
  }

  get length(): number {
    return this.#u16(O.length);
  }
  get end(): number {
    return this.offset + this.length;
  }
  get type(): MessageType {
    return this.#u8(O.type) as MessageType;
  }
  get protocol(): Protocol {
    return this.#u8(O.protocol) as Protocol;
  }
  get reason(): Reason {
    return this.#u8(O.reason) as Reason;
  }
  get detail(): number {
    return this.#u8(O.detail);
  }
  get channel(): Channel {
    return (this.#u8(O.channel) & channelMask) as Channel;
  }
  get transactionStatus(): TransactionStatus {
    return this.#u8(O.transactionStatus) as TransactionStatus;
  }
  get currency(): number {
    return this.#u16(O.currency);
  }
  get country(): number {
    return this.#u16(O.country);
  }
  /** mccAbsent: none. */
  get mcc(): number {
    return this.#u16(O.mcc);
  }
  get arrivalMs(): number {
    return this.#f64(O.arrivalMs);
  }
  /** Asked for; −1: none. */
  get amount(): number {
    return this.#f64(O.amount);
  }
  get answerAmount(): number {
    return this.#f64(O.answerAmount);
  }
  get approvedAmount(): number {
    return this.#f64(O.approvedAmount);
  }
  get heldDelta(): number {
    return this.#f64(O.heldDelta);
  }
  get postedDelta(): number {
    return this.#f64(O.postedDelta);
  }
  get fundsDelta(): number {
    return this.#f64(O.fundsDelta);
  }
  get expiresAtMs(): number {
    return this.#f64(O.expiresAtMs);
  }
  get accountNumber(): number {
    return this.#f64(O.accountNumber);
  }
  get cardNumber(): number {
    return this.#f64(O.cardNumber);
  }
  get userNumber(): number {
    return this.#f64(O.userNumber);
  }
  /** The number under which the card spends; 0: there is no card. */
  get cardSpend(): number {
    return readCardSpend(this.#view, this.offset);
  }
  /** What it changes of the count of purchases of a card that is not virtual. */
  get useDelta(): number {
    return readUseDelta(this.#view, this.offset);
  }
  /** Outcome.rollingLevels. */
  get rollingLevels(): number {
    return this.#u8(O.channel) >> rollingShift;
  }
  get spendDay(): number {
    return this.#i32(O.spendDay);
  }
  get spendCountDelta(): number {
    return this.#i32(O.spendCountDelta);
  }
  get spendAmountDelta(): number {
    return this.#f64(O.spendAmountDelta);
  }
  get olderSpendDay(): number {
    return this.#i32(O.olderSpendDay);
  }
  get olderSpendCountDelta(): number {
    return this.#i32(O.olderSpendCountDelta);
  }
  get olderSpendAmountDelta(): number {
    return this.#f64(O.olderSpendAmountDelta);
  }

  /** The number under which an entity spends; 0: there is none. What moves a window is in the account's currency. */
  spendNumber(level: Level): number {
    if (level === Level.card) return this.cardSpend;
    if (level === Level.account) return this.accountNumber;
    const user = this.userNumber;
    return user === 0 ? 0 : userSpendNumber(user, this.currency);
  }

  get askedType(): MessageType | 0 {
    return askedTypeOf(this.#u16(O.flags));
  }
  get isApproved(): boolean {
    return (this.#u16(O.flags) & RecordFlag.approved) !== 0;
  }
  get isTombstone(): boolean {
    return (this.#u16(O.flags) & RecordFlag.tombstone) !== 0;
  }
  /** It opens the transaction that its root id names. */
  get opensTransaction(): boolean {
    return (this.#u16(O.flags) & RecordFlag.opensTransaction) !== 0;
  }

  get idStart(): number {
    return this.offset + recordFixedBytes;
  }
  get idEnd(): number {
    return this.idStart + this.#u16(O.idLength);
  }
  get originalStart(): number {
    return this.idEnd + this.#u16(O.cardLength);
  }
  get originalEnd(): number {
    return this.originalStart + this.#u16(O.originalLength);
  }
  get merchantIdEnd(): number {
    return this.originalEnd + this.#u16(O.merchantIdLength);
  }
  get merchantNameEnd(): number {
    return this.merchantIdEnd + this.#u16(O.merchantNameLength);
  }
  /** The message is its own root. Lengths say so, not places: an expiry has its root where others have their id. */
  get isRoot(): boolean {
    return this.#u16(O.rootLength) === 0;
  }
  /** Where the transaction's root id stands; valid until the next call. */
  get root(): TextSlice {
    readRecordRoot(this.#view, this.offset, this.#root);
    return this.#root;
  }
}
