/** What the walk over the accounts has found, and other numbers of the ledger that every API shows. */
import type { Database } from './postgres.js';

export interface BooksState {
  /** RFC 3339; null: no walk over all accounts has ended. */
  readonly checkedAt: string | null;
  readonly accounts: number;
  readonly unchecked: number;
  readonly unbalanced: number;
  readonly firstAccount: string | null;
}

export interface LedgerNumbers extends BooksState {
  readonly quarantined: number;
  /** Partitions of the ledger; 0 before its first engine. */
  readonly partitions: number;
}

/** More need no exact number. */
const quarantinedMax = 1000;

export class BooksStateStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async read(): Promise<LedgerNumbers> {
    const [row] = await this.#database.run(
      'books.state',
      (sql) => sql<LedgerNumbers[]>`
        select checked_at as "checkedAt", accounts, unchecked, unbalanced, first_account as "firstAccount",
          (select count(*) from (select from quarantined_records limit ${quarantinedMax}) q) as quarantined,
          coalesce((select max(partition_count) from journal_positions), 0) as partitions
        from books_state`,
    );
    return row!;
  }

  /** The accounts that are known to be wrong, whenever they change. */
  async found(unbalanced: number, firstAccount: string | null): Promise<void> {
    await this.#database.run(
      'books.found',
      (sql) => sql`update books_state set unbalanced = ${unbalanced}, first_account = ${firstAccount}`,
    );
  }

  /** A walk over all accounts has ended. */
  async walked(accounts: number, unchecked: number): Promise<void> {
    await this.#database.run(
      'books.walked',
      (sql) => sql`
        update books_state set checked_at = now(), accounts = ${accounts}, unchecked = ${unchecked}`,
    );
  }
}
