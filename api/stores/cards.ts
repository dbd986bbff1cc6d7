/**
 * Cards, the same to routes whoever owns them: company cards live in Postgres (here), personal ones in the personal store
 * (personal/cards.ts).
 */
import type { Limits } from '../../engine/core/rules.js';
import type { Principal } from '../http/principal.js';
import { type CardChange, judgeChange } from './card-rules.js';
import {
  type CardPage,
  type ChangeOutcome,
  changeAttemptsMax,
  type PersonalCard,
  StoreContended,
} from './personal/store.js';
import type { Database, Sql } from './postgres.js';
import { type Scope, scopeOf } from './tenancy.js';

export type Card = PersonalCard;

export interface NewCard {
  readonly cardId: string;
  readonly token: string;
  readonly accountId: string;
  /** Public id of the cardholder. */
  readonly holderId: string;
  readonly name: string;
  readonly expires: string;
  readonly limits: Limits;
}

export type AddOutcome =
  | { readonly outcome: 'added'; readonly card: Card }
  /** Not there, or somebody else's. */
  | { readonly outcome: 'no_account' | 'no_holder' }
  /** Closed accounts get no cards. */
  | { readonly outcome: 'account_closed' };

/** Where a card stands in the feed to the engines. Null: not yet in the rows that the feed is made of. */
export type Published = { readonly number: number; readonly version: number } | null;

export interface CardBook {
  /** Newest first. */
  list(principal: Principal, page: CardPage): Promise<readonly Card[]>;
  /** Null also when it is somebody else's. */
  find(principal: Principal, cardId: string): Promise<Card | null>;
  /** Adds the card unless there is one of that id; then answers with that. */
  add(principal: Principal, card: NewCard): Promise<AddOutcome>;
  change(
    principal: Principal,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome & { readonly published?: Published }>;
  /** Number of the row that the engine reads; null when there is none (yet). */
  numberOf(principal: Principal, cardId: string): Promise<number | null>;
}

/** The book that a caller's cards are in. */
export class Cards {
  readonly #company: CardBook;
  readonly #personal: CardBook;

  constructor(company: CardBook, personal: CardBook) {
    this.#company = company;
    this.#personal = personal;
  }

  of({ kind }: Principal): CardBook {
    return kind === 'personal' ? this.#personal : this.#company;
  }
}

type CardRow = Omit<Card, 'limits'> & { readonly number: number; readonly limits: Limits | null };

export class CompanyCards implements CardBook {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(principal: Principal, { after, limit }: CardPage): Promise<readonly Card[]> {
    const { ownerKey, onlyUser } = scopeOf(principal);
    const rows = await this.#database.run('cards.list', (sql) => {
      const keyset =
        after === null ? sql`` : sql`and (c.created_at, c.public_id) < (${after[0]}::timestamptz, ${after[1]})`;
      // A member's by the cardholder, everybody's account by account: both walk an index in the order of the list.
      const cards =
        onlyUser !== null
          ? sql`select c.* from cards c where c.user_id = ${onlyUser} ${keyset}
              order by c.created_at desc, c.public_id desc limit ${limit}`
          : sql`select c.* from accounts a cross join lateral (
                select c.* from cards c where c.account_id = a.id ${keyset}
                order by c.created_at desc, c.public_id desc limit ${limit}
              ) c where a.owner_key = ${ownerKey}
              order by c.created_at desc, c.public_id desc limit ${limit}`;
      return sql<CardRow[]>`
        select ${columns(sql)} from (${cards}) c ${joins(sql)}
        where a.owner_key = ${ownerKey}
        order by c.created_at desc, c.public_id desc`;
    });
    return rows.map(cardOf);
  }

  async find(principal: Principal, cardId: string): Promise<Card | null> {
    const row = await this.#row(scopeOf(principal), cardId);
    return row === null ? null : cardOf(row);
  }

  async add(principal: Principal, card: NewCard): Promise<AddOutcome> {
    const { ownerKey } = scopeOf(principal);
    const [row] = await this.#database.run(
      'cards.add',
      (sql) => sql<{ account: string | null; holder: number | null }[]>`
        with account as (
          select id, status from accounts where public_id = ${card.accountId} and owner_key = ${ownerKey}
        ), holder as (
          select id from users where public_id = ${card.holderId} and company_id = ${principal.companyId} and status <> 'closed'
        ), added as (
          insert into cards (public_id, token, account_id, user_id, name, expires)
          select ${card.cardId}, ${card.token}, account.id, holder.id, ${card.name}, ${card.expires}::date
          from account, holder where account.status <> 'closed'
          on conflict (public_id) do nothing
          returning id
        ), limited as (
          insert into limits (level, entity_id, limits)
          select 0, id, ${sql.json(card.limits as never)} from added where ${Object.keys(card.limits).length > 0}::boolean
        )
        select (select status from account) as account, (select id from holder) as holder`,
    );
    if (row === undefined || row.account === null) return { outcome: 'no_account' };
    if (row.holder === null) return { outcome: 'no_holder' };
    const added = await this.find(principal, card.cardId);
    if (added !== null) return { outcome: 'added', card: added };
    return { outcome: 'account_closed' };
  }

  async change(
    principal: Principal,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome & { readonly published?: Published }> {
    const scope = scopeOf(principal);
    for (let attempt = 0; attempt < changeAttemptsMax; attempt++) {
      const row = await this.#row(scope, cardId);
      if (row === null) return { outcome: 'absent' };
      if (version !== null && row.version !== version) return { outcome: 'stale', version: row.version };
      const card = cardOf(row);
      const verdict = judgeChange(card, change);
      const { number } = row;
      if (verdict === 'closed') return { outcome: 'closed', card };
      if (verdict === 'unchanged') return { outcome: 'unchanged', card, published: { number, version: card.version } };
      const changed: Card = { ...card, ...change, version: card.version + 1 };
      if (await this.#write(scope, number, card.version, changed, change.limits !== undefined)) {
        return { outcome: 'changed', card: changed, published: { number, version: changed.version } };
      }
    }
    throw new StoreContended(cardId);
  }

  async numberOf(principal: Principal, cardId: string): Promise<number | null> {
    return cardNumber(this.#database, scopeOf(principal), cardId);
  }

  async #row({ ownerKey, onlyUser }: Scope, cardId: string): Promise<CardRow | null> {
    const [row] = await this.#database.run(
      'cards.find',
      (sql) => sql<CardRow[]>`
        select ${columns(sql)} from cards c ${joins(sql)}
        where c.public_id = ${cardId} and a.owner_key = ${ownerKey}
          ${onlyUser === null ? sql`` : sql`and c.user_id = ${onlyUser}`}`,
    );
    return row ?? null;
  }

  /** One statement: card, limits and, by the trigger, the entry that tells the engines. */
  async #write(scope: Scope, number: number, from: number, card: Card, withLimits: boolean): Promise<boolean> {
    const written = await this.#database.run(
      'cards.change',
      (sql) => sql`
        with written as (
          update cards c set status = ${card.status}, name = ${card.name}, version = ${card.version}
          from accounts a
          where c.id = ${number} and c.version = ${from} and a.id = c.account_id and a.owner_key = ${scope.ownerKey}
            ${scope.onlyUser === null ? sql`` : sql`and c.user_id = ${scope.onlyUser}`}
          returning c.id
        ), limited as (
          insert into limits as l (level, entity_id, limits)
          select 0, id, ${sql.json(card.limits as never)} from written where ${withLimits}::boolean
          on conflict (level, entity_id) do update set limits = excluded.limits, version = l.version + 1
        )
        select id from written`,
    );
    return written.length === 1;
  }
}

/** Number of a card's row within what a caller may see. */
export async function cardNumber(
  database: Database,
  { ownerKey, onlyUser }: Scope,
  cardId: string,
): Promise<number | null> {
  const [row] = await database.run(
    'cards.number',
    (sql) => sql<{ id: number }[]>`
      select c.id from cards c join accounts a on a.id = c.account_id
      where c.public_id = ${cardId} and a.owner_key = ${ownerKey}
        ${onlyUser === null ? sql`` : sql`and c.user_id = ${onlyUser}`}`,
  );
  return row?.id ?? null;
}

function columns(sql: Sql) {
  return sql`c.id as number, c.public_id as "cardId", u.public_id as "userId", a.public_id as "accountId", c.token,
    c.name, c.status, c.expires, l.limits, c.version, c.created_at as "createdAt"`;
}

function joins(sql: Sql) {
  return sql`join accounts a on a.id = c.account_id join users u on u.id = c.user_id
    left join limits l on l.level = 0 and l.entity_id = c.id`;
}

function cardOf({ number: _, limits, ...rest }: CardRow): Card {
  return { ...rest, limits: limits ?? {} };
}
