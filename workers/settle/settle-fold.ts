/**
 * Folds journal records, in order, into the columns of the SQL function `settle`:
 *  - every record becomes one event;
 *  - a transaction that the stretch opens becomes one row, with its follow-ups folded in;
 *  - a follow-up of an older transaction becomes one row of round 0, the next one of the same transaction one of round 1, and so on;
 *  - money is summed per account;
 *  - spend is summed per entity as long as the local day stays the same; a change of day starts the entity's next round;
 *  - purchases of cards that are not virtual are counted per card, up to a take-back, which starts the card's next round.
 * Rounds are bounded: a record that would need one more is refused, and starts the next stretch.
 *
 * A partition may open one id several times (it had forgotten it). Of a stretch's openings of one id, one keeps the id and
 * a declined one is set apart, named by its sequence; settle() does the same with rows of earlier stretches.
 */
import { MessageType, TransactionStatus, unpackLetters } from '../../engine/core/codes.js';
import { hash64, hashAsBigInt } from '../../engine/core/hash.js';
import { detailForcePost, Level, levels } from '../../engine/core/limit-names.js';
import { Reason } from '../../engine/core/reasons.js';
import {
  mccAbsent,
  RecordFlag,
  RecordOffset,
  readCardSpend,
  readRecordRoot,
  readUseDelta,
  recordFixedBytes,
} from '../../engine/core/record.js';
import { storedLevel, userSpendNumber } from '../../engine/core/spend-key.js';
import { ArrayColumns, databaseText } from './array-columns.js';

/** Rounds cost a query each; more than one is rare, more than these are not worth waiting for. */
const roundsMax = 8;

/** A transaction that this stretch opens, as it stands after the records so far. Column names of `transactions`. */
export interface OpenedTransaction {
  readonly id: string;
  readonly sequence: number;
  /** Opened by a refusal: nothing can follow it. */
  readonly isRefusal: boolean;
  /** 0: what follows the id belongs to it. */
  occurrence: number;
  accountNumber: number;
  cardNumber: number;
  /** Keys the card's spend windows; not a column. */
  cardSpend: number;
  userNumber: number;
  amount: number;
  approvedAmount: number;
  held: number;
  posted: number;
  refunded: number;
  newestSpendAmount: number;
  expiresAtMs: number;
  createdAtMs: number;
  updatedAtMs: number;
  spendDay: number;
  newestSpendDay: number;
  type: number;
  status: number;
  reason: number;
  detail: number;
  mcc: number;
  channel: number;
  forced: boolean;
  currency: number;
  country: number;
  merchantId: string;
  merchantName: string;
}

/** What follow-ups change. */
export type MovedTransaction = Pick<
  OpenedTransaction,
  | 'status'
  | 'amount'
  | 'approvedAmount'
  | 'reason'
  | 'held'
  | 'posted'
  | 'refunded'
  | 'newestSpendDay'
  | 'newestSpendAmount'
  | 'forced'
  | 'expiresAtMs'
  | 'updatedAtMs'
>;

/** One follow-up of a transaction that an earlier stretch opened. */
export interface FollowUp {
  readonly id: string;
  /** 0: unchanged. */
  readonly status: number;
  /** What an increment adds to the amounts asked and approved, or takes back when it was late. */
  readonly amount: number;
  readonly held: number;
  readonly posted: number;
  readonly refunded: number;
  readonly day: number;
  readonly spend: number;
  readonly forced: boolean;
  readonly atMs: number;
  /** When the hold lapses now, where the message renewed it; else 0. */
  readonly expiresAtMs: number;
}

interface Books {
  funds: number;
  held: number;
  posted: number;
}

/** Successive additions to one entity's windows on one day: value → max(floor, value + sum), for amount and count. */
interface SpendRun {
  readonly level: Level;
  readonly entity: number;
  readonly day: number;
  amount: number;
  amountFloor: number;
  count: number;
  countFloor: number;
}

/** Purchases of one card: one or more, of which the first has the merchant; or one that is taken back. */
interface UseRun {
  readonly card: number;
  readonly round: number;
  delta: number;
  merchant: string;
}

interface SpendEntity {
  rounds: number;
  run: SpendRun;
}

const O = RecordOffset;

/** Element types of each group of columns, in the order of settle()'s parameters. */
const eventTypes = [
  ...['integer', 'integer', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint'],
  ...['bigint', 'float8', 'smallint', 'smallint', 'smallint', 'smallint', 'boolean', 'text', 'text'],
];
/** Place of e_transaction. */
const transactionColumn = eventTypes.length - 2;
const openedTypes = [
  ...['text', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint', 'bigint'],
  ...['float8', 'float8', 'float8', 'integer', 'integer', 'smallint', 'smallint', 'smallint', 'smallint', 'smallint'],
  ...['smallint', 'boolean', 'text', 'text', 'text', 'text'],
];
const followUpTypes = [
  ...['text', 'smallint', 'bigint', 'bigint', 'bigint', 'bigint', 'integer', 'bigint', 'boolean', 'float8'],
  'float8',
];
const accountTypes = ['bigint', 'bigint', 'bigint', 'bigint'];
/** Element types of the arrays that useColumns() returns. */
export const useTypes = ['integer', 'bigint', 'integer', 'text'];
const spendTypes = ['smallint', 'bigint', 'integer', 'bigint', 'bigint', 'bigint', 'bigint'];

export class SettleFold {
  /** Element types of the arrays that columns() returns after the record bytes, in order. */
  static readonly columnTypes: readonly string[] = [
    ...eventTypes,
    ...openedTypes,
    ...['integer', ...followUpTypes],
    ...accountTypes,
    ...['integer', ...spendTypes],
  ];

  readonly #source: Buffer;
  readonly #view: DataView;
  readonly #root = { start: 0, end: 0 };
  readonly #events = new ArrayColumns(eventTypes.length);
  readonly #firstSequence: number;
  /** By id. */
  readonly #opened = new Map<string, OpenedTransaction>();
  /** Openings that another one of the same id has set apart. */
  readonly #apart: OpenedTransaction[] = [];
  readonly #followUpRounds: FollowUp[][] = [];
  /** Transaction id → rounds used. */
  readonly #followed = new Map<string, number>();
  readonly #books = new Map<number, Books>();
  readonly #spendRounds: SpendRun[][] = [];
  readonly #spend = new Map<number, SpendEntity>();
  readonly #uses: UseRun[] = [];
  /** Card → its newest run. */
  readonly #used = new Map<number, UseRun>();
  #count = 0;
  #bytesStart = 0;
  #bytesEnd = 0;

  /** @param firstSequence of the first record that will be added */
  constructor(source: Uint8Array, firstSequence: number) {
    this.#firstSequence = firstSequence;
    this.#source = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    this.#view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  }

  /** Records folded so far. */
  get count(): number {
    return this.#count;
  }

  /** Folds the record at `offset`. @returns false, having changed nothing, when it must start the next stretch. */
  add(offset: number): boolean {
    const view = this.#view;
    const flags = view.getUint16(offset + O.flags, true);
    const idEnd = offset + recordFixedBytes + view.getUint16(offset + O.idLength, true);
    const requestId = this.#text(offset + recordFixedBytes, idEnd);
    const transactionId = this.#transactionId(offset, flags, requestId, idEnd);
    if (!this.#fits(offset, flags, transactionId)) return false;

    const length = view.getUint16(offset + O.length, true);
    if (this.#count === 0) this.#bytesStart = offset;
    this.#bytesEnd = offset + length;
    const sequence = this.#firstSequence + this.#count++;
    const isApart = this.#isApart(flags, transactionId);
    this.#addEvent(offset, flags, requestId, idEnd, isApart ? nameOf(transactionId, sequence) : transactionId);
    this.#addTransaction(offset, flags, requestId, transactionId, sequence, isApart);
    this.#addBooks(offset);
    this.#addSpend(offset);
    this.#addUse(offset);
    return true;
  }

  /** The record bytes, then one array literal per entry of columnTypes. */
  columns(): (Uint8Array | string)[] {
    return [
      this.#source.subarray(this.#bytesStart, this.#bytesEnd),
      ...this.#events.literals(),
      ...this.#openedColumns(),
      ...this.#followUpColumns(),
      ...this.#accountColumns(),
      ...this.#spendColumns(),
    ];
  }

  /** Columns of settle_uses(); null: no record counts as a purchase of a card that is not virtual. */
  useColumns(): string[] | null {
    if (this.#uses.length === 0) return null;
    const columns = new ArrayColumns(useTypes.length);
    for (const { round, card, delta, merchant } of this.#uses) {
      columns.add(round).add(card).add(delta).addText(merchant).endRow();
    }
    return columns.literals();
  }

  /** Where the columns of accounts and of windows begin in columns(). */
  static readonly accountsFrom = 1 + eventTypes.length + openedTypes.length + 1 + followUpTypes.length;

  /** Of one record: the transaction that it opens, or what it changes of one; both undefined when it belongs to none. */
  get single(): { readonly opened: OpenedTransaction | undefined; readonly followUp: FollowUp | undefined } {
    const [opened] = this.#opened.values();
    return { opened, followUp: this.#followUpRounds[0]?.[0] };
  }

  #text(start: number, end: number): string {
    return databaseText(this.#source.toString('utf8', start, end));
  }

  /** A tombstone stands for the authorization that it names; every other record names its transaction. */
  #transactionId(offset: number, flags: number, requestId: string, idEnd: number): string {
    if ((flags & RecordFlag.tombstone) !== 0) {
      const start = idEnd + this.#view.getUint16(offset + O.cardLength, true);
      const end = start + this.#view.getUint16(offset + O.originalLength, true);
      if (end > start) return this.#text(start, end);
    }
    // What opens a transaction names it, whatever it was thought to follow (a clearing of another account's authorization).
    if ((flags & RecordFlag.opensTransaction) !== 0) return requestId;
    // Not by where the root stands: an expiry has no other text, so its root stands where others have their id.
    if (this.#view.getUint16(offset + O.rootLength, true) === 0) return requestId;
    readRecordRoot(this.#view, offset, this.#root);
    return this.#text(this.#root.start, this.#root.end);
  }

  #fits(offset: number, flags: number, transactionId: string): boolean {
    if (this.#count === 0) return true;
    if (opens(flags) && !isRefusal(flags)) {
      // Openings are written before follow-ups, so those of the older transaction must be written first; and what the older
      // one was is for settle() to see.
      if (this.#followed.has(transactionId) || this.#opened.get(transactionId)?.isRefusal === false) return false;
    } else if (!opens(flags) && (this.#followed.get(transactionId) ?? 0) >= roundsMax) return false;
    for (const level of levels) {
      // One record adds on two days at most.
      const entity = this.#spend.get(entityNumber(this.#view, offset, level) * 4 + level);
      if (entity !== undefined && entity.rounds + 2 > roundsMax) return false;
    }
    return true;
  }

  /** A refusal takes nothing from a transaction that can be followed. */
  #isApart(flags: number, transactionId: string): boolean {
    if (!isRefusal(flags)) return false;
    return this.#followed.has(transactionId) || this.#opened.get(transactionId)?.isRefusal === false;
  }

  #addEvent(offset: number, flags: number, requestId: string, idEnd: number, transactionId: string): void {
    const view = this.#view;
    const fundsDelta = view.getFloat64(offset + O.fundsDelta, true);
    const heldDelta = view.getFloat64(offset + O.heldDelta, true);
    const postedDelta = view.getFloat64(offset + O.postedDelta, true);
    const asked = view.getFloat64(offset + O.amount, true);
    hash64(this.#source, offset + recordFixedBytes, idEnd);
    const columns = this.#events
      .add(offset - this.#bytesStart)
      .add(view.getUint16(offset + O.length, true))
      .addPositive(view.getFloat64(offset + O.accountNumber, true))
      .addPositive(view.getFloat64(offset + O.cardNumber, true))
      .addPositive(view.getFloat64(offset + O.userNumber, true));
    if (asked < 0) columns.addNull();
    else columns.add(asked);
    columns
      .add(view.getFloat64(offset + O.approvedAmount, true))
      .add(fundsDelta - heldDelta - postedDelta)
      .add(heldDelta)
      .add(postedDelta)
      .add(0 - fundsDelta)
      .add(hashAsBigInt())
      .add(view.getFloat64(offset + O.arrivalMs, true))
      .add(view.getUint8(offset + O.type))
      .add(view.getUint8(offset + O.protocol))
      .add(view.getUint8(offset + O.reason))
      .add(view.getUint8(offset + O.detail))
      .add((flags & RecordFlag.approved) !== 0)
      .addTextOrNull(transactionId === requestId ? '' : transactionId)
      .addText(requestId)
      .endRow();
  }

  #addTransaction(
    offset: number,
    flags: number,
    requestId: string,
    transactionId: string,
    sequence: number,
    isApart: boolean,
  ): void {
    const transactionStatus = this.#view.getUint8(offset + O.transactionStatus);
    if (opens(flags)) {
      const transaction = this.#open(offset, flags, transactionId, sequence);
      if (isApart) {
        transaction.occurrence = sequence;
        this.#apart.push(transaction);
        return;
      }
      this.#setApart(transactionId);
      this.#opened.set(transactionId, transaction);
      return;
    }
    // A refused follow-up, a verification, a balance inquiry.
    if (transactionStatus === TransactionStatus.none) return;
    const followUp = this.#followUp(offset, transactionId, requestId, transactionStatus);
    const opened = this.#opened.get(transactionId);
    if (opened !== undefined) {
      applyFollowUp(opened, followUp);
      return;
    }
    const round = this.#followed.get(transactionId) ?? 0;
    this.#followed.set(transactionId, round + 1);
    let rows = this.#followUpRounds[round];
    if (rows === undefined) {
      rows = [];
      this.#followUpRounds.push(rows);
    }
    rows.push(followUp);
  }

  /** A refusal of this stretch gives its id to the next opening. */
  #setApart(id: string): void {
    const refusal = this.#opened.get(id);
    if (refusal === undefined) return;
    refusal.occurrence = refusal.sequence;
    this.#apart.push(refusal);
    this.#events.replaceText(transactionColumn, refusal.sequence - this.#firstSequence, nameOf(id, refusal.sequence));
  }

  #open(offset: number, flags: number, id: string, sequence: number): OpenedTransaction {
    const view = this.#view;
    const isTombstone = (flags & RecordFlag.tombstone) !== 0;
    const type = view.getUint8(offset + O.type);
    const approvedAmount = isTombstone ? 0 : view.getFloat64(offset + O.approvedAmount, true);
    const held = view.getFloat64(offset + O.heldDelta, true);
    const detail = view.getUint8(offset + O.detail);
    const mcc = view.getUint16(offset + O.mcc, true);
    const atMs = view.getFloat64(offset + O.arrivalMs, true);
    const spendDay = view.getInt32(offset + O.spendDay, true);
    const [merchantIdStart, merchantNameStart] = this.#merchantId(offset);
    const merchantNameEnd = merchantNameStart + view.getUint16(offset + O.merchantNameLength, true);
    return {
      id,
      sequence,
      isRefusal: isRefusal(flags),
      occurrence: 0,
      accountNumber: view.getFloat64(offset + O.accountNumber, true),
      cardNumber: view.getFloat64(offset + O.cardNumber, true),
      cardSpend: readCardSpend(view, offset),
      userNumber: view.getFloat64(offset + O.userNumber, true),
      amount: isTombstone ? 0 : view.getFloat64(offset + O.answerAmount, true),
      approvedAmount,
      held,
      posted: view.getFloat64(offset + O.postedDelta, true),
      refunded: type === MessageType.refund ? approvedAmount : 0,
      newestSpendAmount: Math.min(view.getFloat64(offset + O.spendAmountDelta, true), held),
      expiresAtMs: view.getFloat64(offset + O.expiresAtMs, true),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      spendDay,
      newestSpendDay: spendDay,
      // A tombstone keeps the reversal that opened it: so an engine that starts can distinguish it from a reversed authorization.
      type,
      status: isTombstone
        ? TransactionStatus.reversed
        : publicStatus(view.getUint8(offset + O.transactionStatus), flags),
      reason: view.getUint8(offset + O.reason),
      detail,
      mcc: mcc === mccAbsent ? -1 : mcc,
      channel: view.getUint8(offset + O.channel),
      forced: detail === detailForcePost,
      currency: view.getUint16(offset + O.currency, true),
      country: view.getUint16(offset + O.country, true),
      merchantId: this.#text(merchantIdStart, merchantNameStart),
      merchantName: this.#text(merchantNameStart, merchantNameEnd),
    };
  }

  #followUp(offset: number, id: string, requestId: string, transactionStatus: number): FollowUp {
    const view = this.#view;
    const type = view.getUint8(offset + O.type);
    const approvedAmount = view.getFloat64(offset + O.approvedAmount, true);
    const held = view.getFloat64(offset + O.heldDelta, true);
    // A late increment is taken back; a late opening is not, unless the transaction is declined with it.
    const revokes = type === MessageType.revocation && id !== requestId;
    return {
      id,
      // Another reversal of what never came: the row shows a reversal, or by now the declined authorization.
      status: transactionStatus === TransactionStatus.tombstone ? 0 : transactionStatus,
      amount:
        type === MessageType.incremental
          ? approvedAmount
          : type === MessageType.advice
            ? held // It replaces what was authorized.
            : revokes
              ? 0 - view.getFloat64(offset + O.answerAmount, true)
              : 0,
      held,
      posted: view.getFloat64(offset + O.postedDelta, true),
      refunded: type === MessageType.refund ? approvedAmount : 0,
      day: view.getInt32(offset + O.spendDay, true),
      spend: view.getFloat64(offset + O.spendAmountDelta, true),
      forced: view.getUint8(offset + O.detail) === detailForcePost,
      atMs: view.getFloat64(offset + O.arrivalMs, true),
      expiresAtMs: view.getFloat64(offset + O.expiresAtMs, true),
    };
  }

  #addBooks(offset: number): void {
    const view = this.#view;
    const funds = view.getFloat64(offset + O.fundsDelta, true);
    const held = view.getFloat64(offset + O.heldDelta, true);
    const posted = view.getFloat64(offset + O.postedDelta, true);
    if (funds === 0 && held === 0 && posted === 0) return;
    const account = view.getFloat64(offset + O.accountNumber, true);
    const books = this.#books.get(account);
    if (books === undefined) {
      this.#books.set(account, { funds, held, posted });
      return;
    }
    books.funds += funds;
    books.held += held;
    books.posted += posted;
  }

  #addSpend(offset: number): void {
    const view = this.#view;
    const day = view.getInt32(offset + O.spendDay, true);
    const count = view.getInt32(offset + O.spendCountDelta, true);
    const amount = view.getFloat64(offset + O.spendAmountDelta, true);
    const olderDay = view.getInt32(offset + O.olderSpendDay, true);
    const olderCount = view.getInt32(offset + O.olderSpendCountDelta, true);
    const olderAmount = view.getFloat64(offset + O.olderSpendAmountDelta, true);
    const hasNewer = amount !== 0 || count !== 0;
    const hasOlder = olderAmount !== 0 || olderCount !== 0;
    if (!hasNewer && !hasOlder) return;
    for (const level of levels) {
      const entity = entityNumber(view, offset, level);
      if (entity === 0) continue;
      // In the engine's order (applyOutcome).
      if (hasOlder) this.#addRun(level, entity, olderDay, olderAmount, olderCount);
      if (hasNewer) this.#addRun(level, entity, day, amount, count);
    }
  }

  #addRun(level: Level, number: number, day: number, amount: number, count: number): void {
    const key = number * 4 + level;
    const entity = this.#spend.get(key);
    if (entity !== undefined && entity.run.day === day) {
      const run = entity.run;
      run.amount += amount;
      run.amountFloor = Math.max(0, run.amountFloor + amount);
      run.count += count;
      run.countFloor = Math.max(0, run.countFloor + count);
      return;
    }
    // The floor of a single addition is zero: sums never go below it.
    const run: SpendRun = { level, entity: number, day, amount, amountFloor: 0, count, countFloor: 0 };
    const round = entity?.rounds ?? 0;
    if (entity === undefined) this.#spend.set(key, { rounds: 1, run });
    else {
      entity.rounds++;
      entity.run = run;
    }
    const runs = this.#spendRounds[round];
    if (runs === undefined) this.#spendRounds.push([run]);
    else runs.push(run);
  }

  #addUse(offset: number): void {
    const delta = readUseDelta(this.#view, offset);
    if (delta === 0) return;
    const card = readCardSpend(this.#view, offset);
    const [start, end] = this.#merchantId(offset);
    const merchant = this.#text(start, end);
    const newest = this.#used.get(card);
    if (newest !== undefined && newest.delta > 0 && delta > 0) {
      newest.delta += delta;
      newest.merchant ||= merchant;
      return;
    }
    const run = { card, round: newest === undefined ? 1 : newest.round + 1, delta, merchant };
    this.#uses.push(run);
    this.#used.set(card, run);
  }

  /** Where its text stands. */
  #merchantId(offset: number): [start: number, end: number] {
    const view = this.#view;
    const start =
      offset +
      recordFixedBytes +
      view.getUint16(offset + O.idLength, true) +
      view.getUint16(offset + O.cardLength, true) +
      view.getUint16(offset + O.originalLength, true);
    return [start, start + view.getUint16(offset + O.merchantIdLength, true)];
  }

  #openedColumns(): string[] {
    const columns = new ArrayColumns(openedTypes.length);
    for (const transaction of [...this.#opened.values(), ...this.#apart]) {
      columns
        .addText(nameOf(transaction.id, transaction.occurrence))
        .addPositive(transaction.accountNumber)
        .addPositive(transaction.cardNumber)
        .addPositive(transaction.userNumber)
        .add(transaction.amount)
        .add(transaction.approvedAmount)
        .add(transaction.held)
        .add(transaction.posted)
        .add(transaction.refunded)
        .add(transaction.newestSpendAmount)
        .addPositive(transaction.expiresAtMs)
        .add(transaction.createdAtMs)
        .add(transaction.updatedAtMs)
        .add(transaction.spendDay)
        .add(transaction.newestSpendDay)
        .add(transaction.type)
        .add(transaction.status)
        .add(transaction.reason)
        .add(transaction.detail);
      if (transaction.mcc < 0) columns.addNull();
      else columns.add(transaction.mcc);
      columns
        .add(transaction.channel)
        .add(transaction.forced)
        .addTextOrNull(letters(transaction.currency))
        .addTextOrNull(letters(transaction.country))
        .addTextOrNull(transaction.merchantId)
        .addTextOrNull(transaction.merchantName)
        .endRow();
    }
    return columns.literals();
  }

  #followUpColumns(): string[] {
    const columns = new ArrayColumns(followUpTypes.length);
    for (const row of this.#followUpRounds.flat()) {
      columns
        .addText(row.id)
        .add(row.status)
        .add(row.amount)
        .add(row.held)
        .add(row.posted)
        .add(row.refunded)
        .add(row.day)
        .add(row.spend)
        .add(row.forced)
        .add(row.atMs)
        .addPositive(row.expiresAtMs)
        .endRow();
    }
    return [roundEnds(this.#followUpRounds), ...columns.literals()];
  }

  #accountColumns(): string[] {
    const columns = new ArrayColumns(accountTypes.length);
    // In the order of the index: neighbours stand on one page, and every statement that locks several accounts does so in this order.
    for (const [account, books] of [...this.#books].sort(([left], [right]) => left - right)) {
      columns.add(account).add(books.funds).add(books.held).add(books.posted).endRow();
    }
    return columns.literals();
  }

  #spendColumns(): string[] {
    const columns = new ArrayColumns(spendTypes.length);
    for (const runs of this.#spendRounds)
      runs.sort((left, right) => storedLevel(left.level) - storedLevel(right.level) || left.entity - right.entity);
    for (const run of this.#spendRounds.flat()) {
      columns
        .add(storedLevel(run.level))
        .add(run.entity)
        .add(run.day)
        .add(run.amount)
        .add(run.amountFloor)
        .add(run.count)
        .add(run.countFloor)
        .endRow();
    }
    return [roundEnds(this.#spendRounds), ...columns.literals()];
  }
}

/** Where each round ends in the rows of all rounds: the last index counted from 1, as PostgreSQL slices arrays. */
function roundEnds(rounds: readonly (readonly unknown[])[]): string {
  let end = 0;
  return `{${rounds
    .map((rows) => {
      end += rows.length;
      return end;
    })
    .join(',')}}`;
}

/** The same change that settle() makes to a stored transaction (and the engine in Transactions.move), on one still in the fold. */
export function applyFollowUp(transaction: MovedTransaction, row: FollowUp): void {
  if (row.status !== 0) transaction.status = row.status;
  transaction.amount += row.amount;
  transaction.approvedAmount += row.amount;
  if (row.status === TransactionStatus.declined) {
    transaction.reason = Reason.systemError;
    transaction.approvedAmount = 0;
  }
  transaction.held += row.held;
  transaction.posted += row.posted;
  transaction.refunded += row.refunded;
  if (row.spend > 0 && row.day > transaction.newestSpendDay) {
    transaction.newestSpendDay = row.day;
    transaction.newestSpendAmount = row.spend;
  } else if (row.spend > 0 || row.day === transaction.newestSpendDay) {
    transaction.newestSpendAmount += row.spend;
  }
  transaction.newestSpendAmount = Math.max(0, Math.min(transaction.newestSpendAmount, transaction.held));
  transaction.forced ||= row.forced;
  if (transaction.expiresAtMs > 0) transaction.expiresAtMs = Math.max(transaction.expiresAtMs, row.expiresAtMs);
  transaction.updatedAtMs = row.atMs;
}

function opens(flags: number): boolean {
  return (flags & (RecordFlag.opensTransaction | RecordFlag.tombstone)) !== 0;
}

function isRefusal(flags: number): boolean {
  return (flags & RecordFlag.opensTransaction) !== 0 && (flags & RecordFlag.approved) === 0;
}

/** As transaction_name() in the database: the name of a row within its partition. */
function nameOf(id: string, occurrence: number): string {
  return occurrence === 0 ? id : `\u0002${occurrence}:${id}`;
}

/** Statuses as `transactions` has them: a tombstone shows as reversed, and what opened nothing was declined. */
function publicStatus(transactionStatus: number, flags: number): number {
  if (transactionStatus === TransactionStatus.tombstone) return TransactionStatus.reversed;
  if (transactionStatus !== TransactionStatus.none) return transactionStatus;
  return (flags & RecordFlag.approved) !== 0 ? TransactionStatus.completed : TransactionStatus.declined;
}

/** 0: there is none. What moves a window is in the account's currency. */
function entityNumber(view: DataView, offset: number, level: Level): number {
  if (level === Level.card) return readCardSpend(view, offset);
  const number = view.getFloat64(offset + (level === Level.user ? O.userNumber : O.accountNumber), true);
  if (level !== Level.user || number === 0) return number;
  return userSpendNumber(number, view.getUint16(offset + O.currency, true));
}

/** Few currencies and countries are in use, and every record names some: unpacked once each. Bounded by 16 bits. */
const unpacked = new Map<number, string>();
function letters(packed: number): string {
  let text = unpacked.get(packed);
  if (text === undefined) {
    text = unpackLetters(packed);
    unpacked.set(packed, text);
  }
  return text;
}
