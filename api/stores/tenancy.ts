/**
 * Whose rows a caller may see, as the conditions that every query carries. The owner key is the one of `accounts`: all
 * accounts of a company, or of a person, have the same.
 */
import { type Acting, isCustomer, type Keeper } from '../auth/principal.js';
import type { Database, Sql } from './postgres.js';

export interface Scope {
  readonly ownerKey: number;
  /** Set for those who see only what is their own within the owner: members of a company. Number of the user. */
  readonly onlyUser: number | null;
}

export function scopeOf(keeper: Keeper): Scope {
  if (!isCustomer(keeper)) return { ownerKey: keeper.ownerKey, onlyUser: null };
  return {
    ownerKey: keeper.companyId === null ? keeper.userId * 2 : keeper.companyId * 2 + 1,
    onlyUser: keeper.role === 'member' ? keeper.userId : null,
  };
}

/** What has an owner for good, or is one: neither a card nor an account nor a user ever moves to another one. */
export type Owned = 'card' | 'account' | 'user' | 'customer';

export class Owners {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The caller as one who may act on it; an operator acts within the owner of what they name. Null: there is none. */
  async keeperOf(actor: Acting, kind: Owned, publicId: string): Promise<Acting<Keeper> | null> {
    if (isCustomer(actor)) return actor;
    if (actor.kind === 'key') return null;
    const [row] = await this.#database.run(
      `${kind}s.owner`,
      (sql) => sql<{ ownerKey: number }[]>`
        select owner_key as "ownerKey" from (${ownerOf(sql, kind, publicId)}) owner (owner_key)`,
    );
    return row === undefined ? null : { ...actor, ownerKey: row.ownerKey };
  }
}

function ownerOf(sql: Sql, kind: Owned, publicId: string) {
  switch (kind) {
    case 'card':
      return sql`
        select a.owner_key from cards c join accounts a on a.id = c.account_id where c.public_id = ${publicId}`;
    case 'account':
      return sql`select owner_key from accounts where public_id = ${publicId}`;
    case 'user':
      return sql`select coalesce(company_id * 2 + 1, id * 2) from users where public_id = ${publicId}`;
    case 'customer':
      return sql`
        select id * 2 from users where public_id = ${publicId} and company_id is null
        union all select id * 2 + 1 from companies where public_id = ${publicId}`;
  }
}

/** The condition on `users u` that they are the owner, or of the company that is. Odd keys are companies'. */
export function usersOf(sql: Sql, ownerKey: number) {
  return ownerKey % 2 === 0 ? sql`u.id = ${ownerKey / 2}` : sql`u.company_id = ${(ownerKey - 1) / 2}`;
}
