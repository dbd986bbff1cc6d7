/**
 * Folds journal records, in order, into the rows of the SQL function `settle`:
 *  - every record becomes one event;
 *  - a transaction that the stretch opens becomes one row, with its follow-ups folded in;
 * - a follow-up of an older transaction becomes a row of round 0, the next one a row of round 1, and so on;
 *  - money is summed per account;
 *  - spend is summed per entity as long as the local day stays the same; a change of day starts the entity's next
 *    round;
 *  - purchases of cards that are not virtual are counted per card, up to a revocation, which starts the card's next
 *    round.
 * Rounds are bounded: a record that would need one more is refused, and starts the next stretch.
 *
 * A partition may open one id several times (it had forgotten it). Of a stretch's openings of one id, one keeps the id
 * and a declined one is renamed by its sequence. settle() does the same with rows of earlier stretches.
 */
import { hash64, hashAsBigInt } from '../../engine/core/hash.js';
import { RecordView } from '../../engine/core/record-view.js';
import { databaseText } from './array-columns.js';
import { RowArray } from './row-array.js';
import { RollingFold, SpendFold, UseFold } from './spend-fold.js';
import { nameOf, TransactionFold } from './transaction-fold.js';

/** Columns of the functions that are called where a stretch has something for them; null: it has nothing. */
export interface FewColumns {
  /** Of settle_uses(): purchases of cards that are not virtual. */
  readonly uses: readonly string[] | null;
  /** Of settle_rolling(): what counts in rolling windows. */
  readonly rolling: readonly string[] | null;
}

interface Books {
  funds: number;
  held: number;
  posted: number;
}

export class SettleFold {
  /** Element types of the arrays that columns() returns after the record bytes, in order. */
  static readonly columnTypes: readonly string[] = [
    ...['settle_event', 'settle_opening', 'integer', 'settle_follow_up', 'settle_account', 'integer', 'settle_window'],
  ];
  /** Where the columns of accounts and of windows begin in columns(). */
  static readonly accountsFrom = 5;

  readonly #source: Buffer;
  readonly #record: RecordView;
  readonly #firstSequence: number;
  readonly #events = new RowArray();
  readonly #transactions = new TransactionFold();
  readonly #books = new Map<number, Books>();
  readonly #spend = new SpendFold();
  readonly #uses = new UseFold();
  readonly #rolling = new RollingFold();
  #count = 0;
  #bytesStart = 0;
  #bytesEnd = 0;

  /** @param firstSequence of the first record that will be added */
  constructor(source: Uint8Array, firstSequence: number) {
    this.#firstSequence = firstSequence;
    this.#source = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    this.#record = new RecordView(source);
  }

  /** Records folded so far. */
  get count(): number {
    return this.#count;
  }

  /** Folds the record at `offset`. @returns false, having changed nothing, when it must start the next stretch. */
  add(offset: number): boolean {
    const record = this.#record.at(offset);
    const requestId = this.#text(record.idStart, record.idEnd);
    const id = this.#transactionId(requestId);
    if (this.#count > 0 && !(this.#transactions.fits(record, id) && this.#spend.fits(record))) return false;

    if (this.#count === 0) this.#bytesStart = offset;
    this.#bytesEnd = record.end;
    const sequence = this.#firstSequence + this.#count++;
    this.#addEvent(requestId, this.#transactions.isApart(record, id) ? nameOf(id, sequence) : id);
    const refusal = this.#transactions.add(record, id, requestId, sequence, this.#text);
    if (refusal !== undefined) {
      this.#events.fillLast(refusal.sequence - this.#firstSequence, nameOf(id, refusal.sequence));
    }
    this.#addBooks();
    this.#spend.add(record);
    this.#uses.add(record, this.#text);
    this.#rolling.add(record);
    return true;
  }

  /** The record bytes, then one array literal per entry of columnTypes. */
  columns(): (Uint8Array | string)[] {
    return [
      this.#source.subarray(this.#bytesStart, this.#bytesEnd),
      this.#events.literal(),
      this.#transactions.openedRows(),
      ...this.#transactions.followUpRows(),
      this.#accountRows(),
      ...this.#spend.rows(),
    ];
  }

  /** What few stretches have: see FewColumns. */
  fewColumns(): FewColumns {
    return { uses: this.#uses.columns(), rolling: this.#rolling.columns() };
  }

  /** See TransactionFold. */
  get single(): TransactionFold['single'] {
    return this.#transactions.single;
  }

  readonly #text = (start: number, end: number): string => databaseText(this.#source.toString('utf8', start, end));

  /** A tombstone stands for the authorization that it names; every other record names its transaction. */
  #transactionId(requestId: string): string {
    const record = this.#record;
    if (record.isTombstone) {
      const { originalStart, originalEnd } = record;
      if (originalEnd > originalStart) return this.#text(originalStart, originalEnd);
    }
    // What opens a transaction names it, whatever it was thought to follow (a clearing of another account's
    // authorization).
    if (record.opensTransaction || record.isRoot) return requestId;
    const { start, end } = record.root;
    return this.#text(start, end);
  }

  #addEvent(requestId: string, transactionId: string): void {
    const record = this.#record;
    const { amount, fundsDelta, heldDelta, postedDelta } = record;
    hash64(this.#source, record.idStart, record.idEnd);
    const row = this.#events
      .add(record.offset - this.#bytesStart)
      .add(record.length)
      .addPositive(record.accountNumber)
      .addPositive(record.cardNumber)
      .addPositive(record.userNumber);
    if (amount < 0) row.addNull();
    else row.add(amount);
    row
      .add(record.approvedAmount)
      .add(fundsDelta)
      .add(heldDelta)
      .add(postedDelta)
      .add(hashAsBigInt())
      .add(record.arrivalMs)
      .add(record.type)
      .add(record.protocol)
      .add(record.reason)
      .add(record.detail)
      .add(record.isApproved)
      .addText(requestId)
      .addTextOrNull(transactionId === requestId ? '' : transactionId)
      .endRow();
  }

  #addBooks(): void {
    const { fundsDelta: funds, heldDelta: held, postedDelta: posted, accountNumber } = this.#record;
    if (funds === 0 && held === 0 && posted === 0) return;
    const books = this.#books.get(accountNumber);
    if (books === undefined) {
      this.#books.set(accountNumber, { funds, held, posted });
      return;
    }
    books.funds += funds;
    books.held += held;
    books.posted += posted;
  }

  #accountRows(): string {
    const rows = new RowArray();
    // In the order of the index: neighbours stand on one page, and every statement that locks several accounts does so
    // in this order.
    for (const [account, books] of [...this.#books].sort(([left], [right]) => left - right)) {
      rows.add(account).add(books.funds).add(books.held).add(books.posted).endRow();
    }
    return rows.literal();
  }
}
