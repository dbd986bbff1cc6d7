/**
 * Transactions of personal customers in MongoDB (`personalTransactions`): written by the follower
 * (api/feed/personal-history.ts) from the settled ledger, one document per transaction, read here.
 */
import type { Principal } from '../../auth/principal.js';
import type { Positions } from '../settled-ledger.js';
import { mccText } from '../transaction-rows.js';
import {
  type EventTotal,
  type Spending,
  type SpendingKey,
  spendingGroupsMax,
  type Transaction,
  type TransactionEvent,
  type TransactionFilter,
  type TransactionKey,
  type TransactionPage,
  type TransactionStore,
  type TransactionWithEvents,
} from '../transactions.js';
import {
  type AnyBulkWriteOperation,
  type Collection,
  type Document,
  duplicatesOf,
  type Measured,
  type MongoConnection,
} from './mongo-connection.js';
import { MongoPositions } from './mongo-positions.js';

/** A transaction as it stood after `eventCount` messages. */
export interface HistoryDocument extends Document, Omit<Transaction, 'createdAt' | 'updatedAt'> {
  /** Ledger, partition, time of the opening and id: see readTransactions(). */
  readonly _id: string;
  /** Id of the ledger that it was copied from. */
  readonly ledger: string;
  readonly partition: number;
  /** Journal sequence of its newest message: finds what was copied after a place in the journal. */
  readonly lastSequence: number;
  readonly userId: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Held and posted: what counts as spent. */
  readonly spentAmount: number;
  /** Local day of the account, days since 1970-01-01: servers without $dateTrunc group by it too. */
  readonly spendDay: number;
  /** The first of them: a document must not grow with its transaction (MongoDB: 16 MB). The ledger has all. */
  readonly events: readonly TransactionEvent[];
  readonly eventTotals: readonly EventTotal[];
  /** Only grows: tells a newer state of the transaction from an older one. */
  readonly eventCount: number;
}

interface Sum {
  readonly _id: { readonly key: unknown; readonly currency: string };
  readonly sum: number;
}

/** What the history has of a transaction, as far as it takes to look it up in the ledger. */
export type Suspect = Pick<HistoryDocument, '_id' | 'transactionId'>;

/** The third form: with ledger, journal places and totals. Documents of the earlier forms are copied again. */
const positionPrefix = 'personalTransactions/3/';
const isOfOlderForm: Document = { ledger: { $exists: false } };
const dayMs = 86_400_000;

export class MongoHistory implements TransactionStore {
  readonly #connection: MongoConnection;
  readonly #transactions: Collection<HistoryDocument>;
  readonly positions: MongoPositions<Positions>;
  readonly #ledgerOf: () => Promise<string>;

  /** @param ledgerOf says which ledger the database is: see LedgerIdentity */
  constructor(connection: MongoConnection, ledgerOf: () => Promise<string>) {
    this.#connection = connection;
    this.#ledgerOf = ledgerOf;
    this.#transactions = connection.collection('personalTransactions');
    this.positions = new MongoPositions(connection, positionPrefix, 'partitions');
  }

  async list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]> {
    const ledger = await this.#ledgerOf();
    const found = await this.#connection.run('personalTransactions.list', (options) =>
      this.#transactions
        .find({ ...conditionOf(principal, filter, page), ledger }, { ...options, projection: { events: 0 } })
        .sort({ createdAt: -1, transactionId: -1 })
        .limit(page.limit)
        .toArray(),
    );
    return found.map(transactionOf);
  }

  async horizon(
    principal: Principal,
    filter: TransactionFilter,
    after: TransactionKey | null,
    count: number,
  ): Promise<TransactionKey | null> {
    const { card, from, to } = filter;
    const walked = {
      ...(card === undefined ? {} : { card }),
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    };
    const ledger = await this.#ledgerOf();
    const [last] = await this.#connection.run('personalTransactions.horizon', (options) =>
      this.#transactions
        .find({ ...conditionOf(principal, walked, { after, limit: 1 }), ledger }, options)
        .project<Pick<HistoryDocument, 'createdAt' | 'transactionId'>>({ createdAt: 1, transactionId: 1 })
        .sort({ createdAt: -1, transactionId: -1 })
        .skip(count - 1)
        .limit(1)
        .toArray(),
    );
    return last === undefined ? null : [last.createdAt.toISOString(), last.transactionId];
  }

  async find({ publicId }: Principal, transactionId: string): Promise<TransactionWithEvents | null> {
    const ledger = await this.#ledgerOf();
    const found = await this.#connection.run('personalTransactions.find', (options) =>
      this.#transactions
        .find({ userId: publicId, transactionId, ledger }, options)
        .sort({ createdAt: -1 })
        .limit(1)
        .toArray()
        .then(([newest]) => newest ?? null),
    );
    return found === null
      ? null
      : { ...transactionOf(found), events: found.events, eventCount: found.eventCount, eventTotals: found.eventTotals };
  }

  async spending({ publicId }: Principal, by: SpendingKey, from: string, to: string): Promise<readonly Spending[]> {
    const key = { day: '$spendDay', card: '$cardId', mcc: '$merchant.mcc' }[by];
    const match: Document = {
      userId: publicId,
      ledger: await this.#ledgerOf(),
      status: { $in: ['pending', 'completed'] },
      createdAt: { $gte: new Date(from), $lt: new Date(to) },
    };
    // One sum a pipeline: FerretDB 1.24 gives a second one of the same group nothing to add up.
    const [amounts, counts] = await Promise.all([this.#sums(match, key, '$spentAmount'), this.#sums(match, key, 1)]);
    const countOf = new Map(counts.map(({ _id, sum }) => [JSON.stringify(_id), sum]));
    const spending = amounts.map(({ _id, sum }) => ({
      key: shownKey(by, _id.key),
      currency: _id.currency,
      amount: sum,
      count: countOf.get(JSON.stringify(_id)) ?? 0,
    }));
    // Here and not in the pipeline: the order must be the same as Postgres', whatever kind of value the key is.
    spending.sort(
      (a, b) => (by === 'day' ? 0 : b.amount - a.amount) || compare(a.key, b.key) || compare(a.currency, b.currency),
    );
    return spending.slice(0, spendingGroupsMax);
  }

  #sums(match: Document, key: string, value: string | number): Promise<Sum[]> {
    return this.#connection.run('personalTransactions.spending', (options) =>
      this.#transactions
        .aggregate<Sum>(
          [{ $match: match }, { $group: { _id: { key, currency: '$currency' }, sum: { $sum: value } } }],
          options,
        )
        .toArray(),
    );
  }

  /**
   * Adds the transactions that are new. Most are, and adding is cheap for every server, where an upsert may read the
   * whole collection (FerretDB 1.24 does).
   * @returns the transactions that are there already
   */
  async add(documents: readonly HistoryDocument[]): Promise<Measured<readonly HistoryDocument[]>> {
    return this.#connection.runBehind('personalTransactions.add', async () => {
      try {
        await this.#transactions.insertMany([...documents], { ordered: false });
        return [];
      } catch (error) {
        const places = duplicatesOf(error);
        if (places === null) throw error;
        return places.map((place) => documents[place]!);
      }
    });
  }

  /** Writes transactions; an older state never replaces a newer one, so that repeating is harmless. */
  async update(documents: readonly HistoryDocument[]): Promise<Measured<void>> {
    const operations: AnyBulkWriteOperation<HistoryDocument>[] = documents.map(({ _id, ...rest }) => ({
      updateOne: { filter: { _id, eventCount: { $lte: rest.eventCount } }, update: { $set: rest }, upsert: true },
    }));
    return this.#connection.runBehind('personalTransactions.update', async () => {
      try {
        await this.#transactions.bulkWrite(operations, { ordered: false });
      } catch (error) {
        // The upsert of a transaction that is there in a newer state.
        if (duplicatesOf(error) === null) throw error;
      }
    });
  }

  /** Removes what was copied before documents named their ledger: it is copied again. */
  async removeOlderForms(): Promise<void> {
    await this.#connection.runBehind('personalTransactions.removeOlderForms', () =>
      this.#transactions.deleteMany(isOfOlderForm),
    );
  }

  /**
   * Transactions of a partition that were copied after a place in its journal, by id, at most `limit` of them.
   * @param after the last id of the page before; '' for the first
   */
  async suspects(
    ledger: string,
    partition: number,
    sequence: number,
    after: string,
    limit: number,
  ): Promise<readonly Suspect[]> {
    const { value } = await this.#connection.runBehind('personalTransactions.suspects', () =>
      this.#transactions
        .find({ ledger, partition, lastSequence: { $gt: sequence }, _id: { $gt: after } })
        .project<Suspect>({ transactionId: 1 })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray(),
    );
    return value;
  }

  /** Makes transactions what the ledger says, whatever they were, and removes those that it does not have. */
  async correct(documents: readonly HistoryDocument[], phantoms: readonly string[]): Promise<void> {
    const operations: AnyBulkWriteOperation<HistoryDocument>[] = documents.map(({ _id, ...rest }) => ({
      updateOne: { filter: { _id }, update: { $set: rest } },
    }));
    if (phantoms.length > 0) operations.push({ deleteMany: { filter: { _id: { $in: [...phantoms] } } } });
    if (operations.length === 0) return;
    await this.#connection.runBehind('personalTransactions.correct', () =>
      this.#transactions.bulkWrite(operations, { ordered: false }),
    );
  }
}

function conditionOf(
  { publicId }: Principal,
  filter: TransactionFilter,
  { after, until = null }: TransactionPage,
): Document {
  const { card, account, status, type, reason, merchant, from, to, min, max } = filter;
  const condition: Document = { userId: publicId };
  if (card !== undefined) condition['cardId'] = card;
  if (account !== undefined) condition['accountId'] = account;
  if (status !== undefined) condition['status'] = status;
  if (type !== undefined) condition['type'] = type;
  if (reason !== undefined) condition['reason'] = reason;
  if (merchant !== undefined) condition['merchant.name'] = { $regex: literal(merchant), $options: 'i' };
  if (from !== undefined || to !== undefined) {
    condition['createdAt'] = {
      ...(from === undefined ? {} : { $gte: new Date(from) }),
      ...(to === undefined ? {} : { $lt: new Date(to) }),
    };
  }
  if (min !== undefined || max !== undefined) {
    condition['amount'] = { ...(min === undefined ? {} : { $gte: min }), ...(max === undefined ? {} : { $lte: max }) };
  }
  const ends: Document[] = [];
  if (after !== null) {
    const createdAt = new Date(after[0]);
    ends.push({ $or: [{ createdAt: { $lt: createdAt } }, { createdAt, transactionId: { $lt: after[1] } }] });
  }
  if (until !== null) {
    const createdAt = new Date(until[0]);
    ends.push({ $or: [{ createdAt: { $gt: createdAt } }, { createdAt, transactionId: { $gte: until[1] } }] });
  }
  if (ends.length > 0) condition['$and'] = ends;
  return condition;
}

/** A text that a regular expression finds as it is. */
function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function transactionOf(document: HistoryDocument): Transaction {
  const { transactionId, createdAt, updatedAt, merchant, ...rest } = document;
  const { cardId, accountId, type, status, currency, reason, detail, channel } = rest;
  const { amount, approvedAmount, heldAmount, postedAmount, refundedAmount } = rest;
  return {
    transactionId,
    cardId,
    accountId,
    type,
    status,
    currency,
    amount,
    approvedAmount,
    heldAmount,
    postedAmount,
    refundedAmount,
    reason,
    detail,
    merchant: { id: merchant.id, name: merchant.name, mcc: merchant.mcc, country: merchant.country },
    channel,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

function shownKey(by: SpendingKey, key: unknown): string {
  if (key === null || key === undefined) return '';
  if (by === 'day') return new Date(Number(key) * dayMs).toISOString().slice(0, 10);
  return by === 'mcc' ? mccText(Number(key)) : String(key);
}

function compare(first: string, second: string): number {
  return first < second ? -1 : first > second ? 1 : 0;
}
