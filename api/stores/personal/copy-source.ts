/**
 * People and their cards as the follower of their copies reads them in Postgres, and where the feed of changes
 * stands.
 */
import type { CardTypeName } from '../../../engine/core/card-types.js';
import type { Limits } from '../../../engine/core/rules.js';
import type { Card, CardStatus } from '../cards.js';
import type { Database, Sql } from '../postgres.js';

export const copyKinds = ['personalUsers', 'personalCards'] as const;
export type CopyKind = (typeof copyKinds)[number];

export interface PersonCopy {
  readonly _id: string;
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly version: number;
  readonly createdAt: Date;
}

/** What the engines obey, and the name. */
export interface CardCopy
  extends Pick<Card, 'userId' | 'accountId' | 'token' | 'name' | 'type' | 'status' | 'expires' | 'limits' | 'version'> {
  readonly _id: string;
  readonly createdAt: Date;
}

/** How far the copies follow Postgres. The marks tell whether Postgres took another course since. */
export interface CopyPlace {
  /** Last entry of the feed that is copied, and what it was; '' where it was not there any more. */
  readonly sequence: number;
  readonly entry: string;
  /** Rows up to these numbers are copied; later ones are new. */
  readonly users: RowPlace;
  readonly cards: RowPlace;
}

export interface RowPlace {
  readonly number: number;
  /** Public id of that row; '' for the beginning. */
  readonly id: string;
}

export interface FeedEntryKey {
  readonly sequence: number;
  readonly topic: string;
  readonly number: number;
  readonly mark: string;
}

/** What one statement sees. */
export interface CopySource {
  /** Last rows there are; number 0 where there is none. */
  readonly lastUser: RowPlace;
  readonly lastCard: RowPlace;
  readonly newest: number;
  /** Entries up to here are not in the feed any more. */
  readonly pruned: number;
  readonly newestEntry: string;
  /** What is now at the place to be checked; '' where nothing is. */
  readonly entry: string;
  readonly userId: string;
  readonly cardId: string;
  /** Entries after the asked one, in order. */
  readonly entries: readonly FeedEntryKey[];
  /** Transactions below it have ended; those from `runningTo` on began later. */
  readonly endedTo: number;
  readonly runningTo: number;
}

const entriesMax = 500;

/**
 * @param after entries after it are read
 * @param checked the place whose marks are read
 */
export async function readSource(database: Database, after: number, checked: CopyPlace): Promise<CopySource> {
  const { sequence, users, cards } = checked;
  const [row] = await database.run('copies.source', (sql) => {
    const mark = sql`concat_ws('/', e.id, e.topic, e.key, e.version, e.created_at)`;
    return sql<CopySource[]>`
      select p.newest, p.pruned,
        coalesce((select ${mark} from outbox e where e.sequence = p.newest), '') as "newestEntry",
        coalesce((select ${mark} from outbox e where e.sequence = ${sequence}), '') as entry,
        coalesce((select public_id from users where id = ${users.number}), '') as "userId",
        coalesce((select public_id from cards where id = ${cards.number}), '') as "cardId",
        coalesce((
          select json_agg(json_build_object('sequence', e.sequence, 'topic', e.topic, 'number', e.key::bigint,
            'mark', ${mark}) order by e.sequence)
          from (
            select * from outbox e where e.sequence > ${after} order by e.sequence limit ${entriesMax}
          ) e
        ), '[]') as entries,
        ${lastOf(sql, 'users')} as "lastUser", ${lastOf(sql, 'cards')} as "lastCard",
        pg_snapshot_xmin(s.now)::text::bigint as "endedTo", pg_snapshot_xmax(s.now)::text::bigint as "runningTo"
      from feed_position p cross join (select pg_current_snapshot() as now) s`;
  });
  return row!;
}

function lastOf(sql: Sql, table: 'users' | 'cards') {
  return sql`coalesce(
    (select json_build_object('number', t.id, 'id', t.public_id) from ${sql(table)} t order by t.id desc limit 1),
    '{"number": 0, "id": ""}')`;
}

/** Rows by number, or those of a stretch of numbers, at most `limit` of them. */
export type RowChoice =
  | { readonly numbers: readonly number[] }
  | { readonly after: number; readonly upTo: number; readonly limit: number };

/** `copy` is null for what is not a person's. */
export interface SourceRow<T> {
  readonly number: number;
  readonly id: string;
  readonly copy: T | null;
}

interface PersonRow {
  readonly number: number;
  readonly userId: string;
  readonly kind: string;
  readonly email: string;
  readonly name: string;
  readonly version: number;
  readonly createdAt: string;
}

interface CardRow {
  readonly number: number;
  readonly cardId: string;
  readonly kind: string;
  readonly userId: string;
  readonly accountId: string;
  readonly token: string;
  readonly name: string;
  readonly type: CardTypeName;
  readonly status: CardStatus;
  readonly expires: string;
  readonly limits: Limits | null;
  readonly version: number;
  readonly createdAt: string;
}

/** In the order of their numbers. */
export async function readRows(
  database: Database,
  kind: CopyKind,
  choice: RowChoice,
): Promise<SourceRow<PersonCopy | CardCopy>[]> {
  if ('numbers' in choice && choice.numbers.length === 0) return [];
  return kind === 'personalUsers' ? readPeople(database, choice) : readCards(database, choice);
}

async function readPeople(database: Database, choice: RowChoice): Promise<SourceRow<PersonCopy>[]> {
  const rows = await database.run(
    'copies.users',
    (sql) => sql<PersonRow[]>`
      select t.id as number, t.public_id as "userId", t.kind, t.email, t.name, t.version, t.created_at as "createdAt"
      from users t where ${chosen(sql, choice)}`,
  );
  return rows.map(({ number, kind, createdAt, ...rest }) => ({
    number,
    id: rest.userId,
    copy: kind === 'personal' ? { _id: rest.userId, ...rest, createdAt: new Date(createdAt) } : null,
  }));
}

async function readCards(database: Database, choice: RowChoice): Promise<SourceRow<CardCopy>[]> {
  const rows = await database.run(
    'copies.cards',
    (sql) => sql<CardRow[]>`
      select t.id as number, t.public_id as "cardId", u.kind, u.public_id as "userId", a.public_id as "accountId",
      t.token,
        t.name, t.type, t.status, t.expires, l.limits, t.version, t.created_at as "createdAt"
      from (select t.* from cards t where ${chosen(sql, choice)}) t
      join users u on u.id = t.user_id join accounts a on a.id = t.account_id
      left join limits l on l.level = 0 and l.entity_id = t.id
      order by t.id`,
  );
  return rows.map(({ number, cardId, kind, limits, createdAt, ...rest }) => ({
    number,
    id: cardId,
    copy: kind === 'personal' ? { _id: cardId, ...rest, limits: limits ?? {}, createdAt: new Date(createdAt) } : null,
  }));
}

function chosen(sql: Sql, choice: RowChoice) {
  if ('numbers' in choice) return sql`t.id = any(${choice.numbers as number[]}::bigint[]) order by t.id`;
  return sql`t.id > ${choice.after} and t.id <= ${choice.upTo} order by t.id limit ${choice.limit}`;
}
