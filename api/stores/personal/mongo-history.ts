/**
 * Transactions of personal customers in MongoDB (`personalTransactions`): written by the follower
 * (api/feed/personal-history.ts) from the settled ledger, one document per chain, read here.
 */
import type { Principal } from '../../http/principal.js';
import { mccText } from '../transaction-rows.js';
import {
  type Spending,
  type SpendingKey,
  spendingGroupsMax,
  type Transaction,
  type TransactionEvent,
  type TransactionFilter,
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

/** A chain as it stood after `eventCount` messages. */
export interface HistoryDocument extends Document, Omit<Transaction, 'createdAt' | 'updatedAt'> {
  /** Partition, time of the opening and id: see readChains(). */
  readonly _id: string;
  readonly userId: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  /** Held and posted: what counts as spent. */
  readonly spentAmount: number;
  /** Local day of the account, days since 1970-01-01: servers without $dateTrunc group by it too. */
  readonly spendDay: number;
  readonly events: readonly TransactionEvent[];
  /** Only grows: tells a newer state of the chain from an older one. */
  readonly eventCount: number;
}

interface Sum {
  readonly _id: { readonly key: unknown; readonly currency: string };
  readonly sum: number;
}

/** Where the follower stands, beside what it has written: a new database begins anew. */
interface PositionDocument extends Document {
  readonly _id: string;
  /** Last sequence copied, by partition. */
  readonly positions: Readonly<Record<string, number>>;
  readonly holder: string;
  readonly leaseUntil: Date;
}

/** Documents of the first form had the transaction's id alone as theirs: this form is copied from the beginning. */
const positionId = 'personalTransactions/2';
const indexOfFirstForm = 'userId_createdAt';
const isOfThisForm: Document = { transactionId: { $exists: true } };
const isOfFirstForm: Document = { transactionId: { $exists: false } };
const dayMs = 86_400_000;

export class MongoHistory implements TransactionStore {
  readonly #connection: MongoConnection;
  readonly #transactions: Collection<HistoryDocument>;
  readonly #positions: Collection<PositionDocument>;

  constructor(connection: MongoConnection) {
    this.#connection = connection;
    this.#transactions = connection.collection('personalTransactions');
    this.#positions = connection.collection('followerPositions');
  }

  async list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]> {
    const found = await this.#connection.run('personalTransactions.list', (options) =>
      this.#transactions
        .find(conditionOf(principal, filter, page), { ...options, projection: { events: 0 } })
        .sort({ createdAt: -1, transactionId: -1 })
        .limit(page.limit)
        .toArray(),
    );
    return found.map(transactionOf);
  }

  async find({ publicId }: Principal, transactionId: string): Promise<TransactionWithEvents | null> {
    const found = await this.#connection.run('personalTransactions.find', (options) =>
      this.#transactions
        .find({ userId: publicId, transactionId }, options)
        .sort({ createdAt: -1 })
        .limit(1)
        .toArray()
        .then(([newest]) => newest ?? null),
    );
    return found === null ? null : { ...transactionOf(found), events: found.events };
  }

  async spending({ publicId }: Principal, by: SpendingKey, from: string, to: string): Promise<readonly Spending[]> {
    const key = { day: '$spendDay', card: '$cardId', mcc: '$merchant.mcc' }[by];
    const match: Document = {
      userId: publicId,
      ...isOfThisForm,
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
   * Adds the chains that are new. Most are, and adding is cheap for every server, where an upsert may read the whole
   * collection (FerretDB 1.24 does).
   * @returns the chains that are there already
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

  /** Writes chains; an older state never replaces a newer one, so that repeating is harmless. */
  async update(documents: readonly HistoryDocument[]): Promise<Measured<void>> {
    const operations: AnyBulkWriteOperation<HistoryDocument>[] = documents.map(({ _id, ...rest }) => ({
      updateOne: { filter: { _id, eventCount: { $lte: rest.eventCount } }, update: { $set: rest }, upsert: true },
    }));
    return this.#connection.runBehind('personalTransactions.update', async () => {
      try {
        await this.#transactions.bulkWrite(operations, { ordered: false });
      } catch (error) {
        // The upsert of a chain that is there in a newer state.
        if (duplicatesOf(error) === null) throw error;
      }
    });
  }

  /**
   * Takes or renews the lease of the follower, so that of several processes one works. It saves work only: two that
   * both believe to have it write the same.
   * @returns the positions, or null when another process has the lease
   */
  async lease(holder: string, leaseMs: number): Promise<Readonly<Record<string, number>> | null> {
    return this.#connection.run('followerPositions.lease', async (options) => {
      const now = Date.now();
      const leaseUntil = new Date(now + leaseMs);
      const found = await this.#positions.findOne({ _id: positionId }, options);
      if (found !== null && found.holder !== holder && found.leaseUntil.getTime() > now) return null;
      await this.#positions.updateOne(
        { _id: positionId, ...(found === null ? {} : { holder: found.holder, leaseUntil: found.leaseUntil }) },
        { $set: { holder, leaseUntil, ...(found === null ? { positions: {} } : {}) } },
        { ...options, upsert: found === null },
      );
      if (found === null) {
        await this.#transactions.deleteMany(isOfFirstForm);
        await this.#transactions.dropIndex(indexOfFirstForm).catch(() => undefined);
      }
      return found?.positions ?? {};
    });
  }

  async savePositions(holder: string, positions: Readonly<Record<string, number>>): Promise<void> {
    await this.#connection.run('followerPositions.save', (options) =>
      this.#positions.updateOne({ _id: positionId, holder }, { $set: { positions } }, options),
    );
  }

  /** Gives the lease up, so that another process need not wait for its end. */
  async release(holder: string): Promise<void> {
    await this.#connection.run('followerPositions.release', (options) =>
      this.#positions.updateOne({ _id: positionId, holder }, { $set: { leaseUntil: new Date(0) } }, options),
    );
  }
}

function conditionOf({ publicId }: Principal, filter: TransactionFilter, { after }: TransactionPage): Document {
  const { card, status, from, to, min, max } = filter;
  const condition: Document = { userId: publicId, ...isOfThisForm };
  if (card !== undefined) condition['cardId'] = card;
  if (status !== undefined) condition['status'] = status;
  if (from !== undefined || to !== undefined) {
    condition['createdAt'] = {
      ...(from === undefined ? {} : { $gte: new Date(from) }),
      ...(to === undefined ? {} : { $lt: new Date(to) }),
    };
  }
  if (min !== undefined || max !== undefined) {
    condition['amount'] = { ...(min === undefined ? {} : { $gte: min }), ...(max === undefined ? {} : { $lte: max }) };
  }
  if (after !== null) {
    const createdAt = new Date(after[0]);
    condition['$or'] = [{ createdAt: { $lt: createdAt } }, { createdAt, transactionId: { $lt: after[1] } }];
  }
  return condition;
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
