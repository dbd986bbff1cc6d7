/**
 * Personal cards in Postgres, as the engine reads them: the rows of `cards` and `limits` that the relay writes from the
 * personal store. Also the way back, for users whose profile is missing there: seeded by a tool, or the store is new.
 */
import type { Limits } from '../../../engine/core/rules.js';
import type { Database } from '../postgres.js';
import type { PersonalCard, PersonalProfile } from './store.js';

/**
 * Copies a card to the rows that the engine reads, in one statement, unless they are as new already. The update of
 * `cards` fires the trigger that tells the engines; a card that was not there before needs no telling, since they load it
 * when it is first used.
 * @returns the number of the card's row, or null when its user or account does not exist (any more)
 */
export async function projectCard(database: Database, card: PersonalCard): Promise<number | null> {
  const [row] = await database.run(
    'cards.project',
    (sql) => sql<{ id: number }[]>`
      with owner as (
        select a.id as account_id, u.id as user_id
        from users u join accounts a on a.user_id = u.id
        where u.public_id = ${card.userId} and u.kind = 'personal' and a.public_id = ${card.accountId}
      ), written as (
        insert into cards as c (public_id, token, account_id, user_id, name, status, expires, version, created_at)
        select ${card.cardId}, ${card.token}, account_id, user_id, ${card.name}, ${card.status}, ${card.expires}::date,
          ${card.version}::integer, ${card.createdAt}::timestamptz
        from owner
        on conflict (public_id) do update set
          name = excluded.name, status = excluded.status, version = excluded.version
        where c.version < excluded.version and c.user_id = excluded.user_id
        returning c.id
      ), limited as (
        insert into limits as l (level, entity_id, limits)
        select 0, id, ${sql.json(card.limits as never)}::jsonb from written
        -- A card that never had limits has no row. Later ones are replaced and never deleted: a delete would not see the
        -- row that an older version, copied at the same time, has just put there.
        where ${card.version > 1 || Object.keys(card.limits).length > 0}::boolean
        on conflict (level, entity_id) do update set limits = excluded.limits, version = l.version + 1
      )
      select id from written
      union all
      select c.id from cards c join owner on owner.user_id = c.user_id where c.public_id = ${card.cardId}
      limit 1`,
  );
  return row?.id ?? null;
}

/** What Postgres knows of a personal user: enough for a profile. Null when there is no such user. */
export async function profileFromPostgres(database: Database, userId: string): Promise<PersonalProfile | null> {
  const [row] = await database.run(
    'users.profile',
    (sql) => sql<{ email: string; name: string; createdAt: string }[]>`
      select email, name, created_at as "createdAt" from users where public_id = ${userId} and kind = 'personal'`,
  );
  if (row === undefined) return null;
  return { userId, ...row, kycStatus: 'pending', createdAt: withMilliseconds(row.createdAt) };
}

/** A user's cards as the engine has them, a page at a time by the row's number. */
export async function cardsFromPostgres(
  database: Database,
  userId: string,
  afterNumber: number,
  limit: number,
): Promise<{ readonly number: number; readonly card: PersonalCard }[]> {
  const rows = await database.run(
    'cards.adopt',
    (sql) => sql<(Omit<PersonalCard, 'limits'> & { id: number; limits: Limits | null })[]>`
      select c.id, c.public_id as "cardId", u.public_id as "userId", a.public_id as "accountId", c.token, c.name, c.status,
        c.expires, c.version, c.created_at as "createdAt", l.limits
      from users u
      join cards c on c.user_id = u.id
      join accounts a on a.id = c.account_id
      left join limits l on l.level = 0 and l.entity_id = c.id
      where u.public_id = ${userId} and u.kind = 'personal' and c.id > ${afterNumber}
      order by c.id limit ${limit}`,
  );
  return rows.map(({ id, limits, createdAt, ...rest }) => ({
    number: id,
    card: { ...rest, limits: limits ?? {}, createdAt: withMilliseconds(createdAt) },
  }));
}

/** Documents keep milliseconds: the same instant must come back from either store. */
function withMilliseconds(timestamp: string): string {
  return new Date(timestamp).toISOString();
}
