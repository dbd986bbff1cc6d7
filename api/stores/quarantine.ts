/** Records that settling has set apart. The engine retries them. */
import type { Database } from './postgres.js';

export interface QuarantinedRecord {
  readonly partition: number;
  readonly sequence: number;
  readonly accountId: string | null;
  readonly currency: string | null;
  readonly fundsDelta: number;
  readonly heldDelta: number;
  readonly postedDelta: number;
  readonly booksKept: boolean;
  readonly windowsKept: boolean;
  readonly sqlstate: string;
  readonly error: string;
  readonly at: string;
}

export class Quarantine {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In the order in which they are to be retried, one more than `limit`. */
  list([partition, sequence]: readonly [number, number], limit: number): Promise<readonly QuarantinedRecord[]> {
    return this.#database.run(
      'quarantine.list',
      (sql) => sql<QuarantinedRecord[]>`
        select q.partition, q.sequence, a.public_id as "accountId", a.currency, q.funds_delta as "fundsDelta",
          q.held_delta as "heldDelta", q.posted_delta as "postedDelta", q.books_kept as "booksKept",
          q.windows_kept as "windowsKept", q.sqlstate, q.error, q.quarantined_at as at
        from quarantined_records q left join accounts a on a.id = q.account_id
        where (q.partition, q.sequence) > (${partition}, ${sequence})
        order by q.partition, q.sequence limit ${limit + 1}`,
    );
  }
}
