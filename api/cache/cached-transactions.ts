/**
 * First pages of transactions through the cache. No message announces a settled transaction, so a page is kept under
 * the ledger's position at its request. After later settling the position, and so the name, is another, and the old
 * page is never found again. The position itself is looked at ten times a second at most.
 */
import type { Principal } from '../auth/principal.js';
import type { Database } from '../stores/postgres.js';
import { settledPositions } from '../stores/settled-ledger.js';
import { scopeOf } from '../stores/tenancy.js';
import type {
  Spending,
  SpendingKey,
  Transaction,
  TransactionFilter,
  TransactionKey,
  TransactionPage,
  TransactionStore,
  TransactionWithEvents,
} from '../stores/transactions.js';
import type { Cache } from './cache.js';
import { isTransaction, listOf } from './shapes.js';

/** Far below the time that settling takes. */
const positionMs = 100;

const isTransactionList = listOf(isTransaction);

export class CachedTransactions implements TransactionStore {
  readonly #inner: TransactionStore;
  readonly #database: Database;
  readonly #cache: Cache;
  #position: Promise<string> | null = null;
  #positionAtMs = Number.NEGATIVE_INFINITY;

  constructor(inner: TransactionStore, database: Database, cache: Cache) {
    this.#inner = inner;
    this.#database = database;
    this.#cache = cache;
  }

  async list(principal: Principal, filter: TransactionFilter, page: TransactionPage): Promise<readonly Transaction[]> {
    // Filtered and deeper pages are rarely asked for twice.
    if (page.after !== null || page.until != null || Object.values(filter).some((value) => value !== undefined)) {
      return this.#inner.list(principal, filter, page);
    }
    const { ownerKey, onlyUser } = scopeOf(principal);
    const field = `page ${page.limit} ${onlyUser ?? 'all'} ${await this.#settledPosition()}`;
    return this.#cache.get('transactions', `transactions:${ownerKey}`, field, isTransactionList, () =>
      this.#inner.list(principal, filter, page),
    );
  }

  horizon(
    principal: Principal,
    filter: TransactionFilter,
    after: TransactionKey | null,
    count: number,
  ): Promise<TransactionKey | null> {
    return this.#inner.horizon(principal, filter, after, count);
  }

  find(principal: Principal, transactionId: string): Promise<TransactionWithEvents | null> {
    return this.#inner.find(principal, transactionId);
  }

  spending(principal: Principal, by: SpendingKey, from: string, to: string): Promise<readonly Spending[]> {
    return this.#inner.spending(principal, by, from, to);
  }

  #settledPosition(): Promise<string> {
    const nowMs = performance.now();
    if (this.#position !== null && nowMs - this.#positionAtMs < positionMs) return this.#position;
    this.#positionAtMs = nowMs;
    const asked = settledPositions(this.#database).then((positions) =>
      [...positions].map(([partition, sequence]) => `${partition}:${sequence}`).join(' '),
    );
    this.#position = asked;
    // A failure is not worth remembering.
    asked.catch(() => {
      if (this.#position === asked) this.#position = null;
    });
    return asked;
  }
}
