/**
 * Holds the books of accounts against what they are made of, a few accounts at a time. Each statement is one snapshot.
 * `make audit` proves more, of the whole database at once.
 */
import type { Database } from './postgres.js';

export interface CheckedAccount {
  readonly id: number;
  readonly publicId: string;
  readonly balances: boolean;
}

export class BooksCheck {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The next accounts by number. Funds are deposits, withdrawals and adjustments; holds and postings are messages'. */
  next(after: number, limit: number): Promise<readonly CheckedAccount[]> {
    return this.#database.run(
      'books.check',
      (sql) => sql<CheckedAccount[]>`
        select a.id, a.public_id as "publicId",
          a.funds = a.available + a.held + a.posted and a.funds = e.funds + j.funds + q.funds
            and a.posted = e.posted + q.posted and a.posted = t.posted + q.posted and a.held = t.held + q.held
            as balances
        from (select * from accounts where id > ${after} order by id limit ${limit}) as a
        cross join lateral (
          select coalesce(sum(held_amount), 0) as held, coalesce(sum(posted_amount), 0) as posted
          from transactions where account_id = a.id
        ) as t
        cross join lateral (
          select coalesce(sum(-external_delta), 0) as funds, coalesce(sum(posted_delta), 0) as posted
          from transaction_events where account_id = a.id and (posted_delta <> 0 or external_delta <> 0)
        ) as e
        cross join lateral (
          select coalesce(sum(-external_delta), 0) as funds from ledger_adjustments where account_id = a.id
        ) as j
        cross join lateral (
          select coalesce(sum(funds_delta), 0) as funds, coalesce(sum(held_delta), 0) as held,
            coalesce(sum(posted_delta), 0) as posted
          from quarantined_records where account_id = a.id and books_kept
        ) as q
        order by a.id`,
    );
  }
}
