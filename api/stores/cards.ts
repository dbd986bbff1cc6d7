/**
 * Cards of people and companies. Postgres alone has them. What an engine obeys (status, limits, expiry, owner, version)
 * is written in one statement with the entry of the outbox, which triggers write.
 */
import type { CardTypeName } from '../../engine/core/card-types.js';
import type { Limits } from '../../engine/core/rules.js';
import type { Acting, Keeper, Principal } from '../auth/principal.js';
import { type CardCaps, cardCapsDefault } from './card-caps.js';
import { withLock } from './database-errors.js';
import { folded } from './folded.js';
import { KeyedQueue } from './keyed-queue.js';
import type { Database, Sql } from './postgres.js';
import { type Scope, scopeOf } from './tenancy.js';

export type CardStatus = 'active' | 'frozen' | 'closed';

export const replaceReasons = ['lost', 'stolen', 'damaged'] as const;
export type ReplaceReason = (typeof replaceReasons)[number];
/** Texts by key. */
export type Metadata = Readonly<Record<string, string>>;

export interface Card {
  /** Public ids. */
  readonly cardId: string;
  readonly userId: string;
  readonly accountId: string;
  /** What the authorization port takes as `card`. */
  readonly token: string;
  readonly name: string;
  readonly type: CardTypeName;
  readonly status: CardStatus;
  /** Last day of validity, YYYY-MM-DD. */
  readonly expires: string;
  readonly limits: Limits;
  readonly metadata: Metadata;
  /** The card that took this one's place, and why; null: none did. */
  readonly replacedBy: string | null;
  readonly replacedFor: ReplaceReason | null;
  /** Rises by one with every change. */
  readonly version: number;
  readonly createdAt: string;
}

/** What a list is narrowed to; public ids. */
export interface CardFilter {
  readonly status?: CardStatus | undefined;
  readonly type?: CardTypeName | undefined;
  readonly account?: string | undefined;
  readonly user?: string | undefined;
  /** A part of the name, in any case. */
  readonly name?: string | undefined;
}

type CardKey = readonly [createdAt: string, cardId: string];

/** Newest first; `after` is the place where the page before ended. */
export interface CardPage {
  readonly after: CardKey | null;
  readonly limit: number;
  readonly filter?: CardFilter;
}

export interface FoundCards {
  readonly cards: readonly Card[];
  /** Where the next page begins; null: there are no more. A page may be short of its limit, and yet have a next one. */
  readonly next: CardKey | null;
}

export interface NewCard {
  readonly cardId: string;
  readonly token: string;
  readonly accountId: string;
  /** Public id of the cardholder. */
  readonly holderId: string;
  readonly name: string;
  readonly type: CardTypeName;
  readonly expires: string;
  readonly limits: Limits;
  readonly metadata: Metadata;
}

/** What a replacement has of its own; everything else goes along. */
export interface Replacement {
  readonly cardId: string;
  readonly token: string;
  readonly expires: string;
  readonly reason: ReplaceReason;
}

export type AddOutcome =
  | { readonly outcome: 'added'; readonly card: Card }
  /** Not there, or of another owner. */
  | { readonly outcome: 'no_account' | 'no_holder' }
  /** Closed accounts get no cards. */
  | { readonly outcome: 'account_closed' }
  /** The owner has as many cards as allowed. */
  | { readonly outcome: 'too_many'; readonly max: number }
  /** The identity of the customer was not checked, or was rejected. */
  | { readonly outcome: 'not_verified' };

/** Limits and metadata are replaced as a whole; `{}` limits nothing. */
export interface CardChange {
  readonly status?: CardStatus;
  readonly name?: string;
  readonly limits?: Limits;
  readonly metadata?: Metadata;
}

/** The row that the engines read, and its version: what a change waits for. */
export interface Published {
  readonly number: number;
  readonly version: number;
}

export type ChangeOutcome =
  | { readonly outcome: 'changed'; readonly card: Card; readonly published: Published }
  | { readonly outcome: 'unchanged'; readonly card: Card; readonly published: Published }
  /** Closed is for ever. */
  | { readonly outcome: 'closed' }
  /** It was changed since the version that the caller knows. */
  | { readonly outcome: 'stale'; readonly version: number }
  | { readonly outcome: 'absent' };

export type ReplaceOutcome =
  /** `published` is the end of the old card. */
  | { readonly outcome: 'replaced'; readonly card: Card; readonly published: Published }
  /** The card, its account or its cardholder is closed, or the customer is not verified. */
  | { readonly outcome: 'closed' | 'account_closed' | 'holder_closed' | 'not_verified' }
  | { readonly outcome: 'absent' };

export interface CardBook {
  /** Newest first. */
  list(principal: Keeper, page: CardPage): Promise<FoundCards>;
  /** Null also when it is another owner's. */
  find(principal: Keeper, cardId: string): Promise<Card | null>;
  /** Adds the card unless there is one of that id; then answers with that. */
  add(principal: Acting<Principal>, card: NewCard): Promise<AddOutcome>;
  /**
   * @param version that the caller knows; null: any
   * @throws Contended when others change the card for too long
   */
  change(principal: Acting<Keeper>, cardId: string, change: CardChange, version: number | null): Promise<ChangeOutcome>;
  /**
   * Closes the card and makes another one in its place, which spends in the same windows. It has the same holder,
   * account, name, type, limits and metadata. Does nothing more where the replacement is there already.
   */
  replace(principal: Acting<Keeper>, cardId: string, replacement: Replacement): Promise<ReplaceOutcome>;
  /** The row's number and newest version; null also when it is another owner's. */
  published(principal: Keeper, cardId: string): Promise<Published | null>;
}

type CardRow = Omit<Card, 'limits'> & { readonly limits: Limits | null };
type ChangedRow = CardRow & {
  readonly number: number;
  readonly outcome: 'changed' | 'unchanged' | 'closed' | 'stale';
};

/**
 * Cards that a filtered page looks at: what is rare would otherwise be looked for in all of a tenant's cards at once.
 */
const looksMax = 2000;

export class CardStore implements CardBook {
  readonly #database: Database;
  readonly #caps: CardCaps;
  readonly #changes = new KeyedQueue();
  readonly #additions = new KeyedQueue();

  constructor(database: Database, caps: CardCaps = cardCapsDefault) {
    this.#database = database;
    this.#caps = caps;
  }

  async list(principal: Keeper, { after, limit, filter = {} }: CardPage): Promise<FoundCards> {
    const scope = scopeOf(principal);
    const isFiltered = Object.values(filter).some((value) => value !== undefined);
    if (isFiltered) return this.#search(scope, after, limit, filter);
    // One more than is shown says whether there is more.
    const rows = await this.#database.run(
      'cards.list',
      (sql) => sql<CardRow[]>`
        select ${columns(sql)} from (${newest(sql, scope, {}, after, limit + 1, sql`c.*`)}) c ${joins(sql)}
        where a.owner_key = ${scope.ownerKey} order by c.created_at desc, c.public_id desc`,
    );
    return pageOf(rows.map(cardOf), limit, null);
  }

  /** Looks at so many of the newest cards, and shows those that match. */
  async #search(scope: Scope, after: CardKey | null, limit: number, filter: CardFilter): Promise<FoundCards> {
    const { status = null, type = null, account = null, user = null, name = null } = filter;
    const rows = await this.#database.run('cards.search', (sql) => {
      const judged = sql`c.id, c.public_id, c.created_at, c.account_id, c.user_id, c.status, c.type, c.name`;
      return sql<(CardRow & { looks: number; endsAt: string | null; endsWith: string | null })[]>`
        with looked as materialized (
          ${newest(sql, scope, filter, after, looksMax, judged)}
        ),
        -- Only what is shown is read whole.
        matching as materialized (
          select f.id from looked f
          where (${status}::text is null or f.status = ${status}) and (${type}::text is null or f.type = ${type})
            and (${account}::text is null or f.account_id = (select id from accounts where public_id = ${account}))
            and (${user}::text is null or f.user_id = (select id from users where public_id = ${user}))
            and (${name}::text is null or position(${folded(sql, sql`${name}::text`)} in ${folded(sql, sql`f.name`)}) >
            0)
          order by f.created_at desc, f.public_id desc limit ${limit + 1}
        ), found as (
          select ${columns(sql)}, c.created_at, c.public_id from matching f join cards c on c.id = f.id ${joins(sql)}
          where a.owner_key = ${scope.ownerKey}
        )
        select f.*, (select count(*)::integer from looked) as looks, e.created_at as "endsAt", e.public_id as "endsWith"
        from (select) one left join found f on true
        left join (select created_at, public_id from looked order by created_at, public_id limit 1) e on true
        order by f.created_at desc, f.public_id desc`;
    });
    const { looks, endsAt, endsWith } = rows[0]!;
    const cards = rows.flatMap((row) => (row.cardId === null ? [] : cardOf(row)));
    const isOver = looks < looksMax || endsAt === null || endsWith === null;
    return pageOf(cards, limit, isOver ? null : [endsAt, endsWith]);
  }

  async find(principal: Keeper, cardId: string): Promise<Card | null> {
    const [row] = await this.#database.run(
      'cards.find',
      (sql) => sql<CardRow[]>`
        select ${columns(sql)} from cards c ${joins(sql)} where ${owned(sql, scopeOf(principal), cardId)}`,
    );
    return row === undefined ? null : cardOf(row);
  }

  /** Additions of one owner wait for each other here, and leave the connections to what is more urgent. */
  async add(principal: Acting<Principal>, card: NewCard): Promise<AddOutcome> {
    const { ownerKey } = scopeOf(principal);
    return this.#additions.run(String(ownerKey), false, () =>
      withLock(`cards of owner ${ownerKey} are being added by others`, () => this.#add(principal, card, ownerKey)),
    );
  }

  async #add(principal: Acting<Principal>, card: NewCard, ownerKey: number): Promise<AddOutcome> {
    const { userId, companyId } = principal;
    const max = companyId === null ? this.#caps.person : this.#caps.company;
    const [row] = await this.#database.write(
      principal,
      'cards.add',
      (sql, { enter, admitted }) => sql<
        { account: string | null; isVerified: boolean | null; holder: number | null; hasRoom: boolean | null }[]
      >`
        with ${enter}, account as (
          select a.id, a.status, coalesce(c.kyc_status, u.kyc_status) as kyc_status
          from accounts a left join companies c on c.id = a.company_id left join users u on u.id = a.user_id
          where a.public_id = ${card.accountId} and a.owner_key = ${ownerKey} and ${admitted}
        ), holder as (
          select id from users where public_id = ${card.holderId} and status <> 'closed'
            and ${companyId === null ? sql`id = ${userId}` : sql`company_id = ${companyId}`}
        ), owned as materialized (
          select open_cards_locked(${ownerKey}::bigint) as cards from account, holder
          where account.status <> 'closed' and account.kyc_status = 'verified'
        ), added as (
          insert into cards (public_id, token, account_id, user_id, name, type, expires, metadata)
          select ${card.cardId}, ${card.token}, account.id, holder.id, ${card.name}, ${card.type},
          ${card.expires}::date,
            ${sql.json(card.metadata)}
          from account, holder, owned
          where owned.cards < ${max}
          on conflict (public_id) do nothing
          returning id
        ), limited as (
          insert into limits (level, entity_id, limits)
          select 0, id, ${sql.json(card.limits as never)} from added
          where ${Object.keys(card.limits).length > 0}::boolean
        )
        select (select status from account) as account, (select kyc_status = 'verified' from account) as "isVerified",
          (select id from holder) as holder, (select cards < ${max} from owned) as "hasRoom"`,
    );
    if (row === undefined || row.account === null) return { outcome: 'no_account' };
    if (row.holder === null) return { outcome: 'no_holder' };
    const added = await this.find(principal, card.cardId);
    if (added !== null) return { outcome: 'added', card: added };
    if (row.isVerified !== true) return { outcome: 'not_verified' };
    return row.hasRoom === false ? { outcome: 'too_many', max } : { outcome: 'account_closed' };
  }

  /** A freeze goes before other changes of the card that wait. */
  async change(
    principal: Acting<Keeper>,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome> {
    const isUrgent = change.status === 'frozen' || change.status === 'closed';
    return this.#inTurn(cardId, isUrgent, () => this.#change(principal, cardId, change, version));
  }

  /** As urgent as a freeze: the card may be a thief's. */
  async replace(principal: Acting<Keeper>, cardId: string, replacement: Replacement): Promise<ReplaceOutcome> {
    const replaced = await this.#inTurn(cardId, true, () => this.#replace(principal, cardId, replacement));
    if ('refusal' in replaced) return { outcome: replaced.refusal };
    const card = await this.find(principal, replacement.cardId);
    return card === null ? { outcome: 'absent' } : { outcome: 'replaced', card, published: replaced };
  }

  /** Changes of one card come one after the other, urgent ones first. */
  #inTurn<T>(cardId: string, isUrgent: boolean, change: () => Promise<T>): Promise<T> {
    return this.#changes.run(cardId, isUrgent, () => withLock(`card ${cardId} is being changed by others`, change));
  }

  async published(principal: Keeper, cardId: string): Promise<Published | null> {
    const [row] = await this.#database.run(
      'cards.published',
      (sql) => sql<Published[]>`
        select c.id as number, c.version from cards c join accounts a on a.id = c.account_id
        where ${owned(sql, scopeOf(principal), cardId)}`,
    );
    return row ?? null;
  }

  /**
   * One statement: it locks the card, checks the change against the locked row, and writes card and limits. The trigger
   * writes the entry for the engines. A closed card takes no change but the one that closes it again.
   */
  async #change(
    principal: Acting<Keeper>,
    cardId: string,
    change: CardChange,
    version: number | null,
  ): Promise<ChangeOutcome> {
    const { status = null, name = null, limits = null, metadata = null } = change;
    const [row] = await this.#database.write(
      principal,
      'cards.change',
      (sql, { enter, admitted }) => sql<ChangedRow[]>`
        with ${enter}, owned as materialized (
          select c.id, a.public_id as "accountId", u.public_id as "userId"
          from cards c join accounts a on a.id = c.account_id join users u on u.id = c.user_id
          where ${owned(sql, scopeOf(principal), cardId)} and ${admitted}
        ), locked as materialized (
          select o.*, (l.card).token, (l.card).expires, (l.card).created_at, (l.card).version, (l.card).type,
            (l.card).metadata as old_metadata, (l.card).replaced_by, (l.card).replaced_for,
            (l.card).status as old_status, (l.card).name as old_name, coalesce(l.limits, '{}') as old_limits
          from owned o cross join lateral lock_card(o.id) l
        ), wanted as (
          select locked.*, coalesce(${status}::text, old_status) as status, coalesce(${name}::text, old_name) as name,
            coalesce(${limits === null ? null : sql.json(limits as never)}::jsonb, old_limits) as limits,
            coalesce(${metadata === null ? null : sql.json(metadata)}::jsonb, old_metadata) as metadata
          from locked
        ), judged as materialized (
          select wanted.*, case
            when ${version}::integer <> version then 'stale'
            when (status, name, limits, metadata) = (old_status, old_name, old_limits, old_metadata) then 'unchanged'
            when old_status = 'closed' then 'closed'
            else 'changed'
          end as outcome
          from wanted
        ), written as (
          update cards c set status = j.status, name = j.name, metadata = j.metadata, version = j.version + 1
          from judged j where c.id = j.id and j.outcome = 'changed'
          returning c.id, c.version
        ), limited as (
          insert into limits as l (level, entity_id, limits)
          select 0, j.id, j.limits from judged j join written w on w.id = j.id where j.limits <> j.old_limits
          on conflict (level, entity_id) do update set limits = excluded.limits, version = l.version + 1
        )
        select j.outcome, j.id as number, ${cardId} as "cardId", j."userId", j."accountId", j.token, j.name, j.type,
          j.status, j.expires, j.limits, j.metadata, n.public_id as "replacedBy", j.replaced_for as "replacedFor",
          coalesce(w.version, j.version) as version, j.created_at as "createdAt"
        from judged j left join written w on w.id = j.id left join cards n on n.id = j.replaced_by`,
    );
    if (row === undefined) return { outcome: 'absent' };
    const { outcome, number, ...rest } = row;
    if (outcome === 'stale') return { outcome, version: rest.version };
    if (outcome === 'closed') return { outcome };
    return { outcome, card: cardOf(rest), published: { number, version: rest.version } };
  }

  /** One statement, which locks and judges as #change does: of two replacements the second finds a closed card. */
  async #replace(
    principal: Acting<Keeper>,
    cardId: string,
    { cardId: newId, token, expires, reason }: Replacement,
  ): Promise<Published | { readonly refusal: Exclude<ReplaceOutcome['outcome'], 'replaced'> }> {
    const [row] = await this.#database.write(
      principal,
      'cards.replace',
      (sql, { enter, admitted }) => sql<(Published & { outcome: Exclude<ReplaceOutcome['outcome'], 'absent'> })[]>`
        with ${enter}, owned as materialized (
          select c.id, a.status as account_status, u.status as holder_status,
            coalesce(k.kyc_status, u.kyc_status) as kyc_status
          from cards c join accounts a on a.id = c.account_id join users u on u.id = c.user_id
            left join companies k on k.id = u.company_id
          where ${owned(sql, scopeOf(principal), cardId)} and ${admitted}
        ), locked as materialized (
          select o.account_status, o.holder_status, o.kyc_status, (l.card).*, l.limits
          from owned o cross join lateral lock_card(o.id) l
        ), judged as materialized (
          select locked.*, case
            when (select public_id from cards n where n.id = replaced_by) = ${newId} then 'replaced'
            when status = 'closed' then 'closed'
            when account_status = 'closed' then 'account_closed'
            when holder_status = 'closed' then 'holder_closed'
            when kyc_status <> 'verified' then 'not_verified'
            else 'replaced'
          end as outcome, replaced_by is null as is_new
          from locked
        ), made as (
          insert into cards (public_id, token, account_id, user_id, name, type, expires, metadata, spend_of)
          select ${newId}, ${token}, account_id, user_id, name, type, ${expires}::date, metadata, coalesce(spend_of, id)
          from judged where outcome = 'replaced' and is_new
          returning id
        ), limited as (
          insert into limits (level, entity_id, limits) select 0, m.id, j.limits from judged j, made m where j.limits <>
          '{}'
        ), written as (
          update cards c set status = 'closed', replaced_by = m.id, replaced_for = ${reason}, version = j.version + 1
          from judged j, made m where c.id = j.id
          returning c.version
        )
        select j.outcome, j.id as number, coalesce(w.version, j.version) as version
        from judged j left join written w on true`,
    );
    if (row === undefined) return { refusal: 'absent' };
    const { outcome, ...published } = row;
    return outcome === 'replaced' ? published : { refusal: outcome };
  }
}

/** The condition on `cards c` and `accounts a` that it is this card and the caller may see it. */
function owned(sql: Sql, { ownerKey, onlyUser }: Scope, cardId: string) {
  return sql`c.public_id = ${cardId} and a.owner_key = ${ownerKey}
    ${onlyUser === null ? sql`` : sql`and c.user_id = ${onlyUser}`}`;
}

/**
 * The newest cards that the caller may see. A filter narrows the walk: a cardholder's cards by the cardholder, all
 * others account by account. Both walk an index in the order of the list.
 */
function newest(
  sql: Sql,
  { ownerKey, onlyUser }: Scope,
  { account, user }: CardFilter,
  after: CardKey | null,
  most: number,
  what: ReturnType<typeof columns>,
) {
  const keyset =
    after === null ? sql`` : sql`and (c.created_at, c.public_id) < (${after[0]}::timestamptz, ${after[1]})`;
  const order = sql`order by c.created_at desc, c.public_id desc limit ${most}`;
  if (onlyUser !== null) return sql`select ${what} from cards c where c.user_id = ${onlyUser} ${keyset} ${order}`;
  if (user !== undefined) {
    return sql`select ${what} from cards c where c.user_id = ${holderOf(sql, ownerKey, user)} ${keyset} ${order}`;
  }
  return sql`select c.* from accounts a
    cross join lateral (select ${what} from cards c where c.account_id = a.id ${keyset} ${order}) c
    where a.owner_key = ${ownerKey} ${account === undefined ? sql`` : sql`and a.public_id = ${account}`} ${order}`;
}

/** @param end where the look ended, if there is more behind it */
function pageOf(cards: readonly Card[], limit: number, end: CardKey | null): FoundCards {
  if (cards.length <= limit) return { cards, next: end };
  const shown = cards.slice(0, limit);
  const { createdAt, cardId } = shown.at(-1)!;
  return { cards: shown, next: [createdAt, cardId] };
}

/**
 * The number of a cardholder of that owner. Another owner's is none: even the place where a page ends would tell of
 * them.
 */
function holderOf(sql: Sql, ownerKey: number, userId: string) {
  return sql`(select id from users where public_id = ${userId} and coalesce(company_id * 2 + 1, id * 2) = ${ownerKey})`;
}

function columns(sql: Sql) {
  return sql`c.public_id as "cardId", u.public_id as "userId", a.public_id as "accountId", c.token,
    c.name, c.type, c.status, c.expires, l.limits, c.metadata, n.public_id as "replacedBy",
    c.replaced_for as "replacedFor", c.version, c.created_at as "createdAt"`;
}

function joins(sql: Sql) {
  return sql`join accounts a on a.id = c.account_id join users u on u.id = c.user_id
    left join limits l on l.level = 0 and l.entity_id = c.id
    left join cards n on n.id = c.replaced_by`;
}

function cardOf(row: CardRow): Card {
  const { cardId, userId, accountId, token, name, type, status, expires, limits, metadata } = row;
  const { replacedBy, replacedFor, version, createdAt } = row;
  return {
    ...{ cardId, userId, accountId, token, name, type, status, expires, limits: limits ?? {}, metadata },
    ...{ replacedBy, replacedFor, version, createdAt },
  };
}
