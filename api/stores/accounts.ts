/** Accounts, without their books: those the engine has. */
import type { Database, Sql } from './postgres.js';
import type { Scope } from './tenancy.js';

export interface AccountRow {
  readonly number: number;
  readonly accountId: string;
  readonly kind: 'personal' | 'business';
  readonly currency: string;
  readonly timeZone: string;
  readonly status: 'active' | 'frozen' | 'closed';
  readonly version: number;
  readonly createdAt: string;
}

export interface AccountPage {
  readonly after: readonly [createdAt: string, accountId: string] | null;
  readonly limit: number;
}

export class AccountStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Oldest first. */
  list({ ownerKey }: Scope, { after, limit }: AccountPage): Promise<readonly AccountRow[]> {
    return this.#database.run(
      'accounts.list',
      (sql) => sql<AccountRow[]>`
        select ${columns(sql)} from accounts a
        where a.owner_key = ${ownerKey}
          ${after === null ? sql`` : sql`and (a.created_at, a.public_id) > (${after[0]}::timestamptz, ${after[1]})`}
        order by a.created_at, a.public_id limit ${limit}`,
    );
  }

  /** Null also when another owner has it. */
  find(scope: Scope, accountId: string): Promise<AccountRow | null> {
    return this.findStored(scope, accountId);
  }

  /** As `find`, past every cache: for what moves money. */
  async findStored({ ownerKey }: Scope, accountId: string): Promise<AccountRow | null> {
    const [row] = await this.#database.run(
      'accounts.find',
      (sql) => sql<AccountRow[]>`
        select ${columns(sql)} from accounts a where a.public_id = ${accountId} and a.owner_key = ${ownerKey}`,
    );
    return row ?? null;
  }

  /** Whosever it is: for operators and API keys. */
  async findAny(accountId: string): Promise<AccountRow | null> {
    const [row] = await this.#database.run(
      'accounts.findAny',
      (sql) => sql<AccountRow[]>`select ${columns(sql)} from accounts a where a.public_id = ${accountId}`,
    );
    return row ?? null;
  }

  /**
   * The time zone of the account in whose currency and days a user's windows are shown. The engine chooses the same
   * one: the first one that a card of the user is of, else the owner's first. `user` null: not published yet.
   */
  async zoneOf({ ownerKey }: Scope, user: number | null): Promise<string> {
    const [row] = await this.#database.run(
      'accounts.zone',
      (sql) => sql<{ timeZone: string }[]>`
        select a.time_zone as "timeZone" from accounts a where a.owner_key = ${ownerKey}
        order by a.id = (select min(c.account_id) from cards c where c.user_id = ${user}::bigint) desc nulls last, a.id
        limit 1`,
    );
    return row?.timeZone ?? 'UTC';
  }
}

function columns(sql: Sql) {
  return sql`a.id as number, a.public_id as "accountId", a.kind, a.currency, a.time_zone as "timeZone", a.status,
    a.version, a.created_at as "createdAt"`;
}
