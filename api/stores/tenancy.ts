/**
 * Whose rows a caller may see, as the conditions that every query carries. The owner key is the one of `accounts`: all
 * accounts of a company, or of a person, have the same.
 */
import { type Acting, isCustomer, type Keeper } from '../auth/principal.js';
import type { Database } from './postgres.js';

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

/** What has an owner for good: neither a card nor an account nor a user ever moves to another one. */
export type Owned = 'card' | 'account' | 'user';

export class Owners {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The caller as one who may act on it; an operator acts within the owner of what they name. Null: there is none. */
  async keeperOf(actor: Acting, kind: Owned, publicId: string): Promise<Acting<Keeper> | null> {
    if (isCustomer(actor)) return actor;
    if (actor.kind === 'key') return null;
    const [row] = await this.#database.run(`${kind}s.owner`, (sql) =>
      kind === 'user'
        ? sql<{ ownerKey: number }[]>`
            select coalesce(company_id * 2 + 1, id * 2) as "ownerKey" from users where public_id = ${publicId}`
        : sql<{ ownerKey: number }[]>`
            select a.owner_key as "ownerKey" from accounts a
            ${kind === 'card' ? sql`join cards c on c.account_id = a.id where c.public_id` : sql`where a.public_id`}
              = ${publicId}`,
    );
    return row === undefined ? null : { ...actor, ownerKey: row.ownerKey };
  }

  /** What the engine knows a card by, whosever it is. */
  async tokenOf(cardId: string): Promise<string | null> {
    const [row] = await this.#database.run(
      'cards.token',
      (sql) => sql<{ token: string }[]>`select token from cards where public_id = ${cardId}`,
    );
    return row?.token ?? null;
  }
}
